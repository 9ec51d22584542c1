"""The page of a spectra folder: what deviates and by how much, the profiles, the mean spectra."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganlab.experiments.spectra.lines import STRONGEST
from ganlab.experiments.spectra.tables import SHOWN, TITLES
from ganlab.results.folder import read_folder
from ganlab.results.page import Cell, Figure, Page, Section, Table, stored_figure
from ganlab.results.tables import with_interval
from ganlab.spectra import DEVIATIONS
from ganlab.util.reading import read_json

Row = Mapping[str, Any]
"""A row of table.json: ``set``, ``role``, ``count``, ``lines``, ``bounds``, ``values`` (name -> numbers)."""

FIGURES = {
    "Deviations": {"table": "The main deviations of every set, with intervals and the null control."},
    "Profiles": {
        "radial": "Ring averages: mean power over rings of equal radius; below, minus the reals'. "
        "Dotted: 1/8, 1/4 and 1/2, where doublings put replicas.",
        "horizontal": "Row spectra: mean power over the horizontal frequency; below, minus the reals'.",
        "vertical": "Column spectra: mean power over the vertical frequency; below, minus the reals'.",
        "radial-ring": "Mean power over rings.",
    },
    "Mean spectra": {
        "heatmaps": "Mean log power over the plane of frequencies, a map for every set, zero in the middle.",
        "difference-maps": "The same minus the reals': red is more power than the reals have, blue is less.",
    },
    "Lattice lines": {
        "p-values": "Adjusted p of every coefficient, real against real first: dark is significant.",
    },
    "Peaks": {"peaks": "How far single frequencies stand out of their surroundings, for every set."},
}  # fmt: skip
"""Section -> stem of a figure -> what it shows."""
INK = ("table", "peaks", "radial", "horizontal", "vertical", "layers")
SAID_LINES = 3
"""Lattice lines that a set's sentence names."""
SAID = {"nyquist_excess_db": "at Nyquist", "high_excess_db": "above 1/4 cycles per pixel"}


def page(folder: Path) -> Page:
    """What the page of a results folder of ``ganlab spectra`` shows.

    Raises:
        GanlabError: the folder's table cannot be read.
    """
    table = read_json(folder / "table.json")
    rows: Sequence[Row] = table["rows"]
    stored = read_folder(folder)
    warnings = (stored.provenance or {}).get("warnings", [])
    inputs = (stored.provenance or {}).get("inputs", [])
    fakes = [row["set"] for row in rows if row["role"] == "fake"]
    reals = inputs[0]["name"] if inputs else "real"
    facts = {entry["name"]: f"{entry['images']} images" for entry in inputs}
    if inputs:
        facts["size"] = "{1} × {0} × {2}".format(*inputs[0]["shape"])
    facts |= {"window": table["window"], "resamples": str(table["bootstrap"])}
    sections = [
        Section(title, _words(title, table), _tables(title, rows), _figures(folder, stems))
        for title, stems in FIGURES.items()
    ]
    known = {stem for stems in FIGURES.values() for stem in stems}
    others = {path.stem for path in folder.glob("*.svg")} - known
    further = _figures(folder, {stem: _caption(stem) for stem in sorted(others)})
    sections += [
        Section("Further figures", figures=further),
        Section("Every deviation", tables=[_everything(rows)]),
    ]
    return Page(
        f"{', '.join(fakes)} against {reals}", "spectra",
        summary=[_sentence(row) for row in rows],
        sections=[section for section in sections if section.figures or section.tables],
        facts=facts, warnings=warnings,
    )  # fmt: skip


def _figures(folder: Path, stems: Mapping[str, str]) -> list[Figure]:
    return [
        stored_figure(folder, stem, shown, ink=any(word in stem for word in INK))
        for stem, shown in stems.items()
        if (folder / f"{stem}.png").is_file()
    ]


FURTHER = {
    "published-corvi2023": "As Corvi et al. 2023 draw it: shares of power over rings and over directions.",
    "published-corvi2023-autocorrelation": "As Corvi et al. 2023 draw it: autocorrelation of residuals.",
    "published-frank2020": "As Frank et al. 2020 draw it: mean DCT coefficients, logarithmic.",
    "published-stylegan3": "As Karras et al. 2021 draw it: slices of the heat maps, horizontal and diagonal.",
    "published-stylegan3-heatmaps": "As Karras et al. 2021 draw it: mean power of whitened images.",
    "published-wang2020": "As Wang et al. 2020 draw it: mean spectrum of high-pass residuals.",
}
"""Figures that were asked for by name, and what they show."""


def _caption(stem: str) -> str:
    """What a figure shows that only some comparisons have."""
    if not stem.startswith("stages-"):
        return FURTHER.get(stem, stem.replace("-", ", "))
    name = stem.removeprefix("stages-")
    for end, what in (
        ("-profiles", "row and column spectra"),
        ("-layers", "what each layer makes of a constant"),
    ):
        if name.endswith(end):
            return f"Stage by stage, {name.removesuffix(end)}: {what}."
    return f"Stage by stage, {name}: mean spectra of what every stage puts out."


