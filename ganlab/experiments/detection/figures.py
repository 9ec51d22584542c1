"""Figures of a detection experiment: transfer, severity, size, frequency, fingerprints, t-SNE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ganlab.experiments.detection.measure import ALONE, SHUFFLED, Floats, Record
from ganlab.experiments.detection.sources import Map, Responses
from ganlab.experiments.detection.tables import matrix, select, unique
from ganlab.forensics import LEVELS, SEVERITIES
from ganlab.results.style import (
    COLUMN,
    DIVERGING,
    NULL,
    PAGE,
    REAL,
    SEQUENTIAL,
    logarithmic,
    new_figure,
    save_figure,
    series_style,
    styled,
)

PANELS = 3
"""In a row."""
CAPTIONS = {
    "transfer": "Balanced accuracy of {}: trained on the row, tested on the column",
    "bands": "ROC-AUC of {} over frequency: on one band alone, and with that band shuffled",
    "responses": "{}: learned fingerprints, and how the sources respond to them",
    "robustness": "Balanced accuracy over the severity of perturbations, mean over sources and seeds",
    "sizes": "Balanced accuracy over the number of training images, mean over sources and seeds",
    "tsne": "t-SNE of {} test images; distances between far groups mean nothing",
}


def draw_all(folder: Path, records: Sequence[Record], maps: Sequence[Map]) -> dict[str, str]:
    """Every figure that there is something for, into a folder; names of the PNG files with their captions.

    Figures of fingerprints are only named: they were drawn when their network was at hand.
    """
    captions: dict[str, str] = {}

    def save(figure: Figure | None, kind: str, name: str, *words: object) -> None:
        if figure is not None:
            save_figure(figure, folder / name)
            captions[f"{name}.png"] = CAPTIONS[kind].format(*words)

    systems = unique(records, "system")
    for k, system in enumerate(systems):
        own = select(records, system=system)
        save(draw_transfer(select(own, kind="transfer"), system), "transfer", f"transfer_{k}", system)
        save(draw_bands(select(own, kind="band"), system), "bands", f"bands_{k}", system)
    save(draw_robustness(records), "robustness", "robustness")
    save(draw_sizes(records), "sizes", "sizes")
    for k, system in enumerate(systems):
        if (folder / f"responses_{k}.png").is_file():
            captions[f"responses_{k}.png"] = CAPTIONS["responses"].format(system)
    if maps:
        save(draw_maps(maps), "tsne", "tsne", len(maps[0].images))
    return captions


@styled()
def draw_transfer(records: Sequence[Record], system: str) -> Figure | None:
    """Balanced accuracy, trained on the row and tested on the column."""
    if not records:
        return None
    rows, columns, values = matrix(records, "balanced_accuracy")
    figure = new_figure(max(COLUMN, 1.3 + 0.55 * len(columns)), 1.2 + 0.28 * len(rows))
    axes = figure.subplots()
    image = axes.imshow(values, vmin=0.5, vmax=1.0, cmap=SEQUENTIAL, aspect="auto")
    write_cells(axes, values, 2, dark=~(values > 0.75))
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("tested on")
    axes.set_ylabel("trained on")
    axes.set_title(system)
    figure.colorbar(image, ax=axes, label="balanced accuracy")
    return figure


def write_cells(axes: Any, values: Floats, digits: int, dark: Any, **text: Any) -> None:
    """The numbers of a matrix into its picture, white where it is dark."""
    for (i, j), value in np.ndenumerate(values):
        colour = "w" if dark[i, j] else "k"
        axes.text(j, i, f"{value:.{digits}f}", ha="center", va="center", color=colour, **text)


def _mean(records: Sequence[Record], metric: str = "balanced_accuracy") -> float:
    return float(np.mean([record.metrics[metric].value for record in records]))


def _draw_chance(axes: Any, **label: str) -> None:
    axes.axhline(0.5, color=NULL.color, linestyle=NULL.dashes, linewidth=0.8, **label)


@styled()
def draw_bands(records: Sequence[Record], system: str) -> Figure | None:
    """ROC-AUC over frequency: a detector on one band alone, and the whole one with that band shuffled."""
    if not records:
        return None
    figure = new_figure(COLUMN, 2.7)
    axes = figure.subplots()
    for k, (kind, title) in enumerate(((ALONE, "this band alone"), (SHUFFLED, "without this band"))):
        settings = [s for s in unique(records, "setting") if s.startswith(kind + " ")]
        edges = [[float(x) for x in setting.removeprefix(kind + " ").split("-")] for setting in settings]
        means = [_mean(select(records, setting=setting), "roc_auc") for setting in settings]
        axes.plot([sum(pair) / 2 for pair in edges], means, label=title, **series_style(k).line(1, k))
    whole = _mean(select(records, setting="all"), "roc_auc")
    axes.axhline(whole, color="k", linewidth=0.8, label="all bands")
    _draw_chance(axes, label="chance")
    axes.set_xlim(0, 0.5)
    axes.set_xlabel("frequency (cycles per pixel)")
    axes.set_ylabel("ROC-AUC")
    axes.set_title(system)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled()
def draw_robustness(records: Sequence[Record]) -> Figure | None:
    """Balanced accuracy over severity, a panel for each perturbation that has levels, a curve a system."""
    chosen = select(records, kind="robustness")
    names = [n for n in SEVERITIES if any(r.setting == f"{n} {LEVELS}" for r in chosen)]
    if not names:
        return None
    rows, across = -(-len(names) // PANELS), min(PANELS, len(names))
    figure = new_figure(max(COLUMN, PAGE * across / PANELS), 0.4 + 1.9 * rows)
    panels = figure.subplots(rows, across, squeeze=False, sharey=True).ravel()
    systems = unique(chosen, "system")
    for axes, name in zip(panels, names, strict=False):
        for k, system in enumerate(systems):
            own = select(chosen, system=system)
            settings = ["none", *(f"{name} {level}" for level in range(1, LEVELS + 1))]
            means = [_mean(select(own, setting=setting)) for setting in settings]
            axes.plot(range(LEVELS + 1), means, label=system, **series_style(k).line(1, k))
        _draw_chance(axes)
        axes.set_title(name)
        axes.set_xlabel("severity")
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    panels[0].set_ylabel("balanced accuracy")
    figure.legend(systems, loc="outside lower center", ncols=3)
    return figure


@styled()
def draw_sizes(records: Sequence[Record]) -> Figure | None:
    """Balanced accuracy over the number of training images, a curve a system, averaged over sources."""
    chosen = select(records, kind="size")
    if not chosen:
        return None
    figure = new_figure(COLUMN, 2.4)
    axes = figure.subplots()
    for k, system in enumerate(unique(chosen, "system")):
        own = select(chosen, system=system)
        sizes = sorted({record.images for record in own})
        means = [_mean(select(own, images=size)) for size in sizes]
        axes.plot(sizes, means, label=system, **series_style(k).line(1, k))
    _draw_chance(axes, label="chance")
    axes.set_xscale("log")
    logarithmic(axes.xaxis)
    axes.set_xlabel("training images")
    axes.set_ylabel("balanced accuracy")
    axes.legend()
    return figure


@styled()
def draw_responses(measured: Responses) -> Figure:
    """The matrix of mean correlations, and the fingerprints themselves."""
    names, values = measured.names, measured.correlation
    across = math.ceil(math.sqrt(len(names)))
    down = -(-len(names) // across)
    figure = new_figure(PAGE, max(2.7, 0.5 + 1.1 * down))
    parts: Any = figure.subfigures(1, 2, width_ratios=(1.15, 1.0))
    left, right = parts
    axes = left.subplots()
    limit = float(np.abs(values).max()) or 1.0
    image = axes.imshow(values, vmin=-limit, vmax=limit, cmap=DIVERGING)
    digits = max(2, 1 - math.floor(math.log10(limit)))  # two of the largest value
    write_cells(axes, values, digits, dark=np.abs(values) > 0.6 * limit, fontsize=6.5)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("fingerprint of")
    axes.set_ylabel("test images of")
    axes.set_title(measured.system)
    left.colorbar(image, ax=axes, label="mean correlation", shrink=0.9)
    panels = right.subplots(down, across, squeeze=False).ravel()
    limit = float(np.abs(measured.fingerprints.mean(1)).max()) or 1.0
    for axes, name, fingerprint in zip(panels, names, measured.fingerprints, strict=False):
        image = axes.imshow(fingerprint.mean(0), vmin=-limit, vmax=limit, cmap=DIVERGING)
        axes.set_title(name)
        axes.set_xticks([])
        axes.set_yticks([])
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    right.colorbar(image, ax=list(panels), label="learned fingerprint, mean of channels", shrink=0.9)
    return figure


@styled()
def draw_maps(maps: Sequence[Map]) -> Figure:
    """A panel for each feature, a colour and a marker for each source."""
    rows, across = -(-len(maps) // PANELS), min(PANELS, len(maps))
    figure = new_figure(max(COLUMN, PAGE * across / PANELS), 0.5 + 2.3 * rows)
    panels = figure.subplots(rows, across, squeeze=False).ravel()
    for axes, one in zip(panels, maps, strict=False):
        for k, name in enumerate(one.names):
            style = REAL if k == 0 else series_style(k - 1)
            axes.plot(
                *one.points[one.source == k].T, linestyle="none", marker=style.marker or "x",
                markersize=3, markeredgewidth=0.6, markerfacecolor="none", markeredgecolor=style.color,
                label=name,
            )  # fmt: skip
        axes.set_title(one.feature)
        axes.set_xlabel("t-SNE 1 (no unit)")
        axes.set_xticks([])
        axes.set_yticks([])
    for axes in panels[len(maps) :]:
        axes.set_visible(False)
    panels[0].set_ylabel("t-SNE 2 (no unit)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure
