"""One self-contained HTML page about any results folder: summary, tables, figures, and what made them.

A job says what its page holds (`Page`), this module how it looks: light and dark, print, phones. A page asks
for nothing from anywhere: pictures are inside, and its content security policy admits its own script alone.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import ganlab
from ganlab.errors import GanlabError
from ganlab.results.folder import PAGE, PLAN, read_folder
from ganlab.results.readings import DARK, adaptive, described
from ganlab.results.style import PNG_DPI
from ganlab.results.tables import cell
from ganlab.util.atomic import write_text
from ganlab.util.reading import read_bytes, read_text, reading

ROWS_SHOWN = 400
"""Lines of a CSV file that the page repeats below its figure."""
PIXELS_PER_INCH = 128
"""CSS pixels for an inch of a figure that was drawn for a printed page."""
LARGEST_DRAWING = 800_000
"""Bytes of an SVG file up to which the page takes it rather than the PNG."""
BROAD = 600
"""CSS pixels of a figure's width from which a phone lets it scroll rather than shrink it beyond reading."""
WRAPPED_FROM = 32
"""Characters from which on a cell's text is broken into lines."""
LONG_TITLE = 16
"""Characters of a column's title beyond which it may be broken into lines."""
FILTER_FROM = 12
"""Rows from which on a table has a field to filter it."""


_SWATCHES = "@media screen and (prefers-color-scheme: dark) {{ {} }}\n".format(
    " ".join(f'svg [stroke="{light}" i] {{ stroke: {dark}; }}' for light, dark in DARK.items())
)
"""Colours of curves that the page draws itself; in the dark the same as in figures."""


@dataclass(frozen=True)
class Cell:
    """A table's cell that is sorted by a number and may be toned.

    Attributes:
        text: what is shown.
        sort: the number behind it; None where there is none.
        tone: "" or "muted", "good", "bad".
    """

    text: str
    sort: float | None = None
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under a header; a click on a title sorts them.

    Attributes:
        header: titles of the columns.
        rows: texts, numbers, None or `Cell`.
        title: above the table.
        note: below it.
        left: columns that are flush left.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""
    note: str = ""
    left: Sequence[int] = (0,)


@dataclass(frozen=True)
class Figure:
    """A picture, and the numbers behind it.

    Attributes:
        image: a PNG or SVG file, or its bytes.
        alt: what it shows, for who cannot see it.
        caption: below it.
        csv: the file of its numbers, or the numbers; shown as a table that opens.
        ink: a drawing of lines on white, which a dark page may invert.
        natural: CSS pixels of width of a picture whose pixels are to be seen; None: a figure of `style`.
    """

    image: Path | bytes
    alt: str
    caption: str = ""
    csv: Path | Table | None = None
    ink: bool = False
    natural: int | None = None


@dataclass(frozen=True)
class Section:
    """A part of a page: paragraphs, then tables, then figures. Words in `backticks` are set as code."""

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()


@dataclass(frozen=True)
class Extra:
    """What one job's page has beyond tables and figures.

    Attributes:
        body: HTML as a Jinja template, escaped like all others; stands after the summary.
        script: JavaScript that fills it.
        style: CSS for it.
        data: JSON values, which the script reads from the element ``data``.
        anchors: id -> title of the body's parts, for the list of contents.
    """

    body: str
    script: str = ""
    style: str = ""
    data: Any = None
    anchors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """What the page of a results folder shows.

    Attributes:
        title: of the page.
        verb: the command that made the results.
        summary: sentences that follow from the numbers.
        sections: in their order.
        facts: short names and values, shown as tiles.
        warnings: what a reader must know first.
        extra: a job's own part.
        sources: further texts for the last section (a configuration, a plan): title and text.
        made: what made the results, where no provenance.json says it: keys as `provenance` returns.
    """

    title: str
    verb: str
    summary: Sequence[str] = ()
    sections: Sequence[Section] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    extra: Extra | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    made: Mapping[str, Any] | None = None


def write_page(folder: str | os.PathLike[str], page: Page, out: str | os.PathLike[str] | None = None) -> Path:
    """Write ``index.html`` into a results folder, complete or not at all.

    Args:
        folder: of the results; command, versions, inputs and hashes are read from its provenance.
        page: what is shown.
        out: another place for the page.

    Returns:
        The page's path.

    Raises:
        GanlabError: a figure or a file of numbers is missing, or the page cannot be written.
    """
    target = Path(out) if out else Path(folder) / PAGE
    write_text(target, render(page, provenance(Path(folder)) if page.made is None else page.made))
    return target


def render(page: Page, made: Mapping[str, Any] | None = None) -> str:
    """The page as HTML.

    Args:
        page: what is shown.
        made: `provenance` of the folder, if there is one.

    Raises:
        GanlabError: a figure or a file of numbers cannot be read.
    """
    environment, extra = _environment(), page.extra
    style = _source("page.css") + _SWATCHES + (extra.style if extra else "")
    scripts = [_source("page.js"), *([extra.script] if extra and extra.script else [])]
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src {_hash(style)}; script-src {' '.join(map(_hash, scripts))}"
    )
    return environment.get_template("page.html.j2").render(
        page=page, made=made or {}, policy=policy, style=Markup(style), scripts=[Markup(s) for s in scripts],
        body=Markup(environment.from_string(extra.body).render(page=page)) if extra else "",
        data=_json_element(extra.data) if extra and extra.data is not None else None,
        filter_from=FILTER_FROM, wrapped_from=WRAPPED_FROM, long_title=LONG_TITLE, version=ganlab.__version__,
    )  # fmt: skip


