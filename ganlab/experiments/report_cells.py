"""The runs of a report as JSON values: profiles, theory, null control and pictures, reals kept once."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.experiments.ablation import CELLS
from ganlab.experiments.ablation_cell import RUN
from ganlab.experiments.ablation_spectra import PROFILES, profiles_of_power
from ganlab.experiments.ablation_table import Row, metric_names
from ganlab.experiments.report_pictures import (
    colour_bar,
    difference_bound,
    level_range,
    map_picture,
    plane_db,
    samples_shown,
    sheet,
)
from ganlab.experiments.report_runs import Reals, RunData, read_run
from ganlab.experiments.spectra_profiles import decibels
from ganlab.experiments.spectra_theory import enlarged_profiles
from ganlab.spectra.rings import FloatArray
from ganlab.upsampling import KERNELS
from ganlab.util.hashing import sha256_json
from ganlab.util.progress import bar

DB_DIGITS = 3


@dataclass(frozen=True)
class Scales:
    """What all pictures share: samples of a run, range of levels, bound of differences, both in dB."""

    samples: int
    low: float
    high: float
    bound: float


def read_runs(place: Path, rows: Sequence[Row]) -> list[RunData]:
    """All rows of the table with what their folders hold."""
    reals: Reals = {}
    lines = bar(rows, desc="runs", unit="run")
    return [read_run(place / CELLS / row["cell"], row, reals) for row in lines]


def shown_runs(runs: Sequence[RunData], place: Path) -> dict[str, Any]:
    """The page's ``cells``, ``reals`` and ``scales``."""
    scales = _scales(runs)
    groups: dict[str, list[RunData]] = {}
    for run in runs:
        if run.measured:
            groups.setdefault(_reals_key(run), []).append(run)
    keys = {id(run): key for key, members in groups.items() for run in members}
    return {
        "cells": {run.row["cell"]: _cell(run, keys.get(id(run)), scales, place) for run in runs},
        "reals": {key: _reals(members, scales) for key, members in groups.items()},
        "scales": {
            "level": [scales.low, scales.high], "difference": [-scales.bound, scales.bound],
            "samples": scales.samples, "level_bar": colour_bar(), "difference_bar": colour_bar(True),
        },
    }  # fmt: skip


def _scales(runs: Sequence[RunData]) -> Scales:
    spectra = [run.spectra for run in runs if run.spectra is not None]
    levels = [plane_db(power) for one in spectra for power in (one.real, one.fake)]
    differences = [plane_db(one.fake) - plane_db(one.real) for one in spectra]
    pictured = [run.fake for run in runs if run.fake is not None]
    count = samples_shown(len(pictured), max((images[0].size for images in pictured), default=1))
    return Scales(count, *level_range(levels), difference_bound(differences))


def _reals_key(run: RunData) -> str:
    """The same photos give the same key, whichever process measured them."""
    kept = None if run.real is None else run.real.tobytes().hex()
    about = [kept or run.result["profiles"]["real"], run.result.get("counts", {}).get("real")]
    return sha256_json(about)[:8]


def _cell(run: RunData, reals: str | None, scales: Scales, place: Path) -> dict[str, Any]:
    about: dict[str, Any] = {
        "label": " · ".join(str(value) for value in variant_of(run.row).values()),
        "seed": run.row["seed"], "status": run.row["status"], "reals": reals, "curves": run.curves,
        "operator": run.operator, "predicted": run.operator in KERNELS, "missing": run.missing,
        "commands": commands(run, place),
    }  # fmt: skip
    if run.row["status"] in ("diverged", "failed", "not run"):
        reason = run.row.get("reason") or "no result"
        about["missing"] = [f"{run.row['status']}: {reason}", *run.missing]
    if run.measured:
        about["profiles"] = {name: _rounded(run.result["profiles"]["fake"][name]) for name in PROFILES}
        about["count"] = run.result.get("counts", {}).get("fake")
    if run.fake is not None:
        about["samples"] = sheet(run.fake, scales.samples)
    if run.spectra is not None:
        level, base = plane_db(run.spectra.fake), plane_db(run.spectra.real)
        about["map"] = map_picture(level, scales.low, scales.high)
        about["difference"] = map_picture(level - base, -scales.bound, scales.bound, diverging=True)
        about["map_count"] = run.spectra.counts["fake"]
    return about


