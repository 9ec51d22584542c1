"""The training read path: stateless, the same for any number of processes, every epoch complete."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.data import BatchReader, batches
from ganlab.data.batches import GREY_LEVEL, floats_here, floats_there
from ganlab.errors import GanlabError
from ganlab.images import to_float, to_uint8


def numbered(count: int, side: int = 4) -> np.ndarray:
    """Image i has the value i in its left half and 255 - i in the right."""
    images = np.empty((count, side, side, 3), np.uint8)
    values = np.arange(count, dtype=np.uint8)[:, None, None, None]
    images[:, :, : side // 2] = values
    images[:, :, side // 2 :] = 255 - values
    return images


def test_batch_is_the_chosen_images_as_floats():
    images = numbered(20)
    reader = BatchReader(images, np.arange(20), 6, seed=1, labels=np.arange(20))
    batch = reader.batch(2)
    assert batch.images.dtype == torch.float32
    assert torch.equal(batch.images, to_float(images[reader.chosen(2)]))
    assert batch.labels.tolist() == reader.chosen(2).tolist()


def test_without_labels_there_are_none():
    assert BatchReader(numbered(4), np.arange(4), 2, seed=0).batch(0).labels is None


def test_a_memory_map_reads_like_an_array(tmp_path):
    images = numbered(12)
    np.save(tmp_path / "x.npy", images)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for step in range(3):
        there = BatchReader(mapped, np.arange(12), 5, seed=0, flip=True).batch(step)
        here = BatchReader(images, np.arange(12), 5, seed=0, flip=True).batch(step)
        assert torch.equal(there.images, here.images)
    assert np.array_equal(mapped, numbered(12))


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 60), batch=st.integers(1, 70), epochs=st.integers(1, 4), seed=st.integers(0, 3))
def test_every_epoch_has_every_image_once(count, batch, epochs, seed):
    indices = np.arange(100, 100 + count)
    reader = BatchReader(np.zeros((200, 1, 1, 3), np.uint8), indices, batch, seed)
    steps = -(-count * epochs // batch)
    sequence = np.concatenate([reader.chosen(step) for step in range(steps)])
    for epoch in range(epochs):
        assert sorted(sequence[epoch * count : (epoch + 1) * count]) == indices.tolist()


@settings(max_examples=30, deadline=None)
@given(
    world=st.sampled_from([2, 3, 4, 6]), share=st.integers(1, 5), step=st.integers(0, 50),
    flip=st.booleans(), dequantize=st.booleans(),
)  # fmt: skip
def test_any_number_of_processes_sees_the_same_global_batch(world, share, step, flip, dequantize):
    images, indices, labels = numbered(23), np.arange(3, 23), np.arange(23) % 4
    options = {"flip": flip, "dequantize": dequantize, "labels": labels}
    whole = BatchReader(images, indices, world * share, 5, **options).batch(step)
    parts = [
        BatchReader(images, indices, world * share, 5, rank=rank, world=world, **options).batch(step)
        for rank in range(world)
    ]
    assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
    assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)


def test_batches_need_no_history():
    reader = BatchReader(numbered(10), np.arange(10), 4, seed=2, flip=True, dequantize=True)
    forward = [reader.batch(step).images for step in range(30)]
    fresh = BatchReader(numbered(10), np.arange(10), 4, seed=2, flip=True, dequantize=True)
    for step in (29, 3, 17, 3, 0):
        assert torch.equal(fresh.batch(step).images, forward[step])


def test_orders_differ_by_epoch_and_seed():
    def order(seed, epoch):
        return BatchReader(numbered(50), np.arange(50), 50, seed).chosen(epoch).tolist()

    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_order_is_uniform():
    """Each image is equally often first: chi-square over 3,000 epochs, 9 degrees of freedom, 0.1 % level."""
    reader = BatchReader(numbered(10), np.arange(10), 10, seed=0)
    first = np.bincount([reader.chosen(epoch)[0] for epoch in range(3000)], minlength=10)
    assert ((first - 300) ** 2 / 300).sum() < 27.9


def test_flips_mirror_half_of_the_images_and_nothing_else():
    images = numbered(100)
    reader = BatchReader(images, np.arange(100), 100, seed=0, flip=True)
    mirrored = 0
    for step in range(10):
        pixels, plain = to_uint8(reader.batch(step).images), images[reader.chosen(step)]
        same = (pixels == plain).all(axis=(1, 2, 3))
        turned = (pixels == plain[:, :, ::-1]).all(axis=(1, 2, 3))
        assert (same ^ turned).all()
        mirrored += turned.sum()
    # 1,000 fair coins: mean 500, standard deviation 15.8
    assert 420 < mirrored < 580


def test_dequantisation_is_uniform_in_one_grey_level_and_rounds_back():
    images = numbered(100, 8)
    plain = BatchReader(images, np.arange(100), 64, seed=0)
    noisy = BatchReader(images, np.arange(100), 64, seed=0, dequantize=True)
    noise = (noisy.batch(3).images.double() - plain.batch(3).images.double()) / GREY_LEVEL
    assert noise.min() >= -0.5001
    assert noise.max() <= 0.5001
    assert abs(noise.mean()) < 0.01
    assert noise.var().item() == pytest.approx(1 / 12, rel=0.05)
    assert np.array_equal(to_uint8(noisy.batch(3).images), to_uint8(plain.batch(3).images))
    assert not torch.equal(noisy.batch(3).images, noisy.batch(4).images)


@pytest.mark.parametrize("mirrored", [[], [0, 3, 4]])
@pytest.mark.parametrize("with_noise", [True, False])
def test_both_ways_to_floats_agree(mirrored, with_noise):
    """The way of other devices, taken on the CPU, gives the same bits."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 16, 8, 3), dtype=np.uint8)
    noise = rng.standard_normal((6, 3, 16, 8)).astype(np.float32) if with_noise else None
    places = np.array(mirrored, dtype=np.int64)
    here = floats_here(pixels, places, noise)
    there = floats_there(torch.from_numpy(pixels), places, None if noise is None else torch.from_numpy(noise))
    assert torch.equal(here, there)
    assert here.is_contiguous()
    assert here.dtype == torch.float32


