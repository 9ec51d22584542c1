"""One pass over every set: checked against the reals, then its spectra added up in constant memory."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from ganlab.data.guards import SetWarning, compare_sets
from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.spectra_options import SpectraOptions
from ganlab.images import to_float
from ganlab.spectra import SpectrumAccumulator, SpectrumStatistics
from ganlab.spectra.gather import NEEDED
from ganlab.spectra.guards import enlarged_warnings
from ganlab.util.progress import bar
from ganlab.util.seeding import derive_seed

BATCH_VALUES = 2**22
"""Pixel values read at a time, whatever the image size."""
BAND_SAMPLE = 4096
"""Percentile bands are exact up to so many images and come from a uniform sample of as many beyond."""
ENLARGED_SAMPLE = 512
ENLARGED_VALUES = 2**26
"""How many of the reals are looked at for signs of enlargement, and how many pixel values at most."""
FEW_IMAGES = 100
"""Below this a warning says how uncertain one cell of a heat map is."""
EXPONENTIAL_DB = 10 / np.log(10) * np.pi / np.sqrt(6)
"""Standard deviation in dB of one coefficient's power over Gaussian images (its log is a Gumbel variable)."""

NULL_NAME = "real vs real"
"""What the null control is called in tables and legends."""

Numbers = npt.NDArray[np.int64]
Role = Literal["real", "fake"]


@dataclass(frozen=True)
class MeasuredSet:
    """A set with its spectra.

    Attributes:
        name: for tables and legends.
        role: "real" or "fake".
        images: the set itself.
        parts: accumulators of two random halves of the reals, or of all the fakes.
    """

    name: str
    role: Role
    images: ImageSet
    parts: tuple[SpectrumAccumulator, ...] = field(repr=False)

    @property
    def count(self) -> int:
        """Number of images."""
        return self.images.num_images

    @functools.cached_property
    def accumulator(self) -> SpectrumAccumulator:
        """All parts together."""
        whole = new_accumulator(self.parts[0])
        for part in self.parts:
            whole.merge(part)
        return whole

    @functools.cached_property
    def statistics(self) -> SpectrumStatistics:
        """Statistics of all images."""
        return self.accumulator.result()

    @functools.cached_property
    def part_statistics(self) -> tuple[SpectrumStatistics, ...]:
        """Statistics of every part."""
        return tuple(part.result() for part in self.parts)


def new_accumulator(like: SpectrumAccumulator) -> SpectrumAccumulator:
    """An empty accumulator with the settings of another."""
    chosen = like.settings
    return SpectrumAccumulator(
        chosen.window, chosen.conventions, chosen.dct, chosen.reservoir, like.keep_profiles
    )


def check_sets(real: ImageSet, fakes: Sequence[ImageSet]) -> list[str]:
    """Hold every fake set against the reals.

    Returns:
        Warnings: what the comparison measures beside the generators, and what to do.

    Raises:
        GanlabError: no fakes, too few images, or sets that cannot be compared (everything in one message).
    """
    if not fakes:
        raise GanlabError("nothing to compare with: give at least one set of fakes beside the reals")
    for images in (real, *fakes):
        if images.num_images < 2:
            raise GanlabError(f"{images.name} has {images.num_images} image; spectra compare 2 or more")
    found: list[SetWarning] = [one for fake in fakes for one in compare_sets(real, fake)]
    errors = list(dict.fromkeys(str(one) for one in found if one.severity == "error"))
    if errors:
        raise GanlabError("; ".join(errors))
    few = [text for images in (real, *fakes) for text in _few(images)]
    return list(dict.fromkeys([*(str(one) for one in found), *_enlarged(real), *few]))


def _enlarged(real: ImageSet) -> list[str]:
    """Whether the reals look enlarged by two, from an even sample of them."""
    count = min(ENLARGED_SAMPLE, real.num_images, max(1, ENLARGED_VALUES // int(np.prod(real.shape))))
    places = np.arange(count) * real.num_images // count
    return [one.message for one in enlarged_warnings(to_float(real.read(places)), real.name)]


def _few(images: ImageSet) -> list[str]:
    count = images.num_images
    if count >= FEW_IMAGES:
        return []
    error = EXPONENTIAL_DB / np.sqrt(count)
    return [
        f"{images.name} has only {count} images: every cell of its heat map is uncertain by about "
        f"{error:.1f} dB (one standard error); use {FEW_IMAGES} or more"
    ]


def measure(name: str, role: Role, images: ImageSet, options: SpectraOptions) -> MeasuredSet:
    """Read a set once and add up its spectra: the reals in two random halves, for the null control.

    Raises:
        GanlabError: a file is damaged.
    """
    extra = (*(NEEDED if options.metrics == "all" else ()), options.convention)
    part_of = _halves(images.num_images, options.seed) if role == "real" else np.zeros(images.num_images, int)
    parts = tuple(
        SpectrumAccumulator(options.window, extra, dct=False, reservoir=BAND_SAMPLE)
        for _ in range(part_of.max() + 1)
    )
    start = 0
    with bar(total=images.num_images, desc=name, unit="img") as line:
        for batch in images.batches(batch_size(images)):
            numbers = part_of[start : start + len(batch)]
            for number, accumulator in enumerate(parts):
                if (numbers == number).any():
                    accumulator.update(to_float(batch[numbers == number]))
            start += len(batch)
            line.update(len(batch))
    return MeasuredSet(name, role, images, parts)


def batch_size(images: ImageSet) -> int:
    """Images read at a time: fewer when they are larger."""
    return max(1, BATCH_VALUES // int(np.prod(images.shape)))


def _halves(count: int, seed: int) -> Numbers:
    """0 or 1 for every image, half of them each, at random (files are mostly ordered by class)."""
    order = np.random.default_rng(derive_seed(seed, "null-control")).permutation(count)
    part_of = np.zeros(count, dtype=np.int64)
    part_of[order[: count // 2]] = 1
    return part_of
