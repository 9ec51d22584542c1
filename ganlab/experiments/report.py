"""``ganlab report``: one HTML page about an ablation, complete in itself and readable from disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganlab.errors import GanlabError
from ganlab.experiments.ablation import CELLS, COMMANDS
from ganlab.experiments.ablation_cell import RUN
from ganlab.experiments.ablation_plan import BASE, PLAN
from ganlab.experiments.ablation_table import Row
from ganlab.experiments.report_cells import read_runs, shown_runs, variant_of
from ganlab.experiments.report_words import HEADLINES, TITLES, null_sentences, summary
from ganlab.spectra import DEVIATIONS
from ganlab.util.atomic import write_text

TEMPLATE = Path(__file__).with_name("report.html")
FIRST_PICKED = 3
BESIDE_AXES = ("seed", "status", "step", "fakes")


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
    place = Path(folder).resolve()
    page = Path(out) if out else Path(folder) / "report.html"
    data = json.dumps(page_data(place), allow_nan=False, separators=(",", ":")).replace("</", "<\\/")
    write_text(page, TEMPLATE.read_text(encoding="utf-8").replace("@DATA@", data))
    return page


def page_data(place: Path) -> dict[str, Any]:
    """Everything the page shows, as JSON values.

    Raises:
        GanlabError: no results of an ablation there.
    """
    rows, comparisons, ranks = (_table(place, name) for name in ("table", "comparisons", "ranks"))
    shown = shown_runs(read_runs(place, rows), place)
    metrics = [name for name in HEADLINES if any(row.get(name) is not None for row in rows)]
    axes = list(variant_of(rows[0]))
    nulls = {key: about["deviations"] for key, about in shown["reals"].items()}
    belongs = {name: about["reals"] for name, about in shown["cells"].items()}
    return {
        "title": f"Ablation {place.name}", "axes": axes, "titles": TITLES, "metrics": metrics,
        "summary": [*summary(rows, comparisons, axes), *null_sentences(rows, nulls, belongs)],
        "signed": [name for name in metrics if name in DEVIATIONS and DEVIATIONS[name].signed],
        "columns": [*axes, *BESIDE_AXES, *metrics],
        "rows": rows, "first": _first(rows), **shown,
        "comparisons": [line for line in comparisons if line["metric"] in metrics],
        "comparison_columns": list(comparisons[0]) if comparisons else [],
        "ranks": [line for line in ranks if line["metric"] in metrics],
        "rank_columns": list(ranks[0]) if ranks else [],
        "provenance": _provenance(place, rows),
    }  # fmt: skip


def _table(place: Path, name: str) -> list[Row]:
    try:
        found: list[Row] = json.loads((place / f"{name}.json").read_text())
    except (OSError, ValueError) as error:
        raise GanlabError(
            f"{place}: no readable {name}.json; expected the results folder of `ganlab ablate`, which writes "
            f"its tables when it ends ({error})"
        ) from error
    if name == "table" and not found:
        raise GanlabError(f"{place}: the table is empty")
    return found


def _first(rows: Sequence[Row]) -> list[str]:
    """Runs that are ticked when the page opens: the first finished seed of the first variants."""
    seen: dict[tuple[Any, ...], str] = {}
    for row in rows:
        if row["status"] == "finished":
            seen.setdefault(tuple(variant_of(row).values()), row["cell"])
    return list(seen.values())[:FIRST_PICKED]


def _provenance(place: Path, rows: Sequence[Row]) -> dict[str, str]:
    """Commands, plan and environment, each with what it is."""
    found = {"Commands": "\n".join([*_commands(place), f"ganlab report {place.name}"])}
    for name in (PLAN, BASE):
        if (place / name).exists():
            found[name] = (place / name).read_text(encoding="utf-8")
    environments: dict[str, list[str]] = {}
    for row in rows:
        environments.setdefault(_environment(place / CELLS / row["cell"] / RUN), []).append(row["cell"])
    for text, names in environments.items():
        found[f"Environment of {len(names)} of {len(rows)} runs"] = text
    return found


def _commands(place: Path) -> list[str]:
    """Those that were given; an older ablation did not record them."""
    try:
        lines = (place / COMMANDS).read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines]
        return [f"{line['command']}    # {line['time']}, ganlab {line['ganlab']}" for line in found]
    except (OSError, ValueError, KeyError, TypeError):
        return [f"ganlab ablate PLAN.yaml --out {place.name}    # not recorded; the plan is below"]


def _environment(run: Path) -> str:
    try:
        about: Mapping[str, str] = json.loads((run / "environment.json").read_text())
    except (OSError, ValueError):
        return "environment.json is missing or damaged"
    return "\n".join(f"{name}: {value}" for name, value in about.items() if name != "command")
