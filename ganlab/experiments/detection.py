"""``detect``: a real set and fake sets in, a folder of tables, figures, scores and saved detectors out."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import ganlab
from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.detection_bands import band_records
from ganlab.experiments.detection_figures import draw_all
from ganlab.experiments.detection_options import DetectionOptions
from ganlab.experiments.detection_report import report_text
from ganlab.experiments.detection_search import optimised
from ganlab.experiments.detection_sources import attribute
from ganlab.experiments.detection_text import records_csv
from ganlab.experiments.detection_trials import (
    POOLED,
    Fitted,
    Record,
    choices,
    fit,
    robustness,
    sample_sizes,
    transfer,
)
from ganlab.experiments.detection_unseen import Unseen, unseen_rates
from ganlab.forensics import (
    NULL,
    Bench,
    Interval,
    SavedDetector,
    System,
    check,
    make_bench,
    save_detector,
    systems_of,
)
from ganlab.forensics.protocol.split import save_splits
from ganlab.util.atomic import write_json, write_text
from ganlab.util.progress import bar

FORMAT = "ganlab-detection-1"
RESULTS = "results.json"
LIBRARIES = ("torch", "numpy", "scikit-learn")


@dataclass(frozen=True)
class DetectionReport:
    """What an experiment found.

    Attributes:
        out: the results folder.
        records: every measurement.
        text: the report in Markdown.
        was_complete: the folder already held these results; nothing was computed.
    """

    out: Path
    records: tuple[Record, ...]
    text: str
    was_complete: bool = False


def detect(
    real: ImageSet,
    fakes: Sequence[ImageSet],
    out: str | os.PathLike[str],
    options: DetectionOptions | None = None,
    unseen: Sequence[ImageSet] = (),
    command: str = "",
) -> DetectionReport:
    """Run the protocol: guards, splits, every system on every source, tables, figures, saved detectors.

    The same call continues what was interrupted (finished systems of finished seeds are read, not computed).

    Args:
        real: real images.
        fakes: fake sets, one a generator.
        out: results folder.
        options: what to do.
        unseen: further real sets; the detectors' false alarms on them are reported.
        command: what the user typed, for the record.

    Raises:
        GanlabError: an unfair comparison, or a folder that holds something else.
    """
    options = options or DetectionOptions()
    folder = Path(out)
    checked = check(real, fakes, options.allow)
    identity = _identity(real, fakes, options, unseen)
    if _finished(folder, identity):
        return _read(folder)
    write_json(folder / "plan.json", {"format": FORMAT, "identity": identity, "command": command})
    experiment = _Experiment(folder, options, tuple(unseen))
    for seed in range(options.seeds):
        bench = make_bench(checked, seed, options.fractions, options.allow, folder / "cache")
        save_splits(folder / f"splits_{seed}.json", bench.splits)
        experiment.run(bench, seed)
    return experiment.write(identity, [f"{one.guard}: {one.message}" for one in checked.findings], command)


def _identity(
    real: ImageSet, fakes: Sequence[ImageSet], options: DetectionOptions, unseen: Sequence[ImageSet]
) -> dict[str, Any]:
    """What the results depend on."""
    sets = {one.name: one.fingerprint() for one in (real, *fakes, *unseen)}
    return {"format": FORMAT, "sets": sets, "options": json.loads(json.dumps(options.as_json()))}


def _finished(folder: Path, identity: dict[str, Any]) -> bool:
    """Whether the folder holds exactly these results.

    Raises:
        GanlabError: it holds something else.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return False
    try:
        plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        same = plan["identity"] == identity
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GanlabError(
            f"{folder} exists and is no result of 'ganlab detect': choose another --out"
        ) from error
    if not same:
        raise GanlabError(f"{folder} holds another detection experiment: choose another --out")
    return (folder / RESULTS).is_file()


def _read(folder: Path) -> DetectionReport:
    content = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    records = tuple(record_from(entry) for entry in content["records"])
    text = (folder / "report.md").read_text(encoding="utf-8")
    return DetectionReport(folder, records, text, was_complete=True)


def record_from(entry: dict[str, Any]) -> Record:
    """A record from its JSON form."""
    metrics = {name: Interval(*values) for name, values in entry["metrics"].items()}
    return Record(**{**entry, "metrics": metrics})


