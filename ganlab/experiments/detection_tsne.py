"""Where the images of each source lie in a feature, in two dimensions: t-SNE as in Guarnera et al. 2020."""

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

from ganlab.experiments.style import PAGE, REAL, new_figure, save_figure, series_style, styled
from ganlab.forensics import Bench, System
from ganlab.util.atomic import write_text
from ganlab.util.seeding import derive_seed

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
