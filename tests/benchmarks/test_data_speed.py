"""How fast images are made and read: ratios measured in one run, and the one absolute promise of the lab."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from ganlab.data import BatchReader, DeadLeaves, open_image_set
from ganlab.data.dead_leaves import dead_leaves, render
from ganlab.images import to_float

pytestmark = pytest.mark.benchmark


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """The shortest of a few runs: other programs only ever add time."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def read(reader: BatchReader, steps: int = 200) -> None:
    """Read batches as a training loop does: one at a time, the last one forgotten."""
    for step in range(steps):
        reader.batch(step)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12_800, 32, 32, 3), dtype=np.uint8)


def test_ten_thousand_dead_leaves_in_thirty_seconds():
    taken = seconds(lambda: sum(1 for _ in dead_leaves(DeadLeaves(32), range(10_000))), repeats=1)
    print(f"10,000 dead leaves of 32x32: {taken:.1f} s")
    assert taken < 30


class SingleImages(Dataset):
    """The conventional way: one image at a time, converted and mirrored in Python."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        image = torch.from_numpy(self.images[index]).permute(2, 0, 1).float().div(127.5).sub(1.0)
        return image.flip(2) if torch.rand(()) < 0.5 else image


def test_batches_against_a_loader_of_single_images(images):
    loader = DataLoader(SingleImages(images), batch_size=64, shuffle=True, drop_last=True)
    conventional = seconds(lambda: sum(1 for _ in loader), repeats=2) / len(loader)
    reader = BatchReader(images, np.arange(len(images)), 64, seed=0, flip=True)
    ours = seconds(lambda: read(reader)) / 200
    print(f"batch of 64: {1e6 * ours:.0f} us, loader of single images {1e6 * conventional:.0f} us")
    assert ours < 0.4 * conventional


def test_the_reader_adds_little_to_gathering_and_converting(images):
    order = np.random.default_rng(0).permutation(len(images))
    reader = BatchReader(images, np.arange(len(images)), 64, seed=0, flip=True)

    def bare() -> None:
        for step in range(200):
            to_float(images[order[64 * (step % 190) : 64 * (step % 190 + 1)]])

    base, ours = seconds(bare), seconds(lambda: read(reader))
    print(f"reader {1e6 * ours / 200:.0f} us a batch, gather and convert alone {1e6 * base / 200:.0f} us")
    assert ours < 3 * base


def test_a_memory_map_is_read_as_fast_as_memory(images, tmp_path):
    np.save(tmp_path / "x.npy", images)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    readers = [BatchReader(source, np.arange(len(images)), 64, seed=0) for source in (images, mapped)]
    memory, disk = (seconds(lambda r=r: read(r)) for r in readers)
    print(f"memory {1e6 * memory / 200:.0f} us, memory map {1e6 * disk / 200:.0f} us a batch")
    assert disk < 1.5 * memory


@pytest.mark.parametrize("side", [64, 256])
def test_a_folder_is_read_no_slower_than_by_a_plain_loop(tmp_path, side):
    image = Image.fromarray(render(DeadLeaves(side), 0))
    for i in range(300):
        image.save(tmp_path / f"{i:04d}.png")
    paths = sorted(tmp_path.iterdir())

    def plain() -> None:
        for path in paths:
            with Image.open(path) as opened:
                np.asarray(opened.convert("RGB"))

    found = open_image_set(tmp_path)
    base, ours = seconds(plain, 3), seconds(lambda: sum(len(b) for b in found.batches(64)), 3)
    print(f"{side} px: {300 / ours:.0f} images/s, plain loop {300 / base:.0f}")
    assert ours < 1.5 * base
