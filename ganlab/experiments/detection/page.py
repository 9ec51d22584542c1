"""The page of a detection experiment."""

from __future__ import annotations

from pathlib import Path

from ganlab.results.folder import read_folder
from ganlab.results.page import Page
from ganlab.results.report import Picture, report_page

PICTURES = {
    name: Picture(numbers="records.csv", ink=name != "transfer_")
    for name in ("transfer_", "bands_", "robustness", "sizes")
} | {"responses_": Picture(ink=False)}  # colours that mean something are not to be inverted


def page(folder: Path) -> Page:
    """What ``ganlab detect`` found, from its folder.

    Raises:
        GanlabError: no finished results of that command.
    """
    identity = read_folder(folder).identity
    options = identity["options"]
    split = "/".join(f"{100 * part:.0f}" for part in options["fractions"])
    facts = {
        "sets": ", ".join(identity["sets"]), "systems": ", ".join(options["systems"]),
        "seeds": str(options["seeds"]), "train/validation/test": f"{split} %",
    }  # fmt: skip
    return report_page(folder, "detect", facts, PICTURES)
