"""Detectors, spectra and quality of a generator's images before and after: same protocol, same splits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.detection.measure import Record, compare, fit, measure
from ganlab.experiments.detection.tables import over_seeds, select
from ganlab.experiments.evasion.options import EvadeOptions
from ganlab.experiments.patches.measure import HeldOut, grey_levels
from ganlab.forensics import (
    NULL,
    Bench,
    Finding,
    Interval,
    NetDetector,
    System,
    check_leakage,
    check_sets,
    parse_system,
    split_by_identity,
)
from ganlab.forensics.nets.adversarial import TuneStep
from ganlab.forensics.protocol.guards import MINIMUM
from ganlab.forensics.protocol.near import Hashes, set_hashes
from ganlab.forensics.protocol.split import fingerprint
from ganlab.generation.quality import sliced_wasserstein
from ganlab.images import UInt8Array, to_float
from ganlab.spectra import DEVIATIONS, Deviation, decibels, profile_set, spectral_deviation
from ganlab.util.atomic import write_json
from ganlab.util.hashing import derive_seed
from ganlab.util.progress import bar
from ganlab.util.reading import read_json, reading

BEFORE, AFTER = "before", "after"
TESTS = (BEFORE, AFTER, NULL)
FROZEN = "frozen"
DETECTOR_OF = {"small_cnn": "cnn"}
"""Names of networks whose detector is called something else."""
DRAWS = 5
"""Random halves on which the sliced Wasserstein distance is computed."""
ACCURACY = "balanced_accuracy"
CHANCE = 0.5

Floats = npt.NDArray[np.float64]


def fresh_systems(frozen: NetDetector, options: EvadeOptions) -> tuple[System, ...]:
    """The frozen detector's own kind, untrained, and what was asked for beside it."""
    name = DETECTOR_OF.get(frozen.network, frozen.network)
    own = System("pixels", name, {}, {**dict(frozen.options or {}), "epochs": options.epochs})
    return (own, *(parse_system(text) for text in options.systems))


class Trio:
    """Reals and a generator's images before and after, guarded once, split anew for every seed.

    Image i of both fake sets comes from the same latent and lies in the same part: no latent is both learned
    from and tested on. Near-duplicates before or after draw their partners into that part. (That the two sets
    may share an image is allowed for: a short fine-tuning leaves some as they were.)

    Raises:
        GanlabError: a comparison that is not fair, or a generator that collapsed.
    """

    def __init__(self, real: ImageSet, before: ImageSet, after: ImageSet, allow: Collection[str]) -> None:
        self.real, self.fakes, self.allow = real, {BEFORE: before, AFTER: after}, allow
        # fine-tuning may end in one image, which no detector need be asked about
        different = len(np.unique(set_hashes(after)))
        if different < MINIMUM <= len(after):
            raise GanlabError(
                f"the tuned generator makes {different} different images out of {len(after)}: it has "
                "collapsed. Try again in another --out: lower --rate, raise --closeness or take fewer --steps"
            )
        self.findings: list[Finding] = []
        self.hashes: dict[str, Hashes] = {}
        for fakes in (before, after):
            findings, hashes = check_sets(real, [fakes], allow)
            self.findings += [one for one in findings if one not in self.findings]
            self.hashes |= hashes

    def bench(self, seed: int) -> Bench:
        """The protocol's bench for one seed."""
        split = split_by_identity(joined(self.hashes[BEFORE], self.hashes[AFTER]), seed)
        splits = {
            self.real.name: split_by_identity(self.hashes[self.real.name], seed),
            **{name: replace(split, fingerprint=fingerprint(self.hashes[name])) for name in self.fakes},
        }
        leaks = check_leakage(splits, self.hashes, self.allow)
        return Bench(self.real, self.fakes, splits, (*self.findings, *leaks))


