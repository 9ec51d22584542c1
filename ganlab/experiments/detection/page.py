"""One self-contained HTML page about a detection experiment: its report with the figures inside."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from PIL import Image

from ganlab.errors import GanlabError
from ganlab.util.atomic import write_text

REPORT = "report.md"
SCALE = 0.72
"""Of the figures' pixels, so that one column of a paper takes half the page."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5em auto; max-width: 1240px; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin: 1.8em 0 .4em; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-size: 12px; }
.wide { overflow: auto; max-height: 40em; border: 1px solid #ddd; }
th, td { padding: 2px 6px; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { position: sticky; top: 0; background: #eee; } tr:nth-child(even) td { background: #fafafa; }
code, pre { background: #f6f6f6; font-size: 12px; } pre { padding: .6em; white-space: pre-wrap; }
li { margin-bottom: .3em; } nav { font-size: 13px; } figure { display: inline-block; margin: 0 14px 14px 0; }
figure { vertical-align: top; } figure img { max-width: 100%; border: 1px solid #ddd; }
figcaption { font-size: 12px; }
@media print { .wide { max-height: none; overflow: visible; border: 0; } table { font-size: 8px; } }
"""


def is_detection(folder: str | Path) -> bool:
    """Whether a folder was written by ``ganlab detect``."""
    try:
        plan = json.loads((Path(folder) / "plan.json").read_text(encoding="utf-8"))
        return bool(plan["verb"] == "detect")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_detection_page(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write ``report.html`` from a results folder of ``ganlab detect``; it needs no network and no script.

    Args:
        folder: finished results.
        out: another place for the page.

    Returns:
        The page's path.

    Raises:
        GanlabError: no finished report there, a figure that is missing, or the page cannot be written.
    """
    place = Path(folder)
    try:
        text = (place / REPORT).read_text(encoding="utf-8")
    except OSError as error:
        raise GanlabError(
            f"{place} holds no {REPORT}: the experiment is not finished; run the same 'ganlab detect' again"
        ) from error
    page = Path(out) if out else place / "report.html"
    write_text(page, render(text, place))
    return page


def render(text: str, folder: Path) -> str:
    """The page of a report in Markdown whose figures lie in a folder.

    Read are headings, paragraphs, lists, tables, figures, ``code`` and **bold**: what the report uses.
    """
    blocks = [block.splitlines() for block in re.split(r"\n\s*\n", text.strip())]
    title = next((lines[0].lstrip("# ") for lines in blocks if lines[0].startswith("# ")), "Detection")
    heads = [lines[0][3:] for lines in blocks if lines[0].startswith("## ")]
    links = " &middot; ".join(f'<a href="#{_anchor(head)}">{html.escape(head)}</a>' for head in heads)
    body = "\n".join(part for lines in blocks for part in _block(lines, folder))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{html.escape(title)}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<nav>{links}</nav>\n{body}\n</body>\n</html>\n"
    )


def _block(lines: list[str], folder: Path) -> Iterator[str]:
    """The elements of one block; a table or a list may follow its paragraph without an empty line."""
    for kind, group in groupby(lines, _kind):
        own = list(group)
        if kind == "head":
            yield from map(_head, own)
        elif kind == "table":
            yield _table(own)
        elif kind == "list":
            yield "<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in own) + "</ul>"
        elif kind == "figure":
            yield from (_figure(line, folder) for line in own)
        else:
            yield f"<p>{_inline(' '.join(own))}</p>"


def _kind(line: str) -> str:
    starts = {"#": "head", "|": "table", "- ": "list", "![": "figure"}
    return next((kind for start, kind in starts.items() if line.startswith(start)), "text")


def _head(line: str) -> str:
    level = len(line) - len(line.lstrip("#"))
    words = line[level:].strip()
    return f'<h{level} id="{_anchor(words)}">{_inline(words)}</h{level}>'


def _anchor(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def _inline(text: str) -> str:
    safe = html.escape(text, quote=False)
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    return re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", safe)


def _table(lines: list[str]) -> str:
    head, _, *rows = [_cells(line) for line in lines]
    top = "".join(f"<th>{_inline(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _cells(line: str) -> list[str]:
    """What stands between the bars of a row; a bar after a backslash belongs to the text."""
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inner)]


def _figure(line: str, folder: Path) -> str:
    """The picture as a data URI, with its caption.

    Raises:
        GanlabError: the file is missing, or the line is damaged.
    """
    match = re.fullmatch(r"!\[(.*)\]\((.+)\)", line.strip())
    try:
        data = (folder / match[2]).read_bytes() if match else b""
    except OSError as error:
        raise GanlabError(f"{folder}: the report's figure {error.filename} cannot be read") from error
    if not match:
        raise GanlabError(f"{folder / REPORT}: this is no figure: {line}")
    caption = html.escape(match[1])
    source = base64.b64encode(data).decode()
    with Image.open(io.BytesIO(data)) as picture:
        width = round(SCALE * picture.width)
    return (
        f'<figure style="width: {width}px"><img src="data:image/png;base64,{source}" alt="{caption}" '
        f'width="{width}"><figcaption>{caption}</figcaption></figure>'
    )
