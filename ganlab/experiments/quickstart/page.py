"""The page of a quickstart: its picture, and what the closing lines said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ganlab.errors import GanlabError
from ganlab.results.folder import RESULTS
from ganlab.results.page import Figure, Page, Section, Table
from ganlab.results.tables import with_interval
from ganlab.util.reading import read_json

SUMMARY = "summary"
"""Name of the picture's files, without suffix."""
PHOTO = "photo"
"""Name of the enlarged photo's files, without suffix."""
GROWTH = "growing.png"
"""The picture that grows while the generators are trained."""

REPETITION = (
    "Doubling repeats a spectrum: what was at frequency 2f is at f and at 1/2 - f afterwards. The operator's "
    "filter then lets more or less of the repetition (right of 1/4) pass. This is arithmetic; nothing is "
    "learned here."
)
WHAT = (
    "The line: the frequency, or lattice of frequencies, that stands out most over its neighbours, fakes "
    "against reals. Nyquist: rows and columns at 1/2 cycle per pixel against the reals, Hann window, with "
    "bootstrap intervals over images. Detected: balanced accuracy on held-out images. All figures and "
    "numbers: `spectra/index.html`."
)


def _levels(levels: Mapping[str, Sequence[float]]) -> str:
    """Every generator's power against the reals in words."""
    said = []
    for name, (value, low, high) in levels.items():
        relation = "more power than" if low > 0 else "less power than" if high < 0 else "as much power as"
        ends = sorted((abs(low), abs(high)))
        amount = with_interval(abs(value), ends[0], ends[1], digits=1, unit="dB")
        said.append(f"{name} has {relation} the reals" + ("" if low <= 0 <= high else f" ({amount})"))
    return ", ".join(said)


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
        lines, found = dict(results["strongest_line"]), dict(results["detector"])
        detected = results["detector_words"]
        rows = [
            (name, lines[name], with_interval(value, low, high, digits=1, sign=True), f"{found[name]:.0%}")
            for name, (value, low, high) in levels.items()
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise GanlabError(f"{folder / RESULTS} is no quickstart's: {error}") from error
    files = folder / SUMMARY
    photo = Figure(
        folder / f"{PHOTO}.svg",
        "A detail of one photo after each operator, and the mean power of its rows on theory's curve",
        "Above: a detail. Below: mean power over horizontal frequency; the markers lie on the lines.",
        csv=folder / f"{PHOTO}.csv", ink=False,
    )  # fmt: skip
    growth = Figure(
        folder / GROWTH,
        "The same sixteen latents of each generator at growing steps",
        f"Rows: {', '.join(levels)}. Columns: further and further into the training.",
    )
    figure = Figure(
        files.with_name(f"{SUMMARY}.svg"),
        "Samples of the reals and of three generators; their ring averages and differences to the reals",
        "Above: images. Below left: mean power over frequency, all directions together. Below right: rows "
        "and columns alone, minus the reals'. Hann window.",
        csv=files.with_name(f"{SUMMARY}-radial.csv"), ink=False,
    )  # fmt: skip
    return Page(
        title="Quickstart",
        verb="quickstart",
        summary=[
            f"At the highest frequency (1/2 cycle per pixel, rows and columns) {_levels(levels)}.",
            " ".join(detected),
            " ".join(sentences),
        ],
        facts={str(name): str(value) for name, value in facts.items()},
        sections=[
            Section(
                "One photo, enlarged by each operator",
                [REPETITION],
                figures=[photo],
            ),
            Section("Three generators that differ only in how they upsample", figures=[figure]),
            Section(
                "What each leaves",
                [WHAT],
                [Table(["generator", "strongest line", "at Nyquist (dB)", "detected"], rows, left=(0, 1))],
            ),
            Section("How they grew", figures=[growth]),
        ],
    )  # fmt: skip