def joined(left: Hashes, right: Hashes) -> Hashes:
    """One identity a place: places that are linked by an equal identity on either side have the same.

    Args:
        left: identities ``(N,)``.
        right: identities ``(N,)`` of the same places.

    Returns:
        ``(N,)``, each the ``left`` identity of the first place of its group.
    """
    group = np.arange(len(left))
    while True:
        before = group
        for labels in (left, right):
            _, which = np.unique(labels, return_inverse=True)
            lowest = np.full(len(left), len(left))
            np.minimum.at(lowest, which, group)
            group = lowest[which]
        if np.array_equal(group, before):
            return left[group]


def train_fresh(folder: Path, trio: Trio, systems: Sequence[System], options: EvadeOptions) -> list[Record]:
    """Every system on before, after and real-vs-real, tested on all three; finished ones are read.

    Args:
        folder: for one file a fitted detector.
        trio: the sets.
        systems: of detectors.
        options: seeds and resamples.
    """
    seeds = range(options.seed, options.seed + options.seeds)
    work = [(seed, k, row) for seed in seeds for k in range(len(systems)) for row in range(len(TESTS))]
    records: list[Record] = []
    bench: tuple[int, Bench] | None = None  # made when the first detector of its seed is missing
    for seed, k, row in bar(work, total=len(work), desc="fresh detectors", unit="detector"):
        file = folder / f"{seed}_{k}_{row}.json"
        if not file.is_file():
            if bench is None or bench[0] != seed:
                bench = seed, trio.bench(seed)
            fitted = fit(bench[1], systems[k], TESTS[row], [TESTS[row]], seed)
            tests = ((name, bench[1].testing(systems[k], name)) for name in TESTS)
            tested = [measure(fitted, data, "fresh", name, options.resamples) for name, data in tests]
            write_json(file, [one.as_json() for one in tested])
        with reading(file):
            records += map(Record.from_json, read_json(file, list))
    return records


def frozen_records(scores: dict[str, Floats], name: str, options: EvadeOptions) -> list[Record]:
    """How well the frozen detector tells reals from the images before and after, and from reals.

    Args:
        scores: its probability of fake of every image and its log-odds, ``(2, N)``, of "real", "before" and
            "after".
        name: of its system.
        options: resamples and seed.
    """
    real = scores["real"]
    pairs = {
        BEFORE: (real, scores[BEFORE]),
        AFTER: (real, scores[AFTER]),
        NULL: (real[:, ::2], real[:, 1::2]),
    }
    return [
        Record(
            FROZEN, name, FROZEN, test, options.seed, 0, "", compare(*pair, options.resamples, options.seed)
        )
        for test, pair in pairs.items()
    ]


@dataclass(frozen=True)
class SpectralChange:
    """How far the spectra of the images before and after lie from those of the reals.

    Attributes:
        deviations: by set, then by name.
        frequencies: cycles per pixel, DC left out.
        difference: mean radial profile over that of the reals, dB, by set; the null control is one half of
            the reals over the other.
    """

    deviations: dict[str, dict[str, Deviation]]
    frequencies: Floats
    difference: dict[str, Floats]


def compare_spectra(
    real: UInt8Array, before: UInt8Array, after: UInt8Array, resamples: int, seed: int
) -> SpectralChange:
    """Named deviations with intervals and null control, and radial profiles relative to the reals'."""
    images = {"real": real, BEFORE: before, AFTER: after}
    sets = {name: profile_set(to_float(one)) for name, one in images.items()}
    deviations = {
        name: dict(spectral_deviation(
            sets["real"], sets[name], metrics=list(DEVIATIONS), resamples=resamples, seed=seed
        ))
        for name in (BEFORE, AFTER)
    }  # fmt: skip
    halves = sets["real"].profiles["radial"].double()
    level: dict[str, Floats] = {name: one.radial["ganlab"].db[1:] for name, one in sets.items()}
    difference = {name: level[name] - level["real"] for name in (BEFORE, AFTER)}
    even, odd = (decibels(part.mean(0).numpy())[1:] for part in (halves[::2], halves[1::2]))
    difference[NULL] = odd - even
    frequencies = np.arange(1, len(level["real"]) + 1) / min(real.shape[1:3])
    return SpectralChange(deviations, frequencies, difference)


