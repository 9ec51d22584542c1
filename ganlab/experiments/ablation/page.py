"""The page of an ablation: runs that can be ticked and overlaid, sorted tables, what it came from."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.config import Config, from_mapping
from ganlab.config.architecture import stage_names
from ganlab.errors import GanlabError
from ganlab.experiments.ablation.figures import (
    colour_bar,
    difference_bound,
    level_range,
    map_picture,
    plane_db,
    samples_shown,
    sheet,
)
from ganlab.experiments.ablation.measure import (
    PROFILES,
    SAMPLES,
    Spectra,
    read_arrays,
    read_result,
    read_spectra,
    result_file,
)
from ganlab.experiments.ablation.plan import BASE, CELLS, COMMANDS, PLAN, RUN, SPEC
from ganlab.experiments.ablation.tables import DETECT, NOT_RUN, Row, detections, null_sentences, summary
from ganlab.experiments.spectra.profiles import enlarged_profiles
from ganlab.images import UInt8Array
from ganlab.results.page import Cell, Extra, Page, Section, Table
from ganlab.spectra import DEVIATIONS, decibels
from ganlab.spectra.rings import FloatArray
from ganlab.upsampling import KERNELS
from ganlab.util.hashing import sha256_json
from ganlab.util.progress import bar
from ganlab.util.reading import parse_json, read_json, read_json_lines, read_text

METRICS, ENVIRONMENT = "metrics.jsonl", "environment.json"
CURVE_POINTS = 150
UNSEEN = ("logit",)
"""Series that are no losses."""
DB_DIGITS = 3
FIRST_PICKED = 3

HEADLINES = {
    "mean_db": "mean |dB|", "high_db": "|dB| above 1/4", "high_excess_db": "dB above 1/4",
    "nyquist_excess_db": "dB at Nyquist", "axis_nyquist_excess_db": "dB at Nyquist, axes",
    "swd": "SWD x1000", "fid": "FID", "kid": "KID", "psnr": "PSNR (dB)", "ssim": "SSIM", "lfd": "LFD",
    "accuracy": "accuracy", "iou": "IoU",
}  # fmt: skip
"""Metrics of the page, where there are values, and their titles."""
TITLES = {**HEADLINES, "sign_test_p": "sign test p", "lower_in": "lower in", "mean_rank": "mean rank"}
ANCHORS = {
    "the-runs": "Runs", "run-profiles": "Profiles", "mean-spectra": "2-D mean spectra",
    "run-samples": "Samples", "training": "Training", "missing-and-commands": "Missing, and commands",
}  # fmt: skip
"""Parts of page.html, for the page's list of contents."""
BESIDE_AXES = ("seed", "status", "step", "fakes")

Curves = dict[str, dict[str, list[Any]]]


def page(folder: str | Path) -> Page:
    """What the page of an ablation shows, from the files in its results folder alone.

    Args:
        folder: the ablation's results folder, finished or not.

    Raises:
        GanlabError: no results of an ablation there.
    """
    place = Path(folder).resolve()
    table, comparisons, ranks = (_table(place, name) for name in ("table", "comparisons", "ranks"))
    # Cells that --only left out would bury those that were asked for.
    rows = [row for row in table if row["status"] != NOT_RUN]
    data = page_data(place, rows)
    axes, metrics = list(variant_of(table[0])), data["metrics"]
    nulls = {key: reals["deviations"] for key, reals in data["reals"].items()}
    belongs = {name: cell["reals"] for name, cell in data["cells"].items()}
    ran = {tuple(variant_of(row).values()) for row in rows}
    ranked = [line for line in ranks if tuple(line[axis] for axis in axes) in ran]
    body, script, style = (
        Path(__file__).with_name(f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "js", "css")
    )
    return Page(
        title="Ablation" if place.name.lower() == "ablation" else f"Ablation {place.name}",
        verb="ablate",
        summary=[*summary(table, comparisons, axes), *null_sentences(rows, nulls, belongs)],
        sections=[
            Section(
                "Comparisons across seeds",
                ["Value minus baseline, paired by seed; interval: Student's t. Deviations with a sign count "
                 "by magnitude."],
                [_lines(comparisons, metrics, data["titles"])],
            ),
            Section(
                "Mean ranks", ["Over seeds; 1 is best. Runs that diverged or failed rank last."],
                [_lines(ranked, metrics, data["titles"])],
            ),
        ],
        extra=Extra(body, script, style, data, ANCHORS) if rows else None,
        sources=_sources(place, rows),
    )  # fmt: skip


