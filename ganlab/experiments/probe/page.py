"""The page of a probe: the verdict, its findings, the stages, what a constant input becomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Drawing

from ganlab.experiments.probe.findings import ProbeReport
from ganlab.experiments.spectra.figures import closed, mark_plane
from ganlab.results.folder import RESULTS
from ganlab.results.page import Cell, Figure, Page, Section, Table, stored_figure
from ganlab.results.style import COLUMN, SEQUENTIAL, new_figure, styled
from ganlab.results.tables import with_interval
from ganlab.util.reading import read_json

FLOOR = -50.0
"""Deepest level drawn, dB under the mean."""
FIGURES = {
    "spectrum": "Mean power spectrum of images from ordinary latents, Hann window, dB over the mean; "
    "lattices stand at multiples of 1/2, 1/4, 1/8.",
    "response": "An image for an input that is the same everywhere, each channel stretched to its own range: "
    "a clean decoder shows its borders alone.",
}


@styled()
def draw(report: ProbeReport) -> dict[str, Drawing]:
    """The figures of a report by name; those whose pictures could not be had are left out."""
    drawn = {}
    if "spectrum" in report.pictures:
        figure = new_figure(COLUMN, COLUMN * 0.85)
        axes = figure.subplots()
        plane = closed(np.fft.fftshift(report.pictures["spectrum"]))
        height, width = report.pictures["spectrum"].shape
        # Cells stand on their frequencies: the outer ones reach half a cell beyond Nyquist.
        reach = (-0.5 - 0.5 / width, 0.5 + 0.5 / width, -0.5 - 0.5 / height, 0.5 + 0.5 / height)
        shown = axes.imshow(np.maximum(plane, FLOOR), origin="lower", extent=reach, cmap=SEQUENTIAL)
        mark_plane(axes)
        axes.set(xlabel="horizontal frequency (cycles per pixel)", ylabel="vertical (cycles per pixel)")
        figure.colorbar(shown, ax=axes, label="power over its mean (dB)", extend="min", shrink=0.8)
        drawn["spectrum"] = figure
    if "response" in report.pictures:
        figure = new_figure(COLUMN, COLUMN * 0.9)
        axes = figure.subplots()
        picture = report.pictures["response"]
        low, high = (end(picture, axis=(1, 2), keepdims=True) for end in (np.nanmin, np.nanmax))
        stretched = np.nan_to_num((picture - low) / np.maximum(high - low, 1e-6 * np.abs(high) + 1e-12))
        grey = len(stretched) != 3
        axes.imshow(
            stretched.mean(0) if grey else stretched.transpose(1, 2, 0), cmap="gray" if grey else None
        )
        axes.set_axis_off()
        drawn["response"] = figure
    return drawn


def page(folder: Path) -> Page:
    """What the page of a results folder of ``ganlab probe`` shows.

    Raises:
        GanlabError: the folder's report or a figure cannot be read.
    """
    report = read_json(folder / RESULTS)
    findings = [
        [
            f["kind"], f["what"], f["stage"], f"{f['period_y']}×{f['period_x']}",
            Cell(
                with_interval(f["db"], f["low"], f["high"], 1, True), f["db"],
                "bad" if f["kind"] == "structure" and f["db"] > report["fail_above"] else "",
            ),
            Cell(f"{f['p']:.2g}", f["p"]), f["words"],
        ]
        for f in report["findings"]
    ]  # fmt: skip
    stages = [
        [s["name"], "×".join(map(str, s["factor"])), "×".join(map(str, s["size"])), s["words"]]
        for s in report["stages"]
    ]
    figures: list[Figure] = [
        stored_figure(folder, name, alt)
        for name, alt in FIGURES.items()
        if (folder / f"{name}.png").is_file()
    ]
    height, width = report["image_size"]
    return Page(
        "What lattice a generator leaves", "probe",
        summary=[
            # A page sets words in backticks as code; those of a name are none.
            report["verdict"].replace(report["name"], report["name"].replace("`", "'")),
            "Structure is what an input that does not vary along an axis shows: the network itself makes it, "
            "and it alone decides. Content is a line that is the same in every image from ordinary latents, "
            "cyclostationary a power there that depends on the place; a clean decoder may have both.",
        ],
        sections=[
            Section("Findings", [] if findings else ["None."], [Table(
                ("kind", "what", "stage", "period (pixels)", "dB [95 %]", "p", "cause and remedy"), findings,
                note="Structure: dB of the pattern over 8-bit rounding of a signal of power 1, at the stage "
                "itself. Content and cyclostationary: dB over the neighbouring frequencies.",
                left=(0, 1, 2, 3, 6),
            )] if findings else []),
            Section("Stages", ["Found by watching a call, in its order; output in pixels."], [
                Table(("stage", "factor", "output", "what"), stages, left=(0, 1, 2, 3)),
            ]),
            Section("Pictures", figures=figures),
        ],
        facts={
            "verdict": "no fault" if report["ok"] else "fault", "images": f"{height}×{width}",
            "fails above": f"{report['fail_above']:g} dB",
            "at the ends of the range": f"{report['clipped']:.2%}",
        },
        warnings=report["notes"],
    )  # fmt: skip
