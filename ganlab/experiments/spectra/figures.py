"""The figures of a comparison, drawn from the numbers that lie beside them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ganlab.experiments.spectra.measure import Map, Maps
from ganlab.experiments.spectra.profiles import Curve, Profiles
from ganlab.experiments.spectra.tables import SHOWN, TITLES, DeviationRow
from ganlab.results.style import (
    BLACK,
    COLUMN,
    DIVERGING,
    GREY,
    NULL,
    PAGE,
    REAL,
    SEQUENTIAL,
    VERMILION,
    SeriesStyle,
    new_figure,
    series_style,
    styled,
)
from ganlab.spectra import Deviation, replica_frequencies
from ganlab.spectra.rings import FloatArray

REPLICAS = tuple(places[0] for places in replica_frequencies(3).values())
"""Frequencies at which the last three doublings put replicas of the mean, cycles per pixel."""
MAX_COLUMNS = 4
DRAWN_CELLS = 384
"""Maps of more cells a side are drawn with the largest value of every block: a replica is one cell wide."""
MANY_MARKS = 40
"""Rings from which they are drawn smaller."""
BANDS_UP_TO = 5
"""Curves up to which every set's band is drawn."""
THEORY_DASHES: tuple[Any, ...] = ((0, (1, 1)), (0, (4, 1.5)), (0, (4, 1, 1, 1)), (0, (8, 2)))
THEORY_ROOM = 8.0
"""How far below the measured differences a prediction may pull the axis, dB."""
FLOOR_ROOM = 6.0
"""The floor of 8-bit images is drawn where the axis of levels ends no farther above it, dB."""
_AXIS = {"radial": "frequency", "horizontal": "horizontal frequency", "vertical": "vertical frequency"}


def set_styles(curves: Sequence[Curve]) -> list[SeriesStyle]:
    """One style a curve: reals black, null control grey, fakes by their place."""
    fakes = iter(range(len(curves)))
    special = {"real": REAL, "null": NULL}
    return [special[c.role] if c.role in special else series_style(next(fakes)) for c in curves]


@styled()
def draw_profiles(profiles: Profiles) -> Figure:
    """Levels with their bands above, differences to the reals below; one column wide."""
    entries = len(profiles.curves) + len(profiles.theory)
    figure = new_figure(COLUMN, 4.0 + 0.15 * entries)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.2, 1))
    # The mean's own power (DC) is brightness, not texture: it would flatten everything else.
    shown = profiles.frequencies > 0
    _draw_curves(upper, lower, profiles, shown)
    _draw_theory(lower, profiles, shown)
    lower.axhline(0, color=REAL.color, linewidth=0.8)
    unit = f" ({profiles.unit})" if profiles.unit else ""
    upper.set_ylabel(profiles.quantity + unit)
    lower.set_ylabel(f"minus real{unit}")
    lower.set_xlabel(f"{_AXIS[profiles.kind]} (cycles per pixel)")
    _draw_floor(upper, profiles)
    for axes in (upper, lower):
        mark_replicas(axes, float(profiles.frequencies[-1]))
    handles, labels = _legend_of(upper, lower)
    figure.legend(handles, labels, loc="outside lower center")
    figure.suptitle(_profile_title(profiles), fontsize=7)
    return figure


def _draw_floor(upper: Any, profiles: Profiles) -> None:
    """Where the axis comes near it: below, there is nothing to be seen in 8-bit images."""
    low, high = upper.get_ylim()
    if profiles.floor is None or low > profiles.floor + FLOOR_ROOM:
        return
    upper.axhline(profiles.floor, color=GREY, linewidth=0.8, linestyle=(0, (6, 2)), zorder=0.8)
    upper.text(0.02, profiles.floor, "floor of 8-bit images", fontsize=6, color=GREY, va="bottom")
    upper.set_ylim(min(low, profiles.floor - 1.5), high)


def _draw_curves(upper: Any, lower: Any, profiles: Profiles, shown: Any) -> None:
    frequencies = profiles.frequencies[shown]
    for place, (curve, style) in enumerate(zip(profiles.curves, set_styles(profiles.curves), strict=True)):
        label = f"{textwrap.shorten(curve.name, 38, placeholder='…')} ({curve.count} images)"
        line = style.line(len(frequencies), place)
        if curve.role != "null":
            upper.plot(frequencies, curve.level[shown], label=label, **line)
        if curve.role != "real":
            lower.plot(frequencies, curve.difference[shown], label=label, **line)
        if curve.low is not None and curve.high is not None and _has_band(profiles, curve):
            ends = curve.low[shown], curve.high[shown]
            upper.fill_between(frequencies, *ends, color=style.color, alpha=0.13, linewidth=0)


