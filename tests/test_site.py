"""The site: every page of its navigation exists, it asks for nothing from outside, and it builds strictly."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import words
import yaml
from shared import ROOT

MADE = ("results/", "api/", "changelog.md")
"""What ``docs/site.py`` adds to the files below ``docs/``."""


def pages(nav: list) -> list[str]:
    """The files of a navigation, at any depth."""
    found = []
    for item in nav:
        inner = item if isinstance(item, str) else next(iter(item.values()))
        found += pages(inner) if isinstance(inner, list) else [inner]
    return found


def test_the_navigation_leads_to_pages():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    missing = [name for name in pages(site["nav"]) if not (ROOT / "docs" / name).exists()]
    assert [name for name in missing if not name.startswith(MADE)] == []
    assert site["theme"]["font"] is False


@pytest.mark.slow
def test_the_site_builds_and_asks_for_nothing(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the extra docs, which .ci/run installs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    first = (tmp_path / "index.html").read_text()
    assert 'href="tutorials/ten-minutes.html"' in first.partition('class="cards"')[2]
    html = list(tmp_path.rglob("*.html"))
    assert len(html) > 30
    for page in html:
        outside = re.findall(
            r"""<(?:script|link|img|iframe)[^>]*(?:src|href)="?(?:https?:)?//[^">]*""", page.read_text()
        )
        assert outside == [], page.name


def test_sentences_are_short():
    """About 15 words a sentence over all pages; ``python tests/helpers/words.py`` says it page by page."""
    lengths = [length for page in words.pages() for length in words.sentences(page.read_text())]
    assert sum(lengths) / len(lengths) < 16


def test_how_sentences_are_counted():
    text = "# Title\n\nOne two three. Four `a b c` five [six](x.md)?\n\n- An item\n  goes on\n\n| a | b |\n"
    assert words.sentences(text) == [3, 4, 4]
