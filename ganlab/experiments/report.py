"""``ganlab report``: one HTML page about an ablation, complete in itself and readable from disk."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from PIL import Image

from ganlab.errors import GanlabError
from ganlab.experiments.ablation_cell import SAMPLES, SAVED_SAMPLES
from ganlab.experiments.ablation_table import Row
from ganlab.experiments.report_words import HEADLINES, TITLES, summary
from ganlab.images import UInt8Array, luma, to_float
from ganlab.training.preview import grid
from ganlab.util.atomic import write_text
from ganlab.util.hashing import sha256_json

TEMPLATE = Path(__file__).with_name("report.html")
SHOWN_IMAGES = 32
CURVE_POINTS = 200
FIRST_PICKED = 3
CURVES = ("generator/adversarial", "discriminator/adversarial")
RANGE_DB = (-50.0, 30.0)


def write_report(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write ``report.html`` about a folder that ``ganlab ablate`` made.

    Args:
        folder: the ablation's results folder, finished or not.
        out: another place for the page.

    Returns:
        The page's path.

    Raises:
        GanlabError: no results of an ablation there, or the page cannot be written.
    """
    place = Path(folder)
    page = Path(out) if out else place / "report.html"
    low, high = (f"{end:g}" for end in RANGE_DB)
    words = {"@SAMPLES@": str(SAVED_SAMPLES), "@LOW@": low, "@HIGH@": high}
    text = TEMPLATE.read_text(encoding="utf-8")
    for mark, word in words.items():
        text = text.replace(mark, word)
    data = json.dumps(page_data(place), allow_nan=False).replace("</", "<\\/")
    write_text(page, text.replace("@DATA@", data))
    return page


def page_data(place: Path) -> dict[str, Any]:
    """Everything the page shows, as JSON values.

    Raises:
        GanlabError: no results of an ablation there.
    """
    rows, comparisons, ranks = (_table(place, name) for name in ("table", "comparisons", "ranks"))
    reals: dict[str, Any] = {}
    cells = {row["cell"]: _cell(place / "cells" / row["cell"], reals) for row in _illustrated(rows)}
    metrics = [name for name in HEADLINES if any(row.get(name) is not None for row in rows)]
    axes = list(rows[0])[: list(rows[0]).index("seed")]
    return {
        "title": f"Ablation {place.resolve().name}",
        "summary": summary(rows, comparisons, axes),
        "titles": TITLES,
        "metrics": metrics,
        "columns": [*axes, "seed", "status", "step", "fakes", *metrics],
        "rows": rows,
        "first": list(cells)[:FIRST_PICKED],
        "cells": cells,
        "reals": reals,
        "comparisons": [line for line in comparisons if line["metric"] in metrics],
        "comparison_columns": list(comparisons[0]) if comparisons else [],
        "ranks": [line for line in ranks if line["metric"] in metrics],
        "rank_columns": list(ranks[0]) if ranks else [],
        "provenance": _provenance(place, rows),
    }


def _table(place: Path, name: str) -> list[Row]:
    try:
        found: list[Row] = json.loads((place / f"{name}.json").read_text())
    except (OSError, ValueError) as error:
        raise GanlabError(
            f"{place}: no readable {name}.json; expected the results folder of `ganlab ablate` ({error})"
        ) from error
    if name == "table" and not found:
        raise GanlabError(f"{place}: the table is empty")
    return found


def _illustrated(rows: Sequence[Row]) -> list[Row]:
    """The first finished seed of every variant: pictures of all seeds would swell the page."""
    seen: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        if row["status"] == "finished":
            seen.setdefault(tuple(value for key, value in list(row.items())[: list(row).index("seed")]), row)
    return list(seen.values())


def _cell(folder: Path, reals: dict[str, Any]) -> dict[str, Any]:
    """Profiles, pictures and curves of one run; its reals are kept once for all runs that share them."""
    result = json.loads(max(folder.glob("result-*.json"), key=lambda path: path.stat().st_mtime).read_text())
    with np.load(folder / SAMPLES) as samples:
        real, fake = samples["real"], samples["fake"]
    key = sha256_json([real.tobytes().hex(), result["profiles"]["real"]])[:8]
    if key not in reals:
        reals[key] = {"profiles": result["profiles"]["real"], **_pictures(real)}
    return {
        "reals": key,
        "profiles": result["profiles"]["fake"],
        "curves": _curves(folder / "run" / "metrics.jsonl"),
        **_pictures(fake),
    }


def _pictures(images: UInt8Array) -> dict[str, str]:
    return {"samples": _png(grid(images[:SHOWN_IMAGES])), "spectrum": _png(_map(images))}


def _map(images: UInt8Array) -> UInt8Array:
    """2-D mean power of the luma in dB as colours, zero frequency in the middle."""
    power = np.abs(np.fft.fft2(luma(to_float(images)).double().numpy())) ** 2 / images[0, ..., 0].size
    level = 10 * np.log10(np.maximum(np.fft.fftshift(power.mean(0)), 1e-12))
    scaled = np.clip((level - RANGE_DB[0]) / (RANGE_DB[1] - RANGE_DB[0]), 0.0, 1.0)
    colours: UInt8Array = colormaps["viridis"](scaled, bytes=True)[..., :3]
    return colours


def _png(pixels: UInt8Array) -> str:
    """A data URI."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _curves(metrics: Path) -> dict[str, list[float | None]]:
    """Losses over steps, thinned out."""
    if not metrics.exists():
        return {"step": []}
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    lines = lines[:: -(-len(lines) // CURVE_POINTS) or 1]
    return {name: [line.get(name) for line in lines] for name in ("step", *CURVES)}


def _provenance(place: Path, rows: Sequence[Row]) -> dict[str, str]:
    found = {"Command": f"ganlab ablate plan.yaml --out {place.name}"}
    if (place / "plan.yaml").exists():
        found["plan.yaml"] = (place / "plan.yaml").read_text()
    for row in rows:
        environment = place / "cells" / row["cell"] / "run" / "environment.json"
        if environment.exists():
            about: Mapping[str, str] = json.loads(environment.read_text())
            found["Environment of the first run"] = "\n".join(
                f"{name}: {value}" for name, value in about.items() if name != "command"
            )
            break
    return found
