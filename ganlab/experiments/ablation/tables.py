"""What an ablation found: a tidy table, paired comparisons across seeds, ranks, and sentences about them."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from ganlab.experiments.ablation.plan import Cell, Plan
from ganlab.generation.fidelity import FIDELITY_NAMES, HIGHER_IS_BETTER
from ganlab.generation.quality import QUALITY_NAMES
from ganlab.results.tables import write_csv
from ganlab.spectra import DEVIATIONS
from ganlab.util.atomic import write_json

Row = dict[str, Any]
NOT_RUN = "not run"
"""Status of a cell that has neither a result nor a failure."""
LEVEL = 0.95
DETECT = "detect_"
"""Begins the columns of what a detector finds, each trained on the run's own fakes."""
JUDGED = {
    "mean_db": ("the mean deviation of the ring averages", "dB"),
    "high_db": ("the deviation above 1/4 cycles per pixel", "dB"),
    "swd": ("the sliced Wasserstein distance (image quality)", "in units of 0.001"),
}
"""Metrics that the summary speaks of, with their words and units."""


def metric_names(rows: Sequence[Row]) -> list[str]:
    """Columns that are compared and ranked: deviations, quality, what detectors find, how near pairs are."""
    pairs = [name for name in FIDELITY_NAMES if any(row.get(name) is not None for row in rows)]
    return [*DEVIATIONS, *QUALITY_NAMES, *detections(rows), *pairs]


def detections(rows: Sequence[Row]) -> list[str]:
    """Columns of balanced accuracies, ``detect_SYSTEM``; none where the plan asked for no detectors."""
    ends = ("_low", "_high", "_null", "_null_high")
    return [name for name in (rows[0] if rows else ()) if name.startswith(DETECT) and not name.endswith(ends)]


def judged(rows: Sequence[Row]) -> dict[str, tuple[str, str]]:
    """Metrics that the summary speaks of, with their words and units."""
    accuracy = "of balanced accuracy"
    return {
        **JUDGED,
        **{name: (f"what {name.removeprefix(DETECT)} finds", accuracy) for name in detections(rows)},
    }


def row_of(cell: Cell, result: Mapping[str, Any], systems: Sequence[str] = ()) -> Row:
    """One line of the table; what a cell lacks is None.

    Args:
        cell: what was run.
        result: what its folder holds.
        systems: names of the detectors that the plan asks for.
    """
    counts, quality = result.get("counts", {}), result.get("quality", {})
    row: Row = {
        **cell.variant,
        "seed": cell.seed, "cell": cell.name, "status": result["status"], "step": result.get("step"),
        "reals": counts.get("real"), "reals_held_out": counts.get("real_held_out"),
        "fakes": counts.get("fake"),
        "seconds_training": result.get("seconds", {}).get("training"), "reason": result.get("reason"),
    }  # fmt: skip
    for name in DEVIATIONS:
        deviation = result.get("deviations", {}).get(name, {})
        row[name] = deviation.get("value")
        row |= {f"{name}_{end}": deviation.get(end) for end in ("low", "high", "null_high")}
    row |= {name: quality.get(name) for name in (*QUALITY_NAMES, "swd_null")}
    for name in systems:
        found = result.get("detection", {}).get(name, {})
        row[f"{DETECT}{name}"] = found.get("value")
        row |= {f"{DETECT}{name}_{end}": found.get(end) for end in ("low", "high", "null", "null_high")}
    row["inception_not_computed"] = quality.get("not_computed")
    near: Row = result.get("fidelity", {})
    return row | near


