"""The page of ``ganlab patches``."""

from __future__ import annotations

from pathlib import Path

from ganlab.results.folder import RESULTS
from ganlab.results.page import Page
from ganlab.results.report import Picture, report_page
from ganlab.util.reading import read_json

PICTURES = {
    "heat_maps": Picture(
        "Images of both sets with a map of the probability of fake below each; left the mean map of each set",
        ink=False,
    ),
    "patches": Picture("Rows of the patches that the detector is surest and most wrong about", ink=False),
    "exaggeration": Picture(
        "Images moved towards real and towards fake, with the changes enlarged", ink=False
    ),
}


def page(folder: Path) -> Page:
    """What a patch detector sees, from the folder of ``ganlab patches``.

    Raises:
        GanlabError: no finished results of that command.
    """
    results = read_json(folder / RESULTS)
    detector, sets = results["detector"], results["sets"]
    facts = {
        "reals + fakes": f"{sets['real']['images']} + {sets['fake']['images']}",
        "patch": f"{detector['patch']}x{detector['patch']} pixels",
        "rule": detector["rule"].replace("_", " "),
    }
    return report_page(folder, "patches", facts, PICTURES)
