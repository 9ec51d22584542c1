"""``ganlab detect``: every system with every seed on every source; each is kept on disk when it is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.data.imageset import ImageSet
from ganlab.experiments.detection.figures import draw_all, draw_responses
from ganlab.experiments.detection.measure import (
    POOLED,
    Fitted,
    OtherSets,
    Record,
    band_records,
    check_feasible,
    check_unseen,
    choices,
    domain_records,
    fit,
    measure,
    optimised,
    options_of,
    robustness,
    sample_sizes,
    unseen_rates,
)
from ganlab.experiments.detection.options import DetectionOptions
from ganlab.experiments.detection.page import page
from ganlab.experiments.detection.sources import (
    Map,
    fit_sources,
    map_features,
    measure_responses,
    measure_sources,
    perturbed_sources,
)
from ganlab.experiments.detection.tables import report_text, write_maps, write_records, write_responses
from ganlab.forensics import NULL, Bench, SavedDetector, System, check, make_bench, save_detector
from ganlab.forensics.detectors.domain import fit_domain
from ganlab.forensics.protocol.split import save_splits
from ganlab.results.folder import CACHE, PAGE, RESULTS, ResultsFolder, describe_sets
from ganlab.results.page import write_page
from ganlab.results.report import REPORT
from ganlab.results.style import save_figure
from ganlab.results.tables import write_csv
from ganlab.util.atomic import write_json, write_text
from ganlab.util.progress import bar
from ganlab.util.reading import read_json, read_text, reading

EXTRAS = ("unseen", "domains", "attribution", "perturbed_sources", "null_scores")
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
    force: bool = False,
    unseen_fakes: Sequence[ImageSet] = (),
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
        force: make all anew, also in the place of another experiment of this verb.
        unseen_fakes: fakes of other data sets: accuracy and ROC-AUC against the unseen reals of the same
            place (all of them, where the numbers differ; the test reals, where there are none).

    Raises:
        GanlabError: an unfair comparison, too few images, a system that does not fit them, or a folder that
            holds something else. Nothing was written then.
    """
    options = options or DetectionOptions()
    identity: dict[str, Any] = {
        "sets": {one.name: one.fingerprint() for one in (real, *fakes, *unseen, *unseen_fakes)},
        "options": options.as_json(),
    }
    if unseen_fakes:
        identity["unseen_fakes"] = [one.name for one in unseen_fakes]
    every = [real, *fakes, *unseen, *unseen_fakes]
    folder = ResultsFolder(out, "detect", identity, inputs=describe_sets(every))
    with folder.open(command, force) as place:
        if folder.is_complete:
            if not (place / PAGE).is_file():  # a kill came between the results and their page
                write_page(place, page(place))
            with reading(place / RESULTS):
                records = tuple(map(Record.from_json, read_json(place / RESULTS, dict)["records"]))
            text = read_text(place / REPORT)
            return DetectionReport(place, records, text, was_complete=True)
        check_unseen(real, [*unseen, *unseen_fakes])
        checked = check(real, fakes, options.allow, [*unseen, *unseen_fakes])
        others = OtherSets(tuple(unseen), tuple(unseen_fakes))
        benches = [
            make_bench(checked, seed, options.fractions, options.allow, place / CACHE)
            for seed in range(options.seeds)
        ]
        systems = options.chosen_systems()
        check_feasible(benches[0], systems)
        parts: list[dict[str, Any]] = []
        for seed, bench in enumerate(benches):
            save_splits(place / f"splits_{seed}.json", bench.splits)
            for index, system in enumerate(bar(systems, desc=f"seed {seed}", unit="system")):
                file = place / "parts" / f"{seed}_{index}.json"
                if not file.is_file():
                    write_json(file, _measured(place, options, others, bench, system, index, seed))
                parts.append(read_json(file, dict))
            bench.forget()
        maps = map_features(benches[0], systems, options.tsne, 0)
        findings = [f"{one.guard}: {one.message}" for one in checked.findings]
        return _write(folder, options, parts, maps, findings, command)


def _write(
    folder: ResultsFolder,
    options: DetectionOptions,
    parts: list[dict[str, Any]],
    maps: list[Map],
    findings: list[str],
    command: str,
) -> DetectionReport:
    """Tables, figures and the report, from what was kept of every system and seed."""
    place = folder.path
    records = tuple(Record.from_json(entry) for part in parts for entry in part["records"])
    extra = {name: [entry for part in parts for entry in part.get(name, ())] for name in EXTRAS}
    write_records(place / "records.csv", records)
    if maps:
        write_maps(place / "tsne.csv", maps)
    figures = draw_all(place, records, maps)
    text = report_text(records, extra, findings, figures, command, options.systems)
    write_text(place / REPORT, text)
    content = {
        "findings": findings, **extra,
        "chosen": [part["chosen"] for part in parts],
        "records": [one.as_json() for one in records],
    }  # fmt: skip
    folder.finish(content, findings)
    write_page(place, page(place))
    return DetectionReport(place, records, text)


def _measured(
    folder: Path,
    options: DetectionOptions,
    others: OtherSets,
    bench: Bench,
    system: System,
    index: int,
    seed: int,
) -> dict[str, Any]:
    """Everything about one system with one seed; with the first seed its scores and detectors are kept."""
    if seed == 0 or not options.optimize:
        chosen, tried = optimised(bench, system, options.optimize, seed)
    else:  # chosen with the first seed, and then the same for all
        first = read_json(folder / "parts" / f"0_{index}.json", dict)["chosen"]
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
        extra["unseen"] += unseen_rates(fitted, bench, others.reals)
        extra["domains"] += domain_records(fitted, bench, others, options.resamples)
        if row == NULL:
            features, labels = bench.testing(chosen, NULL)
            scores = [round(float(score), 6) for score in fitted.odds(features)]
            extra["null_scores"].append(
                {"system": chosen.name, "seed": seed, "labels": labels.tolist(), "scores": scores}
            )
        if row in bench.sources:
            records += robustness(fitted, bench, options)
            records += band_records(fitted, bench, options)
            records += sample_sizes(bench, chosen, row, seed, options) if options.sizes else ()
        if seed == 0:
            _keep(folder, fitted, bench, index)
    if options.attribution:
        named = fit_sources(bench, chosen, seed)
        extra["attribution"].append(measure_sources(named, bench))
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
    record: dict[str, Any] = {"trained_on": list(bench.sources), "system": system.name}
    known = [
        bench.images(name).subset(bench.splits[name].train) for name in (bench.real.name, *bench.sources)
    ]
    domain = fit_domain(known)
    if domain is not None:
        record["domain"] = domain.as_json()
    saved = SavedDetector(detector, system.feature, system.feature_options, bench.real.shape, names, record)
    save_detector(folder / f"{index}.safetensors", saved)
