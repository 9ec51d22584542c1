"""Fresh detectors for a tuned generator's images: same protocol, same splits before and after."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.detection.measure import Record, fit, measure
from ganlab.experiments.patches.options import EvadeOptions
from ganlab.forensics import (
    NULL,
    Bench,
    Finding,
    NetDetector,
    System,
    check_leakage,
    check_sets,
    evaluate,
    parse_system,
    score_images,
    split_by_identity,
)
from ganlab.forensics.detectors.store import SavedDetector
from ganlab.forensics.protocol.guards import MINIMUM
from ganlab.forensics.protocol.near import Hashes, set_hashes
from ganlab.forensics.protocol.split import fingerprint
from ganlab.generation.quality import sliced_wasserstein
from ganlab.images import UInt8Array, to_float
from ganlab.spectra import DEVIATIONS, Deviation, decibels, profile_set, spectral_deviation
from ganlab.util.atomic import write_json
from ganlab.util.hashing import derive_seed
from ganlab.util.progress import bar

BEFORE, AFTER = "before", "after"
TESTS = (BEFORE, AFTER, NULL)
FROZEN = "frozen"
DETECTOR_OF = {"small_cnn": "cnn"}
"""Names of networks whose detector is called something else."""


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
        GanlabError: a comparison that is not fair.
    """

    def __init__(self, real: ImageSet, before: ImageSet, after: ImageSet, allow: Collection[str]) -> None:
        self.sets = {real.name: real, BEFORE: before, AFTER: after}
        self.real, self.allow = real, allow
        _check_collapse(after)
        self.findings: list[Finding] = []
        self.hashes: dict[str, Hashes] = {}
        for fakes in (before, after):
            findings, hashes = check_sets(real, [fakes], allow)
            self.findings += [one for one in findings if one not in self.findings]
            self.hashes |= hashes

    def bench(self, seed: int) -> Bench:
        """The protocol's bench for one seed."""
        together = joined(self.hashes[BEFORE], self.hashes[AFTER])
        split = split_by_identity(together, seed)
        splits = {
            self.real.name: split_by_identity(self.hashes[self.real.name], seed),
            **{name: replace(split, fingerprint=fingerprint(self.hashes[name])) for name in (BEFORE, AFTER)},
        }
        leaks = check_leakage(splits, self.hashes, self.allow)
        fakes = {name: self.sets[name] for name in (BEFORE, AFTER)}
        return Bench(self.real, fakes, splits, (*self.findings, *leaks))


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


def _check_collapse(after: ImageSet) -> None:
    """Fine-tuning may end in one image, which no detector need be asked about.

    Raises:
        GanlabError: too few different images.
    """
    different = len(np.unique(set_hashes(after)))
    if different < MINIMUM <= len(after):
        raise GanlabError(
            f"the tuned generator makes {different} different images out of {len(after)}: it has collapsed. "
            "Try again in another --out: lower --rate, raise --closeness or take fewer --steps"
        )


def train_fresh(folder: Path, trio: Trio, systems: Sequence[System], options: EvadeOptions) -> list[Record]:
    """Every system on before, after and real-vs-real, tested on all three; finished ones are read.

    Args:
        folder: for one file a fitted detector.
        trio: the sets.
        systems: of detectors.
        options: seeds and resamples.
    """
    seeds = range(options.seed, options.seed + options.seeds)
    work = [
        (seed, place, row) for seed in seeds for place in range(len(systems)) for row in range(len(TESTS))
    ]
    records: list[Record] = []
    bench: tuple[int, Bench] | None = None
    for seed, place, row in bar(work, total=len(work), desc="fresh detectors", unit="detector"):
        file = folder / f"{seed}_{place}_{row}.json"
        if not file.is_file():
            if bench is None or bench[0] != seed:
                bench = seed, trio.bench(seed)
            found = _tested(bench[1], systems[place], TESTS[row], seed, options.resamples)
            write_json(file, [one.as_json() for one in found])
        records += [Record.from_json(entry) for entry in json.loads(file.read_text(encoding="utf-8"))]
    return records


def _tested(bench: Bench, system: System, row: str, seed: int, resamples: int) -> list[Record]:
    """One detector fitted on one choice, on the test parts of all."""
    fitted = fit(bench, system, row, [row], seed, None)
    return [measure(fitted, bench.testing(system, name), "fresh", name, resamples) for name in TESTS]


def frozen_scores(
    saved: SavedDetector, real: ImageSet, before: ImageSet, after: ImageSet
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """The frozen detector's probability of fake of every image, by set: "real", "before", "after"."""
    sets = {"real": real, BEFORE: before, AFTER: after}
    return {name: np.clip(score_images(saved, one).fake, 0, 1) for name, one in sets.items()}


def frozen_records(
    scores: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]], name: str, options: EvadeOptions
) -> list[Record]:
    """How well the frozen detector tells reals from the images before and after, and from reals."""
    real = scores["real"]
    pairs = {BEFORE: (real, scores[BEFORE]), AFTER: (real, scores[AFTER]), NULL: (real[::2], real[1::2])}
    records = []
    for test, (reals, fakes) in pairs.items():
        labels = np.repeat([0, 1], [len(reals), len(fakes)])
        metrics = evaluate(labels, np.concatenate([reals, fakes]), options.resamples, seed=options.seed)
        records.append(Record(FROZEN, name, FROZEN, test, options.seed, 0, "", metrics))
    return records


DRAWS = 5
"""Random halves on which the sliced Wasserstein distance is computed."""

Floats = npt.NDArray[np.float64]


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

    def as_json(self) -> dict[str, Any]:
        """The deviations as plain values; what is no number becomes null."""
        return {
            name: {key: {k: _plain(v) for k, v in asdict(one).items()} for key, one in found.items()}
            for name, found in self.deviations.items()
        }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


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
    found: dict[str, list[dict[str, float]]] = {BEFORE: [], AFTER: [], NULL: []}
    for draw in bar(range(DRAWS), total=DRAWS, desc="sliced Wasserstein", unit="draw"):
        rng = np.random.default_rng(derive_seed(seed, "evade/halves", draw))
        reals = real[rng.permutation(len(real))]
        chosen = rng.permutation(len(before))[:size]
        others = {BEFORE: before[chosen], AFTER: after[chosen], NULL: reals[size : 2 * size]}
        for name, images in others.items():
            found[name].append(sliced_wasserstein(reals[:size], images, draw))
    return found


def compare_spectra(
    real: UInt8Array, before: UInt8Array, after: UInt8Array, resamples: int, seed: int
) -> SpectralChange:
    """Named deviations with intervals and null control, and radial profiles relative to the reals'."""
    sets = {name: profile_set(to_float(one)) for name, one in
            (("real", real), (BEFORE, before), (AFTER, after))}  # fmt: skip
    deviations = {
        name: dict(spectral_deviation(
            sets["real"], sets[name], metrics=list(DEVIATIONS), resamples=resamples, seed=seed
        ))
        for name in (BEFORE, AFTER)
    }  # fmt: skip
    halves = sets["real"].profiles["radial"].double()
    level = {name: sets[name].radial["ganlab"].db[1:] for name in (BEFORE, AFTER, "real")}
    difference = {name: level[name] - level["real"] for name in (BEFORE, AFTER)}
    even, odd = (decibels(part.mean(0).numpy())[1:] for part in (halves[::2], halves[1::2]))
    difference[NULL] = odd - even
    frequencies = np.arange(1, len(level["real"]) + 1) / min(real.shape[1:3])
    return SpectralChange(deviations, frequencies, difference)