class _Experiment:
    """Runs systems and keeps what they found, on disk after each one."""

    def __init__(self, folder: Path, options: DetectionOptions, unseen: tuple[ImageSet, ...]) -> None:
        self.folder = folder
        self.options = options
        self.unseen = unseen
        self.systems = systems_of(options.systems)
        self.parts: list[dict[str, Any]] = []

    def run(self, bench: Bench, seed: int) -> None:
        """All systems of one seed; those with a file are read."""
        for place, system in enumerate(bar(self.systems, desc=f"seed {seed}", unit="system")):
            file = self.folder / "parts" / f"{seed}_{place}.json"
            if not file.is_file():
                write_json(file, self._system(bench, system, place, seed))
            self.parts.append(json.loads(file.read_text(encoding="utf-8")))

    def _system(self, bench: Bench, system: System, place: int, seed: int) -> dict[str, Any]:
        """Everything about one system with one seed."""
        chosen, tried = self._options(bench, system, place, seed)
        records: list[Record] = []
        unseen: list[Unseen] = []
        for row, sources in choices(bench.sources).items():
            fitted = fit(bench, chosen, row, sources, seed, None)
            records += transfer(fitted, bench, self.options)
            unseen += unseen_rates(fitted, bench, self.unseen, self.options.resamples)
            if row in bench.sources:
                records += robustness(fitted, bench, self.options)
                records += band_records(fitted, bench, self.options)
                records += sample_sizes(bench, chosen, row, seed, self.options) if self.options.sizes else ()
            if seed == 0 and row != NULL:
                self._keep(fitted, bench, place)
        named = [attribute(bench, chosen, seed, self.options.resamples)] if self.options.attribution else []
        return {
            # options found by --optimize do not change a system's name in tables
            "records": [{**one.as_json(), "system": system.name} for one in records],
            "unseen": [{**one.as_json(), "system": system.name} for one in unseen],
            "attribution": [{**one.as_json(), "system": system.name} for one in named],
            "chosen": {"system": system.name, "options": dict(chosen.detector_options), "tried": tried},
        }

    def _options(
        self, bench: Bench, system: System, place: int, seed: int
    ) -> tuple[System, list[dict[str, Any]]]:
        """Hyper-parameters are chosen with the first seed and then stay."""
        if seed == 0 or not self.options.optimize:
            return optimised(bench, system, self.options.optimize, seed)
        first = json.loads((self.folder / "parts" / f"0_{place}.json").read_text(encoding="utf-8"))
        return system.with_detector_options(first["chosen"]["options"]), []

    def _keep(self, fitted: Fitted, bench: Bench, place: int) -> None:
        """Scores of the test images of a source, and the pooled (or only) detector as a file."""
        if fitted.trained_on in bench.sources:
            features, labels = bench.testing(fitted.system, fitted.trained_on)
            rows = zip(bench.test_paths(fitted.trained_on), labels, fitted.scores(features), strict=True)
            name = f"{place}_{bench.sources.index(fitted.trained_on)}.csv"
            write_text(self.folder / "scores" / name, _scores_csv(fitted, rows))
        if fitted.trained_on == POOLED or len(bench.sources) == 1:
            saved = SavedDetector(
                fitted.detector, fitted.system.feature, fitted.system.feature_options, bench.real.shape,
                ("real", "fake"), {"trained_on": list(bench.sources), "system": fitted.system.name},
            )  # fmt: skip
            save_detector(self.folder / "detectors" / f"{place}.safetensors", saved)

    def write(self, identity: dict[str, Any], findings: list[str], command: str) -> DetectionReport:
        """Tables, figures and the report; results.json last, since it says that all is there."""
        records = tuple(record_from(entry) for part in self.parts for entry in part["records"])
        extra = {name: [e for part in self.parts for e in part[name]] for name in ("unseen", "attribution")}
        write_text(self.folder / "records.csv", records_csv(records))
        figures = draw_all(self.folder, records)
        text = report_text(records, extra, findings, figures, command)
        write_text(self.folder / "report.md", text)
        versions = {"ganlab": ganlab.__version__, **{name: metadata.version(name) for name in LIBRARIES}}
        content = {
            "identity": identity, "findings": findings, "versions": versions, **extra,
            "chosen": [part["chosen"] for part in self.parts],
            "records": [one.as_json() for one in records],
        }  # fmt: skip
        write_json(self.folder / RESULTS, content)
        return DetectionReport(self.folder, records, text)


def _scores_csv(fitted: Fitted, rows: Any) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["system", "trained_on", "image", "label", "p_fake"])
    for path, label, score in rows:
        writer.writerow([fitted.system.name, fitted.trained_on, path, int(label), f"{np.float64(score):.6f}"])
    return buffer.getvalue()
