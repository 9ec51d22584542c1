"""The summary of an ablation in sentences that follow from its numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganlab.errors import GanlabError
from ganlab.experiments.ablation.figures import read_runs, shown_runs, variant_of
from ganlab.experiments.ablation.plan import BASE, PLAN, RUN
from ganlab.experiments.ablation.run import CELLS, COMMANDS
from ganlab.experiments.ablation.tables import Row
from ganlab.spectra import DEVIATIONS
from ganlab.util.atomic import write_text

HEADLINES = (
    "mean_db", "high_db", "high_excess_db", "nyquist_excess_db", "axis_nyquist_excess_db", "swd", "fid",
    "kid",
)  # fmt: skip
"""Columns of the page, where there are values."""

TITLES = {
    "mean_db": "mean |dB|", "high_db": "|dB| above 1/4", "high_excess_db": "dB above 1/4",
    "nyquist_excess_db": "dB at Nyquist", "axis_nyquist_excess_db": "dB at Nyquist, axes", "swd": "SWD x1000",
    "fid": "FID", "kid": "KID", "sign_test_p": "sign test p",
    "lower_in": "lower in", "mean_rank": "mean rank",
}  # fmt: skip
JUDGED = ("mean_db", "high_db", "swd")
WORDS = {
    "mean_db": "the mean deviation of the radial profile",
    "high_db": "the deviation above 1/4 cycles per pixel",
    "swd": "the sliced Wasserstein distance (image quality)",
}


def summary(rows: Sequence[Row], comparisons: Sequence[Row], axes: Sequence[str]) -> list[str]:
    """Sentences: what ran, what each value of each axis did, what the number of seeds allows to say."""
    states = Counter(row["status"] for row in rows)
    listed = ", ".join(f"{count} {state}" for state, count in states.items())
    sentences = [f"{len(rows)} runs over {' and '.join(axes)}: {listed}."]
    for axis, value, baseline in dict.fromkeys((c["axis"], c["value"], c["baseline"]) for c in comparisons):
        lines = [c for c in comparisons if (c["axis"], c["value"]) == (axis, value)]
        parts = [_judgement([line for line in lines if line["metric"] == name], name) for name in JUDGED]
        said = "; ".join(part for part in parts if part)
        sentences.append(f"{axis} {value} against {baseline}: {said}." if said else "")
    sentences += [_seeds(comparisons), *_missing(rows)]
    return [sentence for sentence in sentences if sentence]


def null_sentences(
    rows: Sequence[Row],
    nulls: Mapping[str, Mapping[str, Mapping[str, float | None]]],
    belongs: Mapping[str, str | None],
) -> list[str]:
    """How many runs each judged deviation tells from reals against reals.

    Args:
        rows: of the table.
        nulls: reals -> metric -> ``mean``, ``low``, ``high`` of the null control.
        belongs: cell -> the reals it was measured against.
    """
    parts = []
    for name in JUDGED:
        limits = [
            (row, nulls.get(belongs.get(row["cell"]) or "", {}).get(name, {}).get("high")) for row in rows
        ]
        judged = [(row[name], high) for row, high in limits if high is not None and row.get(name) is not None]
        within = sum(value <= high for value, high in judged)
        if judged:
            parts.append(f"{WORDS[name]}: {within} of {len(judged)} runs")
    said = "; ".join(parts)
    return [f"Within the null control, reals against reals of the same counts: {said}."] if said else []


def _judgement(lines: Sequence[Row], metric: str) -> str:
    """Where the interval leaves zero out, and on which side."""
    if not lines:
        return ""
    lower = sum(line["high"] is not None and line["high"] < 0 for line in lines)
    higher = sum(line["low"] is not None and line["low"] > 0 for line in lines)
    mean = sum(line["difference"] for line in lines) / len(lines)
    if all(line["low"] is None for line in lines):
        outcome = "no interval from a single seed"
    elif not lower and not higher:
        outcome = "not told apart from the seeds' scatter"
    else:
        outcome = (
            f"lower in {lower} and higher in {higher} of {len(lines)} settings beyond the seeds' scatter"
        )
    return f"{WORDS[metric]}: {outcome} (mean difference {mean:+.3g})"


def _seeds(comparisons: Sequence[Row]) -> str:
    if not comparisons:
        return ""
    seeds = max(line["seeds"] for line in comparisons)
    if seeds < 2:
        return "One seed: differences have no interval, and nothing can be said about chance."
    least = 2.0 ** (1 - seeds)
    few = ": not enough for it to reach 0.05" if least > 0.05 else ""
    return f"With {seeds} seeds the sign test cannot go below p = {least:.3g}{few}."


def _missing(rows: Sequence[Row]) -> list[str]:
    reasons = dict.fromkeys(
        row["inception_not_computed"] for row in rows if row.get("inception_not_computed")
    )
    return [f"FID and KID were not computed: {reason}." for reason in reasons]


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