def _lines(lines: Sequence[Row], metrics: Sequence[str], titles: Mapping[str, str]) -> Table:
    """Comparisons or ranks of the page's metrics."""
    shown = [line for line in lines if line["metric"] in metrics]
    header = list(lines[0]) if lines else ["metric"]
    words = [place for place, name in enumerate(header) if any(isinstance(line[name], str) for line in shown)]
    cells = [
        [
            titles.get(value, value) if name == "metric" else _short(value)
            for name, value in line.items()
        ]
        for line in shown
    ]  # fmt: skip
    return Table([titles.get(name, name) for name in header], cells, left=words)


def detection_titles(rows: Sequence[Row]) -> dict[str, str]:
    """Titles of the columns of what detectors find."""
    return {name: f"found by {name.removeprefix(DETECT)}" for name in detections(rows)}


def _short(value: Any) -> Any:
    return Cell(f"{value:.3g}".replace("-", "\u2212"), value) if isinstance(value, float) else value


def page_data(place: Path, rows: Sequence[Row]) -> dict[str, Any]:
    """What the page's script shows, as JSON values."""
    lines = bar(rows, desc="runs", unit="run")
    runs = [read_run(place / CELLS / row["cell"], row) for row in lines]
    named = [*HEADLINES, *detections(rows)]
    metrics = [name for name in named if any(row.get(name) is not None for row in rows)]
    axes = list(variant_of(rows[0])) if rows else []
    first: dict[tuple[Any, ...], str] = {}
    for row in rows:
        if row["status"] == "finished":
            first.setdefault(tuple(variant_of(row).values()), row["cell"])
    return {
        "axes": axes, "titles": {**TITLES, **detection_titles(rows)}, "metrics": metrics,
        "signed": [name for name in metrics if name in DEVIATIONS and DEVIATIONS[name].signed],
        "columns": [*axes, *BESIDE_AXES, *metrics],
        # Ticked when the page opens: a seed of each of the first variants.
        "rows": rows, "first": list(first.values())[:FIRST_PICKED], **shown_runs(runs, place),
    }  # fmt: skip


def _table(place: Path, name: str) -> list[Row]:
    try:
        rows: list[Row] = read_json(place / f"{name}.json")
    except GanlabError as error:
        raise GanlabError(
            f"{place}: no readable {name}.json; expected the results folder of `ganlab ablate`, which writes "
            f"its tables when it ends ({error})"
        ) from error
    if name == "table" and not rows:
        raise GanlabError(f"{place}: the table is empty")
    return rows


def _sources(place: Path, rows: Sequence[Row]) -> dict[str, str]:
    """Commands, plan and environments, each with what it is."""
    texts = {}
    try:
        lines = read_text(place / COMMANDS).splitlines()
        given = [parse_json(line, place / COMMANDS, dict) for line in lines]
        texts["Commands"] = "\n".join(
            f"{line['command']}    # {line['time']}, ganlab {line['ganlab']}" for line in given
        )
    except (GanlabError, KeyError):
        texts["Commands"] = f"called from Python, or {COMMANDS} is damaged; the plan is below"
    for name in (PLAN, BASE):
        if (place / name).exists():
            texts[name] = read_text(place / name)
    environments: dict[str, int] = {}
    for row in rows:
        try:
            made = read_json(place / CELLS / row["cell"] / RUN / ENVIRONMENT)
            text = "\n".join(f"{name}: {value}" for name, value in made.items() if name != "command")
        except (GanlabError, AttributeError):
            text = f"{ENVIRONMENT} is missing or damaged"
        environments[text] = environments.get(text, 0) + 1
    return texts | {
        f"Environment of {count} of {len(rows)} runs": text for text, count in environments.items()
    }


@dataclass
class RunData:
    """One row of the table with what its folder holds.

    Attributes:
        row: of the table.
        config: of the run, None where ``cell.json`` is missing or of another version.
        generate: how its fakes were made: ``num``, ``seed``, ``weights``.
        result: what was measured.
        images: "real" and "fake": kept photos and samples, uint8 ``(n, H, W, 3)``.
        spectra: mean 2-D power.
        curves: as of `read_curves`.
        missing: what the page cannot show of this run, and why.
    """

    row: Row
    config: Config | None = None
    generate: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, UInt8Array] = field(default_factory=dict)
    spectra: Spectra | None = None
    curves: Curves = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def operator(self) -> str | None:
        """The upsampler of the generator's last stage."""
        return None if self.config is None else stage_names(self.config.model)[-1]

    @property
    def measured(self) -> bool:
        """Whether there are profiles to draw."""
        return "profiles" in self.result