def wasserstein_draws(
    real: UInt8Array, before: UInt8Array, after: UInt8Array, seed: int
) -> dict[str, list[dict[str, float]]]:
    """Sliced Wasserstein distance to one random half of the reals, draw by draw.

    Of equally many images before and after (of the same latents), and of the reals' other half. Distances of
    finite sets depend on their size: here all three have the same.

    Args:
        real: uint8 ``(N, S, S, C)``.
        before: uint8 ``(M, S, S, C)``.
        after: uint8 ``(M, S, S, C)``.
        seed: of the draws.
    """
    size = min(len(real) // 2, len(before))
    draws: dict[str, list[dict[str, float]]] = {BEFORE: [], AFTER: [], NULL: []}
    for draw in bar(range(DRAWS), total=DRAWS, desc="sliced Wasserstein", unit="draw"):
        rng = np.random.default_rng(derive_seed(seed, "evade/halves", draw))
        reals = real[rng.permutation(len(real))]
        chosen = rng.permutation(len(before))[:size]
        others = {BEFORE: before[chosen], AFTER: after[chosen], NULL: reals[size : 2 * size]}
        for name, images in others.items():
            draws[name].append(sliced_wasserstein(reals[:size], images, draw))
    return draws


@dataclass(frozen=True)
class Evasion:
    """Everything that was measured.

    Attributes:
        frozen: name of the frozen detector's system.
        systems: names of the fresh detectors' systems; the first is the frozen one's kind.
        curve: what every step of the tuning saw.
        records: of the frozen and of the fresh detectors.
        scores: the frozen detector's probability of fake by set.
        held_out: the reals that the frozen detector is measured on.
        images: reals, before, after: uint8 ``(N, S, S, C)``.
        wasserstein: sliced Wasserstein distances by set and draw.
        spectra: deviations and profiles.
        options: of the experiment.
    """

    frozen: str
    systems: tuple[str, ...]
    curve: Sequence[TuneStep]
    records: Sequence[Record]
    scores: dict[str, Floats]
    held_out: HeldOut
    images: tuple[UInt8Array, UInt8Array, UInt8Array]
    wasserstein: dict[str, list[dict[str, float]]]
    spectra: SpectralChange
    options: EvadeOptions

    def label(self, system: str) -> str:
        """A system's name for tables; the first is called what the frozen detector is called."""
        return self.frozen if system == self.systems[0] else system

    @property
    def change(self) -> float:
        """Root mean square change of an image in grey levels, mean over the images."""
        return float(grey_levels(self.images[2], self.images[1]).mean())

    def of(self, system: str, trained_on: str, tested_on: str) -> list[Record]:
        """Records of a fresh system over its seeds, or of the frozen detector."""
        kind = FROZEN if trained_on == FROZEN else "fresh"
        return select(self.records, kind=kind, system=system, trained_on=trained_on, tested_on=tested_on)

    def accuracy(self, system: str, trained_on: str, tested_on: str) -> Interval:
        """Balanced accuracy: mean over seeds, lowest and highest end of their intervals."""
        records = self.of(system, trained_on, tested_on)
        return over_seeds([record.metrics[ACCURACY] for record in records])

    def called_fake(self, name: str) -> float:
        """Share of a set that the frozen detector calls fake."""
        return float((self.scores[name] >= CHANCE).mean())

    def swd(self, name: str) -> Interval:
        """Sliced Wasserstein distance: mean, lowest and highest of the draws."""
        values = [draw["swd"] for draw in self.wasserstein[name]]
        return Interval(float(np.mean(values)), min(values), max(values))
