"""Planted faults: from which amplitude `lattice_lines` finds and names each, and its false alarms.

    pytest -m benchmark -s tests/benchmarks/test_lattice_faults.py

Photos come from an ``.npz`` with ``images``, uint8 (N, H, W, 3), that GANLAB_PHOTOS names (32 px) and
GANLAB_PHOTOS_64; without them dead leaves are made. GANLAB_TRIALS (default 20) and GANLAB_NULLS (200) scale
it; GANLAB_REPORT is the beginning of the names of CSV files for the tables. One trial draws 1,000 reals and
1,000 other images for the fakes.
"""

import csv
import io
import os
import time

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.data.dead_leaves import DeadLeaves, dead_leaves
from ganlab.images import to_float
from ganlab.spectra import lattice_lines
from ganlab.spectra.lattice_sums import LatticeSums

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(20_000)]
COUNT = int(os.environ.get("GANLAB_COUNT", "1000"))
TRIALS = int(os.environ.get("GANLAB_TRIALS", "20"))
NULLS = int(os.environ.get("GANLAB_NULLS", "200"))
AMPLITUDES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Grey levels; a lattice's is that of one of its waves."""
SHARES = (0.02, 0.05, 0.1, 0.2, 0.3)


def photos(size):
    name = os.environ.get("GANLAB_PHOTOS" if size == 32 else f"GANLAB_PHOTOS_{size}")
    if name:
        with np.load(name) as stored:
            return stored["images"]
    return np.stack([*dead_leaves(DeadLeaves(size=size), range(2 * COUNT + 200))])


def wave(size, fy, fx, phase=0.3):
    y, x = np.mgrid[0:size, 0:size]
    real = (2 * fy).is_integer() and (2 * fx).is_integer()
    return np.cos(2 * np.pi * (fy * y + fx * x) + (0 if real else phase))