def read_run(folder: Path, row: Row) -> RunData:
    """Everything about one row; what cannot be read is named in ``missing``.

    Args:
        folder: the cell's.
        row: of the table.
    """
    run = RunData(row, curves=read_curves(folder / RUN / METRICS))
    if row["status"] != "finished":
        run.missing.append(f"{row['status']}: {row.get('reason') or 'no result'}")
    results = sorted(folder.glob("result-*.json"), key=lambda path: path.stat().st_mtime)
    try:
        spec = read_json(folder / SPEC)
        results = [result_file(folder, spec["measure_key"])]
        run.generate, run.config = spec["generate"], from_mapping(spec["config"])
    except (GanlabError, KeyError, TypeError) as error:
        run.missing.append(f"configuration: {SPEC} cannot be read ({str(error).splitlines()[0]})")
    if not run.curves:
        run.missing.append(f"training curves: no readable {RUN}/{METRICS}")
    if row["status"] != "finished":
        return run
    run.result = (read_result(results[-1]) if results else None) or {}
    if not run.measured:
        run.missing.append("profiles: its result file is missing or damaged; run ganlab ablate again")
        return run
    try:
        arrays = read_arrays(folder / SAMPLES)
        run.images = {name: arrays[name] for name in ("real", "fake")}
    except (GanlabError, KeyError) as error:
        run.missing.append(f"samples: {error}; ganlab ablate --redo makes them again")
    try:
        run.spectra = read_spectra(folder)
    except GanlabError as error:
        run.missing.append(f"2-D spectra: {error}; ganlab ablate --redo makes them again")
    return run


