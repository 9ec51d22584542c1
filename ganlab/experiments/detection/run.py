"""``ganlab detect``: every system with every seed on every source; each is kept on disk when it is done."""

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
from ganlab.experiments.detection.figures import draw_all, draw_responses
from ganlab.experiments.detection.measure import (
    POOLED,
    Fitted,
    Record,
    band_records,
    check_feasible,
    check_unseen,
    choices,
    fit,
    measure,
    optimised,
    options_of,
    robustness,
    sample_sizes,
    unseen_rates,
)
from ganlab.experiments.detection.options import DetectionOptions
from ganlab.experiments.detection.sources import (
    Map,
    fit_sources,
    map_features,
    measure_responses,
    measure_sources,
    perturbed_sources,
)
from ganlab.experiments.detection.tables import report_text, write_maps, write_records, write_responses
from ganlab.experiments.spectra.tables import write_csv
from ganlab.forensics import NULL, Bench, SavedDetector, System, check, make_bench, save_detector
from ganlab.forensics.protocol.split import save_splits
from ganlab.results.style import save_figure
from ganlab.util.atomic import write_json, write_text
from ganlab.util.progress import bar

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
    systems = options.chosen_systems()
    check_feasible(benches[0], systems)
    identity = {
        "format": FORMAT,
        "sets": {one.name: one.fingerprint() for one in (real, *fakes, *unseen)},
        "options": json.loads(json.dumps(options.as_json())),
    }
    if _finished(folder, identity):
        content = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        records = tuple(map(Record.from_json, content["records"]))
        text = (folder / "report.md").read_text(encoding="utf-8")
        return DetectionReport(folder, records, text, was_complete=True)
    write_json(folder / "plan.json", {"format": FORMAT, "identity": identity, "command": command})
    parts: list[dict[str, Any]] = []
    for seed, bench in enumerate(benches):
        save_splits(folder / f"splits_{seed}.json", bench.splits)
        for index, system in enumerate(bar(systems, desc=f"seed {seed}", unit="system")):
            file = folder / "parts" / f"{seed}_{index}.json"
            if not file.is_file():
                write_json(file, _measured(folder, options, unseen, bench, system, index, seed))
            parts.append(json.loads(file.read_text(encoding="utf-8")))
        bench.forget()
    findings = [f"{one.guard}: {one.message}" for one in checked.findings]
    maps = map_features(benches[0], systems, options.tsne, 0)
    return _write(folder, options, {"identity": identity, "findings": findings}, parts, maps, command)


def _write(
    folder: Path,
    options: DetectionOptions,
    head: dict[str, Any],
    parts: list[dict[str, Any]],
    maps: list[Map],
    command: str,
) -> DetectionReport:
    """Tables, figures and the report; results.json last, since it says that all others are there."""
    records = tuple(Record.from_json(entry) for part in parts for entry in part["records"])
    extra = {name: [entry for part in parts for entry in part[name]] for name in EXTRAS}
    write_records(folder / "records.csv", records)
    if maps:
        write_maps(folder / "tsne.csv", maps)
    figures = draw_all(folder, records, maps)
    text = report_text(records, extra, head["findings"], figures, command, options.systems)
    write_text(folder / "report.md", text)
    versions = {"ganlab": ganlab.__version__, **{name: metadata.version(name) for name in LIBRARIES}}
    content = {
        **head, "versions": versions, **extra,
        "chosen": [part["chosen"] for part in parts],
        "records": [one.as_json() for one in records],
    }  # fmt: skip
    write_json(folder / RESULTS, content)
    return DetectionReport(folder, records, text)


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


def _measured(
    folder: Path,
    options: DetectionOptions,
    unseen: Sequence[ImageSet],
    bench: Bench,
    system: System,
    index: int,
    seed: int,
) -> dict[str, Any]:
    """Everything about one system with one seed; with the first seed its scores and detectors are kept."""
    if seed == 0 or not options.optimize:
        chosen, tried = optimised(bench, system, options.optimize, seed)
    else:  # chosen with the first seed, and then the same for all
        first = json.loads((folder / "parts" / f"0_{index}.json").read_text(encoding="utf-8"))["chosen"]
        chosen = system.with_detector_options(first["options"]).with_feature_options(first["feature_options"])
        tried = []
    records: list[Record] = []
    extra: dict[str, list[dict[str, Any]]] = {name: [] for name in EXTRAS}
    for row, sources in choices(bench.sources).items():
        fitted = fit(bench, chosen, row, sources, seed)
        records += [
            measure(fitted, bench.testing(chosen, source), "transfer", source, options.resamples)
            for source in (*bench.sources, NULL)
        ]
        extra["unseen"] += unseen_rates(fitted, bench, unseen, options.resamples)
        if row in bench.sources:
            records += robustness(fitted, bench, options)
            records += band_records(fitted, bench, options)
            records += sample_sizes(bench, chosen, row, seed, options) if options.sizes else ()
        if seed == 0:
            _keep(folder, fitted, bench, index)
    if options.attribution:
        named = fit_sources(bench, chosen, seed)
        extra["attribution"].append(measure_sources(named, bench, options.resamples))
        extra["perturbed_sources"] += perturbed_sources(named, bench, options)
        if seed == 0:
            _save(folder / "attribution", index, named.detector, chosen, named.names, bench)
            responses = measure_responses(named, bench)
            if responses is not None:
                write_responses(folder / f"responses_{index}.csv", responses)
                save_figure(draw_responses(responses), folder / f"responses_{index}")
    measured = {"records": [one.as_json() for one in records], **extra}
    return {
        # options found by --optimize do not change a system's name in tables
        **{key: [{**entry, "system": system.name} for entry in own] for key, own in measured.items()},
        "chosen": {"system": system.name, **options_of(chosen), "tried": tried},
    }


def _keep(folder: Path, fitted: Fitted, bench: Bench, index: int) -> None:
    """Scores of the test images of a source; the pooled (or only) detector as a file."""
    row = fitted.trained_on
    if row in (*bench.sources, NULL):
        features, labels = bench.testing(fitted.system, row)
        source = "null" if row == NULL else bench.sources.index(row)
        lines = (
            [fitted.system.name, row, path, int(label), f"{score:.6f}"]
            for path, label, score in zip(bench.test_paths(row), labels, fitted.scores(features), strict=True)
        )
        head = ("system", "trained_on", "image", "label", "p_fake")
        write_csv(folder / "scores" / f"{index}_{source}.csv", head, lines)
    if row == POOLED or (len(bench.sources) == 1 and row != NULL):
        _save(folder / "detectors", index, fitted.detector, fitted.system, ("real", "fake"), bench)


def _save(
    folder: Path, index: int, detector: Any, system: System, names: tuple[str, ...], bench: Bench
) -> None:
    """A detector as a file that ``--model`` reads."""
    record = {"trained_on": list(bench.sources), "system": system.name}
    saved = SavedDetector(detector, system.feature, system.feature_options, bench.real.shape, names, record)
    save_detector(folder / f"{index}.safetensors", saved)
