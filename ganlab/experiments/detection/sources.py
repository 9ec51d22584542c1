"""Naming the source of an image: reals and every generator as classes of their own."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ganlab.experiments.detection.options import DetectionOptions
from ganlab.forensics import Bench, Interval, NetDetector, System, immunised
from ganlab.forensics.nets.attribution import FingerprintNetwork
from ganlab.forensics.perturbations.base import Perturbation
from ganlab.forensics.perturbations.published import OneOf
from ganlab.forensics.perturbations.severity import make_perturbation
from ganlab.results.style import DIVERGING, PAGE, new_figure, save_figure, styled
from ganlab.util.atomic import write_text
from ganlab.util.hashing import derive_seed


@dataclass(frozen=True)
class Attribution:
    """How often each source was called what.

    Attributes:
        system: name of the system.
        seed: of split and detector.
        names: classes: the real set, then every fake set.
        confusion: counts ``(K, K)``, true class by row.
        accuracy: balanced over classes, with a bootstrap interval over test images.
    """

    system: str
    seed: int
    names: tuple[str, ...]
    confusion: npt.NDArray[np.int64]
    accuracy: Interval

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "system": self.system, "seed": self.seed, "names": list(self.names),
            "confusion": self.confusion.tolist(), "balanced_accuracy": self.accuracy.as_list(),
            "chance": 1.0 / len(self.names),
        }  # fmt: skip


@dataclass(frozen=True)
class SourceDetector:
    """A detector whose classes are the real set and every fake set, and what it was fitted on.

    Attributes:
        detector: fitted; class k is ``names[k]``.
        system: what it is.
        names: the real set, then every fake set.
        features: training features ``(N, ...)``, equally many of each source.
        labels: ``(N,)``.
        seed: of split and detector.
    """

    detector: Any
    system: System
    names: tuple[str, ...]
    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    seed: int


def fit_sources(bench: Bench, system: System, seed: int) -> SourceDetector:
    """Learn to tell all sources apart on equally many training images of each."""
    names = (bench.real.name, *bench.sources)
    places = [bench.splits[name].train for name in names]
    each = min(map(len, places))
    features = np.concatenate(
        [bench.features(system, name)[at[:each]] for name, at in zip(names, places, strict=True)]
    )
    labels = np.repeat(np.arange(len(names)), each)
    detector = system.make_detector(derive_seed(seed, f"attribution/{system.name}") % 2**31)
    detector.fit(features, labels)
    return SourceDetector(detector, system, names, features, labels, seed)


def attribute(bench: Bench, system: System, seed: int, resamples: int) -> Attribution:
    """Fit and test on every source's own test images."""
    return measure_sources(fit_sources(bench, system, seed), bench, resamples)


def measure_sources(fitted: SourceDetector, bench: Bench, resamples: int) -> Attribution:
    """How a detector of sources names the test images."""
    parts = [bench.features(fitted.system, name)[bench.splits[name].test] for name in fitted.names]
    confusion = confusion_of(fitted.detector, parts)
    accuracy = balanced(confusion, resamples, fitted.seed)
    return Attribution(fitted.system.name, fitted.seed, fitted.names, confusion, accuracy)


def confusion_of(detector: Any, parts: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.int64]:
    """Counts ``(K, K)``: the images of source k in row k, by what they are called."""
    return np.stack([_counts(detector.predict(part), len(parts)) for part in parts])


def _counts(predicted: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
    return np.bincount(predicted, minlength=classes).astype(np.int64)


def balanced(confusion: npt.NDArray[np.int64], resamples: int, seed: int) -> Interval:
    """Mean recall; resampling a class's images is drawing its hits from a binomial."""
    totals, hits = confusion.sum(1), confusion.diagonal()
    value = float((hits / totals).mean())
    if resamples == 0:
        return Interval(value, value, value)
    rng = np.random.default_rng(derive_seed(seed, "attribution_bootstrap"))
    drawn = (rng.binomial(totals, hits / totals, (resamples, len(totals))) / totals).mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(value, float(low), float(high))


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


PIXELS = "pixels"


@dataclass(frozen=True)
class Immunity:
    """Balanced accuracy of naming the source under one perturbation.

    Attributes:
        system: name of the system.
        seed: of split, detector and perturbation.
        setting: perturbation, with its severity where it has one.
        before: fitted on clean images.
        after: trained on with perturbed images; None for what is no network on pixels.
        clean_after: of the same on clean test images.
    """

    system: str
    seed: int
    setting: str
    before: Interval
    after: Interval | None = None
    clean_after: Interval | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        found = {"before": self.before, "after": self.after, "clean_after": self.clean_after}
        return {
            "system": self.system, "seed": self.seed, "setting": self.setting,
            **{name: None if one is None else one.as_list() for name, one in found.items()},
        }  # fmt: skip


def perturbed_sources(fitted: SourceDetector, bench: Bench, options: DetectionOptions) -> Iterator[Immunity]:
    """Every perturbation at every severity; immunised against all severities of one perturbation at once."""
    for name, levels in options.severities().items():
        tuned, clean = _tuned(fitted, bench, options, name, levels)
        for level in levels:
            perturbation = make_perturbation(name, level)
            parts = [bench.perturbed_set(fitted.system, n, perturbation, fitted.seed) for n in fitted.names]
            before = _accuracy(fitted, fitted.detector, parts, options)
            after = None if tuned is None else _accuracy(fitted, tuned, parts, options)
            setting = name if level is None else f"{name} {level}"
            yield Immunity(fitted.system.name, fitted.seed, setting, before, after, clean)


def _tuned(
    fitted: SourceDetector, bench: Bench, options: DetectionOptions, name: str, levels: tuple[int | None, ...]
) -> tuple[NetDetector | None, Interval | None]:
    """The network after immunisation and its accuracy on clean images; nothing for other systems."""
    detector = fitted.detector
    if not options.immunise or not isinstance(detector, NetDetector) or fitted.system.feature != PIXELS:
        return None, None
    seed = derive_seed(fitted.seed, f"immunise/{name}")
    tuned = immunised(detector, fitted.features, fitted.labels, _drawn(name, levels), seed=seed)
    clean = [bench.features(fitted.system, n)[bench.splits[n].test] for n in fitted.names]
    return tuned, _accuracy(fitted, tuned, clean, options)


def _drawn(name: str, levels: tuple[int | None, ...]) -> Perturbation:
    """The perturbation, at one of its severities drawn for each image."""
    return OneOf(tuple(make_perturbation(name, level) for level in levels))


def _accuracy(fitted: SourceDetector, detector: Any, parts: list[Any], options: DetectionOptions) -> Interval:
    return balanced(confusion_of(detector, parts), options.resamples, fitted.seed)
