"""The work of a detection experiment: every system with every seed, kept on disk after each one."""

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
from ganlab.experiments.detection.figures import draw_all, map_features, write_maps
from ganlab.experiments.detection.measure import (
    POOLED,
    Fitted,
    Record,
    Unseen,
    band_records,
    check_feasible,
    check_unseen,
    choices,
    fit,
    optimised,
    options_of,
    robustness,
    sample_sizes,
    transfer,
    unseen_rates,
)
from ganlab.experiments.detection.options import DetectionOptions
from ganlab.experiments.detection.sources import (
    SourceDetector,
    fit_sources,
    measure_responses,
    measure_sources,
    perturbed_sources,
    write_responses,
)
from ganlab.experiments.detection.tables import records_csv, report_text
from ganlab.forensics import NULL, Bench, Interval, SavedDetector, System, check, make_bench, save_detector
from ganlab.forensics.protocol.split import save_splits
from ganlab.util.atomic import write_json, write_text
from ganlab.util.progress import bar


class Experiment:
    """Runs systems and keeps what they found, on disk after each one."""

    def __init__(self, folder: Path, options: DetectionOptions, unseen: tuple[ImageSet, ...]) -> None:
        self.folder = folder
        self.options = options
        self.unseen = unseen
        self.systems = options.chosen_systems()

    def run(self, bench: Bench, seed: int) -> list[dict[str, Any]]:
        """What was found of every system with one seed; those with a file are read."""
        parts: list[dict[str, Any]] = []
        for place, system in enumerate(bar(self.systems, desc=f"seed {seed}", unit="system")):
            file = self.folder / "parts" / f"{seed}_{place}.json"
            if not file.is_file():
                write_json(file, self._system(bench, system, place, seed))
            parts.append(json.loads(file.read_text(encoding="utf-8")))
        return parts

    def _system(self, bench: Bench, system: System, place: int, seed: int) -> dict[str, Any]:
        """Everything about one system with one seed."""
        chosen, tried = self._options(bench, system, place, seed)
        records: list[Record] = []
        unseen: list[Unseen] = []
        extra: dict[str, list[Any]] = {"attribution": [], "perturbed_sources": []}
        for row, sources in choices(bench.sources).items():
            fitted = fit(bench, chosen, row, sources, seed, None)
            records += transfer(fitted, bench, self.options)
            unseen += unseen_rates(fitted, bench, self.unseen, self.options.resamples)
            if row in bench.sources:
                records += robustness(fitted, bench, self.options)
                records += band_records(fitted, bench, self.options)
                records += sample_sizes(bench, chosen, row, seed, self.options) if self.options.sizes else ()
            if seed == 0:
                self._keep(fitted, bench, place)
        if self.options.attribution:
            extra = self._sources(bench, chosen, place, seed)
        found: dict[str, list[Any]] = {"records": records, "unseen": unseen, **extra}
        return {
            # options found by --optimize do not change a system's name in tables
            **{key: [{**one.as_json(), "system": system.name} for one in own] for key, own in found.items()},
            "chosen": {"system": system.name, **options_of(chosen), "tried": tried},
        }

    def _sources(self, bench: Bench, system: System, place: int, seed: int) -> dict[str, list[Any]]:
        """Naming the source, clean and perturbed; with the first seed also the detector and its figure."""
        fitted = fit_sources(bench, system, seed)
        if seed == 0:
            self._keep_sources(fitted, bench, place)
        return {
            "attribution": [measure_sources(fitted, bench, self.options.resamples)],
            "perturbed_sources": list(perturbed_sources(fitted, bench, self.options)),
        }

    def _keep_sources(self, fitted: SourceDetector, bench: Bench, place: int) -> None:
        self._save("attribution", place, fitted.detector, fitted.system, fitted.names, bench)
        responses = measure_responses(fitted, bench)
        if responses is not None:
            write_responses(self.folder, place, responses)

    def _options(
        self, bench: Bench, system: System, place: int, seed: int
    ) -> tuple[System, list[dict[str, Any]]]:
        """Hyper-parameters are chosen with the first seed and then stay."""
        if seed == 0 or not self.options.optimize:
            return optimised(bench, system, self.options.optimize, seed)
        chosen = json.loads((self.folder / "parts" / f"0_{place}.json").read_text(encoding="utf-8"))["chosen"]
        return system.with_detector_options(chosen["options"]).with_feature_options(
            chosen["feature_options"]
        ), []

    def _keep(self, fitted: Fitted, bench: Bench, place: int) -> None:
        """Scores of the test images of a source, and the pooled (or only) detector as a file."""
        if fitted.trained_on in (*bench.sources, NULL):
            features, labels = bench.testing(fitted.system, fitted.trained_on)
            rows = zip(bench.test_paths(fitted.trained_on), labels, fitted.scores(features), strict=True)
            source = "null" if fitted.trained_on == NULL else bench.sources.index(fitted.trained_on)
            write_text(self.folder / "scores" / f"{place}_{source}.csv", _scores_csv(fitted, rows))
        if fitted.trained_on == POOLED or (len(bench.sources) == 1 and fitted.trained_on != NULL):
            self._save("detectors", place, fitted.detector, fitted.system, ("real", "fake"), bench)

    def _save(
        self, kind: str, place: int, detector: Any, system: System, names: tuple[str, ...], bench: Bench
    ) -> None:
        """A detector as a file that ``--model`` reads."""
        about = {"trained_on": list(bench.sources), "system": system.name}
        saved = SavedDetector(
            detector, system.feature, system.feature_options, bench.real.shape, names, about
        )
        save_detector(self.folder / kind / f"{place}.safetensors", saved)


