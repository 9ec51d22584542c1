"""One pass over every set: checked against the reals, then its spectra added up in constant memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor, float64

from ganlab.data.guards import compare_sets
from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.spectra.floors import MEAN_LOG_DB, Pair, floor_db
from ganlab.experiments.spectra.options import SpectraOptions
from ganlab.forensics import audit_sets
from ganlab.images import to_float
from ganlab.spectra import Moments, SpectrumStatistics, radial_profile, summaries
from ganlab.spectra.guards import enlarged_warnings
from ganlab.spectra.lattice import LEAST
from ganlab.spectra.lattice_sums import SMALLEST as SMALLEST_LATTICE
from ganlab.spectra.lattice_sums import LatticeSums
from ganlab.spectra.rings import FloatArray
from ganlab.spectra.statistics import PROFILES
from ganlab.spectra.summary import NEEDED
from ganlab.spectra.transforms import full_plane
from ganlab.util.hashing import derive_seed
from ganlab.util.memory import release_memory
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
AUDITED = 30
"""Images below which an audit says nothing."""
FEW_IMAGES = 100
"""Below this a warning says how uncertain one cell of a heat map is."""
EXPONENTIAL_DB = 10 / np.log(10) * np.pi / np.sqrt(6)
"""Standard deviation in dB of one coefficient's power over Gaussian images (its log is a Gumbel variable)."""

NULL_NAME = "real vs real"
"""What the null control is called in tables and legends."""

Numbers = npt.NDArray[np.int64]
Role = Literal["real", "fake"]


class _Sums:
    """Adds up some images of a set: a uniform sample in detail, the others only as means.

    Args:
        options: which window and which profiles.
    """

    def __init__(self, options: SpectraOptions) -> None:
        needed = (*(NEEDED if options.metrics == "all" else ()), options.convention)
        self.window, self.convention = options.window, options.convention
        # Late: its class comes with torchmetrics, which a job that measures nothing need not wait for.
        from ganlab.spectra import SpectrumAccumulator

        self.sample = SpectrumAccumulator(options.window, needed, dct=False, keep_profiles=True)
        self.rest: dict[str, Tensor] = {}
        self.rest_count = 0

    def add_rest(self, images: Tensor) -> None:
        """Add float images ``(N, C, H, W)`` that are not in the sample; nothing is kept of each."""
        found = summaries(images, self.window)
        added = {"power": found.mean_power * len(images)}
        added |= {name: getattr(found, name).sum(0, dtype=float64) for name in PROFILES}
        if self.convention != "ganlab":
            profiles = radial_profile(images, self.convention, self.window)
            added[self.convention] = profiles.sum(0, dtype=float64)
        self._put(added, len(images))

    def _put(self, added: Mapping[str, Tensor], count: int) -> None:
        self.rest_count += count
        for name, values in added.items():
            self.rest[name] = self.rest[name] + values if name in self.rest else values

    def merge(self, other: _Sums) -> None:
        """Add another's images."""
        self._put(other.rest, other.rest_count)
        self.sample.merge(other.sample)

    def statistics(self) -> Pair:
        """Means over all images, with the sample's profiles; and the sample as a set of its own."""
        sample = self.sample.result()
        count = self.rest_count + sample.count
        names = [*PROFILES, *([] if self.convention == "ganlab" else [self.convention])]
        sums = {name: self.sample.state[f"{name}.sum"] + self.rest.get(name, 0) for name in ("power", *names)}
        means = {name: Moments(count, (total / count).numpy()) for name, total in sums.items()}
        profiles = {name: sample.profiles[name] for name in names}
        return replace(sample, count=count, moments=means, profiles=profiles), sample


