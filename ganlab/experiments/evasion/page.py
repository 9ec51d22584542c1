"""The page of ``ganlab evade``."""

from __future__ import annotations

from pathlib import Path

from ganlab.results.folder import RESULTS
from ganlab.results.page import Page
from ganlab.results.report import Picture, report_page
from ganlab.util.reading import read_json

PICTURES = {
    "detectors": Picture(
        "Balanced accuracy of the frozen and of fresh detectors on images before, after, and on reals",
        "records.csv",
    ),
    "evasion": Picture(
        "Scores of the frozen detector, course of the tuning, mean spectra over the reals, quality",
        "profiles.csv",
    ),
    "pairs": Picture("Images of the same latents before and after the tuning, and what changed", ink=False),
}


def page(folder: Path) -> Page:
    """What tuning against a frozen detector did, from the folder of ``ganlab evade``.

    Raises:
        GanlabError: no finished results of that command.
    """
    results = read_json(folder / RESULTS)
    called = results["called_fake"]
    facts = {
        "called fake before": f"{100 * called['before']:.1f} %",
        "called fake after": f"{100 * called['after']:.1f} %",
        "change": f"{results['tuning']['change_grey_levels']:.1f} grey levels",
        "frozen detector": results["verdicts"]["frozen"],
    }
    return report_page(folder, "evade", facts, PICTURES)
