"""The summary of an ablation in sentences that follow from its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ganlab.experiments.ablation_table import Row

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
