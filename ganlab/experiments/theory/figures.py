"""The figures of ``ganlab theory``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ganlab.experiments.spectra.figures import closed, mark_plane, mark_replicas, pooled
from ganlab.experiments.theory.learned import LearnedRow
from ganlab.results.style import (
    BLACK,
    COLUMN,
    GREY,
    PAGE,
    SEQUENTIAL,
    new_figure,
    series_style,
    styled,
)
from ganlab.spectra import spectral_nulls
from ganlab.spectra.rings import FloatArray
from ganlab.spectra.transforms import full_plane

FLOOR = -60.0
"""Deepest level drawn, dB; nulls go on to minus infinity."""

Levels = Mapping[tuple[str, int], FloatArray]


@styled()
def draw_layers(layers: Sequence[LearnedRow]) -> Figure:
    """Gain of every learned layer along the horizontal axis, over that at zero."""
    figure = new_figure(COLUMN, 2.4 + 0.13 * len(layers))
    axes = figure.subplots()
    for place, layer in enumerate(layers):
        level = 20 * np.log10(np.maximum(layer.response / max(layer.response[0], 1e-30), 1e-15))
        frequencies = np.arange(len(level)) / (2 * (len(level) - 1))
        label = textwrap.shorten(f"{layer.generator}: {layer.stage}", 60, placeholder="…")
        line = series_style(place).line(len(level), place)
        axes.plot(frequencies, np.maximum(level, FLOOR), label=label, **line)
    axes.set(ylabel="gain over that at 0 (dB)", xlabel="output frequency (cycles per pixel)")
    mark_replicas(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center")
    figure.suptitle("learned upsampling layers, white input", fontsize=7)
    return figure


@styled()
def draw_responses(responses: Mapping[str, FloatArray]) -> Figure:
    """Response of every operator along one axis, and below how far it pushes images down."""
    figure = new_figure(COLUMN, 4.6)
    upper, lower = figure.subplots(2, 1, height_ratios=(1.3, 1))
    for place, (name, values) in enumerate(responses.items()):
        frequencies = np.arange(len(values)) / (2 * (len(values) - 1))
        line = series_style(place).line(len(values), place)
        with np.errstate(divide="ignore"):
            level = 20 * np.log10(values)
        for null in spectral_nulls(name):
            # An exact null between two points of the grid would be drawn as deep as they happen to be.
            level[round(null.frequency * 2 * (len(values) - 1))] = 2 * FLOOR
        upper.plot(frequencies, np.maximum(level, 2 * FLOOR), label=name, **line)
        count = (len(values) - 1) // 2 + 1
        rejection = level[:count] - level[::-1][:count]
        lower.plot(frequencies[:count], np.minimum(rejection, -2 * FLOOR), **line)
    upper.set_ylim(FLOOR, 3)
    upper.axvspan(0.25, 0.5, color=GREY, alpha=0.12, linewidth=0)
    upper.text(0.49, 0, "images", ha="right", va="top", fontsize=7)
    upper.set(ylabel="|H| (dB)", xlabel="output frequency (cycles per pixel)")
    mark_replicas(upper)
    lower.set_ylim(0, -FLOOR)
    lower.set_xlim(0, 0.25)
    lower.grid(axis="y")
    lower.set(ylabel="image rejection (dB)", xlabel="output frequency f; its image is at 1/2 - f")
    figure.legend(*upper.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle("fixed x2 operators along one axis", fontsize=7)
    return figure


@styled()
def draw_replicas(profiles: Levels, size: int) -> Figure:
    """A natural spectrum after one doubling, two, ...: what is missing and what is too much."""
    names, stages = _keys(profiles)
    figure = new_figure(PAGE, 2.9)
    panels = figure.subplots(1, len(stages), sharey=True)
    for axes, count in zip(panels, stages, strict=True):
        for place, name in enumerate(names):
            level = profiles[name, count]
            frequencies = np.arange(len(level)) / size
            shown = np.where(np.isfinite(level), np.maximum(level, 3 * FLOOR), 3 * FLOOR)[1:]
            line = series_style(place).line(len(shown), place)
            axes.plot(frequencies[1:], shown, label=name, **line)
        axes.axhline(0, color=BLACK, linewidth=0.6)
        axes.axvline(0.5 / 2**count, color=BLACK, linewidth=0.6)
        axes.set_ylim(-40, 22)
        mark_replicas(axes)
        axes.set_title(f"{count} doubling" + ("s" if count > 1 else ""))
        axes.set_xlabel("frequency (cycles per pixel)")
    panels[0].set_ylabel("minus 1/f² (dB)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names))
    note = "mean over the other axis; upright line: Nyquist of the input"
    figure.suptitle(f"a 1/f² spectrum after fixed doublings to {size} pixels; {note}", fontsize=7)
    return figure


@styled()
def draw_replica_maps(maps: Levels, size: int) -> Figure:
    """White noise after one doubling, two, ...: a row a number of stages, a column an operator."""
    names, stages = _keys(maps)
    side = (PAGE - 1.4) / len(names) - 0.08
    figure = new_figure(PAGE, len(stages) * (side + 0.1) + 0.95)
    grid = figure.subplots(len(stages), len(names), squeeze=False)
    top = max(float(level.max()) for level in maps.values())
    for row, count in zip(grid, stages, strict=True):
        for axes, name in zip(row, names, strict=True):
            picture = _draw_map(axes, full_plane(maps[name, count], size), top)
            if count == stages[0]:
                axes.set_title(name)
        row[0].set_ylabel(f"{count} doubling" + ("s" if count > 1 else ""))
    for axes in grid[:-1].flat:
        axes.tick_params(labelbottom=False)
    for axes in grid[:, 1:].flat:
        axes.tick_params(labelleft=False)
    figure.colorbar(picture, ax=list(grid.flat), label="power over its mean (dB)", extend="min", shrink=0.7)
    figure.supxlabel("horizontal and, upwards, vertical frequency (cycles per pixel)", fontsize=8)
    figure.suptitle(f"white noise after fixed doublings to {size} pixels", fontsize=7)
    return figure


def _keys(levels: Levels) -> tuple[list[str], list[int]]:
    return list(dict.fromkeys(name for name, _ in levels)), sorted({count for _, count in levels})


def _draw_map(axes: Any, level: FloatArray, top: float) -> Any:
    edge = 0.5 / level.shape[1]
    reach = (-0.5 - edge, 0.5 + edge, -0.5 - edge, 0.5 + edge)
    cells = pooled(closed(level), difference=False)
    picture = axes.imshow(cells, origin="lower", extent=reach, cmap=SEQUENTIAL, vmin=FLOOR, vmax=top)
    mark_plane(axes, sparse=True)
    return picture
