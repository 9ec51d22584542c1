"""Detectors as experiments use them: the bench of `ganlab detect`, every row kept, tables of the records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from ganlab.data import ImageSet
from ganlab.experiments.claims.outcome import Drawing, Table, shown
from ganlab.experiments.claims.setting import Setting
from ganlab.experiments.detection.figures import draw_transfer
from ganlab.experiments.detection.measure import Record, choices, fit, measure, named_sets
from ganlab.experiments.detection.tables import cell, over_seeds, select, unique
from ganlab.forensics import NULL, Bench, Interval, System, check, make_bench, make_perturbation, parse_system
from ganlab.forensics.protocol.split import DEFAULT_FRACTIONS
from ganlab.util.progress import bar

ACCURACY = "balanced_accuracy"
CHANCE = 0.5


def systems(setting: Setting, names: Iterable[str], epochs: int | None = None) -> tuple[System, ...]:
    """Systems by their ``feature+detector``; networks with ``epochs``, at most as many as the scale says."""
    found = [parse_system(name) for name in names]
    fewer = {"epochs": min(epochs or setting.scale.epochs, setting.scale.epochs)}
    return tuple(one.with_detector_options(fewer) if one.is_network else one for one in found)


class Arena:
    """Reals and fakes, split anew for every repeat; what was measured is kept: a kill costs one detector.

    Args:
        setting: of the experiment.
        key: under which the records are kept; one for each question.
        real: the reals.
        fakes: sets of fakes.
        fractions: of train, validation and test.
        repeats: splits; those of the scale when absent.
        allow: guards whose findings are tolerated beside the setting's.

    Raises:
        GanlabError: an unfair comparison.
    """

    def __init__(
        self,
        setting: Setting,
        key: str,
        real: ImageSet,
        fakes: Sequence[ImageSet],
        fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
        repeats: int | None = None,
        allow: Sequence[str] = (),
    ) -> None:
        real, *fakes = named_sets([real, *fakes])
        self.setting, self.key, self.fractions = setting, key, fractions
        self.allow = (*setting.allow, *allow)
        self.seeds = range(setting.seed, setting.seed + (repeats or setting.scale.repeats))
        self.checked = check(real, fakes, self.allow)
        self.sources = tuple(fake.name for fake in fakes)
        self.bench: Callable[[int], Bench] = cache(self._bench)

    @property
    def warnings(self) -> list[str]:
        """What the guards found and were allowed to pass: the first of each, and how many there are."""
        first = {one.guard: one.message for one in reversed(self.checked.findings)}
        times = Counter(one.guard for one in self.checked.findings)
        return [
            f"{guard}: {first[guard]}" + (f"; {count - 1} more sets likewise" if count > 1 else "")
            for guard, count in times.items()
        ]

    def _bench(self, seed: int) -> Bench:
        return make_bench(self.checked, seed, self.fractions, self.allow)

    def transfer(
        self,
        chosen: Sequence[System],
        rows: Sequence[str] | None = None,
        perturbations: Mapping[str, tuple[str, int | None]] | None = None,
    ) -> list[Record]:
        """Every system fitted on every row, tested on every source and the null.

        Args:
            chosen: systems.
            rows: of `choices`: sources, the null, "pooled", "all but SOURCE"; all when None.
            perturbations: setting -> operator and severity: the row's own source is tested under it as well.
        """
        picked = {name: own for name, own in choices(self.sources).items() if rows is None or name in rows}
        work = [(seed, system, row) for seed in self.seeds for system in chosen for row in picked]
        records: list[Record] = []
        for seed, system, row in bar(work, total=len(work), desc=self.key, unit="detector"):
            name = f"{self.key}-{seed}-{system.name}-{row}"
            make = partial(self._row, seed, system, row, picked[row], perturbations or {})
            values = self.setting.once(name, make)
            records += map(Record.from_json, values)
        return records

    def _row(
        self, seed: int, system: System, row: str, sources: Sequence[str],
        perturbations: Mapping[str, tuple[str, int | None]],
    ) -> list[Any]:  # fmt: skip
        bench, resamples = self.bench(seed), self.setting.scale.resamples
        fitted = fit(bench, system, row, sources, seed)
        records = [
            measure(fitted, bench.testing(system, source), "transfer", source, resamples)
            for source in (*self.sources, NULL)
        ]
        if row in self.sources:
            for setting, (name, level) in perturbations.items():
                data = bench.perturbed(system, row, make_perturbation(name, level), seed)
                records.append(measure(fitted, data, "robustness", row, resamples, setting))
        return [record.as_json() for record in records]

    def sizes(self, system: System, source: str, counts: Sequence[int]) -> list[Record]:
        """One system on one source with so many training images in all; too large counts are left out."""
        records: list[Record] = []
        for seed in self.seeds:
            name = f"{self.key}-sizes-{seed}-{system.name}-{source}"
            values = self.setting.once(name, partial(self._sizes, seed, system, source, counts))
            records += map(Record.from_json, values)
        return records

    def _sizes(self, seed: int, system: System, source: str, counts: Sequence[int]) -> list[Any]:
        bench = self.bench(seed)
        most = len(bench.training(system, [source])[1])
        test = bench.testing(system, source)
        records = []
        for count in (count for count in counts if count <= most):
            fitted = fit(bench, system, source, [source], seed, count)
            records.append(measure(fitted, test, "size", source, 0, str(count)).as_json())
        return records


def accuracy(records: Iterable[Record], **fields: object) -> Interval:
    """Balanced accuracy of the records with these fields: mean over repeats, outermost ends."""
    return over_seeds([record.metrics[ACCURACY] for record in select(records, **fields)])


def own_table(stem: str, title: str, records: Sequence[Record]) -> Table:
    """A row a system, a column a source on which it was trained and tested, the null last."""
    tested = select(records, kind="transfer")
    sources = [name for name in unique(tested, "trained_on") if name in unique(tested, "tested_on")]
    rows = [
        [system, *(cell(select(tested, system=system, trained_on=s, tested_on=s), ACCURACY) for s in sources)]
        for system in unique(tested, "system")
    ]
    note = "Balanced accuracy on held-out images; 0.5 is chance. The null: reals against reals."
    return Table(stem, title, ("system", *sources), rows, note)


def matrix_drawing(stem: str, records: Sequence[Record], system: str, caption: str) -> Drawing:
    """Trained on the row, tested on the column."""
    own = select(records, kind="transfer", system=system)
    figure = draw_transfer(own, system)
    assert figure is not None
    rows = [[one.trained_on, one.tested_on, one.seed, *one.metrics[ACCURACY].as_list()] for one in own]
    return Drawing(
        stem, figure, caption, ("trained on", "tested on", "seed", "accuracy", "low", "high"), rows
    )


def beyond(interval: Interval, null: Interval) -> bool:
    """Whether a detector's interval lies above chance and above the null's value."""
    return interval.low > max(CHANCE, null.value)


def in_words(records: Sequence[Record], system: str, sources: Sequence[str]) -> str:
    """``dcgan-nearest 0.99 [0.97, 1.00], ...`` of detectors on their own source."""
    parts = [f"{s} {shown(accuracy(records, system=system, trained_on=s, tested_on=s))}" for s in sources]
    return ", ".join(parts)


def mean_of(records: Sequence[Record], system: str, sources: Sequence[str]) -> float:
    """Mean balanced accuracy of a system over detectors of single sources, each on its own."""
    own = [accuracy(records, system=system, trained_on=s, tested_on=s).value for s in sources]
    return float(np.mean(own))