@dataclass(frozen=True)
class MeasuredSet:
    """A set with its spectra.

    Attributes:
        role: "real" or "fake".
        images: the set itself.
        whole: means over all images, with the profiles of the sample.
        sample: statistics of the sample, in every convention that deviations need.
        halves: the same two of each random half of the reals; empty for fakes.
        lattice: sums over blocks of all images, from which lattice lines are found; None where there are too
            few images, or too small ones, to look for any.
    """

    role: Role
    images: ImageSet
    whole: SpectrumStatistics = field(repr=False)
    sample: SpectrumStatistics = field(repr=False)
    halves: tuple[Pair, ...] = field(default=(), repr=False)
    lattice: LatticeSums | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Of the set, for tables and legends."""
        return self.images.name

    @property
    def count(self) -> int:
        """Number of images."""
        return self.images.num_images


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
    findings = [one for fake in fakes for one in compare_sets(real, fake)]
    errors = list(dict.fromkeys(str(one) for one in findings if one.severity == "error"))
    if errors:
        raise GanlabError("; ".join(errors))
    # The reals by themselves, since the fakes may have learned it: an even sample is enough to see it.
    count = min(ENLARGED_SAMPLE, real.num_images, max(1, ENLARGED_VALUES // int(np.prod(real.shape))))
    places = np.arange(count) * real.num_images // count
    # Not kept under a name: the audit below needs the room.
    enlarged = [one.message for one in enlarged_warnings(to_float(real.read(places)), real.name)]
    told = {one.code for one in findings} | ({"enlarged"} if enlarged else set())
    doubts = [*map(str, findings), *enlarged, *audited(real, fakes, told)]
    doubts += [
        f"{images.name} has only {images.num_images} images: every cell of its heat map is uncertain by "
        f"about {EXPONENTIAL_DB / np.sqrt(images.num_images):.1f} dB (one standard error); "
        f"use {FEW_IMAGES} or more"
        for images in (real, *fakes)
        if images.num_images < FEW_IMAGES
    ]
    return list(dict.fromkeys(doubts))


def audited(real: ImageSet, fakes: Sequence[ImageSet], told: Collection[str]) -> list[str]:
    """What files and pixels say of the sets' past, a sentence each, less what a generator may have done.

    Args:
        real: the reals.
        fakes: sets of fakes, of the same size.
        told: kinds that are known already.
    """
    if min(len(images) for images in (real, *fakes)) < AUDITED:
        return []
    return [
        f"{one.kind}: {real.name} and {one.fakes}: {one.evidence} (a detector that sees only this: ROC-AUC "
        f"{one.auc:.2f})"
        for one in audit_sets(real, fakes, copies=False).findings
        if not one.generator and one.kind not in ("counts", "size", *told)
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
    parts = [_Sums(options) for _ in range(part_of.max() + 1)]
    lattice = None
    if count >= LEAST and min(images.shape[:2]) >= SMALLEST_LATTICE:
        lattice = LatticeSums(*images.shape[:2])
    start = 0
    with bar(total=count, desc=images.name, unit="img") as line:
        for batch in images.batches(batch_size(images)):
            places = slice(start, start + len(batch))
            if lattice is not None:
                lattice.update(to_float(batch))
            for number, part in enumerate(parts):
                for sampled, add in enumerate((part.add_rest, part.sample.update)):
                    chosen = (part_of[places] == number) & (in_sample[places] == sampled)
                    if chosen.any():
                        add(to_float(batch if chosen.all() else batch[chosen]))
            start += len(batch)
            line.update(len(batch))
    release_memory()
    halves = tuple(part.statistics() for part in parts) if role == "real" else ()
    for part in parts[1:]:
        parts[0].merge(part)
    return MeasuredSet(role, images, *parts[0].statistics(), halves, lattice)


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
    """One panel: ``(H, W)`` in dB, frequencies rising from -1/2, DC in the middle; ``count`` images.

    ``marks`` are frequencies ``(fy, fx)`` that the drawn map rings.
    """

    name: str
    role: str
    count: int
    level: FloatArray
    marks: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Maps:
    """Several panels with common axes, in cycles per pixel."""

    window: str
    vertical: FloatArray
    horizontal: FloatArray
    panels: tuple[Map, ...]


def level_maps(sets: Sequence[MeasuredSet]) -> Maps:
    """Mean over the images of each set's sample of the power in dB, reals first."""
    return _maps(sets[0], [_map(one.name, one.role, one.sample) for one in sets])


def difference_maps(sets: Sequence[MeasuredSet]) -> Maps:
    """Every fake set minus the reals, dB; first one half of the reals minus the other half."""
    real = _map(sets[0].name, "real", sets[0].sample)
    halves = [_map(NULL_NAME, "null", sample) for _, sample in sets[0].halves]
    fakes = [_map(one.name, one.role, one.sample) for one in sets[1:]]
    pairs = [(halves[1], halves[0]), *((fake, real) for fake in fakes)]
    return _maps(sets[0], [replace(one, level=one.level - base.level) for one, base in pairs])


def _map(name: str, role: str, sample: SpectrumStatistics) -> Map:
    # Lower than rounding alone leaves it, a level is none of the images' (``floors``).
    level = np.maximum(sample.power.mean_db, floor_db(sample.channels or 1) + MEAN_LOG_DB)
    return Map(name, role, sample.count, full_plane(level, sample.width))


def _maps(real: MeasuredSet, panels: Sequence[Map]) -> Maps:
    axes = [np.fft.fftshift(np.fft.fftfreq(size)) for size in (real.whole.height, real.whole.width)]
    return Maps(real.whole.window, axes[0], axes[1], tuple(panels))
