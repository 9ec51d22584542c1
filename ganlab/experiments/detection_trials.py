"""One seed of a detection experiment: fit on every choice of sources, test on every source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ganlab.experiments.detection_options import DetectionOptions
from ganlab.forensics import NULL, Bench, Interval, System, evaluate
from ganlab.forensics.perturbations.severity import make_perturbation
from ganlab.util.seeding import derive_seed

POOLED = "pooled"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Record:
    """One measurement.

    Attributes:
        kind: "transfer", "robustness", "size", "band" or "unseen".
        system: name of the system.
        trained_on: a source, `POOLED`, "all but SOURCE", or the null control.
        tested_on: a source or the null control.
        seed: of split, detector and bootstrap.
        images: in the training set.
        setting: what was varied beside that: a perturbation, a size, a band.
        metrics: with intervals.
        tested: images in the test set.
    """

    kind: str
    system: str
    trained_on: str
    tested_on: str
    seed: int
    images: int
    setting: str
    metrics: dict[str, Interval]
    tested: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        metrics = {name: interval.as_list() for name, interval in self.metrics.items()}
        return {**self.__dict__, "metrics": metrics}


@dataclass(frozen=True)
class Fitted:
    """A detector and what it was fitted on."""

    detector: Any
    system: System
    trained_on: str
    images: int
    seed: int

    def scores(self, features: npt.NDArray[np.float32]) -> Floats:
        """Probability of fake, ``(N,)``."""
        return np.clip(np.asarray(self.detector.predict_proba(features), np.float64)[:, 1], 0.0, 1.0)


def choices(sources: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Rows of the transfer matrix: each source, the null control, all pooled, all but one."""
    rows: dict[str, tuple[str, ...]] = {name: (name,) for name in sources}
    rows[NULL] = (NULL,)
    if len(sources) > 1:
        rows[POOLED] = tuple(sources)
        for left in sources:
            rows[f"all but {left}"] = tuple(name for name in sources if name != left)
    return rows


def fit(
    bench: Bench, system: System, row: str, sources: Sequence[str], seed: int, limit: int | None
) -> Fitted:
    """Fit one system on equally many reals and fakes of the sources."""
    features, labels = bench.training(system, sources, limit)
    detector = system.make_detector(derive_seed(seed, f"detector/{system.name}/{row}") % 2**31)
    detector.fit(features, labels)
    return Fitted(detector, system, row, len(labels), seed)


def measure(
    fitted: Fitted,
    data: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]],
    kind: str,
    source: str,
    options: DetectionOptions,
    setting: str = "",
) -> Record:
    """Score a test set."""
    features, labels = data
    metrics = evaluate(labels, fitted.scores(features), options.resamples, seed=fitted.seed)
    return Record(
        kind, fitted.system.name, fitted.trained_on, source, fitted.seed, fitted.images, setting, metrics,
        len(labels),
    )  # fmt: skip


def transfer(fitted: Fitted, bench: Bench, options: DetectionOptions) -> Iterator[Record]:
    """One row of the transfer matrix: every source and the null control as test sets."""
    for source in (*bench.sources, NULL):
        yield measure(fitted, bench.testing(fitted.system, source), "transfer", source, options)


def robustness(fitted: Fitted, bench: Bench, options: DetectionOptions) -> Iterator[Record]:
    """The detector's own source under every perturbation and severity; the first row is unperturbed.

    Nothing is yielded where no perturbation is asked for.
    """
    source = fitted.trained_on
    if not options.perturbations:
        return
    yield measure(fitted, bench.testing(fitted.system, source), "robustness", source, options, "none")
    for name, levels in options.severities().items():
        for level in levels:
            perturbation = make_perturbation(name, level)
            data = bench.perturbed(fitted.system, source, perturbation, fitted.seed)
            setting = name if level is None else f"{name} {level}"
            yield measure(fitted, data, "robustness", source, options, setting)


def sample_sizes(
    bench: Bench, system: System, source: str, seed: int, options: DetectionOptions
) -> Iterator[Record]:
    """One source, training sets of the given sizes, each inside the next; too large ones are left out."""
    _, labels = bench.training(system, [source])
    for size in sorted({*(s for s in options.sizes if s < len(labels)), len(labels)}):
        fitted = fit(bench, system, source, [source], seed, size)
        yield measure(fitted, bench.testing(system, source), "size", source, options, str(fitted.images))