def variant_of(row: Row) -> dict[str, Any]:
    """Axis -> value: the columns before the seed."""
    return dict(list(row.items())[: list(row).index("seed")])


def commands(run: RunData, place: Path) -> list[str]:
    """What runs this cell alone, and what makes its fakes again; from the folder that holds the results."""
    filters = [f"--only={axis}={value}" for axis, value in variant_of(run.row).items()]
    chosen = [*filters, f"--only=seed={run.row['seed']}"]
    found = [["ganlab", "ablate", f"{place.name}/plan.yaml", "--out", place.name, *chosen]]
    if run.generate:
        options = [text for name, value in run.generate.items() for text in (f"--{name}", str(value))]
        source = f"{place.name}/{CELLS}/{run.row['cell']}/{RUN}"
        found.append(["ganlab", "generate", source, *options, "--out", f"fakes/{run.row['cell']}"])
    return [shlex.join(words) for words in found]


def _rounded(power: Sequence[float] | FloatArray) -> list[float]:
    """Linear power as dB, to a thousandth."""
    values: list[float] = np.round(decibels(np.asarray(power, dtype=np.float64)), DB_DIGITS).tolist()
    return values


def _reals(members: Sequence[RunData], scales: Scales) -> dict[str, Any]:
    """The photos that these runs were measured against, their null control and what theory makes of them."""
    first = members[0]
    counts = first.result.get("counts", {})
    about: dict[str, Any] = {
        "profiles": {name: _rounded(first.result["profiles"]["real"][name]) for name in PROFILES},
        "count": counts.get("real"), "held_out": counts.get("real_held_out"), "fakes": counts.get("fake"),
        "deviations": null_deviations(first), "null": None, "theory": {},
    }  # fmt: skip
    kept = next((run.real for run in members if run.real is not None), None)
    if kept is not None:
        about["samples"] = sheet(kept, scales.samples)
    known = [run.spectra for run in members if run.spectra is not None]
    if known:
        spectra = max(known, key=lambda one: one.counts["real"])
        about["map"] = map_picture(plane_db(spectra.real), scales.low, scales.high)
        about["map_count"] = spectra.counts["real"]
        about["null"] = _null(spectra.null, spectra.null_against, spectra.counts, scales)
        operators = dict.fromkeys(run.operator for run in members)
        about["theory"] = _theory(spectra.real, [name for name in operators if name in KERNELS])
    return about


def _null(
    null: FloatArray, against: FloatArray, counts: Mapping[str, int], scales: Scales
) -> dict[str, Any] | None:
    """Reals against reals as curves and as a map."""
    if not counts["null"]:
        return None
    ours, theirs = profiles_of_power(null), profiles_of_power(against)
    apart = plane_db(null) - plane_db(against)
    return {
        "counts": [counts["null"], counts["null_against"]],
        "profiles": {name: _rounded(ours[name]) for name in PROFILES},
        "against": {name: _rounded(theirs[name]) for name in PROFILES},
        "difference": map_picture(apart, -scales.bound, scales.bound, diverging=True),
    }


def _theory(real: FloatArray, operators: Sequence[str | None]) -> dict[str, dict[str, list[float]]]:
    """Operator -> profiles of the reals halved and enlarged by it alone; none for odd or tiny sizes."""
    if real.shape[0] % 4 or (real.shape[1] - 1) % 2:
        return {}
    return {
        name: {kind: _rounded(power) for kind, power in enlarged_profiles(real, name).items()}
        for name in operators
        if name is not None
    }


def null_deviations(run: RunData) -> dict[str, dict[str, float | None]]:
    """Metric -> mean and interval between draws of reals of the counts that were compared."""
    found = {
        name: {key: one.get(f"null_{key}") for key in ("mean", "low", "high")}
        for name, one in run.result.get("deviations", {}).items()
        if name in metric_names() and one.get("null_mean") is not None
    }
    swd = run.result.get("quality", {}).get("swd_null")
    return found if swd is None else {**found, "swd": {"mean": swd, "low": None, "high": None}}
