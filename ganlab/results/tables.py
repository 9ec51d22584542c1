"""Rows of values as CSV, Markdown, aligned text and JSON; numbers with their intervals."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from ganlab.util.atomic import write_text

FREQUENCY = "frequency_cycles_per_pixel"
"""Name of the column of frequencies in every CSV file."""


def number(value: float | None, digits: int = 9) -> str:
    """Text of a number with so many significant digits; empty for None."""
    return "" if value is None else f"{value:.{digits}g}"


def with_interval(
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    digits: int = 2,
    sign: bool = False,
    unit: str = "",
) -> str:
    """``1.23 [1.10, 1.40] dB``; without ends ``1.23 dB``; empty where there is no value.

    Args:
        value: the number.
        low: lower end of its interval.
        high: upper end.
        digits: after the point.
        sign: write + before what is above 0.
        unit: after all numbers.
    """
    if value is None:
        return ""
    form = f"{'+' if sign else ''}.{digits}f"
    ends = "" if low is None or high is None else f" [{low:{form}}, {high:{form}}]"
    return f"{value:{form}}{ends}{' ' if unit else ''}{unit}"


def cell(value: object) -> str:
    """A value as the text of a table's cell: nothing for None, nine significant digits of a float."""
    if value is None:
        return ""
    return number(float(value)) if isinstance(value, float | np.floating) else str(value)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV with a header line; cells as `cell` writes them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()


def write_csv(path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file with a header line, complete or not at all.

    Raises:
        GanlabError: it cannot be written.
    """
    write_text(path, csv_text(header, rows))


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]], left: Iterable[int] = (0,)) -> str:
    """A Markdown table.

    Args:
        header: titles of the columns.
        rows: the cells.
        left: columns that are flush left; all others are flush right.
    """
    flush = set(left)
    rule = ["---" if place in flush else "---:" for place in range(len(header))]
    lines = [header, *([cell(value) for value in row] for row in rows)]
    # A line break or a bar within a cell would end it.
    first, *rest = [[" ".join(text.split()).replace("|", "\\|") for text in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in (first, rule, *rest))


def aligned(rows: Sequence[Sequence[object]]) -> str:
    """Columns side by side for a terminal, the first flush left, the others flush right."""
    lines = [[cell(value) for value in row] for row in rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))] if lines else []
    text = ""
    for line in lines:
        cells = [part.rjust(width) for part, width in zip(line, widths, strict=True)]
        text += "  ".join([line[0].ljust(widths[0]), *cells[1:]]).rstrip() + "\n"
    return text


def plain(value: Any) -> Any:
    """The value as JSON can hold it: records as dicts, arrays as lists, NaN and infinity as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
