"""One picture of the quickstart: samples above, spectra below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes

from ganlab.data import ImageSet
from ganlab.experiments.spectra.measure import measure
from ganlab.experiments.spectra.options import SpectraOptions
from ganlab.experiments.spectra.profiles import Profiles, profiles_of
from ganlab.experiments.spectra.tables import write_profiles
from ganlab.results.style import NULL, PAGE, REAL, new_figure, save_figure, series_style, styled
from ganlab.training.monitor import grid

SHOWN = 16
COLUMNS = 4


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
    figure = new_figure(PAGE, 4.6)
    above, below = cast("Any", figure.subfigures(2, 1, height_ratios=[1.0, 1.35]))
    for axes, images in zip(above.subplots(1, len(sets)), sets, strict=True):
        _samples(axes, images)
    left, right = below.subplots(1, 2)
    _levels(left, profiles["radial"])
    _differences(right, profiles["horizontal"], profiles["vertical"])
    save_figure(figure, path)


def _samples(axes: Axes, images: ImageSet) -> None:
    """A few images of a set under its name."""
    first = next(iter(images.batches(SHOWN)))
    axes.imshow(grid(np.asarray(first), COLUMNS))
    axes.set_title(images.name)
    axes.set_axis_off()


def _levels(axes: Axes, radial: Profiles) -> None:
    """Radial profiles in dB."""
    measured = [curve for curve in radial.curves if curve.role in ("real", "fake")]
    for place, curve in enumerate(measured):
        style = REAL if place == 0 else series_style(place - 1)
        axes.plot(radial.frequencies, curve.level, label=curve.name, **style.line(len(curve.level), place))
    axes.set(xlabel="frequency (cycles per pixel)", ylabel="mean radial power (dB)")
    axes.set_title(f"radial profile, convention {radial.convention}, window {radial.window}")
    axes.legend()


def _differences(axes: Axes, horizontal: Profiles, vertical: Profiles) -> None:
    """What the axes see: mean of the horizontal and the vertical difference to the reals."""
    frequencies = horizontal.frequencies
    for place, (rows, columns) in enumerate(zip(horizontal.curves, vertical.curves, strict=True)):
        if rows.role not in ("fake", "null"):
            continue
        style: Any = NULL if rows.role == "null" else series_style(place - 1)
        label = "real against real" if rows.role == "null" else None
        difference = (rows.difference + columns.difference) / 2
        axes.plot(frequencies, difference, label=label, **style.line(len(frequencies), place))
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.set(xlabel="frequency (cycles per pixel)", ylabel="power against the reals (dB)")
    axes.set_title(f"row and column profiles, mean of both, window {horizontal.window}")
    axes.legend()
