"""The page of a quickstart: its picture, and what the closing lines said."""

from __future__ import annotations

from pathlib import Path

from ganlab.errors import GanlabError
from ganlab.results.folder import RESULTS
from ganlab.results.page import Figure, Page, Section, Table
from ganlab.results.tables import with_interval
from ganlab.util.reading import read_json

SUMMARY = "summary"
"""Name of the picture's files, without suffix."""


def page(folder: Path) -> Page:
    """What the page of a finished quickstart shows.

    Args:
        folder: its results folder.

    Raises:
        GanlabError: it has not ended yet, or its results are damaged.
    """
    results = read_json(folder / RESULTS)
    try:
        levels, sentences, facts = dict(results["at_nyquist_db"]), results["verdict"], results["facts"]
        rows = [
            (name, with_interval(value, low, high, digits=1, sign=True))
            for name, (value, low, high) in levels.items()
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise GanlabError(f"{folder / RESULTS} is no quickstart's: {error}") from error
    files = folder / SUMMARY
    figure = Figure(
        files.with_name(f"{SUMMARY}.svg"),
        "Samples of the reals and of three generators; their radial profiles and differences to the reals",
        "Above: images. Below: mean power over frequency, and rows and columns against the reals.",
        csv=files.with_name(f"{SUMMARY}-radial.csv"), ink=False,
    )  # fmt: skip
    return Page(
        title="Quickstart",
        verb="quickstart",
        summary=[" ".join(sentences)],
        facts={str(name): str(value) for name, value in facts.items()},
        sections=[
            Section("Three generators that differ only in how they upsample", figures=[figure]),
            Section(
                "Power at Nyquist",
                ["Rows and columns at 1/2 cycle per pixel against the reals, Hann window, with bootstrap "
                 "intervals over images. All figures and numbers: `spectra/index.html`."],
                [Table(["generator", "dB"], rows)],
            ),
        ],
    )  # fmt: skip
