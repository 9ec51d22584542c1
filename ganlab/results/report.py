"""A job's report in Markdown as the content of its page: words, tables and figures, each once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from ganlab.errors import GanlabError
from ganlab.results.page import Cell, Figure, Page, Section, Table, stored_figure
from ganlab.util.reading import read_text

REPORT = "report.md"
COMMAND, TOLERATED = "Command: ", ("Told by the guards:", "Tolerated by request:")
"""How paragraphs begin that a page has a place of its own for."""
STARTS = {"## ": "section", "# ": "title", "|": "table", "- ": "bullet", "![": "figure"}


@dataclass(frozen=True)
class JobReport:
    """What a job that ends in a report found.

    Attributes:
        out: the results folder.
        text: the report in Markdown.
        was_complete: the folder already held these results; nothing was computed.
    """

    out: Path
    text: str
    was_complete: bool = False


class Picture(NamedTuple):
    """What a page adds to a figure of the report.

    Attributes:
        caption: what it shows, also for who cannot see it; empty: the report's caption.
        numbers: file of its numbers beside it, or empty.
        ink: a drawing of lines, not photographs.
    """

    caption: str = ""
    numbers: str = ""
    ink: bool = True


def report_page(
    folder: Path, verb: str, facts: Mapping[str, str], pictures: Mapping[str, Picture] | None = None
) -> Page:
    """The page of a finished report.

    Read are headings, paragraphs, lists, tables and figures, one block each: what reports use. Bullets on top
    are the summary, paragraphs before them its beginning; what follows them is a section of its own.

    Args:
        folder: of the results; ``report.md`` and its figures (PNG, with an SVG beside) lie there.
        verb: the command that made them.
        facts: short names and values.
        pictures: by file name without suffix; a key that ends in "_" stands for all names that begin so.

    Raises:
        GanlabError: no finished report, or a figure that is missing.
    """
    try:
        text = read_text(folder / REPORT)
    except GanlabError as error:
        raise GanlabError(
            f"{folder} holds no {REPORT}: it is not finished; run the same 'ganlab {verb}' again"
        ) from error
    title, tolerated = verb, False
    summary: list[str] = []
    warnings: list[str] = []
    sections: list[tuple[str, list[str], list[Table], list[Figure]]] = [("How to read this", [], [], [])]
    for kind, own in groupby((line for line in text.splitlines() if line.strip()), _kind):
        lines = [line.replace("**", "") for line in own]
        _, texts, tables, figures = sections[-1]
        if kind == "title":
            title = lines[0][2:]
        elif kind == "section":
            sections += [(line[3:], [], [], []) for line in lines]
        elif kind == "table":
            tables.append(_table(lines))
        elif kind == "figure":
            figures += [_figure(folder, line, pictures or {}) for line in lines]
        elif kind == "bullet":
            target = warnings if tolerated else summary if len(sections) == 1 else texts
            target += [line[2:] for line in lines]
        else:
            tolerated = any(line in TOLERATED for line in lines)
            words = [line for line in lines if line not in TOLERATED and not line.startswith(COMMAND)]
            (texts if summary or len(sections) > 1 else summary).extend(words)
    shown = [Section(*parts) for parts in sections[1:]] + [Section(*sections[0])][: bool(sections[0][1])]
    return Page(title, verb, summary, shown, facts, warnings)


def _kind(line: str) -> str:
    return next((kind for start, kind in STARTS.items() if line.startswith(start)), "text")


def _table(lines: list[str]) -> Table:
    """A Markdown table; cells after the first column are sorted by the number that they begin with.

    Columns without numbers are flush left.
    """
    head, _, *rows = (
        # a bar after a backslash belongs to the text
        [part.strip().replace("\\|", "|") for part in re.split(r"(?<!\\)\|", line.strip()[1:-1])]
        for line in lines
    )

    def sortable(text: str) -> Cell | str:
        number = re.match(r"[+-]?\d+(\.\d+)?(?![\w.])", text)
        return Cell(text, float(number[0])) if number else text

    cells = [[row[0], *map(sortable, row[1:])] for row in rows]
    words = [k for k in range(len(head)) if not any(isinstance(row[k], Cell) for row in cells)]
    return Table(head, cells, left=words)


def _figure(folder: Path, line: str, pictures: Mapping[str, Picture]) -> Figure:
    """The drawing, or its picture where that is smaller.

    Raises:
        GanlabError: the file is missing, or the line is damaged.
    """
    match = re.fullmatch(r"!\[(.*)\]\((.+)\.png\)", line.strip())
    if not match:
        raise GanlabError(f"{folder / REPORT}: this is no figure: {line}")
    stem = match[2]
    about = pictures.get(stem) or pictures.get(re.sub(r"\d+$", "", stem)) or Picture()
    figure = stored_figure(folder, stem, about.caption or match[1], ink=about.ink)
    return replace(figure, csv=folder / about.numbers) if (folder / about.numbers).is_file() else figure
