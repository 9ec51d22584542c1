"""Figures of a detection experiment: transfer matrix, curves over severity, size and frequency."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler

from ganlab.experiments.detection.measure import ALONE, SHUFFLED, Record
from ganlab.experiments.detection.tables import matrix, select, unique
from ganlab.forensics import LEVELS, SEVERITIES, Bench, System
from ganlab.results.style import (
    COLUMN,
    NULL,
    PAGE,
    REAL,
    SEQUENTIAL,
    new_figure,
    save_figure,
    series_style,
    styled,
)
from ganlab.util.atomic import write_text
from ganlab.util.hashing import derive_seed

DARK = 0.75


CAPTIONS = {
    "transfer": "Balanced accuracy of {}: trained on the row, tested on the column",
    "bands": "ROC-AUC of {} over frequency: on one band alone, and with that band shuffled",
    "robustness": "Balanced accuracy over the severity of perturbations, mean over sources and seeds",
    "sizes": "Balanced accuracy over the number of training images, mean over sources and seeds",
}


def draw_all(folder: Path, records: Sequence[Record]) -> dict[str, str]:
    """Every figure the records allow, into a folder; names of the files with their captions."""
    written: dict[str, str] = {}
    for place, system in enumerate(unique(records, "system")):
        own = select(records, system=system)
        figures = {
            "transfer": draw_transfer(select(own, kind="transfer"), system),
            "bands": draw_bands(select(own, kind="band"), system),
        }
        for kind, figure in figures.items():
            if figure is not None:
                files = save_figure(figure, folder / f"{kind}_{place}")
                written |= {file.name: CAPTIONS[kind].format(system) for file in files}
    for name, curves in (("robustness", draw_robustness(records)), ("sizes", draw_sizes(records))):
        if curves is not None:
            written |= {file.name: CAPTIONS[name] for file in save_figure(curves, folder / name)}
    return written


@styled()
def draw_transfer(records: Sequence[Record], system: str) -> Figure | None:
    """Balanced accuracy, trained on the row and tested on the column."""
    if not records:
        return None
    rows, columns, values = matrix(records, "balanced_accuracy")
    figure = new_figure(max(COLUMN, 1.3 + 0.55 * len(columns)), 1.2 + 0.28 * len(rows))
    axes = figure.subplots()
    image = axes.imshow(values, vmin=0.5, vmax=1.0, cmap=SEQUENTIAL, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        axes.text(j, i, f"{value:.2f}", ha="center", va="center", color="k" if value > DARK else "w")
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("tested on")
    axes.set_ylabel("trained on")
    axes.set_title(system)
    figure.colorbar(image, ax=axes, label="balanced accuracy")
    return figure


@styled()
def draw_bands(records: Sequence[Record], system: str) -> Figure | None:
    """ROC-AUC over frequency: a detector on one band alone, and the whole one with that band shuffled."""
    if not records:
        return None
    figure = new_figure(COLUMN, 2.4)
    axes = figure.subplots()
    for place, (kind, title) in enumerate(((ALONE, "this band alone"), (SHUFFLED, "without this band"))):
        names = [s for s in unique(records, "setting") if s.startswith(kind + " ")]
        edges = [[float(x) for x in name.removeprefix(kind + " ").split("-")] for name in names]
        means = [np.mean([r.metrics["roc_auc"].value for r in select(records, setting=n)]) for n in names]
        middle = [sum(pair) / 2 for pair in edges]
        axes.plot(middle, means, label=title, **series_style(place).line(1, place))
    whole = np.mean([r.metrics["roc_auc"].value for r in select(records, setting="all")])
    axes.axhline(float(whole), color="k", linewidth=0.8, label="all bands")
    axes.axhline(0.5, color=NULL.color, linestyle=NULL.dashes, linewidth=0.8, label="chance")
    axes.set_xlim(0, 0.5)
    axes.set_xlabel("frequency (cycles per pixel)")
    axes.set_ylabel("ROC-AUC")
    axes.set_title(system)
    axes.legend()
    return figure


@styled()
def draw_robustness(records: Sequence[Record]) -> Figure | None:
    """Balanced accuracy over severity, a panel for each perturbation that has levels, a curve a system."""
    chosen = select(records, kind="robustness")
    names = [n for n in SEVERITIES if any(r.setting == f"{n} {LEVELS}" for r in chosen)]
    if not names:
        return None
    figure = new_figure(PAGE, 0.4 + 1.9 * ((len(names) + 2) // 3))
    panels = figure.subplots((len(names) + 2) // 3, 3, squeeze=False, sharey=True).ravel()
    systems = unique(chosen, "system")
    for axes, name in zip(panels, names, strict=False):
        for place, system in enumerate(systems):
            own = select(chosen, system=system)
            settings = ["none", *(f"{name} {level}" for level in range(1, LEVELS + 1))]
            means = [_mean(select(own, setting=setting)) for setting in settings]
            axes.plot(range(LEVELS + 1), means, label=system, **series_style(place).line(1, place))
        axes.axhline(0.5, color=NULL.color, linestyle=NULL.dashes, linewidth=0.8)
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
    for place, system in enumerate(unique(chosen, "system")):
        own = select(chosen, system=system)
        sizes = sorted({record.images for record in own})
        means = [_mean(select(own, images=size)) for size in sizes]
        axes.plot(sizes, means, label=system, **series_style(place).line(1, place))
    axes.axhline(0.5, color=NULL.color, linestyle=NULL.dashes, linewidth=0.8, label="chance")
    axes.set_xscale("log")
    axes.set_xlabel("training images")
    axes.set_ylabel("balanced accuracy")
    axes.legend()
    return figure


def _mean(records: Sequence[Record]) -> float:
    return float(np.mean([record.metrics["balanced_accuracy"].value for record in records]))


Floats = npt.NDArray[np.float64]

PERPLEXITY = 30.0
FEWEST = 10
COMPONENTS = 50
PANELS = 3


@dataclass(frozen=True)
class Map:
    """Test images of all sources in the plane.

    Attributes:
        feature: its name, with options.
        names: the real set, then every fake set.
        source: number of the set of each image ``(N,)``.
        images: identity of each image.
        points: ``(N, 2)``; distances between far groups mean nothing.
    """

    feature: str
    names: tuple[str, ...]
    source: npt.NDArray[np.int64]
    images: tuple[str, ...]
    points: Floats


def map_features(bench: Bench, systems: Sequence[System], count: int, seed: int) -> list[Map]:
    """One map for each different feature of the systems, of at most ``count`` test images.

    The same number of every set; features are standardised; the start is their first two principal
    components, so that the same data give the same map.
    """
    features = {system.name.partition("+")[0]: system for system in systems}
    names = (bench.real.name, *bench.sources)
    each = min(count // len(names), *(len(bench.splits[name].test) for name in names))
    if each * len(names) < FEWEST:
        return []
    places = [bench.splits[name].test[:each] for name in names]
    images = tuple(bench.images(n).paths[i] for n, at in zip(names, places, strict=True) for i in at)
    source = np.repeat(np.arange(len(names)), each)
    found = []
    for title, system in features.items():
        parts = [bench.features(system, name)[at] for name, at in zip(names, places, strict=True)]
        points = embed(np.concatenate(parts), derive_seed(seed, f"tsne/{title}") % 2**31)
        found.append(Map(title, names, source, images, points))
    return found


def embed(features: npt.NDArray[np.float32], seed: int) -> Floats:
    """t-SNE of ``(N, ...)`` to ``(N, 2)`` (van der Maaten and Hinton, JMLR 9, 2008; scikit-learn)."""
    flat = StandardScaler().fit_transform(features.reshape(len(features), -1).astype(np.float64))
    if flat.shape[1] > COMPONENTS:
        flat = PCA(min(COMPONENTS, len(flat) - 1), random_state=seed).fit_transform(flat)
    perplexity = min(PERPLEXITY, (len(flat) - 1) / 3)
    points: Floats = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(flat)
    return points


def write_maps(folder: Path, maps: Sequence[Map]) -> dict[str, str]:
    """``tsne.csv``, ``tsne.png`` and ``tsne.svg``; the figures' names with a caption."""
    if not maps:
        return {}
    write_text(folder / "tsne.csv", _csv(maps))
    caption = f"t-SNE of {len(maps[0].images)} test images; distances between far groups mean nothing"
    return {path.name: caption for path in save_figure(draw_maps(maps), folder / "tsne")}


def _csv(maps: Sequence[Map]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["feature", "set", "image", "x", "y"])
    for one in maps:
        for source, image, (x, y) in zip(one.source, one.images, one.points, strict=True):
            writer.writerow([one.feature, one.names[source], image, f"{x:.4f}", f"{y:.4f}"])
    return buffer.getvalue()


@styled()
def draw_maps(maps: Sequence[Map]) -> Figure:
    """A panel for each feature, a colour and a marker for each source."""
    rows = -(-len(maps) // PANELS)
    figure = new_figure(PAGE, 0.5 + 2.3 * rows)
    panels = figure.subplots(rows, PANELS, squeeze=False).ravel()
    for axes, one in zip(panels, maps, strict=False):
        for place, name in enumerate(one.names):
            style = REAL if place == 0 else series_style(place - 1)
            axes.plot(
                *one.points[one.source == place].T, linestyle="none", marker=style.marker or "x",
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
