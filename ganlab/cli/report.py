"""``ganlab report FOLDER``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganlab.errors import GanlabError

if TYPE_CHECKING:
    from ganlab.results.page import Page

PAGES = {
    "quickstart": "ganlab.experiments.quickstart.page:page",
    "spectra": "ganlab.experiments.spectra.page:page",
    "theory": "ganlab.experiments.theory.page:page",
    "train": "ganlab.experiments.training_run:page",
    "ablate": "ganlab.experiments.ablation.page:page",
    "detect": "ganlab.experiments.detection.page:page",
    "audit": "ganlab.experiments.audit.page:page",
    "probe": "ganlab.experiments.probe.page:page",
    "patches": "ganlab.experiments.patches.page:page",
    "evade": "ganlab.experiments.evasion.page:page",
    "reproduce": "ganlab.experiments.claims.page:page",
}
"""Verb that made the folder -> ``module:function`` that says what its page shows."""


def report(
    folder: Annotated[Path, typer.Argument(help="What any verb with --out made, or a run folder of train.")],
    out: Annotated[Path | None, typer.Option(help="The page; FOLDER/index.html when absent.")] = None,
) -> None:
    """Write one self-contained HTML page about a results folder, finished or not.

    It needs no network and no server: summary, tables that sort, figures with their numbers, and what made
    them. Light and dark, for screens, phones and paper.
    """
    from ganlab.results.page import write_page
    from ganlab.util.reading import reading

    page = page_of(folder)
    with reading(folder, "what its page shows"):
        print(write_page(folder, page, out))


def page_of(folder: Path) -> Page:
    """What the page of a folder shows, by the verb that made the folder.

    Raises:
        GanlabError: no verb's folder, or its files cannot be read.
    """
    from ganlab.util.reading import reading

    verb = verb_of(folder)
    module, _, function = PAGES[verb].partition(":")
    make = getattr(importlib.import_module(module), function)
    # What lies there may have been written by anybody, or by another version.
    with reading(folder, expected=f"what 'ganlab {verb}' wrote"):
        page: Page = make(folder)
    return page


def verb_of(folder: Path) -> str:
    """The verb that made a folder.

    Raises:
        GanlabError: none did; the message says what was expected.
    """
    from ganlab.results.folder import PLAN, read_folder

    if (folder / PLAN).is_file():
        verb = read_folder(folder).verb
        if verb in PAGES:
            return verb
        raise GanlabError(f"{folder} holds results of 'ganlab {verb}', which have no page: {_EXPECTED}")
    if (folder / "config.yaml").is_file():
        return "train"
    if not folder.is_dir():
        raise GanlabError(f"{folder} is no folder: {_EXPECTED}")
    # A folder of runs, or of results: the page is of one of them.
    inside = sorted(own.parent for name in (PLAN, "config.yaml") for own in folder.glob(f"*/{name}"))
    if inside:
        named = ", ".join(map(str, inside[:SHOWN])) + (", ..." if len(inside) > SHOWN else "")
        raise GanlabError(
            f"{folder} is no results folder, but holds {len(inside)}; name one of them: {named}"
        )
    raise GanlabError(f"{folder} is no results folder: {_EXPECTED}")


SHOWN = 5
"""Folders that a message names."""
_EXPECTED = f"expected what {', '.join(f'ganlab {verb}' for verb in PAGES)} made"
