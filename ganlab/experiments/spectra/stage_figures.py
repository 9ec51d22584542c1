"""The stage figures and their numbers: maps of every stage, and profiles along the axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ganlab.experiments.spectra.figures import closed, mark_plane, mark_replicas, pooled
from ganlab.experiments.spectra.stages import QUESTIONS, StageProbe, StageSpectrum
from ganlab.results.style import (
    BLACK,
    COLUMN,
    DIVERGING,
    PAGE,
    new_figure,
    save_figure,
    series_style,
    styled,
)
from ganlab.results.tables import FREQUENCY, number, write_csv

LONG = 20
"""Characters of a stage's name that a title shows."""
WIDE = 5
"""Columns of maps beside which there is room for a title in one line and for every tick."""
ROWS = {
    "features": "trained:\nfeature maps",
    "untrained": "untrained:\nfeature maps",
    "noise": "trained: image,\nwhite noise in",
}


def write_stages(probe: StageProbe, folder: Path) -> list[str]:
    """Write ``stages-NAME`` (maps), ``-profiles`` and ``-layers`` (unevenness), each as SVG, PNG and CSV.

    Returns:
        Names of the files.
    """
    stem = f"stages-{probe.name}"
    frequencies = ("vertical_frequency", "horizontal_frequency")
    write_csv(folder / f"{stem}.csv", (*_ABOUT, *frequencies, "db_over_white"), _map_lines(probe))
    save_figure(draw_stage_maps(probe), folder / stem)
    header = (*_ABOUT, "profile", FREQUENCY, "db_over_white")
    write_csv(folder / f"{stem}-profiles.csv", header, _profile_lines(probe))
    save_figure(draw_stage_profiles(probe), folder / f"{stem}-profiles")
    kinds = ["", "-profiles"]
    if probe.layers:
        write_csv(folder / f"{stem}-layers.csv", _LAYER, _layer_lines(probe))
        save_figure(draw_layers(probe), folder / f"{stem}-layers")
        kinds.append("-layers")
    return [f"{stem}{one}.{kind}" for one in kinds for kind in ("csv", "png", "svg")]


_LAYER = ("generator", "stage", "layer", "operator", "weights", "random_constant", "mean_activations")


def _layer_lines(probe: StageProbe) -> Iterable[Sequence[object]]:
    for row in probe.layers:
        yield probe.name, row.stage, row.layer, row.operator, row.weights, number(row.mean), number(row.given)


_ABOUT = ("generator", "question", "stage", "operator", "side", "window")


def _about(probe: StageProbe, panel: StageSpectrum) -> tuple[object, ...]:
    return probe.name, panel.question, panel.stage, panel.operator, panel.side, "none"


