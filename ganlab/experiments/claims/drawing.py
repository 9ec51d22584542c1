"""Drawings that several experiments share: curves, bars with intervals, maps over the frequency plane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from ganlab.experiments.claims.outcome import Drawing
from ganlab.experiments.detection.figures import write_cells
from ganlab.forensics import Interval
from ganlab.results.style import NULL, PAGE, REAL, SEQUENTIAL, new_figure, series_style, styled

Floats = npt.NDArray[np.float64]
REAL_NAMES, NULL_NAMES = ("real",), ("real (null)", "real vs real")


def styles(names: Iterable[str]) -> dict[str, Any]:
    """Name -> style: the reals and the null have their own, and the k-th other name the k-th one.

    So a set looks alike in a figure with the reals and in one that shows what differs from them.
    """
    found, others = {}, 0
    for name in dict.fromkeys(names):
        if name in REAL_NAMES:
            found[name] = REAL
        elif name in NULL_NAMES or name.startswith("null"):
            found[name] = NULL
        else:
            found[name] = series_style(others)
            others += 1
    return found


def legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Below the axes, at most four a row, rows of about equal length."""
    rows = -(-len(labels) // 4)
    figure.legend(handles, labels, loc="outside lower center", ncols=-(-len(labels) // rows))


@styled()
def curves(
    stem: str,
    caption: str,
    x: Floats,
    panels: Mapping[str, Mapping[str, Floats]],
    xlabel: str,
    ylabel: str,
    zero: bool = False,
) -> Drawing:
    """Panels of curves over one axis, with one legend.

    Args:
        stem: file name.
        caption: what it shows.
        x: of all curves ``(K,)``.
        panels: title -> name -> values ``(K,)``.
        xlabel: below.
        ylabel: beside the first panel.
        zero: draw the line of no difference.
    """
    figure = new_figure(PAGE, 2.9)
    axes = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for axis, (title, lines) in zip(axes, panels.items(), strict=True):
        own = styles(lines)
        for place, (name, values) in enumerate(lines.items()):
            axis.plot(x, values, label=name, **own[name].line(len(x), place))
        if zero:
            axis.axhline(0.0, color="black", linewidth=0.5)
        axis.set(title=title, xlabel=xlabel)
    axes[0].set_ylabel(ylabel)
    legend(figure, *axes[0].get_legend_handles_labels())
    header = [xlabel, *(f"{title}: {name}" for title, lines in panels.items() for name in lines)]
    columns = [x, *(values for lines in panels.values() for values in lines.values())]
    return Drawing(stem, figure, caption, header, np.stack(columns, 1).tolist())


@styled()
def bars(
    stem: str,
    caption: str,
    groups: Mapping[str, Mapping[str, Interval]],
    ylabel: str,
    level: float | None = None,
    limits: tuple[float, float] | None = None,
) -> Drawing:
    """Groups of bars with their intervals.

    Args:
        stem: file name.
        caption: what it shows.
        groups: name below the axis -> series -> value; all groups have the same series.
        ylabel: of the values.
        level: a line across, such as chance.
        limits: of the vertical axis.
    """
    series = list(dict.fromkeys(name for group in groups.values() for name in group))
    figure = new_figure(PAGE, 2.9)
    axes: Any = figure.subplots()
    width, looks = 0.8 / len(series), styles(series)
    for place, name in enumerate(series):
        style = looks[name]
        at = [k for k, group in enumerate(groups.values()) if name in group]
        own = [group[name] for group in groups.values() if name in group]
        ends = [
            [max(0.0, one.value - one.low) for one in own],
            [max(0.0, one.high - one.value) for one in own],
        ]
        places, heights = [k - 0.4 + (place + 0.5) * width for k in at], [one.value for one in own]
        # Where the axis does not show 0, bars grow from chance: their length then means something.
        base = level if level is not None and limits is not None and limits[0] > 0 else 0.0
        axes.bar(
            places, [height - base for height in heights], width * 0.92, bottom=base, yerr=ends,
            color=style.color, hatch=style.hatch, edgecolor="white", linewidth=0.4, label=name,
            error_kw={"elinewidth": 0.7},
        )  # fmt: skip
    if level is not None:
        axes.axhline(level, color=NULL.color, linewidth=0.8)
    turned = sum(map(len, groups)) > 70
    axes.set_xticks(
        range(len(groups)), groups, rotation=30 if turned else 0, ha="right" if turned else "center"
    )
    axes.set_ylabel(ylabel)
    if limits:
        axes.set_ylim(*limits)
    legend(figure, *axes.get_legend_handles_labels())
    rows = [[group, name, *one.as_list()] for group, own in groups.items() for name, one in own.items()]
    return Drawing(stem, figure, caption, ("group", "series", "value", "low", "high"), rows)


@styled()
def planes(
    stem: str,
    caption: str,
    maps: Sequence[tuple[str, Floats]],
    quantity: str,
    over: Literal["frequency", "lag", "DCT"] = "frequency",
    diverging: bool = False,
) -> Drawing:
    """Maps on one scale.

    Args:
        stem: file name.
        caption: what it shows.
        maps: name and values ``(H, W)``.
        quantity: what the values are.
        over: what the maps go over: frequency or lag with zero in the middle, or a DCT from the upper left.
        diverging: values that go both ways from zero.
    """
    across = min(len(maps), 5 if len(maps) == 5 else 4)
    down = -(-len(maps) // across)
    figure = new_figure(PAGE, 0.75 + 5.6 / max(across, 3) * down)
    grid = np.atleast_1d(figure.subplots(down, across, squeeze=False)).ravel()
    values = np.concatenate([plane.ravel() for _, plane in maps])
    low, high = (float(end) for end in np.percentile(values, (0.5, 99.5)))
    if diverging:
        high = max(abs(low), abs(high), 1e-9)
        low = -high
    for axes in grid[len(maps) :]:
        axes.set_axis_off()
    height, width = maps[0][1].shape
    (left, right), (top, bottom) = _ends(width, over), _ends(height, over)
    for place, (axes, (name, plane)) in enumerate(zip(grid, maps, strict=False)):
        colours = "RdBu_r" if diverging else SEQUENTIAL
        picture = axes.imshow(
            plane, cmap=colours, vmin=low, vmax=high, origin="upper", extent=(left, right, bottom, top)
        )
        axes.set_title(name)
        if over != "lag":
            axes.set_xticks(*TICKS[over])
            axes.set_yticks(*TICKS[over])
        axes.tick_params(labelleft=place % across == 0)
    unit = "lag (pixels)" if over == "lag" else "frequency (cycles per pixel)"
    figure.supxlabel(f"horizontal and, downwards, vertical {unit}", fontsize=8)
    figure.colorbar(picture, ax=list(grid), label=quantity, extend="both")
    note = "zero at the upper left" if over == "DCT" else "zero in the middle"
    rows = [[name, y, *row] for name, plane in maps for y, row in enumerate(plane.tolist())]
    header = ("map", f"row ({note})", *(f"column {x}" for x in range(maps[0][1].shape[1])))
    return Drawing(stem, figure, caption, header, rows, ink=False)


TICKS = {"frequency": ([-0.5, 0, 0.5], ["-1/2", "0", "1/2"]), "DCT": ([0, 0.25, 0.5], ["0", "1/4", "1/2"])}
"""Axis of a map -> where its ticks stand, and their names."""


def _ends(count: int, over: str) -> tuple[float, float]:
    """Where so many cells begin and end; each stands on its frequency or lag.

    An odd count has Nyquist at both ends: images have even sides.
    """
    if over == "DCT":
        return -0.25 / count, 0.5 - 0.25 / count
    first = -(count // 2) - 0.5
    period = 1 if over == "lag" else count - count % 2
    return first / period, (first + count) / period


@styled()
def confusion(stem: str, caption: str, names: Sequence[str], shares: Floats) -> Drawing:
    """Whose images (row) are called whose (column), as shares of the row.

    Args:
        stem: file name.
        caption: what it shows.
        names: of the classes.
        shares: ``(K, K)``.
    """
    figure = new_figure(min(PAGE, 1.9 + 0.45 * len(names)), 1.4 + 0.3 * len(names))
    axes: Any = figure.subplots()
    picture = axes.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    write_cells(axes, shares, 2, dark=shares <= 0.5, fontsize=6.5)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="called", ylabel="made by")
    figure.colorbar(picture, ax=axes, label="share of the row")
    rows = [[name, *row] for name, row in zip(names, shares.tolist(), strict=True)]
    return Drawing(stem, figure, caption, ("made by", *names), rows, ink=False)