def read_curves(file: Path) -> Curves:
    """Every loss, spectral distance and gradient ratio that a run has logged, thinned out.

    Returns:
        Name -> ``x`` (steps) and ``y`` (None where it was not finite); empty where nothing can be read.
    """
    try:
        lines = read_json_lines(file)
    except GanlabError:
        return {}
    series: dict[str, list[tuple[int, Any]]] = {}
    for line in lines:
        if isinstance(line.get("step"), int):
            for name, value in line.items():
                if name != "step" and not any(word in name for word in UNSEEN):
                    series.setdefault(name, []).append((line["step"], value))
    curves: Curves = {}
    for name, points in series.items():
        kept = points[:: -(-len(points) // CURVE_POINTS)]
        kept += [points[-1]] if kept[-1] is not points[-1] else []
        values = [
            float(f"{y:.4g}") if isinstance(y, int | float) and math.isfinite(y) else None for _, y in kept
        ]
        curves[name] = {"x": [step for step, _ in kept], "y": values}
    return curves


def shown_runs(runs: Sequence[RunData], place: Path) -> dict[str, Any]:
    """Cells, the reals they were measured against, and the scales that all pictures share."""
    spectra = [run.spectra for run in runs if run.spectra is not None]
    low, high = level_range([plane_db(means[name]) for means in spectra for name in ("real", "fake")])
    bound = difference_bound([plane_db(means["fake"]) - plane_db(means["real"]) for means in spectra])
    pictured = [run.images["fake"] for run in runs if run.images]
    samples = samples_shown(len(pictured), max((images[0].size for images in pictured), default=1))
    scales = {
        "level": (low, high), "difference": (-bound, bound), "samples": samples,
        "level_bar": colour_bar(), "difference_bar": colour_bar(True),
    }  # fmt: skip
    groups: dict[str, list[RunData]] = {}
    keys = {}
    for run in runs:
        if run.measured:
            # The same photos give the same key, whichever process measured them.
            photos = run.images["real"].tobytes().hex() if run.images else run.result["profiles"]["real"]
            key = sha256_json([photos, run.result.get("counts", {}).get("real")])[:8]
            groups.setdefault(key, []).append(run)
            keys[run.row["cell"]] = key
    return {
        "cells": {run.row["cell"]: _cell(run, keys.get(run.row["cell"]), scales, place) for run in runs},
        "reals": {key: _reals(members, scales) for key, members in groups.items()},
        "scales": scales,
    }


def _cell(run: RunData, reals: str | None, scales: Mapping[str, Any], place: Path) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "label": " · ".join(str(value) for value in variant_of(run.row).values()),
        "seed": run.row["seed"], "status": run.row["status"], "reals": reals, "curves": run.curves,
        "operator": run.operator, "predicted": run.operator in KERNELS, "missing": run.missing,
        "commands": commands(run, place),
    }  # fmt: skip
    if run.measured:
        cell["profiles"] = {name: _rounded(run.result["profiles"]["fake"][name]) for name in PROFILES}
        cell["count"] = run.result.get("counts", {}).get("fake")
    if run.images:
        cell["samples"] = sheet(run.images["fake"], scales["samples"])
    if run.spectra is not None:
        level, base = plane_db(run.spectra["fake"]), plane_db(run.spectra["real"])
        cell["map"] = map_picture(level, scales["level"])
        cell["difference"] = map_picture(level - base, scales["difference"], diverging=True)
        cell["map_count"] = run.spectra["fake"].count
    return cell


def variant_of(row: Row) -> dict[str, Any]:
    """Axis -> value: the columns before the seed."""
    return dict(list(row.items())[: list(row).index("seed")])


def commands(run: RunData, place: Path) -> list[str]:
    """What runs this cell alone, and what makes its fakes again; from the folder that holds the results."""
    filters = [f"--only={axis}={value}" for axis, value in variant_of(run.row).items()]
    only = [*filters, f"--only=seed={run.row['seed']}"]
    lines = [["ganlab", "ablate", f"{place.name}/plan.yaml", "--out", place.name, *only]]
    if run.generate:
        options = [text for name, value in run.generate.items() for text in (f"--{name}", str(value))]
        source = f"{place.name}/{CELLS}/{run.row['cell']}/{RUN}"
        lines.append(["ganlab", "generate", source, *options, "--out", f"fakes/{run.row['cell']}"])
    return [shlex.join(words) for words in lines]


def _rounded(power: Sequence[float] | FloatArray) -> list[float]:
    """Linear power as dB, to a thousandth."""
    values: list[float] = np.round(decibels(np.asarray(power, dtype=np.float64)), DB_DIGITS).tolist()
    return values


def _reals(members: Sequence[RunData], scales: Mapping[str, Any]) -> dict[str, Any]:
    """The photos that these runs were measured against, their null control and what theory makes of them."""
    first = members[0]
    counts = first.result.get("counts", {})
    reals: dict[str, Any] = {
        "profiles": {name: _rounded(first.result["profiles"]["real"][name]) for name in PROFILES},
        "count": counts.get("real"), "held_out": counts.get("real_held_out"), "fakes": counts.get("fake"),
        "deviations": null_deviations(first), "null": None, "theory": {},
    }  # fmt: skip
    kept = next((run.images["real"] for run in members if run.images), None)
    if kept is not None:
        reals["samples"] = sheet(kept, scales["samples"])
    spectra = next((run.spectra for run in members if run.spectra is not None), None)
    if spectra is None:
        return reals
    mean, null, against = spectra["real"], spectra["null"], spectra["null_against"]
    reals["map"] = map_picture(plane_db(mean), scales["level"])
    reals["map_count"] = mean.count
    if null.count:
        apart = plane_db(null) - plane_db(against)
        reals["null"] = {
            "counts": [null.count, against.count],
            "profiles": {name: _rounded(null.mean(name)) for name in PROFILES},
            "against": {name: _rounded(against.mean(name)) for name in PROFILES},
            "difference": map_picture(apart, scales["difference"], diverging=True),
        }
    # The reals halved and enlarged by a fixed operator alone: not for sizes that cannot be halved twice.
    if mean.height % 4 == 0 and mean.width % 4 == 0:
        for name in dict.fromkeys(run.operator for run in members):
            if name in KERNELS and name is not None:
                profiles = enlarged_profiles(mean.mean("power"), name)
                reals["theory"][name] = {kind: _rounded(power) for kind, power in profiles.items()}
    return reals


def null_deviations(run: RunData) -> dict[str, dict[str, float | None]]:
    """Metric -> mean and interval between draws of reals of the counts that were compared."""
    nulls = {
        name: {key: deviation.get(f"null_{key}") for key in ("mean", "low", "high")}
        for name, deviation in run.result.get("deviations", {}).items()
        if name in DEVIATIONS and deviation.get("null_mean") is not None
    }
    swd = run.result.get("quality", {}).get("swd_null")
    return nulls if swd is None else {**nulls, "swd": {"mean": swd, "low": None, "high": None}}