def _words(title: str, table: Mapping[str, Any]) -> list[str]:
    """How to read a section."""
    if title == "Deviations":
        brackets = (
            f"; in brackets the 95 % interval over images ({table['bootstrap']} resamples): "
            "bootstrap-t of what has a sign, test inversion of distances, which are corrected for noise"
        )
        return [
            "Between mean power spectra of the luma"
            + (brackets if table["bootstrap"] else "")
            + ". The mean over the "
            "ring averages is of absolute values, all others are fake minus real: above 0 the fakes have "
            "too much power there; ≤ and ≥ mark bounds, where a level lies below what the rounding of 8-bit "
            "images alone leaves. Grey: within the null control, reals against reals at the same counts."
        ]
    if title == "Lattice lines":
        return [
            "Single frequencies and lattices of frequencies at which fakes and reals part: by power (their "
            "prominence over neighbouring frequencies, dB fakes minus reals), by phase (what is the same in "
            "every image) or by texture (where images are rough). The dB of a lattice are the mean over its "
            "frequencies: near 0 where some rise and others fall. All of the plane is looked at; `p` is "
            "adjusted for that: among sets of one source, one comparison in twenty shows any line."
        ]
    if title in ("Profiles", "Mean spectra"):
        return [f"Window: {table['window']}. Frequencies in cycles per pixel; 1/2 is Nyquist."]
    return []


def _tables(title: str, rows: Sequence[Row]) -> list[Table]:
    if title == "Lattice lines":
        found = [(row["set"], line) for row in rows for line in row["lines"] or ()]
        lines = [
            [name, line["words"], with_interval(line["db"], line["low"], line["high"], sign=True),
             len(line["members"]), Cell(f"{line['p']:.3g}", line["p"])]
            for name, line in found
        ]  # fmt: skip
        header = ["set", "line", "prominence, fakes minus reals (dB)", "frequencies", "p"]
        return [Table(header, lines, left=(0, 1))] if lines else []
    if title != "Deviations":
        return []
    names = [name for name in SHOWN if any(name in row["values"] for row in rows)]
    lines = [
        [row["set"], row["count"], *(_cell(row, name) for name in names), _strongest(row)] for row in rows
    ]
    header = ["set", "images", *(TITLES[name] for name in names), STRONGEST]
    note = "1/4 and 1/8: cycles per pixel. Axes: rows and columns alone, rather than rings."
    return [Table(header, lines, note=note, left=(0, len(header) - 1))]


def _strongest(row: Row) -> Cell | None:
    """The set's strongest lattice line in words."""
    if row["lines"] is None:
        return None
    if not row["lines"]:
        return Cell("none", math.inf, "muted")
    line = row["lines"][0]
    return Cell(f"{line['words']}; p {line['p']:.3g}", line["p"])


def _cell(row: Row, name: str, digits: int = 2) -> Cell | None:
    """A deviation with its interval; grey where reals against reals differ as much."""
    one = row["values"].get(name)
    if one is None or one["value"] is None:
        return None
    low, high = one.get("null_low"), one.get("null_high")
    within = low is not None and high is not None and low <= one["value"] <= high
    signed = name in DEVIATIONS and DEVIATIONS[name].signed
    shown = _shown(row, name, digits, signed)
    return Cell(shown, one["value"], "muted" if within or row["role"] == "null" else "")


def _shown(row: Row, name: str, digits: int = 2, sign: bool = False, unit: str = "") -> str:
    """A value with its interval, or as the bound that it is where a level lies below the floor."""
    one, bound = row["values"][name], row["bounds"].get(name)
    if bound:
        symbol = {"<=": "≤", ">=": "≥"}[bound]
        return f"{symbol} {with_interval(one['value'], digits=digits, sign=sign, unit=unit)}"
    return with_interval(one["value"], one["low"], one["high"], digits, sign, unit)


def _sentence(row: Row) -> str:
    """What one set does, in numbers with their units."""
    values = row["values"]
    text = _shown(row, "mean_db", unit="dB")
    if row["role"] == "null":
        return f"{row['set']} (so much means nothing): the ring averages differ by {text} on average."
    parts = [f"{row['set']}: the ring averages differ from the reals' by {text} on average"]
    for name, where in SAID.items():
        one = values.get(name)
        if one is not None and one["value"] is not None:
            amount = _shown(row, name, sign=True, unit="dB")
            parts.append(f"power {where} {amount} against the reals")
    if row["lines"]:
        parts.append("; ".join(line["words"] for line in row["lines"][:SAID_LINES]))
    return "; ".join(parts) + "."


def _everything(rows: Sequence[Row]) -> Table:
    """A line a deviation, a column a set."""
    named = {name: one for row in rows for name, one in row["values"].items()}
    lines = [
        [
            f"`{name}`: {one['summary']}",
            one["unit"],
            *(_cell(row, name, 2 if one["unit"] == "dB" else 4) for row in rows),
        ]
        for name, one in named.items()
    ]
    header = ["deviation", "unit", *(f"{row['set']} ({row['count']})" for row in rows)]
    return Table(header, lines, left=(0, 1))