def stored_figure(folder: Path, stem: str, alt: str, caption: str | None = None, ink: bool = False) -> Figure:
    """The figure that ``save_figure(..., folder / stem)`` wrote, with the CSV file of the same name.

    The drawing where it is small, otherwise its picture: a map of many pixels is no drawing.

    Args:
        folder: where it lies.
        stem: its name without suffix.
        alt: what it shows.
        caption: below it; ``alt`` when None.
        ink: see `Figure`.

    Raises:
        GanlabError: it is not there.
    """
    try:
        paths = {kind: folder / f"{stem}.{kind}" for kind in ("svg", "png", "csv")}
        drawn = paths["svg"].is_file() and paths["svg"].stat().st_size <= LARGEST_DRAWING
        image = paths["svg"] if drawn else paths["png"]
        image.stat()
    except OSError as error:
        raise GanlabError(f"the page's figure {error.filename} cannot be read: {error.strerror}") from error
    numbers = paths["csv"] if paths["csv"].is_file() else None
    return Figure(image, alt, alt if caption is None else caption, numbers, ink)


def provenance(folder: Path) -> dict[str, Any]:
    """What made a results folder, for the page: empty where nothing is recorded."""
    if not (folder / PLAN).is_file():
        return {}
    stored = read_folder(folder)
    made = dict(stored.provenance or {})
    return {
        "command": stored.command, "identity": json.dumps(stored.identity, indent=2, ensure_ascii=False),
        "versions": made.get("versions", {}), "inputs": made.get("inputs", []),
        "files": made.get("files", {}), "complete": stored.provenance is not None,
    }  # fmt: skip


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ganlab.results"), autoescape=True, finalize=visible, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"rich": _rich, "picture": _picture, "lines": _csv_lines, "anchor": _anchor}
    environment.filters["in_cards"] = _in_cards
    environment.tests["cell"] = lambda value: isinstance(value, Cell)
    environment.filters["cell"] = cell
    return environment


def _source(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """An inline element's entry in the content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def visible(value: Any) -> Any:
    """Text whose invisible and direction-changing characters are shown by their number; markup as it is.

    A file's name may hold a right-to-left override, which would turn around what stands after it.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(
        f"\\u{ord(c):04x}" if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t" else c
        for c in value
    )


def _rich(text: str) -> Markup:
    """A sentence; `words in backticks` become code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(visible(text)))))


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _in_cards(rows: Sequence[Sequence[object]], header: Sequence[str], left: Sequence[int]) -> bool:
    """Whether a phone shows each row as a card: texts of several lines beside each other need more width."""
    words = [row[k] for row in rows for k in left if k < len(row)] if len(header) > 3 else []
    texts = (one.text if isinstance(one, Cell) else one for one in words)
    return any(isinstance(text, str) and len(text) > WRAPPED_FROM for text in texts)


def _json_element(data: Any) -> Markup:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _picture(figure: Figure) -> dict[str, Any]:
    """The picture as an address that holds it, its width in CSS pixels, and what its script can read.

    Raises:
        GanlabError: the file cannot be read, or is no PNG or SVG.
    """
    image = figure.image
    data = image if isinstance(image, bytes) else read_bytes(image)
    kinds = {b"\x89PNG": "png", b"<?xml": "svg+xml", b"<svg": "svg+xml"}
    kind = next((kind for start, kind in kinds.items() if data.startswith(start)), None)
    if kind is None:
        what = "bytes" if isinstance(image, bytes) else str(image)
        raise GanlabError(f"the page's figure is neither PNG nor SVG: {what}")
    width, reading_of = figure.natural or _width(data, kind), described(data)
    drawn = adaptive(data) if kind == "svg+xml" else data
    return {
        "address": f"data:image/{kind};base64,{base64.b64encode(drawn).decode()}", "width": width,
        # A drawing has its own colours for dark pages; a picture of lines is inverted as a whole.
        "tone": "drawn" if kind == "svg+xml" else "ink" if figure.ink else "",
        "broad": width > BROAD, "reading": None if reading_of is None else _json_element(reading_of),
    }  # fmt: skip


def _width(data: bytes, kind: str) -> int:
    """CSS pixels of a figure's width at which its 8 point letters read like the page's; 0 where unknown."""
    if kind == "png":
        return round(int.from_bytes(data[16:20]) * PIXELS_PER_INCH / PNG_DPI)
    points = re.search(rb'<svg[^>]*? width="([0-9.]+)pt"', data[:2000], re.DOTALL)
    return round(float(points[1]) * PIXELS_PER_INCH / 72) if points else 0


def _csv_lines(path: Path | Table) -> dict[str, Any]:
    """Header, first rows and number of rows of a CSV file, or of a table.

    Raises:
        GanlabError: it cannot be read.
    """
    if isinstance(path, Table):
        shown = path.rows[:ROWS_SHOWN]
        return {"name": path.title, "header": path.header, "rows": shown, "count": len(path.rows)}
    with reading(path):
        stream = io.StringIO(read_text(path), newline="")
        header, *rows = _limited(csv.reader(stream))
        more = sum(1 for _ in stream)
    return {"name": path.name, "header": header, "rows": rows, "count": len(rows) + more}


def _limited(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    for place, row in enumerate(rows):
        yield row
        if place == ROWS_SHOWN:
            return