def _has_band(profiles: Profiles, curve: Curve) -> bool:
    """With many sets only the reals' band is drawn (all are in the numbers): more would hide each other."""
    return curve.role == "real" or len(profiles.curves) <= BANDS_UP_TO


def _draw_theory(lower: Any, profiles: Profiles, shown: Any) -> None:
    """Predictions, without letting an exact null (minus infinity) set the scale."""
    limits = np.array(lower.get_ylim())
    reach = limits[0] - THEORY_ROOM, limits[1] + THEORY_ROOM
    for curve, dashes in zip(profiles.theory, cycle(THEORY_DASHES)):
        values = curve.difference[shown]
        lower.plot(profiles.frequencies[shown], values, color=BLACK, linestyle=dashes, linewidth=0.9,
                   label=curve.name, zorder=1.5)  # fmt: skip
        inside = values[(values > reach[0]) & (values < reach[1])]
        limits = np.array([min([limits[0], *inside]), max([limits[1], *inside])])
    lower.set_ylim(*limits)


def _legend_of(*panels: Any) -> tuple[list[Any], list[str]]:
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


def _profile_title(profiles: Profiles) -> str:
    names = {
        "radial": f"ring average; convention {profiles.convention}",
        "horizontal": "row spectrum: mean over the vertical frequencies",
        "vertical": "column spectrum: mean over the horizontal frequencies",
    }
    name = names.get(profiles.kind, f"{profiles.kind} profile; mean over the other axis")
    return f"{name}; window {profiles.window}\nbands: {profiles.band}"


def mark_replicas(axes: Any, end: float = 0.5) -> None:
    """Thin lines at the replica frequencies; the x axis ends with the profile."""
    axes.set_xlim(0, 1.01 * max(end, 0.5))
    for frequency in REPLICAS:
        axes.axvline(frequency, color=GREY, linewidth=0.5, linestyle=(0, (1, 2)), zorder=0)
    axes.grid(axis="y")


@styled()
def draw_maps(maps: Maps, difference: bool = False) -> Figure:
    """Panels on one colour scale: levels, or differences around zero."""
    low, high = _symmetric(maps) if difference else _limits(maps)
    options = {"cmap": DIVERGING if difference else SEQUENTIAL, "vmin": low, "vmax": high}
    figure, bar = _draw_panels(maps, options, "both")
    bar.set_label("minus real (dB)" if difference else "mean log power (dB)")
    title = f"mean over images of 10 log10 |F|²/(HW), luma; window {maps.window}"
    figure.suptitle(title + _RINGED if any(panel.marks for panel in maps.panels) else title, fontsize=7)
    return figure


_RINGED = "; rings: lattice lines"


@styled()
def draw_p_values(maps: Maps, alpha: float) -> Figure:
    """Maps of log10 of the adjusted p-values: dark where a single coefficient is significant.

    Args:
        maps: as ``lines.p_value_maps`` gives them.
        alpha: drawn in the colour bar.
    """
    least = min(-1.0, *(float(panel.level.min()) for panel in maps.panels))
    # The values themselves on a logarithmic scale, so that a map is read as p.
    values = replace(maps, panels=tuple(replace(p, level=10.0**p.level) for p in maps.panels))
    scale = {"cmap": SEQUENTIAL, "norm": LogNorm(10.0**least, 1.0)}
    figure, bar = _draw_panels(values, scale, "neither")
    ticks = [1.0, alpha, *(10.0**step for step in range(-1, round(least) - 1, -1) if step >= least)]
    bar.set_ticks(ticks, labels=[f"{tick:.3g}" for tick in ticks])
    bar.minorticks_off()
    bar.set_label("p, adjusted for the whole plane")
    bar.ax.axhline(alpha, color=VERMILION, linewidth=1.2)
    figure.suptitle(
        "single coefficients: does the fakes' prominence, phase or texture differ from the reals'? "
        f"Hann window{_RINGED}", fontsize=7,
    )  # fmt: skip
    return figure


def columns_of(panels: int) -> int:
    """In how many columns so many maps stand: up to 4 in a row, then as few empty places as can be."""
    if panels <= MAX_COLUMNS:
        return panels
    return min((MAX_COLUMNS, MAX_COLUMNS - 1), key=lambda columns: -panels % columns)


