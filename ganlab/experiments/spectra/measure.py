"""One pass over every set: checked against the reals, then its spectra added up in constant memory."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, float64

from ganlab.data.guards import SetWarning, compare_sets
from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.spectra.options import SpectraOptions
from ganlab.images import UInt8Array, to_float
from ganlab.spectra import (
    ProfileSet,
    SpectrumAccumulator,
    SpectrumStatistics,
    profile_set,
    radial_profile,
    summaries,
)
from ganlab.spectra.accumulator import NEEDED
from ganlab.spectra.guards import enlarged_warnings
from ganlab.spectra.rings import FloatArray
from ganlab.spectra.statistics import PROFILES
from ganlab.util.hashing import derive_seed
from ganlab.util.progress import bar

BATCH_VALUES = 2**22
"""Pixel values read at a time, whatever the image size."""
SAMPLE = 4096
"""Maps, bands, intervals and published distances come from so many images at most, drawn uniformly; the mean
profiles and the differences between them come from all."""
SMALLEST = 8
"""Pixels a side below which there are no bands of frequencies to compare."""
FEWEST = 4
"""Images below which halves and resamples make no sense."""
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


@dataclass
class Sums:
    """Added-up spectra of some images: what one FFT an image gives, and nothing that is not drawn.

    Attributes:
        window: name of the window.
        convention: a further radial profile, or "ganlab" for none.
        count: number of images.
        sums: name -> float64; "power" ``(H, W//2+1)``, ``PROFILES`` and the convention ``(K,)``, linear.
    """

    window: str
    convention: str
    count: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)

    def add(self, images: Tensor) -> None:
        """Add float images ``(N, C, H, W)`` in [-1, 1]."""
        found = summaries(images, self.window)
        self._put("power", found.mean_power * len(images))
        for name in PROFILES:
            self._put(name, getattr(found, name).sum(0, dtype=float64))
        if self.convention != "ganlab":
            profiles = radial_profile(images, self.convention, self.window)
            self._put(self.convention, profiles.sum(0, dtype=float64))
        self.count += len(images)

    def _put(self, name: str, added: Tensor) -> None:
        self.sums[name] = self.sums[name] + added if name in self.sums else added

    def merge(self, other: Sums) -> None:
        """Add another's images."""
        self.count += other.count
        for name, added in other.sums.items():
            self._put(name, added)


@dataclass(frozen=True)
class Part:
    """Spectra of some images of a set: means over all, and a uniform sample of them in detail.

    Attributes:
        rest: the images outside the sample.
        sample: those in it, with the profiles of each, in the conventions that deviations need.
    """

    rest: Sums
    sample: SpectrumAccumulator

    def merge(self, other: Part) -> Part:
        """Add another part's images; returns this one."""
        self.rest.merge(other.rest)
        self.sample.merge(other.sample)
        return self

    @functools.cached_property
    def sampled(self) -> SpectrumStatistics:
        """Statistics of the sample."""
        return self.sample.result()

    @property
    def count(self) -> int:
        """Number of images, in the sample and outside it."""
        return self.rest.count + self.sampled.count

    def mean(self, name: str) -> FloatArray:
        """Mean over all images of "power", of one of ``PROFILES`` or of the convention, linear."""
        total = self.sample.state["radial.sum" if name == "ganlab" else f"{name}.sum"]
        total = total + self.rest.sums.get("radial" if name == "ganlab" else name, 0)
        mean: FloatArray = (total / self.count).numpy()
        return mean

    @functools.cached_property
    def profiles(self) -> dict[str, Tensor]:
        """Profiles of every image in the sample, linear, name -> ``(n, K)``."""
        return self.sample.profiles()

    @property
    def whole_set(self) -> ProfileSet:
        """Means over all images, with the sample's profiles for resampling; power profiles only."""
        means = {name: torch.from_numpy(self.mean(name))[None] for name in PROFILES}
        profiles = {name: self.profiles[name] for name in PROFILES}
        return replace(self.sampled_set, count=self.count, means=means, profiles=profiles)

    @property
    def sampled_set(self) -> ProfileSet:
        """The sample as a set of its own, in every convention it holds."""
        return profile_set(self.sample)


@dataclass(frozen=True)
class MeasuredSet:
    """A set with its spectra.

    Attributes:
        role: "real" or "fake".
        images: the set itself.
        parts: two random halves of the reals, or all the fakes.
    """

    role: Role
    images: ImageSet
    parts: tuple[Part, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """Of the set, for tables and legends."""
        return self.images.name

    @property
    def count(self) -> int:
        """Number of images."""
        return self.images.num_images

    @functools.cached_property
    def all(self) -> Part:
        """All images."""
        like = self.parts[0]
        whole = Part(Sums(like.rest.window, like.rest.convention), _empty(like.sample))
        for part in self.parts:
            whole.merge(part)
        return whole


def _empty(like: SpectrumAccumulator) -> SpectrumAccumulator:
    chosen = like.settings
    return SpectrumAccumulator(chosen.window, chosen.conventions, dct=False, keep_profiles=True)


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
        if images.num_images < FEWEST or min(images.shape[:2]) < SMALLEST:
            raise GanlabError(
                f"{images.name} has {images.num_images} images of {images.shape[1]}x{images.shape[0]}: a "
                f"comparison needs {FEWEST} or more of at least {SMALLEST}x{SMALLEST} pixels"
            )
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


def measure(images: ImageSet, role: Role, options: SpectraOptions) -> MeasuredSet:
    """Read a set once and add up its spectra: the reals in two random halves, for the null control.

    Raises:
        GanlabError: a file is damaged.
    """
    count = images.num_images
    part_of = (
        _chosen(count, count // 2, options.seed, "null-control") if role == "real" else np.zeros(count, int)
    )
    in_sample = _chosen(count, min(count, SAMPLE), options.seed, "sample")
    parts = tuple(_new_part(options) for _ in range(part_of.max() + 1))
    start = 0
    with bar(total=count, desc=images.name, unit="img") as line:
        for batch in images.batches(batch_size(images)):
            places = slice(start, start + len(batch))
            _add(parts, batch, part_of[places], in_sample[places])
            start += len(batch)
            line.update(len(batch))
    return MeasuredSet(role, images, parts)


def _new_part(options: SpectraOptions) -> Part:
    needed = (*(NEEDED if options.metrics == "all" else ()), options.convention)
    return Part(
        Sums(options.window, options.convention),
        SpectrumAccumulator(options.window, needed, dct=False, keep_profiles=True),
    )


def _add(parts: Sequence[Part], batch: UInt8Array, part_of: Numbers, in_sample: Numbers) -> None:
    """Give every image of a batch to its part, there to the sample or to the rest."""
    for number, part in enumerate(parts):
        for sampled, add in enumerate((part.rest.add, part.sample.update)):
            chosen = (part_of == number) & (in_sample == sampled)
            if chosen.any():
                add(to_float(batch if chosen.all() else batch[chosen]))


def batch_size(images: ImageSet) -> int:
    """Images read at a time: fewer when they are larger."""
    return max(1, BATCH_VALUES // int(np.prod(images.shape)))


def _chosen(count: int, number: int, seed: int, stream: str) -> Numbers:
    """1 for ``number`` of ``count`` images at random, else 0 (files are mostly ordered by class)."""
    order = np.random.default_rng(derive_seed(seed, stream)).permutation(count)
    marks = np.zeros(count, dtype=np.int64)
    marks[order[:number]] = 1
    return marks


@dataclass(frozen=True)
class Map:
    """One panel: ``(H, W)`` in dB, frequencies rising from -1/2, DC in the middle; ``count`` images."""

    name: str
    role: str
    count: int
    level: FloatArray


@dataclass(frozen=True)
class Maps:
    """Several panels with common axes, in cycles per pixel."""

    window: str
    vertical: FloatArray
    horizontal: FloatArray
    panels: tuple[Map, ...]


def full_plane(half: FloatArray, width: int) -> FloatArray:
    """``(H, W//2+1)`` un-shifted half plane of real images -> ``(H, W)`` with DC in the middle."""
    height = half.shape[0]
    columns = np.arange(half.shape[1], width)
    mirrored = half[-np.arange(height) % height][:, width - columns]
    return np.fft.fftshift(np.concatenate([half, mirrored], axis=1))


def level_maps(sets: Sequence[MeasuredSet]) -> Maps:
    """Mean over the images of each set's sample of the power in dB, reals first."""
    return _maps(sets[0], [_map(one.name, one.role, one.all) for one in sets])


def difference_maps(sets: Sequence[MeasuredSet]) -> Maps:
    """Every fake set minus the reals, dB; first one half of the reals minus the other half."""
    real = _map(sets[0].name, "real", sets[0].all)
    halves = [_map(NULL_NAME, "null", part) for part in sets[0].parts]
    fakes = [_map(one.name, one.role, one.all) for one in sets[1:]]
    pairs = [(halves[1], halves[0]), *((fake, real) for fake in fakes)]
    return _maps(sets[0], [replace(one, level=one.level - base.level) for one, base in pairs])


def _map(name: str, role: str, part: Part) -> Map:
    statistics = part.sampled
    return Map(name, role, statistics.count, full_plane(statistics.power.mean_db, statistics.width))


def _maps(real: MeasuredSet, panels: Sequence[Map]) -> Maps:
    statistics = real.all.sampled
    axes = [np.fft.fftshift(np.fft.fftfreq(size)) for size in (statistics.height, statistics.width)]
    return Maps(statistics.window, axes[0], axes[1], tuple(panels))
