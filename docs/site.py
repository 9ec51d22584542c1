"""A hook of mkdocs: what the site shows beside ``docs/``, which is results, changelog and reference."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
ROOMS = {
    "ganlab": "From the top: wrap, load, probe and compare any generator.",
    "ganlab.upsampling": "The x2 operators as layers and as bare functions.",
    "ganlab.spectra": "Power spectra, profiles, deviations, lattice lines, theory.",
    "ganlab.models": "Generators and discriminators.",
    "ganlab.losses": "Adversarial losses, penalties, spectral losses.",
    "ganlab.data": "Images: sources, packs, sets for analysis.",
    "ganlab.forensics": "Features, detectors, perturbations, the protocol, the audit.",
    "ganlab.training": "The training loop as a function.",
    "ganlab.generation": "Fake sets with a manifest.",
    "ganlab.adapters": "Anybody's generator.",
}
PLACES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "results": "results/index.md"}
"""Files of the repository -> their pages on the site."""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the repository."""

    def page(name: str, text: str) -> None:
        files.append(File.generated(config, name, content=text))

    for path in sorted([*(ROOT / "results").rglob("*"), *(ROOT / "configs").glob("*.yaml")]):
        if path.is_file() and path.suffix != ".py":
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    page("changelog.md", (ROOT / "CHANGELOG.md").read_text())
    page("results/index.md", gallery())
    lines = [f"- [`{room}`]({room.removeprefix('ganlab.')}.md): {line}" for room, line in ROOMS.items()]
    page("api/index.md", "# Reference\n\nMade from the docstrings.\n\n" + "\n".join(lines) + "\n")
    for room, line in ROOMS.items():
        page(f"api/{room.removeprefix('ganlab.')}.md", reference(room, line))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Let links between files of the repository lead to their places on the site."""
    name = page.file.src_uri
    ours = name.startswith("results/") or name == PLACES["CHANGELOG.md"]  # not below docs/
    folder = Path(name).parent

    def place(link: re.Match[str]) -> str:
        file = os.path.normpath((folder if ours else Path("docs") / folder) / link[2])
        if file.startswith("docs/"):
            there = file.removeprefix("docs/")
        elif file in PLACES or file.startswith(("results/", "configs/")):
            there = PLACES.get(file, file)
        else:
            return link[1]  # a file that the site does not have
        return f"[{link[1]}]({os.path.relpath(there, Path(name).parent)}{link[3] or ''})"

    return re.sub(r"(?<!!)\[([^\]\[]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)", place, markdown)


def reference(room: str, line: str) -> str:
    """A page of mkdocstrings blocks, one for each public name of a room."""
    module = importlib.import_module(room)
    names = [name for name in module.__all__ if name.strip("_") == name and home(module, name)]
    names.sort(key=str.isupper)  # functions and classes, then registries and constants
    blocks = [f"::: {home(module, name)}.{name}\n" for name in names]
    return f"---\ntitle: {room}\n---\n# `{room}`\n\n{line}\n\n" + "\n".join(blocks)


def home(module: Any, name: str) -> str:
    """The module that defines a public name: functions and classes know it, a dict is found by its import.

    An empty text for a room, which has a page of its own.
    """
    value = getattr(module, name)
    if hasattr(value, "__path__") or hasattr(value, "__file__"):
        return ""
    defined = getattr(value, "__module__", None)
    if isinstance(defined, str) and defined.startswith("ganlab.") and hasattr(value, "__qualname__"):
        return defined
    lazily = getattr(module, "_HOME", {}).get(name)
    return f"{module.__name__}.{lazily}" if lazily else module.__name__


def gallery() -> str:
    """One card for each folder of results: its title, first picture and first paragraph."""
    cards = []
    for readme in sorted((ROOT / "results").glob("*/README.md")):
        text, folder = readme.read_text(), readme.parent.name
        title = re.search(r"^# (.*)", text, re.MULTILINE)
        opening = re.search(r"^# .*\n+((?:[^|\n].*\n)+)", text)
        picture = re.search(r"!\[(.*?)\]\((.*?)\)", text)
        body = f"### [{title[1] if title else folder}]({folder}/README.md)\n\n"
        if picture:
            body += f"[![{picture[1]}]({folder}/{picture[2]})]({folder}/README.md)\n\n"
        cards.append(f"<div markdown>\n\n{body}{opening[1] if opening else ''}\n</div>")
    start = "# Results\n\nWhat real runs produced: tables, figures, and the commands that made them.\n\n"
    return f'{start}<div class="cards" markdown>\n\n' + "\n".join(cards) + "\n\n</div>\n"
