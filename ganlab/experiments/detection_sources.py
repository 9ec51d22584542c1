"""Naming the source of an image: reals and every generator as classes of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ganlab.forensics import Bench, Interval, System
from ganlab.util.seeding import derive_seed


@dataclass(frozen=True)
class Attribution:
    """How often each source was called what.

    Attributes:
        system: name of the system.
        seed: of split and detector.
        names: classes: the real set, then every fake set.
        confusion: counts ``(K, K)``, true class by row.
        accuracy: balanced over classes, with a bootstrap interval over test images.
    """

    system: str
    seed: int
    names: tuple[str, ...]
    confusion: npt.NDArray[np.int64]
    accuracy: Interval

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "system": self.system, "seed": self.seed, "names": list(self.names),
            "confusion": self.confusion.tolist(), "balanced_accuracy": self.accuracy.as_list(),
            "chance": 1.0 / len(self.names),
        }  # fmt: skip


@dataclass(frozen=True)
class SourceDetector:
    """A detector whose classes are the real set and every fake set, and what it was fitted on.

    Attributes:
        detector: fitted; class k is ``names[k]``.
        system: what it is.
        names: the real set, then every fake set.
        features: training features ``(N, ...)``, equally many of each source.
        labels: ``(N,)``.
        seed: of split and detector.
    """

    detector: Any
    system: System
    names: tuple[str, ...]
    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    seed: int


def fit_sources(bench: Bench, system: System, seed: int) -> SourceDetector:
    """Learn to tell all sources apart on equally many training images of each."""
    names = (bench.real.name, *bench.sources)
    places = [bench.splits[name].train for name in names]
    each = min(map(len, places))
    features = np.concatenate(
        [bench.features(system, name)[at[:each]] for name, at in zip(names, places, strict=True)]
    )
    labels = np.repeat(np.arange(len(names)), each)
    detector = system.make_detector(derive_seed(seed, f"attribution/{system.name}") % 2**31)
    detector.fit(features, labels)
    return SourceDetector(detector, system, names, features, labels, seed)


def attribute(bench: Bench, system: System, seed: int, resamples: int) -> Attribution:
    """Fit and test on every source's own test images."""
    return measure_sources(fit_sources(bench, system, seed), bench, resamples)


def measure_sources(fitted: SourceDetector, bench: Bench, resamples: int) -> Attribution:
    """How a detector of sources names the test images."""
    parts = [bench.features(fitted.system, name)[bench.splits[name].test] for name in fitted.names]
    confusion = confusion_of(fitted.detector, parts)
    accuracy = balanced(confusion, resamples, fitted.seed)
    return Attribution(fitted.system.name, fitted.seed, fitted.names, confusion, accuracy)


def confusion_of(detector: Any, parts: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.int64]:
    """Counts ``(K, K)``: the images of source k in row k, by what they are called."""
    return np.stack([_counts(detector.predict(part), len(parts)) for part in parts])


def _counts(predicted: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
    return np.bincount(predicted, minlength=classes).astype(np.int64)


def balanced(confusion: npt.NDArray[np.int64], resamples: int, seed: int) -> Interval:
    """Mean recall; resampling a class's images is drawing its hits from a binomial."""
    totals, hits = confusion.sum(1), confusion.diagonal()
    value = float((hits / totals).mean())
    if resamples == 0:
        return Interval(value, value, value)
    rng = np.random.default_rng(derive_seed(seed, "attribution_bootstrap"))
    drawn = (rng.binomial(totals, hits / totals, (resamples, len(totals))) / totals).mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(value, float(low), float(high))