def _scores_csv(fitted: Fitted, rows: Any) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["system", "trained_on", "image", "label", "p_fake"])
    for path, label, score in rows:
        writer.writerow([fitted.system.name, fitted.trained_on, path, int(label), f"{np.float64(score):.6f}"])
    return buffer.getvalue()


FORMAT = "ganlab-detection-2"
RESULTS = "results.json"
LIBRARIES = ("torch", "numpy", "scikit-learn")
EXTRAS = ("unseen", "attribution", "perturbed_sources")
"""What is kept beside the records."""


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
        GanlabError: an unfair comparison, too few images, a system that does not fit them, or a folder that
            holds something else. Nothing was written then.
    """
    options = options or DetectionOptions()
    folder = Path(out)
    check_unseen(real, unseen)
    checked = check(real, fakes, options.allow, unseen)
    benches = [
        make_bench(checked, seed, options.fractions, options.allow, folder / "cache")
        for seed in range(options.seeds)
    ]
    experiment = Experiment(folder, options, tuple(unseen))
    check_feasible(benches[0], experiment.systems)
    identity = _identity(real, fakes, options, unseen)
    if _finished(folder, identity):
        return _read(folder)
    write_json(folder / "plan.json", {"format": FORMAT, "identity": identity, "command": command})
    parts: list[dict[str, Any]] = []
    for seed, bench in enumerate(benches):
        save_splits(folder / f"splits_{seed}.json", bench.splits)
        parts += experiment.run(bench, seed)
        bench.forget()
    figures = _SpecialFigures(benches[0], experiment.systems, options.tsne)
    findings = [f"{one.guard}: {one.message}" for one in checked.findings]
    return _write(folder, parts, {"identity": identity, "findings": findings}, figures, command)


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


@dataclass(frozen=True)
class _SpecialFigures:
    """Figures that need more than records: of fingerprints, and by t-SNE."""

    bench: Bench
    systems: tuple[System, ...]
    points: int

    def draw(self, folder: Path) -> dict[str, str]:
        """Names with captions; fingerprints were drawn when their network was at hand."""
        figures = {}
        for place, system in enumerate(self.systems):
            name = f"responses_{place}.png"
            if (folder / name).is_file():
                figures[name] = f"{system.name}: learned fingerprints, and how the sources respond to them"
        maps = map_features(self.bench, self.systems, self.points, 0) if self.points else []
        return figures | write_maps(folder, maps)


def _write(
    folder: Path, parts: list[dict[str, Any]], about: dict[str, Any], special: _SpecialFigures, command: str
) -> DetectionReport:
    """Tables, figures and the report; results.json last, since it says that all is there."""
    records = tuple(record_from(entry) for part in parts for entry in part["records"])
    extra = {name: [entry for part in parts for entry in part[name]] for name in EXTRAS}
    write_text(folder / "records.csv", records_csv(records))
    figures = draw_all(folder, records) | special.draw(folder)
    text = report_text(
        records, extra, about["findings"], figures, command, about["identity"]["options"]["systems"]
    )
    write_text(folder / "report.md", text)
    versions = {"ganlab": ganlab.__version__, **{name: metadata.version(name) for name in LIBRARIES}}
    content = {
        **about, "versions": versions, **extra,
        "chosen": [part["chosen"] for part in parts],
        "records": [one.as_json() for one in records],
    }  # fmt: skip
    write_json(folder / RESULTS, content)
    return DetectionReport(folder, records, text)


def record_from(entry: dict[str, Any]) -> Record:
    """A record from its JSON form."""
    metrics = {name: Interval(*values) for name, values in entry["metrics"].items()}
    return Record(**{**entry, "metrics": metrics})
