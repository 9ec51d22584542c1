"""``detect``: a real set and fake sets in, a folder of tables, figures, scores and saved detectors out."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import ganlab
from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.detection_checks import check_feasible, check_unseen
from ganlab.experiments.detection_figures import draw_all
from ganlab.experiments.detection_options import DetectionOptions
from ganlab.experiments.detection_report import report_text
from ganlab.experiments.detection_run import Experiment
from ganlab.experiments.detection_text import records_csv
from ganlab.experiments.detection_trials import Record
from ganlab.experiments.detection_tsne import map_features, write_maps
from ganlab.forensics import Bench, Interval, System, check, make_bench
from ganlab.forensics.protocol.split import save_splits
from ganlab.util.atomic import write_json, write_text

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
    text = report_text(records, extra, about["findings"], figures, command)
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
