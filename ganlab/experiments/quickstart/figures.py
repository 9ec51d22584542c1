"""The quickstart's pictures: an enlarged photo, samples that grow, and samples above their spectra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from ganlab.data import ImageSet
from ganlab.experiments.quickstart.measure import Enlarged
from ganlab.experiments.spectra.measure import measure
from ganlab.experiments.spectra.options import SpectraOptions
from ganlab.experiments.spectra.profiles import Profiles, profiles_of
from ganlab.experiments.spectra.tables import write_profiles
from ganlab.results.style import NULL, PAGE, REAL, new_figure, save_figure, series_style, styled
from ganlab.results.tables import write_csv
from ganlab.training.monitor import grid
from ganlab.util.atomic import atomic_path
from ganlab.util.reading import open_regular, reading

SHOWN = 6
COLUMNS = 2
DETAIL = (slice(46, 94), slice(0, 48))
"""The part of the enlarged photo that is shown: small enough that its pixels are seen."""
FLOOR = -80.0
"""Decibels under the strongest frequency where the photo's curves are cut off: a null has no logarithm."""
PICTURE = 4
"""Rows and columns of images that each cell of the growing picture shows."""


@styled()
def draw_photo(enlarged: Sequence[Enlarged], path: Path) -> None:
    """Write ``path``.svg, .png and .csv: a detail after each operator, and its spectrum on theory's curve."""
    figure = new_figure(PAGE, 3.9)
    above, below = cast("Any", figure.subfigures(2, 1, height_ratios=[1.0, 1.9]))
    for axes, one in zip(above.subplots(1, len(enlarged)), enlarged, strict=True):
        axes.imshow(one.pixels[DETAIL], interpolation="nearest")
        axes.set_title(one.name)
        axes.set_axis_off()
    axes = below.subplots()
    count = len(enlarged[0].measured)
    frequencies = np.arange(count) / (2 * (count - 1))
    top = max(one.measured.max() for one in enlarged)
    for place, one in enumerate(enlarged):
        style = series_style(place)
        measured, predicted = (np.maximum(curve - top, FLOOR) for curve in (one.measured, one.predicted))
        axes.plot(
            frequencies, predicted, color=style.color, linestyle=style.dashes, linewidth=1.0,
            label=f"{one.name}, theory",
        )  # fmt: skip
        shown = slice(place, None, len(enlarged))
        axes.plot(
            frequencies[shown], measured[shown], linestyle="", marker=style.marker or "o",
            color=style.color, markersize=3.0,
        )  # fmt: skip
    axes.axvline(0.25, color="#999999", linewidth=0.6, linestyle=":")
    axes.set(xlabel="horizontal frequency (cycles per pixel)", ylabel="mean power (dB under the maximum)")
    axes.set_title("markers: measured; lines: |H|² times the small photo's repeated spectrum")
    axes.legend(ncols=2)
    save_figure(figure, path)
    header = ["frequency", *(f"{one.name}_{kind}_db" for one in enlarged for kind in ("measured", "theory"))]
    columns = [frequencies, *(curve for one in enlarged for curve in (one.measured, one.predicted))]
    write_csv(path.with_name(f"{path.name}.csv"), header, np.stack(columns, 1).tolist())


def draw_growth(runs: Sequence[Path], path: Path, side: int) -> bool:
    """Write what every run has drawn so far as one PNG: a row for each run, a column for each look at it.

    Args:
        runs: run folders.
        path: the PNG.
        side: of the images in pixels.

    Returns:
        Whether there was anything to draw.
    """
    seen = [sorted((run / "samples").glob("samples-*.png")) for run in runs]
    columns = max(map(len, seen))
    if not columns:
        return False
    # The runs' own pictures of fixed latents: 8 columns, gaps of 2 pixels.
    cell, gap = PICTURE * (side + 2), 6
    sheet = np.full((len(runs) * (cell + gap), columns * (cell + gap), 3), 255, np.uint8)
    for row, pictures in enumerate(seen):
        for column, picture in enumerate(pictures):
            y, x = row * (cell + gap), column * (cell + gap)
            with reading(picture), open_regular(picture) as stream:
                pixels = np.asarray(Image.open(stream, formats=("PNG",)).convert("RGB"))
                sheet[y : y + cell, x : x + cell] = pixels[:cell, :cell]
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary, format="PNG")
    return True


@styled()
def draw_summary(real: ImageSet, fakes: Sequence[ImageSet], path: Path, window: str) -> None:
    """Write ``path``.svg, .png and the numbers as ``path``-radial.csv, -horizontal.csv, -vertical.csv.

    Args:
        real: the reals.
        fakes: the fake sets, in the order of the legend.
        path: without suffix.
        window: a key of ``ganlab.spectra.WINDOWS``.
    """
    sets, options = [real, *fakes], SpectraOptions(window=window, metrics="basic")
    measured = [measure(real, "real", options), *(measure(one, "fake", options) for one in fakes)]
    profiles = {kind: profiles_of(measured, kind, "ganlab") for kind in ("radial", "horizontal", "vertical")}
    for kind, values in profiles.items():
        write_profiles(path.with_name(f"{path.name}-{kind}.csv"), values)
    figure = new_figure(PAGE, 5.3)
    above, below = cast("Any", figure.subfigures(2, 1, height_ratios=[1.28, 1.0]))
    for axes, images in zip(above.subplots(1, len(sets)), sets, strict=True):
        _samples(axes, images)
    left, right = below.subplots(1, 2)
    _levels(left, profiles["radial"])
    _differences(right, profiles["horizontal"], profiles["vertical"])
    save_figure(figure, path)


def _samples(axes: Axes, images: ImageSet) -> None:
    """A few images of a set under its name, so large that one sees their pixels."""
    first = next(iter(images.batches(SHOWN)))
    axes.imshow(grid(np.asarray(first), COLUMNS, gap=1), interpolation="nearest")
    axes.set_title(images.name)
    axes.set_axis_off()


def _levels(axes: Axes, radial: Profiles) -> None:
    """Radial profiles in dB."""
    measured = [curve for curve in radial.curves if curve.role in ("real", "fake")]
    for place, curve in enumerate(measured):
        style = REAL if place == 0 else series_style(place - 1)
        axes.plot(radial.frequencies, curve.level, label=curve.name, **style.line(len(curve.level), place))
    axes.set(xlabel="frequency (cycles per pixel)", ylabel="ring average of the power (dB)", xlim=(0, 0.505))
    axes.set_title(f"ring average (convention {radial.convention})")
    axes.legend()


def _differences(axes: Axes, horizontal: Profiles, vertical: Profiles) -> None:
    """What the axes see: mean of the horizontal and the vertical difference to the reals."""
    frequencies = horizontal.frequencies
    for place, (rows, columns) in enumerate(zip(horizontal.curves, vertical.curves, strict=True)):
        if rows.role not in ("fake", "null"):
            continue
        style: Any = NULL if rows.role == "null" else series_style(place - 1)
        label = "real against real" if rows.role == "null" else rows.name
        difference = (rows.difference + columns.difference) / 2
        axes.plot(frequencies, difference, label=label, **style.line(len(frequencies), place))
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.set(xlabel="frequency (cycles per pixel)", ylabel="minus the reals (dB)", xlim=(0, 0.505))
    axes.set_title("average of rows and columns, minus the reals'")
    # The sets are named on the left.
    axes.legend(handles=[line for line in axes.lines if line.get_label() == "real against real"])
