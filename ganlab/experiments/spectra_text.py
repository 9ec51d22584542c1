"""The table as text: plain columns for terminals, Markdown, and what the numbers mean."""

from __future__ import annotations

from collections.abc import Sequence

from ganlab.experiments.spectra_rows import TITLES, DeviationRow, is_signed, text_of

SHOWN = ("mean_db", "high_excess_db", "nyquist_excess_db", "axis_nyquist_excess_db")


def plain_table(rows: Sequence[DeviationRow]) -> str:
    """The main deviations, a line a set, columns aligned with blanks."""
    head = ["set", "images", *(TITLES[name] for name in SHOWN)]
    return aligned([head, *([row.name, str(row.count), *_values(row, SHOWN)] for row in rows)])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns side by side, the first flush left, the others flush right."""
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]

    def padded(line: Sequence[str]) -> str:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        return "  ".join([line[0].ljust(widths[0]), *cells[1:]]).rstrip()

    return "\n".join(padded(line) for line in lines) + "\n"


def _values(row: DeviationRow, names: Sequence[str]) -> list[str]:
    return [text_of(row[name], sign=is_signed(name)) if name in row.values else "" for name in names]


def markdown_table(rows: Sequence[DeviationRow]) -> str:
    """Every deviation, a line a metric, a column a set."""
    names = dict.fromkeys(name for row in rows for name in row.values)
    head = ["deviation", "unit", *(f"{row.name} ({row.count})" for row in rows), "what it is"]
    lines = [head, ["---", "---", *["---:"] * len(rows), "---"]]
    for name in names:
        about = next(row.values[name] for row in rows if name in row.values)
        cells = [_precise(row, name) for row in rows]
        lines.append([f"`{name}`", about.unit, *cells, about.summary])
    return (
        "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        + "\n"
    )


def _precise(row: DeviationRow, name: str) -> str:
    """Two decimals of decibels, four of everything else."""
    if name not in row.values:
        return ""
    value = row.values[name]
    return text_of(value, 2 if value.unit == "dB" else 4, is_signed(name))


def meaning(rows: Sequence[DeviationRow], window: str, resamples: int, operators: Sequence[str] = ()) -> str:
    """Three lines on how to read the table, and one on the theory in the figures.

    Args:
        rows: the table.
        window: of the spectra.
        resamples: behind the intervals, 0 for none.
        operators: fixed operators whose prediction is drawn.
    """
    null = next(row for row in rows if row.role == "null")
    brackets = f" [95 % bootstrap interval over images, {resamples} resamples]" if resamples else ""
    return (
        f"dB between mean power spectra{brackets}; luma, convention ganlab, window {window}; Nyquist is 1/2 "
        "cycle per pixel.\n"
        "mean |dB| is over the radial profile; the others are fake minus real: above 0 the fakes have too "
        "much power there.\n"
        f"'{null.name}' is one random half of the reals against the other: so much difference means "
        "nothing.\n"
    ) + (
        f"'{operators[0]} alone (theory)' in the figures: the reals at half resolution, enlarged by that "
        "operator and by nothing else.\n"
        if operators
        else ""
    )
