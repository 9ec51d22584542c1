"""The table as text: plain columns for terminals, Markdown, and what the numbers mean."""

from __future__ import annotations

from collections.abc import Sequence

from ganlab.experiments.spectra_rows import METRICS, DeviationRow

SHOWN = tuple(METRICS)


def plain_table(rows: Sequence[DeviationRow]) -> str:
    """Columns aligned with blanks; lines without blanks at their end."""
    lines = [_header(), *(_cells(row) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    padded = [
        "  ".join(
            cell.ljust(w) if k == 0 else cell.rjust(w)
            for k, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join(line.rstrip() for line in padded) + "\n"


def markdown_table(rows: Sequence[DeviationRow]) -> str:
    """The same as a Markdown table."""
    head = _header()
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *(_cells(row) for row in rows)]
    return (
        "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        + "\n"
    )


def _header() -> list[str]:
    return ["set", "images", *(METRICS[name].title for name in SHOWN)]


def _cells(row: DeviationRow) -> list[str]:
    values = [row[name].text(sign=METRICS[name].signed) for name in SHOWN]
    return [row.name, str(row.count), *values]


def meaning(rows: Sequence[DeviationRow], window: str) -> str:
    """Three lines on how to read the table."""
    null = next(row for row in rows if row.role == "null")
    return (
        f"All numbers are dB between mean power spectra (luma, convention ganlab, window {window}); f is in "
        "cycles per pixel, Nyquist is 1/2.\n"
        "Signed columns: above 0 the fakes have more power than the reals there, below 0 less.\n"
        f"'{null.name}' is one random half of the reals against the other: what size means nothing.\n"
    )