def _map_lines(probe: StageProbe) -> Iterable[Sequence[object]]:
    for panel in probe.panels:
        height, width = panel.level.shape
        level = np.fft.ifftshift(panel.level)[:, : width // 2 + 1]
        for row, values in zip(np.fft.fftfreq(height), level, strict=True):
            for k, value in enumerate(values):
                yield *_about(probe, panel), number(row, 6), number(k / width, 6), number(value, 6)


def _profile_lines(probe: StageProbe) -> Iterable[Sequence[object]]:
    for panel in probe.panels:
        for name, values in (("horizontal", panel.horizontal), ("vertical", panel.vertical)):
            for k, value in enumerate(values):
                frequency = k / (2 * (len(values) - 1))
                yield *_about(probe, panel), name, number(frequency, 6), number(value, 6)


@styled()
def draw_stage_maps(probe: StageProbe) -> Figure:
    """A row a question, a column a stage; colour is dB over white noise."""
    columns = len(probe.operators) + 1
    side = (PAGE - 1.45) / columns - 0.1
    questions = _asked(probe)
    figure = new_figure(PAGE, len(questions) * (side + (0.42 if columns > WIDE else 0.27)) + 0.75)
    grid = figure.subplots(len(questions), columns, squeeze=False)
    bound = max(3.0, float(np.percentile(np.concatenate([abs(p.level).ravel() for p in probe.panels]), 99)))
    for row, question in zip(grid, questions, strict=True):
        shown = probe.of(question)
        for axes in row[len(shown) :]:
            axes.set_axis_off()
        for axes, panel in zip(row, shown, strict=False):
            picture = _draw_map(axes, panel, bound, columns >= WIDE)
            axes.set_title(_title(panel, columns), fontsize=7)
        row[0].set_ylabel(ROWS[question])
    for axes in grid[:-1].flat:
        axes.tick_params(labelbottom=False)
    for axes in grid[:, 1:].flat:
        axes.tick_params(labelleft=False)
    figure.colorbar(
        picture, ax=list(grid.flat), label="dB over white noise", extend="both", shrink=0.7, pad=0.015
    )
    figure.supxlabel("horizontal and, upwards, vertical frequency (cycles per pixel of the map)", fontsize=8)
    figure.suptitle(_caption(probe), fontsize=7)
    return figure


def _asked(probe: StageProbe) -> list[str]:
    """The questions that were answered: of somebody's network nobody knows what it was before training."""
    return [question for question in QUESTIONS if probe.of(question)]


def _title(panel: StageSpectrum, columns: int) -> str:
    after = panel.stage == columns
    if panel.question == "noise":
        return "into the last layers" if after else f"into stage {panel.stage}"
    operator = panel.operator if len(panel.operator) < LONG else f"…{panel.operator[-LONG:]}"
    # Panels of many columns are narrower than a title of one line.
    gap = "\n" if columns > WIDE else " "
    return f"image, {panel.side}²" if after else f"stage {panel.stage}:{gap}{operator}, {panel.side}²"


def _caption(probe: StageProbe) -> str:
    step = f", step {probe.step}" if probe.step else ""
    return (
        f"{probe.name}{step}: mean power spectra of {probe.count} samples, all channels, "
        "no window, relative to white"
    )


def _draw_map(axes: Any, panel: StageSpectrum, bound: float, crowded: bool) -> Any:
    edge = 0.5 / panel.side
    reach = (-0.5 - edge, 0.5 + edge, -0.5 - edge, 0.5 + edge)
    cells = pooled(closed(panel.level), difference=True)
    picture = axes.imshow(cells, origin="lower", extent=reach, cmap=DIVERGING, vmin=-bound, vmax=bound)
    mark_plane(axes, sparse=crowded)
    return picture


@styled()
def draw_stage_profiles(probe: StageProbe) -> Figure:
    """Mean of the horizontal and the vertical profile: a panel a question, a curve a stage."""
    figure = new_figure(PAGE, 3.0)
    questions = _asked(probe)
    panels = figure.subplots(1, len(questions), sharey=True)
    for axes, question in zip(panels, questions, strict=True):
        for place, panel in enumerate(probe.of(question)):
            level = (panel.horizontal + panel.vertical) / 2
            frequencies = np.arange(len(level)) / (2 * (len(level) - 1))
            axes.plot(frequencies, level, label=_title(panel, len(probe.operators) + 1),
                      **series_style(place).line(len(level), place))  # fmt: skip
        axes.axhline(0, color=BLACK, linewidth=0.6)
        mark_replicas(axes)
        axes.set_title(ROWS[question].replace("\n", " "))
        axes.legend(loc="best", fontsize=6.5, handlelength=2.2)
    panels[0].set_ylabel("rows and columns (dB over white)")
    figure.supxlabel("frequency (cycles per pixel of the map)", fontsize=8)
    figure.suptitle(_caption(probe), fontsize=7)
    return figure


@styled()
def draw_layers(probe: StageProbe) -> Figure:
    """Share of a constant input's power that every layer puts on the replica frequencies; one column wide."""
    names = list(dict.fromkeys((row.stage, row.layer, row.operator) for row in probe.layers))
    figure = new_figure(COLUMN, 1.25 + 0.3 * len(names))
    axes = figure.add_subplot()
    for row in probe.layers:
        trained = row.weights == "trained"
        color, marker = series_style(0 if trained else 1).color, "o" if trained else "s"
        place = names.index((row.stage, row.layer, row.operator)) + (-0.12 if trained else 0.12)
        for value, face, what in ((row.mean, "white", "random constant"), (row.given, color, "mean input")):
            size = 6 if face == "white" else 3
            label = f"{row.weights}, {what}"
            axes.plot(value, place, marker, color=color, markerfacecolor=face, markersize=size, label=label)
    axes.set_yticks(range(len(names)), [_layer_name(*name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1)
    axes.grid(axis="x")
    axes.set_xlabel("share of power at the replicas of 0")
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(
        list(unique.values()),
        list(unique),
        loc="outside lower center",
        ncols=2,
        columnspacing=1,
        handletextpad=0.2,
    )
    figure.suptitle(f"{probe.name}: layers fed with a constant", fontsize=7)
    return figure


def _layer_name(stage: int, layer: str, operator: str) -> str:
    return f"stage {stage}: {operator}" + ("" if layer == "up" else f"\n({layer})")