def dot(size, period):
    """One phase of a period x period lattice brighter, so that each of its waves has amplitude 1."""
    y, x = np.mgrid[0:size, 0:size]
    return period**2 / 2 * ((y % period == 1) & (x % period == period // 2))


GRATINGS = {
    "checkerboard": ((0.5, 0.5), "a 2-pixel checkerboard"),
    **{f"rows of {p}": ((1 / p, 0.0), "a grating of rows") for p in (2, 4, 8)},
    **{f"columns of {p}": ((0.0, 1 / p), "a grating of columns") for p in (2, 4, 8)},
    **{f"diagonal of {p}": ((1 / p, 1 / p), "a diagonal grating") for p in (4, 8)},
    "(1/4, 1/2)": ((0.25, 0.5), "a grating"),
}


def dithered(images, pattern, source):
    levels = images + pattern[None, :, :, None]
    return np.floor(levels + source.random(levels.shape, dtype=np.float32)).clip(0, 255).astype(np.uint8)


def grating(name):
    (fy, fx), words = GRATINGS[name]

    def plant(images, amplitude, source):
        return dithered(images, amplitude * wave(images.shape[1], fy, fx), source)

    def named(lines):
        return any((abs(line.fy), line.fx) == (fy, fx) and line.name.startswith(words) for line in lines)

    return plant, named, AMPLITUDES


def lattice(period):
    def plant(images, amplitude, source):
        return dithered(images, amplitude * dot(images.shape[1], period), source)

    return (
        plant,
        lambda lines: any(line.period == period and line.family == "lattice" for line in lines),
        AMPLITUDES,
    )


def enlarged(kind):
    def plant(images, share, source):
        fakes = images.copy()
        some = source.choice(len(images), max(1, round(share * len(images))), replace=False)
        size = images.shape[1]
        for index in some:
            small = Image.fromarray(images[index]).resize((size // 2, size // 2), Image.Resampling.LANCZOS)
            fakes[index] = np.asarray(small.resize((size, size), kind))
        return fakes

    return plant, lambda lines: any(line.period == 2 for line in lines), SHARES


def coded(images, quality, source):
    fakes = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=int(quality))
        fakes.append(np.asarray(Image.open(stream)))
    return np.stack(fakes)


def seam(images, amplitude, source):
    size = images.shape[1]
    return dithered(images, amplitude * (np.arange(size) == size // 2)[None, :] * np.ones((size, 1)), source)


def moved(images, amplitude, source):
    return dithered(images, amplitude * wave(images.shape[1], 1 / 8, 0.0, phase=1.9), source)


FAULTS = {
    **{name: grating(name) for name in GRATINGS},
    "one phase of 2x2": lattice(2),
    "4x4 lattice": lattice(4),
    "8x8 lattice": lattice(8),
    "nearest enlargements": enlarged(Image.Resampling.NEAREST),
    "bilinear enlargements": enlarged(Image.Resampling.BILINEAR),
    "bicubic enlargements": enlarged(Image.Resampling.BICUBIC),
    "JPEG grid": (coded, lambda lines: any(line.period == 8 for line in lines), (95, 90, 85, 75, 60)),
    "tile seam": (seam, lambda lines: any(line.family == "column seam" for line in lines), (1, 2, 4, 8, 16)),
    "grid that moved": (
        moved,
        lambda lines: any(abs(line.fy) == 1 / 8 and line.by == "phase" for line in lines),
        AMPLITUDES,
    ),
}
"""Name -> how it is planted (images, amplitude, random source), what counts as found, amplitudes."""


def draw(images, trial):
    order = np.random.default_rng(trial).permutation(len(images))
    return images[order[:COUNT]], images[order[COUNT : 2 * COUNT]], np.random.default_rng(10_000 + trial)


@pytest.mark.parametrize("size", [32, 64])
def test_planted_faults(size):
    images = photos(size)
    sums = [LatticeSums.of(to_float(draw(images, trial)[0])) for trial in range(TRIALS)]
    rows = [("size", "fault", "amplitude", "found and rightly named", "trials")]
    for name, (plant, named, amplitudes) in FAULTS.items():
        threshold = None
        for amplitude in amplitudes:
            hits = 0
            for trial in range(TRIALS):
                real, fake, source = draw(images, trial)
                if name == "grid that moved":
                    real = dithered(real, amplitude * wave(size, 1 / 8, 0.0), source)
                    base = LatticeSums.of(to_float(real))
                else:
                    base = sums[trial]
                lines = lattice_lines(base, to_float(plant(fake, amplitude, source)), permutations=199)
                hits += named(lines)
                if trial + 1 - hits > 0.05 * TRIALS:
                    break  # this amplitude cannot be the one any more
            rows.append((size, name, amplitude, hits, trial + 1))
            print(*rows[-1], sep="\t", flush=True)
            if hits >= 0.95 * TRIALS and threshold is None:
                threshold = amplitude
            if threshold is not None:
                break  # larger amplitudes are easier
        if name == "checkerboard":
            assert threshold is not None
            assert threshold <= 0.5
    _report(rows, f"faults-{size}")


@pytest.mark.parametrize(("size", "count"), [(32, COUNT), (64, COUNT), (32, 300), (32, 40)])
def test_nothing_is_found_in_equal_sources(size, count):
    """1,000 reals against so many other photos."""
    images = photos(size)
    false = 0
    for trial in range(NULLS):
        real, fake, _ = draw(images, 50_000 + trial)
        false += bool(lattice_lines(to_float(real), to_float(fake[:count]), permutations=199, seed=trial))
    print(f"\n{size} px, {COUNT} + {count} images: lines in {false} of {NULLS} null pairs", flush=True)
    header = ("size", "reals", "fakes", "null pairs", "with a line")
    _report([header, (size, COUNT, count, NULLS, false)], f"nulls-{size}-{count}")
    # 99.9 % of binomials at 5 % lie below: nominal, not tuned.
    assert false <= 0.05 * NULLS + 3.1 * (0.0475 * NULLS) ** 0.5 + 1


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("kind", ["low-pass", "high-pass"])
def test_a_smooth_filter_is_no_checkerboard(size, kind):
    kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])[None, None].repeat(3, 1, 1, 1) / 16
    images = photos(size)
    share = 0.5 if kind == "low-pass" else -0.5
    for trial in range(TRIALS):
        real, fake, _ = draw(images, trial)
        whole = to_float(fake)
        smooth = torch.nn.functional.conv2d(
            torch.nn.functional.pad(whole, (1,) * 4, "reflect"), kernel, groups=3
        )
        lines = lattice_lines(
            to_float(real), (share * smooth + (1 - share) * whole).clamp(-1, 1), permutations=199
        )
        assert not [line for line in lines if "checkerboard" in line.name or line.family == "lattice"]


def test_time_against_the_transforms():
    """1,000 + 1,000 images of 64 px: the sums and the permutations, against rfft2 of the same images."""
    images = to_float(np.random.default_rng(0).integers(0, 256, (2000, 64, 64, 3), np.uint8))
    start = time.perf_counter()
    torch.fft.rfft2(images.mean(1))
    middle = time.perf_counter()
    sums = [LatticeSums.of(part) for part in images.split(1000)]
    added = time.perf_counter()
    lattice_lines(*sums)
    end = time.perf_counter()
    print(
        f"\nrfft2 {middle - start:.2f} s, sums {added - middle:.2f} s, lines {end - added:.2f} s, "
        f"{torch.get_num_threads()} threads"
    )


def _report(rows, name):
    target = os.environ.get("GANLAB_REPORT")
    if target:
        with open(f"{target}-{name}.csv", "w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows(rows)