def paired(plan: Plan, rows: Sequence[Row]) -> list[Row]:
    """Every value of every axis against the axis's baseline, seed by seed, for each choice of the other axes.

    The difference is value minus baseline; its interval Student's t over seeds; the sign test two-sided. One
    seed has no interval, and diverged or failed cells leave their pair out, which the count shows.
    """

    def at(values: Mapping[str, Any], seed: int) -> tuple[Any, ...]:
        return (*(values[axis] for axis in plan.axes), seed)

    comparisons = []
    finished = {at(row, row["seed"]): row for row in rows if row["status"] == "finished"}
    for axis, base in plan.baseline.items():
        others = [name for name in plan.axes if name != axis]
        contexts = sorted({tuple(row[name] for name in others) for row in rows})
        values = [value for value in plan.axes[axis] if value != base]
        for value, names in itertools.product(values, contexts):
            context = dict(zip(others, names, strict=True))
            pairs = [
                (
                    finished.get(at(context | {axis: value}, seed)),
                    finished.get(at(context | {axis: base}, seed)),
                )
                for seed in plan.file.seeds
            ]
            whole = [(ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None]
            for metric in metric_names(rows):
                differences = [
                    size(metric, ours[metric]) - size(metric, theirs[metric])
                    for ours, theirs in whole
                    if None not in (ours.get(metric), theirs.get(metric))
                ]
                if differences:
                    comparisons.append(
                        {
                            "axis": axis, "value": value, "baseline": base,
                            "context": ", ".join(f"{name}={word}" for name, word in context.items()),
                            "metric": metric, "planned": len(pairs), **difference(np.array(differences)),
                        }
                    )  # fmt: skip
    return comparisons


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
    lines = []
    for name in metric_names(rows):
        if all(row.get(name) is None for row in rows):
            continue
        sign = -1.0 if name in HIGHER_IS_BETTER else 1.0
        places: dict[tuple[Any, ...], list[float]] = {}
        for seed in plan.file.seeds:
            equals = [row for row in rows if row["seed"] == seed]
            sizes = [math.inf if row.get(name) is None else sign * size(name, row[name]) for row in equals]
            for row, rank in zip(equals, stats.rankdata(sizes), strict=True):
                places.setdefault(tuple(row[axis] for axis in plan.axes), []).append(float(rank))
        for variant, values in sorted(places.items(), key=lambda item: float(np.mean(item[1]))):
            axes = dict(zip(plan.axes, variant, strict=True))
            lines.append({"metric": name, **axes, "mean_rank": float(np.mean(values)), "seeds": len(values)})
    return lines


def write_tables(out: Path, plan: Plan, rows: Sequence[Row]) -> None:
    """table, comparisons and ranks, each as CSV and JSON, complete or not at all.

    Raises:
        GanlabError: a file cannot be written; the older ones stay.
    """
    tables = {"table": list(rows), "comparisons": paired(plan, rows), "ranks": ranks(plan, rows)}
    for name, lines in tables.items():
        write_json(out / f"{name}.json", lines)
        header = list(dict.fromkeys(key for line in lines for key in line))
        write_csv(out / f"{name}.csv", header, [[line.get(key) for key in header] for line in lines])


def summary(rows: Sequence[Row], comparisons: Sequence[Row], axes: Sequence[str]) -> list[str]:
    """Sentences: what ran, what each value of each axis did, what the number of seeds allows to say."""
    states = Counter(row["status"] for row in rows)
    left_out = states.pop(NOT_RUN, 0)
    listed = ", ".join(f"{count} {state}" for state, count in states.items()) or "none finished"
    sentences = [f"{states.total()} runs over {' and '.join(axes)}: {listed}."]
    if left_out:
        sentences.append(f"{left_out} further cells of the plan have not been run.")
    for axis, value, baseline in dict.fromkeys((c["axis"], c["value"], c["baseline"]) for c in comparisons):
        lines = [c for c in comparisons if (c["axis"], c["value"]) == (axis, value)]
        parts = [
            _judgement([line for line in lines if line["metric"] == name], *words)
            for name, words in judged(rows).items()
        ]
        if any(parts):
            sentences.append(f"{axis} {value} against {baseline}: {'; '.join(filter(None, parts))}.")
    if comparisons:
        seeds = max(line["seeds"] for line in comparisons)
        least = 2.0 ** (1 - seeds)
        few = ": not enough for it to reach 0.05" if least > 0.05 else ""
        sentences.append(
            "One seed: differences have no interval, and nothing can be said about chance."
            if seeds < 2
            else f"With {seeds} seeds the sign test cannot go below p = {least:.3g}{few}."
        )
    reasons = dict.fromkeys(filter(None, (row.get("inception_not_computed") for row in rows)))
    return [*sentences, *(f"FID and KID were not computed: {reason}." for reason in reasons)]


def _judgement(lines: Sequence[Row], words: str, unit: str) -> str:
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
    return f"{words}: {outcome} (mean difference {mean:+.3g} {unit})"


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
    for name, (words, _) in JUDGED.items():
        limits = [
            (row.get(name), nulls.get(belongs.get(row["cell"]) or "", {}).get(name, {}).get("high"))
            for row in rows
        ]
        judged = [(value, high) for value, high in limits if value is not None and high is not None]
        within = sum(value <= high for value, high in judged)
        if judged:
            parts.append(f"{words}: {within} of {len(judged)} runs")
    if not parts:
        return []
    return [f"Within the null control, reals against reals of the same counts: {'; '.join(parts)}."]
