"""Naming the source of an image: reals and every generator as classes of their own."""

from __future__ import annotations

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


def attribute(bench: Bench, system: System, seed: int, resamples: int) -> Attribution:
    """Learn to tell all sources apart on equally many training images of each, and test."""
    names = (bench.real.name, *bench.sources)
    places = {name: bench.splits[name] for name in names}
    each = min(len(split.train) for split in places.values())
    train = [bench.features(system, name)[places[name].train[:each]] for name in names]
    test = [bench.features(system, name)[places[name].test] for name in names]
    labels = np.repeat(np.arange(len(names)), each)
    detector = system.make_detector(derive_seed(seed, f"attribution/{system.name}") % 2**31)
    detector.fit(np.concatenate(train), labels)
    confusion = np.stack([_counts(detector.predict(part), len(names)) for part in test])
    return Attribution(system.name, seed, names, confusion, _accuracy(confusion, resamples, seed))


def _counts(predicted: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
    return np.bincount(predicted, minlength=classes).astype(np.int64)


def _accuracy(confusion: npt.NDArray[np.int64], resamples: int, seed: int) -> Interval:
    """Mean recall; resampling a class's images is drawing its hits from a binomial."""
    totals, hits = confusion.sum(1), confusion.diagonal()
    value = float((hits / totals).mean())
    if resamples == 0:
        return Interval(value, value, value)
    rng = np.random.default_rng(derive_seed(seed, "attribution_bootstrap"))
    drawn = (rng.binomial(totals, hits / totals, (resamples, len(totals))) / totals).mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(value, float(low), float(high))
