"""What an ablation found: one tidy table, paired comparisons across seeds, ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from ganlab.experiments.ablation.plan import Cell, Plan
from ganlab.generation.quality import QUALITY_NAMES
from ganlab.results.tables import write_csv
from ganlab.spectra import DEVIATIONS
from ganlab.util.atomic import write_json

Row = dict[str, Any]
LEVEL = 0.95


def metric_names() -> list[str]:
    """Columns that are compared and ranked: deviations, then quality."""
    return [*DEVIATIONS, *QUALITY_NAMES]


def row_of(cell: Cell, result: Mapping[str, Any]) -> Row:
    """One line of the table; what a cell lacks is None."""
    counts, measured = result.get("counts", {}), result.get("quality", {})
    row: Row = {
        **cell.variant,
        "seed": cell.seed, "cell": cell.name, "status": result["status"], "step": result.get("step"),
        "reals": counts.get("real"), "reals_held_out": counts.get("real_held_out"),
        "fakes": counts.get("fake"),
        "seconds_training": result.get("seconds", {}).get("training"), "reason": result.get("reason"),
    }  # fmt: skip
    for name in DEVIATIONS:
        found = result.get("deviations", {}).get(name, {})
        row |= {name: found.get("value"), f"{name}_low": found.get("low"), f"{name}_high": found.get("high")}
        row[f"{name}_null_high"] = found.get("null_high")
    row |= {name: measured.get(name) for name in (*QUALITY_NAMES, "swd_null")}
    row["inception_not_computed"] = measured.get("not_computed")
    return row


def paired(plan: Plan, rows: Sequence[Row]) -> list[Row]:
    """Every value of every axis against the axis's baseline, seed by seed, for each choice of the other axes.

    The difference is value minus baseline; its interval Student's t over seeds; the sign test two-sided. One
    seed has no interval, and diverged or failed cells leave their pair out, which the count shows.
    """
    found = []
    indexed = {_place(plan, row): row for row in rows if row["status"] == "finished"}
    for axis, base in plan.baseline.items():
        others = [name for name in plan.axes if name != axis]
        for value in plan.axes[axis]:
            if value == base:
                continue
            for context in _contexts(rows, others):
                pairs = [
                    (
                        indexed.get(_at(plan, context | {axis: value}, seed)),
                        indexed.get(_at(plan, context | {axis: base}, seed)),
                    )
                    for seed in plan.file.seeds
                ]
                about = {"axis": axis, "value": value, "baseline": base, "context": _words(context)}
                found += [about | one for one in _differences(pairs)]
    return found


def _place(plan: Plan, row: Row) -> tuple[Any, ...]:
    return (*(row[axis] for axis in plan.axes), row["seed"])


def _at(plan: Plan, values: Mapping[str, Any], seed: int) -> tuple[Any, ...]:
    return (*(values[axis] for axis in plan.axes), seed)


def _contexts(rows: Sequence[Row], axes: Sequence[str]) -> list[dict[str, Any]]:
    found = {tuple(row[axis] for axis in axes) for row in rows}
    return [dict(zip(axes, values, strict=True)) for values in sorted(found)]


def _words(context: Mapping[str, Any]) -> str:
    return ", ".join(f"{axis}={value}" for axis, value in context.items())


def _differences(pairs: Sequence[tuple[Row | None, Row | None]]) -> list[Row]:
    whole = [(ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None]
    found = []
    for name in metric_names():
        values = np.array(
            [size(name, a[name]) - size(name, b[name]) for a, b in whole if None not in (a[name], b[name])]
        )
        if len(values):
            found.append({"metric": name, "planned": len(pairs), **difference(values)})
    return found


def size(name: str, value: float) -> float:
    """How bad a value is: deviations with a sign count by their magnitude."""
    signed = name in DEVIATIONS and DEVIATIONS[name].signed
    return abs(value) if signed else value


def difference(values: np.ndarray[Any, np.dtype[np.float64]]) -> Row:
    """Mean difference over seeds, its interval, how often it is negative, the sign test's p-value."""
    count, mean = len(values), float(values.mean())
    low = high = None
    if count > 1:
        margin = float(stats.t.ppf((1 + LEVEL) / 2, count - 1) * values.std(ddof=1) / math.sqrt(count))
        low, high = mean - margin, mean + margin
    signs = values[values != 0]
    p_value = float(stats.binomtest(int((signs < 0).sum()), len(signs)).pvalue) if len(signs) else 1.0
    return {
        "seeds": count, "difference": mean, "low": low, "high": high,
        "lower_in": int((values < 0).sum()), "sign_test_p": p_value,
    }  # fmt: skip


def ranks(plan: Plan, rows: Sequence[Row]) -> list[Row]:
    """Mean rank of every variant over the seeds, metric by metric; 1 is best, ties share their mean rank.

    A diverged or failed cell ranks behind all finished ones of its seed.
    """
    found = []
    for name in metric_names():
        if all(row[name] is None for row in rows):
            continue
        places: dict[tuple[Any, ...], list[float]] = {}
        for seed in plan.file.seeds:
            chosen = [row for row in rows if row["seed"] == seed]
            worth = [math.inf if row[name] is None else size(name, row[name]) for row in chosen]
            for row, rank in zip(chosen, stats.rankdata(worth), strict=True):
                places.setdefault(tuple(row[axis] for axis in plan.axes), []).append(float(rank))
        ordered = sorted(places.items(), key=lambda item: float(np.mean(item[1])))
        for variant, values in ordered:
            about = dict(zip(plan.axes, variant, strict=True))
            found.append({"metric": name, **about, "mean_rank": float(np.mean(values)), "seeds": len(values)})
    return found


def write_tables(out: Path, plan: Plan, rows: Sequence[Row]) -> None:
    """table, comparisons and ranks, each as CSV and JSON, complete or not at all.

    Raises:
        GanlabError: a file cannot be written; the older ones stay.
    """
    tables = {"table": list(rows), "comparisons": paired(plan, rows), "ranks": ranks(plan, rows)}
    for name, lines in tables.items():
        write_json(out / f"{name}.json", lines)
        header = list(lines[0]) if lines else []
        write_csv(out / f"{name}.csv", header, [[_text(line[key]) for key in header] for line in lines])


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.9g}" if isinstance(value, float) else str(value)
