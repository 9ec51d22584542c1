"""The tutorials as notebooks: ``python docs/notebooks.py`` writes PAGE.ipynb beside each tutorial PAGE.md.

One source, the page. Prose becomes cells of text, ``sh`` blocks cells of commands, ``python`` blocks cells of
code, and a comment ``<!-- show FILE -->`` a cell that shows a picture. A test holds both together.
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

TUTORIALS = Path(__file__).parent / "tutorials"
INSTALL = """\
# Where ganlab is not installed yet: its name, or the path of a wheel or of the repository.
GANLAB = "ganlab"
try:
    import ganlab
except ImportError:
    %pip install -q {GANLAB}"""
PART = re.compile(r"^```(sh|python)\n(.*?)^```\n|^<!-- show (\S+) -->\n", re.DOTALL | re.MULTILINE)

BOX = re.compile(r'^(\?\?\?|!!!) \w+ "(.*?)"\n((?:    .*\n|\n)+)', re.MULTILINE)


def cells(page: str) -> list[tuple[str, str]]:
    """The parts of a page in order: ("markdown" or "code", source)."""
    parts, start = [("code", INSTALL)], 0
    for found in PART.finditer(page):
        parts.append(("markdown", page[start : found.start()]))
        language, block, picture = found.groups()
        if picture:
            block = f'from IPython.display import Image\n\nImage("{picture}")'
        elif language == "sh":
            lines = block.replace("\\\n", " ").splitlines()
            block = "\n".join(line if line.startswith("#") or not line else f"!{line}" for line in lines)
        parts.append(("code", block))
        start = found.end()
    parts.append(("markdown", page[start:]))
    return [(kind, folded(source.strip("\n"))) for kind, source in parts if source.strip()]


def folded(text: str) -> str:
    """Boxes of the site (``??? success "Solution"``) as what a notebook knows: folded, or in bold."""

    def box(found: re.Match[str]) -> str:
        body = textwrap.dedent(found[3]).strip("\n")
        if found[1] == "???":
            return f"<details><summary>{found[2]}</summary>\n\n{body}\n\n</details>\n"
        return f"**{found[2]}**\n\n{body}\n"

    return BOX.sub(box, text + "\n").strip("\n")


def notebook(page: Path) -> str:
    """The notebook of a page as it is stored: without outputs, with cells that are numbered."""
    made = []
    for number, (kind, source) in enumerate(cells(page.read_text())):
        cell: dict[str, object] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
        cell["source"] = source.splitlines(keepends=True)
        made.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path in sorted(TUTORIALS.glob("*.md")):
        path.with_suffix(".ipynb").write_text(notebook(path))
