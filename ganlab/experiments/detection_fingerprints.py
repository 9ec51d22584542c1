"""Fingerprints that a network has learned, and how the images of each source respond to each of them.

After Yu et al., ICCV 2019, arXiv 1811.08180: an image's fingerprint is what an autoencoder leaves of it, a
source has one learned fingerprint, and the response is the inner product of both.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ganlab.experiments.detection_sources import SourceDetector
from ganlab.experiments.style import DIVERGING, PAGE, new_figure, save_figure, styled
from ganlab.forensics import Bench
from ganlab.forensics.nets.attribution import FingerprintNetwork
from ganlab.util.atomic import write_text

Floats = npt.NDArray[np.float64]

BATCH = 256
DARK = 0.6


@dataclass(frozen=True)
class Responses:
    """Mean response of every source's test images (row) to every source's fingerprint (column).

    Attributes:
        system: name of the system.
        names: sources, the real set first.
        product: mean inner products ``(K, K)``.
        correlation: mean of the products of fingerprints of norm 1 ``(K, K)``, from -1 to 1.
        images: test images of each source.
        fingerprints: of the sources ``(K, C, H, W)``.
    """

    system: str
    names: tuple[str, ...]
    product: Floats
    correlation: Floats
    images: tuple[int, ...]
    fingerprints: npt.NDArray[np.float32]


def measure_responses(fitted: SourceDetector, bench: Bench) -> Responses | None:
    """Responses of the test images; None where the detector has no fingerprints."""
    network = getattr(fitted.detector, "module_", None)
    if not isinstance(network, FingerprintNetwork):
        return None
    rows = []
    for name in fitted.names:
        features = bench.features(fitted.system, name)[bench.splits[name].test]
        rows.append(_mean_responses(network, fitted.detector.planes(features)))
    product, correlation = (np.stack(part) for part in zip(*rows, strict=True))
    images = tuple(len(bench.splits[name].test) for name in fitted.names)
    prints = network.fingerprints.detach().numpy().copy()
    return Responses(fitted.system.name, fitted.names, product, correlation, images, prints)


def _mean_responses(network: FingerprintNetwork, planes: Tensor) -> tuple[Floats, Floats]:
    """Mean over images of the inner products with each fingerprint ``(K,)``, plain and normalised."""
    prints = network.fingerprints.detach().flatten(1).double()
    with torch.inference_mode():
        own = torch.cat([network.image_fingerprint(part) for part in torch.split(planes, BATCH)])
    flat = own.flatten(1).double()
    product = flat @ prints.T
    norms = flat.norm(dim=1, keepdim=True) * prints.norm(dim=1)
    return product.mean(0).numpy(), (product / norms.clamp_min(1e-12)).mean(0).numpy()


def write_responses(folder: Path, place: int, found: Responses) -> None:
    """Figure and numbers: ``responses_PLACE.csv``, ``.png`` and ``.svg``."""
    write_text(folder / f"responses_{place}.csv", _csv(found))
    save_figure(draw_responses(found), folder / f"responses_{place}")


def _csv(found: Responses) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["images_of", "fingerprint_of", "images", "mean_response", "mean_correlation"])
    for i, source in enumerate(found.names):
        for j, other in enumerate(found.names):
            values = (f"{one[i, j]:.6f}" for one in (found.product, found.correlation))
            writer.writerow([source, other, found.images[i], *values])
    return buffer.getvalue()


@styled()
def draw_responses(found: Responses) -> Figure:
    """The matrix of mean correlations, and the fingerprints themselves."""
    across = math.ceil(math.sqrt(len(found.names)))
    down = -(-len(found.names) // across)
    figure = new_figure(PAGE, max(2.7, 0.5 + 1.1 * down))
    parts: Any = figure.subfigures(1, 2, width_ratios=(1.15, 1.0))
    left, right = parts
    _draw_matrix(left, found)
    panels = right.subplots(down, across, squeeze=False).ravel()
    limit = float(np.abs(found.fingerprints.mean(1)).max()) or 1.0
    image = None
    for axes, name, values in zip(panels, found.names, found.fingerprints, strict=False):
        image = axes.imshow(values.mean(0), vmin=-limit, vmax=limit, cmap=DIVERGING)
        axes.set_title(name)
        axes.set_xticks([])
        axes.set_yticks([])
    for axes in panels[len(found.names) :]:
        axes.set_visible(False)
    right.colorbar(image, ax=list(panels), label="learned fingerprint, mean of channels", shrink=0.9)
    return figure


def _draw_matrix(figure: Any, found: Responses) -> None:
    values = found.correlation
    limit = float(np.abs(values).max()) or 1.0
    digits = max(2, 1 - math.floor(math.log10(limit)))  # two of the largest value
    axes = figure.subplots()
    image = axes.imshow(values, vmin=-limit, vmax=limit, cmap=DIVERGING)
    for (i, j), value in np.ndenumerate(values):
        colour = "w" if abs(value) > DARK * limit else "k"
        axes.text(j, i, f"{value:.{digits}f}", ha="center", va="center", color=colour, fontsize=6.5)
    axes.set_xticks(range(len(found.names)), found.names, rotation=40, ha="right")
    axes.set_yticks(range(len(found.names)), found.names)
    axes.set_xlabel("fingerprint of")
    axes.set_ylabel("test images of")
    axes.set_title(found.system)
    figure.colorbar(image, ax=axes, label="mean correlation", shrink=0.9)
