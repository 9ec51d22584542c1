"""How long the sentences of a page are: ``python tests/helpers/words.py`` prints words a sentence by page.

Counted is prose: paragraphs and lists. Headings, tables, code and formulas that stand alone are not. The end
of a paragraph or list item is the end of a sentence. A piece of code in backticks is one word, and a link's
address is none.
"""

from __future__ import annotations

import re
import statistics
from pathlib import Path

ROOT = Path(__file__).parents[2]
ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|al|vs|etc|cf|No|Fig|approx)\.")


def paragraphs(text: str) -> list[str]:
    """The prose of a page: paragraphs and list items, each on one line."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'^(\?\?\?|!!!).*"(.*?)"$', "", text, flags=re.MULTILINE)
    found: list[str] = []
    fresh = True
    for line in text.splitlines():
        item = re.match(r"\s*([-*+]|\d+\.)\s+", line)
        if not line.strip() or re.match(r"\s*(#|\||<|!\[)", line) or (line.startswith("    ") and fresh):
            # Lines that are indented after an empty one are formulas, but for the boxes of the tutorials.
            fresh = True
            if not (line.startswith("    ") and re.search(r"[a-z]{3,} [a-z]+ ", line)):
                continue
        if item or fresh:
            found.append(line[item.end() :] if item else line)
        else:
            found[-1] += " " + line.strip()
        fresh = False
    return found


def sentences(text: str) -> list[int]:
    """Words of each sentence of a page."""
    lengths = []
    for paragraph in paragraphs(text):
        plain = re.sub(r"`[^`]*`", "code", re.sub(r"\]\([^)]*\)", "]", paragraph))
        plain = ABBREVIATIONS.sub(r"\1", plain)
        for sentence in re.split(r"(?<=[.!?])[\"')\]*]*\s+", plain):
            words = re.findall(r"[A-Za-z0-9+][\w.,/%^+'-]*", sentence)
            if len(words) > 1:
                lengths.append(len(words))
    return lengths


def pages() -> list[Path]:
    """README, docs and results, as the site shows them."""
    return [
        ROOT / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted(ROOT.glob("results/*/README.md")),
    ]


if __name__ == "__main__":
    everything: list[int] = []
    for page in pages():
        lengths = sentences(page.read_text())
        everything += lengths
        if lengths:
            name = page.relative_to(ROOT).as_posix()
            mean, longest = statistics.mean(lengths), max(lengths)
            print(f"{name:<42} {len(lengths):>4} sentences, {mean:5.1f} words, longest {longest}")
    print(f"{'all':<42} {len(everything):>4} sentences, {statistics.mean(everything):5.1f} words")