def _draw_panels(maps: Maps, options: dict[str, Any], extend: str) -> tuple[Figure, Any]:
    """Every map with its axes; the figure and its colour bar."""
    columns = columns_of(len(maps.panels))
    rows = -(-len(maps.panels) // columns)
    width = COLUMN if columns < 3 else PAGE
    side = (width - 1.3) / columns - 0.1
    figure = new_figure(width, rows * (side + 0.42) + 0.42)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, panel in zip(grid.flat, maps.panels, strict=False):
        picture = _draw_map(axes, panel, options, sparse=width == COLUMN)
    for axes in list(grid.flat)[len(maps.panels) :]:
        axes.set_axis_off()
    for axes in list(grid.flat)[len(maps.panels) - columns : len(maps.panels)]:
        axes.tick_params(labelbottom=True)
    bar = figure.colorbar(picture, ax=list(grid.flat), extend=extend, shrink=0.9, pad=0.015)
    figure.supxlabel("horizontal frequency (cycles per pixel)", fontsize=8)
    figure.supylabel("vertical (cycles per pixel)", fontsize=8)
    return figure, bar


def _draw_map(axes: Any, panel: Map, options: dict[str, Any], sparse: bool) -> Any:
    level = closed(panel.level)
    edge_x, edge_y = (0.5 / size for size in panel.level.shape[::-1])
    reach = [-0.5 - edge_x, 0.5 + edge_x, -0.5 - edge_y, 0.5 + edge_y]
    if panel.level.shape[1] % 2:
        reach[:2] = [-0.5, 0.5]
    if panel.level.shape[0] % 2:
        reach[2:] = [-0.5, 0.5]
    cells = pooled(level, options["cmap"] == DIVERGING)
    picture = axes.imshow(cells, origin="lower", extent=reach, aspect="equal", **options)
    axes.set_title("\n".join([*textwrap.wrap(panel.name, 24), f"{panel.count} images"]))
    mark_plane(axes, sparse)
    if panel.marks:
        fy, fx = zip(*panel.marks, strict=True)
        size = 26 if len(fx) < MANY_MARKS else 8
        # Rings, so that the cell itself stays to be seen; not cut off where they stand on the border.
        for color, line in (("white", 1.8), (BLACK, 0.8)):
            axes.scatter(fx, fy, s=size, facecolors="none", edgecolors=color, linewidths=line, clip_on=False,
                         zorder=5)  # fmt: skip
    return picture


_PLANE = {-1 / 2: "-1/2", -1 / 4: "-1/4", 0.0: "0", 1 / 4: "1/4", 1 / 2: "1/2"}


def mark_plane(axes: Any, sparse: bool = False) -> None:
    """Ticks on all four sides at the replica frequencies; ``sparse`` names Nyquist and zero alone."""
    named = {f: name for f, name in _PLANE.items() if not sparse or f in (-0.5, 0, 0.5)}
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(list(named), list(named.values()))
        axis.set_ticks([f for f in (-1 / 4, -1 / 8, 1 / 8, 1 / 4) if f not in named], minor=True)
    # Towards the middle, so that the names of neighbouring panels do not touch.
    labels = axes.get_xticklabels()
    for label, side in [(label, "left") for label in labels[:1]] + [
        (label, "right") for label in labels[1:][-1:]
    ]:
        label.set_horizontalalignment(side)
    for which, length in (("major", 5), ("minor", 2.5)):
        axes.tick_params(which=which, direction="inout", length=length, top=True, right=True, width=0.5)
    for spine in axes.spines.values():
        spine.set_visible(True)


def closed(level: FloatArray) -> FloatArray:
    """The map with the Nyquist row and column of even sizes on both sides, so that it is symmetric."""
    return np.pad(level, [(0, 1 - size % 2) for size in level.shape], mode="wrap")


def pooled(level: FloatArray, difference: bool, most: int = DRAWN_CELLS) -> FloatArray:
    """The map at no more than ``most`` cells a side.

    Every block becomes its largest value, in difference maps the one farthest from zero.
    """
    step = -(-max(level.shape) // most)
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
    """From the lowest half percent to the highest, DC left out."""
    low, high = np.percentile(_without_dc(maps), (0.5, 99.5))
    return float(low), float(high)


def _symmetric(maps: Maps) -> tuple[float, float]:
    """Symmetric about zero, at least 1 dB; a few cells at the floor do not set the scale of all others."""
    bound = max(1.0, float(np.percentile(np.abs(_without_dc(maps)), 98)))
    return -bound, bound


@styled()
def draw_rows(rows: Sequence[DeviationRow], window: str) -> Figure:
    """The table as a chart: a panel a metric, a line a set, intervals, and the null control as a grey bar."""
    figure = new_figure(PAGE, 0.95 + 0.27 * len(rows))
    panels = figure.subplots(1, len(SHOWN), sharey=True)
    for axes, name in zip(panels, SHOWN, strict=True):
        fakes = iter(range(len(rows)))
        for place, row in enumerate(rows):
            style = NULL if row.role == "null" else series_style(next(fakes))
            draw_deviation(axes, place, row[name], style, bound=row.bounds.get(name, ""))
        axes.axvline(0, color=BLACK, linewidth=0.6)
        axes.grid(axis="x")
        axes.set_xlabel(TITLES[name])
    panels[0].set_yticks(range(len(rows)), [textwrap.shorten(r.name, 32, placeholder="…") for r in rows])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    note = "line: 95 % interval over images; grey: real against real of the same counts"
    figure.suptitle(f"fakes against reals; ring averages; window {window}; {note}", fontsize=7)
    return figure


def draw_deviation(
    axes: Any, place: float, value: Deviation, style: SeriesStyle, height: float = 0.6, bound: str = ""
) -> None:
    """A number with its interval at height ``place``, over the null control's; an arrow at a bound."""
    if value.null_low is not None and value.null_high is not None:
        width = value.null_high - value.null_low
        axes.barh(place, width, height, value.null_low, color="#D0D0D0", linewidth=0, zorder=0.5)
    if value.low is not None and value.high is not None:
        axes.plot([value.low, value.high], [place, place], color=style.color, linewidth=1.4)
    axes.plot([value.value], [place], color=style.color, marker=style.marker or "o", markersize=4.5,
              markerfacecolor="white", markeredgewidth=1.1)  # fmt: skip
    if bound:
        arrow, offset = ("$\\leftarrow$", -9) if bound == "<=" else ("$\\rightarrow$", 9)
        axes.annotate(arrow, (value.value, place), xytext=(offset, 0), ha="center", va="center",
                      textcoords="offset points", color=style.color)  # fmt: skip


_DIRECTIONS = ("horizontal", "vertical", "diagonal")
_DIVISORS = (2, 4, 8)


@styled()
def draw_peaks(rows: Sequence[DeviationRow], window: str) -> Figure | None:
    """Peaks at the replica frequencies, fake minus real: a panel a direction, a line a frequency and set."""
    shown = {
        (direction, divisor): f"peak_{direction}_{divisor}"
        for direction in _DIRECTIONS
        for divisor in _DIVISORS
        if f"peak_{direction}_{divisor}" in rows[0].values
    }
    divisors = [n for n in _DIVISORS if any(n == key[1] for key in shown)]
    if not divisors:
        return None
    figure = new_figure(PAGE, max(2.4, 1.2 + 0.13 * len(rows) * len(divisors)))
    panels = figure.subplots(1, len(_DIRECTIONS), sharex=True, sharey=True)
    for axes, direction in zip(panels, _DIRECTIONS, strict=True):
        for group, divisor in enumerate(divisors):
            if (direction, divisor) in shown:
                _draw_group(axes, group, rows, shown[direction, divisor])
        axes.axvline(0, color=BLACK, linewidth=0.6)
        axes.grid(axis="x")
        axes.set_xlabel(f"{direction}: local peak, minus real (dB)")
    panels[0].set_yticks(range(len(divisors)), [f"1/{n}" for n in divisors])
    panels[0].set_ylabel("frequency\n(cycles per pixel)")
    panels[0].set_ylim(len(divisors) - 0.5, -0.5)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    title = "local peaks at the replica frequencies over neighbouring bins; grey: real against real"
    figure.suptitle(f"{title}; window {window}", fontsize=7)
    return figure


def _draw_group(axes: Any, group: int, rows: Sequence[DeviationRow], metric: str) -> None:
    """All sets at one frequency, side by side."""
    step = 0.8 / len(rows)
    for place, row in enumerate(rows):
        style = NULL if row.role == "null" else series_style(place)
        height = group - 0.4 + step * (place + 0.5)
        draw_deviation(axes, height, row[metric], style, step, row.bounds.get(metric, ""))
        if group == 0:
            axes.plot([], [], color=style.color, marker=style.marker or "o", markerfacecolor="white",
                      label=textwrap.shorten(row.name, 32, placeholder="…"))  # fmt: skip