@pytest.mark.parametrize("limit", [0, 2**32], ids=["each batch travels", "all images live there"])
def test_the_way_of_other_devices_reads_the_same_batches(monkeypatch, limit):
    """Taken on the CPU: the same images, flips and labels; noise of the same kind, of its own numbers."""
    monkeypatch.setattr(batches, "RESIDENT_BYTES", limit)
    options = {"flip": True, "labels": np.arange(20) % 3}
    images = numbered(20)
    images.flags.writeable = False
    here, there = (BatchReader(images, np.arange(3, 20), 6, seed=1, **options) for _ in range(2))
    there._here = False
    for step in (0, 7):
        for a, b in ((here, there), (here.sibling("generator", 4), there.sibling("generator", 4))):
            assert torch.equal(a.batch(step).images, b.batch(step).images)
            assert torch.equal(a.batch(step).labels, b.batch(step).labels)
    noisy = [
        BatchReader(images, np.arange(20), 6, 1, dequantize=True, rank=rank, world=world)
        for rank, world in ((0, 1), (0, 2), (1, 2))
    ]
    for reader in noisy:
        reader._here = False
    whole, *parts = (reader.batch(4).images for reader in noisy)
    assert torch.equal(torch.cat(parts), whole)
    noise = whole - to_float(images[noisy[0].chosen(4)])
    assert noise.abs().max() <= GREY_LEVEL / 2 + 1e-6
    assert noise.std() == pytest.approx(GREY_LEVEL / 12**0.5, rel=0.1)
    assert np.array_equal(to_uint8(whole), images[noisy[0].chosen(4)])


@pytest.mark.parametrize(("indices", "batch", "rank", "world"), [
    ([], 4, 0, 1), ([0, 1], 0, 0, 1), ([0, 1], 5, 0, 2), ([0, 1], 4, 2, 2), ([0, 1], 4, -1, 2),
])  # fmt: skip
def test_impossible_readers_are_refused(indices, batch, rank, world):
    with pytest.raises(GanlabError, match="batch"):
        BatchReader(numbered(4), np.array(indices, int), batch, 0, rank=rank, world=world)


def test_a_pinned_sequence():
    """Data order is part of what a seed promises: it must not change between versions."""
    reader = BatchReader(numbered(10), np.arange(10), 5, seed=42, flip=True)
    assert np.concatenate([reader.chosen(step) for step in range(3)]).tolist() == [
        2, 0, 6, 9, 1, 3, 5, 4, 8, 7, 0, 7, 5, 9, 6,
    ]  # fmt: skip
