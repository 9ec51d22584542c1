"""The figures of a comparison, drawn from the numbers that lie beside them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ganlab.experiments.spectra_maps import Map, Maps
from ganlab.experiments.spectra_profiles import Curve, Profiles
from ganlab.experiments.spectra_rows import METRICS, DeviationRow
from ganlab.experiments.style import (
    COLUMN,
    DIVERGING,
    GREY,
    NULL,
    PAGE,
    REAL,
    SEQUENTIAL,
    SeriesStyle,
    new_figure,
    series_style,
    styled,
)
from ganlab.spectra.rings import FloatArray

REPLICAS = (1 / 8, 1 / 4, 1 / 2)
"""Frequencies at which the last three doublings put replicas of the mean, cycles per pixel."""
REPLICA_NAMES = ("1/8", "1/4", "1/2")
MAX_COLUMNS = 4
DRAWN_CELLS = 384
"""Maps of more cells a side are drawn with the largest value of every block: a replica is one cell wide."""
_AXIS = {"radial": "frequency", "horizontal": "horizontal frequency", "vertical": "vertical frequency"}


def set_styles(curves: Sequence[Curve]) -> list[SeriesStyle]:
    """One style a curve: reals black, null control grey, fakes by their place."""
    fakes = iter(range(len(curves)))
    special = {"real": REAL, "null": NULL}
    return [special[c.role] if c.role in special else series_style(next(fakes)) for c in curves]


@styled()
def draw_profiles(profiles: Profiles) -> Figure:
    """Levels with their bands above, differences to the reals below; one column wide."""
    rows = len(profiles.curves)
    figure = new_figure(COLUMN, 4.2 + 0.16 * rows)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.25, 1))
    # The mean's own power (DC) is brightness, not texture: it would flatten everything else.
    shown = profiles.frequencies > 0
    styles = set_styles(profiles.curves)
    for place, (curve, style) in enumerate(zip(profiles.curves, styles, strict=True)):
        _draw_curve(upper, lower, profiles.frequencies[shown], curve, shown, style.line(shown.sum(), place))
    lower.axhline(0, color=REAL.color, linewidth=0.8)
    upper.set_ylabel(f"{profiles.quantity} ({profiles.unit})")
    lower.set_ylabel(f"fake - real ({profiles.unit})")
    lower.set_xlabel(f"{_AXIS[profiles.kind]} (cycles per pixel)")
    for axes in (upper, lower):
        mark_replicas(axes)
    handles, labels = _legend_of(upper, lower)
    figure.legend(handles, labels, loc="outside lower center")
    figure.suptitle(_profile_title(profiles), fontsize=7)
    return figure


def _draw_curve(
    upper: Any, lower: Any, frequencies: FloatArray, curve: Curve, shown: Any, line: dict[str, Any]
) -> None:
    label = f"{textwrap.shorten(curve.name, 40, placeholder='…')} ({curve.count})"
    if curve.role != "null":
        upper.plot(frequencies, curve.level[shown], label=label, **line)
    if curve.low is not None and curve.high is not None:
        upper.fill_between(
            frequencies, curve.low[shown], curve.high[shown], color=line["color"], alpha=0.13, linewidth=0
        )
    if curve.role != "real":
        lower.plot(frequencies, curve.difference[shown], label=label, **line)


def _legend_of(*panels: Any) -> tuple[list[Any], list[str]]:
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


def _profile_title(profiles: Profiles) -> str:
    name = f"convention {profiles.convention}" if profiles.kind == "radial" else "mean over the other axis"
    return f"{profiles.kind} profile; {name}; window {profiles.window}\nbands: {profiles.band}"


def mark_replicas(axes: Any) -> None:
    """Thin lines at the replica frequencies, with the x axis ending at Nyquist."""
    axes.set_xlim(0, 0.505)
    for frequency in REPLICAS:
        axes.axvline(frequency, color=GREY, linewidth=0.5, linestyle=(0, (1, 2)), zorder=0)
    axes.grid(axis="y")


@styled()
def draw_maps(maps: Maps, difference: bool = False) -> Figure:
    """Panels on one colour scale: levels, or differences around zero."""
    columns = min(MAX_COLUMNS, len(maps.panels))
    rows = -(-len(maps.panels) // columns)
    width = COLUMN if columns < 3 else PAGE
    figure = new_figure(width, rows * (width - 0.9) / columns + 0.55)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    low, high = _symmetric(maps) if difference else _limits(maps)
    options = {"cmap": DIVERGING if difference else SEQUENTIAL, "vmin": low, "vmax": high}
    for axes, panel in zip(grid.flat, maps.panels, strict=False):
        picture = _draw_map(axes, maps, panel, options)
    for axes in list(grid.flat)[len(maps.panels) :]:
        axes.remove()
    name = "fake - real (dB)" if difference else "mean log power (dB)"
    figure.colorbar(picture, ax=list(grid.flat), label=name, extend="both", shrink=0.9, pad=0.015)
    figure.supxlabel("horizontal frequency (cycles per pixel)", fontsize=8)
    figure.supylabel("vertical frequency (cycles per pixel)", fontsize=8)
    figure.suptitle(f"mean over images of 10 log10 |F|²/(HW), luma; window {maps.window}", fontsize=7)
    return figure


def _draw_map(axes: Any, maps: Maps, panel: Map, options: dict[str, Any]) -> Any:
    height, width = panel.level.shape
    edges = [
        maps.horizontal[0] - 0.5 / width, maps.horizontal[-1] + 0.5 / width,
        maps.vertical[0] - 0.5 / height, maps.vertical[-1] + 0.5 / height,
    ]  # fmt: skip
    cells = pooled(panel.level, options["cmap"] == DIVERGING)
    picture = axes.imshow(cells, origin="lower", extent=edges, aspect="equal", **options)
    axes.set_title("\n".join([*textwrap.wrap(panel.name, 24), f"{panel.count} images"]))
    ticks = [-1 / 2, -1 / 4, 0, 1 / 4, 1 / 2]
    names = ["-1/2", "-1/4", "0", "1/4", "1/2"]
    axes.set_xticks(ticks, names)
    axes.set_yticks(ticks, names)
    marks = [-1 / 8, 1 / 8]
    axes.set_xticks(marks, minor=True)
    axes.set_yticks(marks, minor=True)
    for which, length in (("major", 3), ("minor", 1.5)):
        axes.tick_params(which=which, direction="inout", length=length * 2, top=True, right=True, width=0.5)
    for spine in axes.spines.values():
        spine.set_visible(True)
    return picture


def pooled(level: FloatArray, difference: bool) -> FloatArray:
    """The map at no more than ``DRAWN_CELLS`` cells a side.

    Every block becomes its largest value, in difference maps the one farthest from zero.
    """
    step = -(-max(level.shape) // DRAWN_CELLS)
    if step == 1:
        return level
    blocks = np.pad(level, [(0, -size % step) for size in level.shape], mode="edge")
    height, width = blocks.shape[0] // step, blocks.shape[1] // step
    cells = blocks.reshape(height, step, width, step).swapaxes(1, 2).reshape(height, width, -1)
    chosen = (np.abs(cells) if difference else cells).argmax(-1)
    picked: FloatArray = np.take_along_axis(cells, chosen[..., None], -1)[..., 0]
    return picked


def _without_dc(maps: Maps) -> FloatArray:
    keep = ~((maps.vertical[:, None] == 0) & (maps.horizontal[None, :] == 0))
    return np.stack([panel.level[keep] for panel in maps.panels])


def _limits(maps: Maps) -> tuple[float, float]:
    """From the lowest half percent to the highest cell beside DC."""
    values = _without_dc(maps)
    return float(np.percentile(values, 0.5)), float(values.max())


def _symmetric(maps: Maps) -> tuple[float, float]:
    """Symmetric about zero, at least 1 dB."""
    bound = max(1.0, float(np.percentile(np.abs(_without_dc(maps)), 99.5)))
    return -bound, bound


CHART_METRICS = ("mean_abs_db", "high_db", "nyquist_db")


@styled()
def draw_rows(rows: Sequence[DeviationRow], window: str) -> Figure:
    """The table as a chart: a panel a metric, a line a set, intervals where there are any."""
    figure = new_figure(PAGE, 0.95 + 0.27 * len(rows))
    panels = figure.subplots(1, len(CHART_METRICS), sharey=True)
    for axes, name in zip(panels, CHART_METRICS, strict=True):
        fakes = iter(range(len(rows)))
        for place, row in enumerate(rows):
            style = NULL if row.role == "null" else series_style(next(fakes))
            _draw_estimate(axes, place, row, name, style)
        axes.axvline(0, color=GREY, linewidth=0.6)
        axes.grid(axis="x")
        axes.set_xlabel(f"{METRICS[name].title} ({METRICS[name].unit})")
    panels[0].set_yticks(range(len(rows)), [textwrap.shorten(r.name, 32, placeholder="…") for r in rows])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    figure.suptitle(f"difference to the reals in dB; convention ganlab; window {window}", fontsize=7)
    return figure


def _draw_estimate(axes: Any, place: int, row: DeviationRow, name: str, style: SeriesStyle) -> None:
    value = row[name]
    if value.low is not None and value.high is not None:
        axes.plot([value.low, value.high], [place, place], color=style.color, linewidth=1.5)
    axes.plot([value.value], [place], color=style.color, marker=style.marker or "o", markersize=5,
              markerfacecolor="white" if row.role == "null" else style.color)  # fmt: skip
