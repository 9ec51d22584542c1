"""Pictures of the report: sheets of samples and 2-D spectra as data URIs, no larger than they need be."""

from __future__ import annotations

import base64
import io
import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from PIL import Image

from ganlab.experiments.ablation.measure import PROFILES, Spectra
from ganlab.experiments.ablation.plan import RUN
from ganlab.experiments.ablation.run import CELLS
from ganlab.experiments.ablation.runs import Reals, RunData, read_run
from ganlab.experiments.ablation.tables import Row, metric_names
from ganlab.experiments.spectra.figures import closed
from ganlab.experiments.spectra.profiles import enlarged_profiles
from ganlab.images import UInt8Array
from ganlab.results.style import DIVERGING, SEQUENTIAL
from ganlab.spectra import SpectrumStatistics, decibels
from ganlab.spectra.rings import FloatArray
from ganlab.spectra.transforms import full_plane
from ganlab.training.monitor import grid
from ganlab.upsampling import KERNELS
from ganlab.util.hashing import sha256_json
from ganlab.util.progress import bar

PICTURE_BUDGET = 9_000_000
"""Characters that all sheets of samples together may take; photos barely compress."""
SAMPLE_COUNTS = (32, 16, 8, 4, 2, 1)
MAP_SIDE = 128
"""Cells a side up to which a map is drawn as it is; larger ones are reduced, keeping the peaks."""
LEVEL_STEP = 5.0
NICE_BOUNDS = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0)
BAR_STEPS = 128
PREDICTABLE = 4 / 3
"""Characters of base64 a byte."""


def samples_shown(runs: int, pixels: int) -> int:
    """How many samples of each run keep the page small: 32 at most, 1 at least.

    Args:
        runs: number of runs with pictures.
        pixels: values in one image, ``H W 3``.
    """
    room = PICTURE_BUDGET / (max(runs, 1) * pixels * PREDICTABLE)
    return next((count for count in SAMPLE_COUNTS if count <= room), SAMPLE_COUNTS[-1])


def sheet(images: UInt8Array, count: int) -> str:
    """The first images side by side, eight a row, as a PNG."""
    return _png(Image.fromarray(np.ascontiguousarray(grid(images[:count], min(8, count)))))


def plane_db(spectra: SpectrumStatistics) -> FloatArray:
    """Mean power in dB over the whole plane, zero frequency in the middle.

    Both ends of each axis are Nyquist; vertical frequencies rise from the first row to the last.
    """
    return closed(full_plane(spectra.power.db, spectra.width))


def reduced(level: FloatArray, by_size: bool = False) -> FloatArray:
    """A map of no more than 129 cells a side: every block's largest value, or the one farthest from zero."""
    step = -(-(max(level.shape) - 1) // MAP_SIDE)
    if step <= 1:
        return level
    padded = np.pad(level, [(0, -size % step) for size in level.shape], mode="edge")
    rows, columns = (size // step for size in padded.shape)
    blocks = padded.reshape(rows, step, columns, step).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    if not by_size:
        return np.asarray(blocks.max(-1))
    chosen = np.abs(blocks).argmax(-1)
    return np.asarray(np.take_along_axis(blocks, chosen[..., None], -1)[..., 0])


def level_range(levels: Iterable[FloatArray]) -> tuple[float, float]:
    """One range in dB for all maps, in steps of 5; the peak at zero frequency is not what it is made for."""
    ends = [np.percentile(level, (0.5, 99.5)) for level in levels]
    if not ends:
        return (-LEVEL_STEP, LEVEL_STEP)
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    low = LEVEL_STEP * math.floor(low / LEVEL_STEP)
    return low, max(LEVEL_STEP * math.ceil(high / LEVEL_STEP), low + LEVEL_STEP)


def difference_bound(differences: Sequence[FloatArray]) -> float:
    """One range -b to b in dB for all differences: holds 98 of 100 cells of three runs in four."""
    ends = sorted(float(np.percentile(np.abs(one), 98)) for one in differences)
    wanted = ends[max(0, math.ceil(0.75 * len(ends)) - 1)] if ends else 0.0
    return next((bound for bound in NICE_BOUNDS if bound >= wanted), NICE_BOUNDS[-1])


def map_picture(level: FloatArray, low: float, high: float, diverging: bool = False) -> str:
    """A map as a PNG of one pixel a cell, 256 colours, highest vertical frequency at the top."""
    shown = reduced(level, by_size=diverging)[::-1]
    scaled = np.clip((shown - low) / (high - low), 0.0, 1.0)
    return _indexed(np.round(255 * scaled).astype(np.uint8), DIVERGING if diverging else SEQUENTIAL)


def colour_bar(diverging: bool = False) -> str:
    """A strip of one pixel's height from the lowest to the highest colour."""
    steps = np.round(np.linspace(0, 255, BAR_STEPS)).astype(np.uint8)
    return _indexed(steps[None], DIVERGING if diverging else SEQUENTIAL)


def _indexed(indices: UInt8Array, name: str) -> str:
    picture = Image.fromarray(np.ascontiguousarray(indices))
    picture = picture.convert("P")
    colours: Any = colormaps[name](np.arange(256), bytes=True)[:, :3]
    picture.putpalette(colours.tobytes())
    return _png(picture)


def _png(picture: Image.Image) -> str:
    """A data URI."""
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


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
    levels = [plane_db(power) for one in spectra for power in (one["real"], one["fake"])]
    differences = [plane_db(one["fake"]) - plane_db(one["real"]) for one in spectra]
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
        level, base = plane_db(run.spectra["fake"]), plane_db(run.spectra["real"])
        about["map"] = map_picture(level, scales.low, scales.high)
        about["difference"] = map_picture(level - base, -scales.bound, scales.bound, diverging=True)
        about["map_count"] = run.spectra["fake"].count
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
        spectra = max(known, key=lambda one: one["real"].count)
        about["map"] = map_picture(plane_db(spectra["real"]), scales.low, scales.high)
        about["map_count"] = spectra["real"].count
        about["null"] = _null(spectra, scales)
        operators = dict.fromkeys(run.operator for run in members)
        about["theory"] = _theory(
            spectra["real"].mean("power"), [name for name in operators if name in KERNELS]
        )
    return about


def _null(spectra: Spectra, scales: Scales) -> dict[str, Any] | None:
    """Reals against reals as curves and as a map; None where there were too few for two sets."""
    if "null" not in spectra or not spectra["null"].count:
        return None
    null, against = spectra["null"], spectra["null_against"]
    apart = plane_db(null) - plane_db(against)
    return {
        "counts": [null.count, against.count],
        "profiles": {name: _rounded(null.mean(name)) for name in PROFILES},
        "against": {name: _rounded(against.mean(name)) for name in PROFILES},
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
