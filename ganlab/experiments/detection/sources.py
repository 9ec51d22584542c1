"""All sources at once: naming an image's source, clean and perturbed; fingerprints; where images lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler

from ganlab.experiments.detection.measure import Floats, mean_share
from ganlab.experiments.detection.options import DetectionOptions
from ganlab.forensics import Bench, Interval, NetDetector, System, immunised, make_perturbation
from ganlab.forensics.nets.architectures import FingerprintNetwork
from ganlab.forensics.perturbations.published import OneOf
from ganlab.util.hashing import derive_seed

BATCH = 256
PERPLEXITY = 30.0
FEWEST = 10
"""Images below which a map shows nothing."""
COMPONENTS = 50
"""Principal components that t-SNE sees of a larger feature."""


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

    def tests(self, bench: Bench) -> list[npt.NDArray[np.float32]]:
        """Features of the test images of every source."""
        return [bench.features(self.system, name)[bench.splits[name].test] for name in self.names]


def fit_sources(bench: Bench, system: System, seed: int) -> SourceDetector:
    """Learn to tell all sources apart on equally many training images of each."""
    names = (bench.real.name, *bench.sources)
    each = min(len(bench.splits[name].train) for name in names)
    features = np.concatenate(
        [bench.features(system, name)[bench.splits[name].train[:each]] for name in names]
    )
    labels = np.repeat(np.arange(len(names)), each)
    detector = system.make_detector(derive_seed(seed, f"attribution/{system.name}") % 2**31)
    detector.fit(features, labels)
    return SourceDetector(detector, system, names, features, labels, seed)


def measure_sources(fitted: SourceDetector, bench: Bench) -> dict[str, Any]:
    """How a detector of sources names the test images, as JSON values.

    Returns:
        ``system``, ``seed``, ``names`` of the classes, ``confusion`` (counts ``(K, K)``, true class by row),
        ``balanced_accuracy`` with its interval, and ``chance``.
    """
    confusion, accuracy = _named(fitted.detector, fitted.tests(bench))
    return {
        "system": fitted.system.name, "seed": fitted.seed, "names": list(fitted.names),
        "confusion": confusion.tolist(), "balanced_accuracy": accuracy.as_list(),
        "chance": 1.0 / len(fitted.names),
    }  # fmt: skip


def _named(detector: Any, parts: Sequence[npt.NDArray[np.float32]]) -> tuple[npt.NDArray[np.int64], Interval]:
    """Counts ``(K, K)`` of the images of source k (row) by what they are called, and mean recall."""
    confusion = np.stack([np.bincount(detector.predict(part), minlength=len(parts)) for part in parts])
    return confusion, mean_share(confusion.diagonal(), confusion.sum(1))


def perturbed_sources(
    fitted: SourceDetector, bench: Bench, options: DetectionOptions
) -> Iterator[dict[str, Any]]:
    """Every perturbation at every severity; immunised against all severities of one perturbation at once.

    Yields:
        ``system``, ``seed``, ``setting`` (perturbation and severity), and balanced accuracies with intervals:
        ``before`` (fitted on clean images), ``after`` (trained on with perturbed ones) and ``clean_after``
        (the same on clean test images); None for what is no network on pixels.
    """
    detector = fitted.detector
    for name, levels in options.severities().items():
        tuned, clean = None, None
        if options.immunise and isinstance(detector, NetDetector) and fitted.system.feature == "pixels":
            # one network has to bear all severities: each image is perturbed at one drawn for it
            drawn = OneOf(tuple(make_perturbation(name, level) for level in levels))
            seed = derive_seed(fitted.seed, f"immunise/{name}")
            tuned = immunised(detector, fitted.features, fitted.labels, drawn, seed=seed)
            clean = _named(tuned, fitted.tests(bench))[1].as_list()
        for level in levels:
            perturbation = make_perturbation(name, level)
            parts = [bench.perturbed_set(fitted.system, n, perturbation, fitted.seed) for n in fitted.names]
            yield {
                "system": fitted.system.name, "seed": fitted.seed,
                "setting": name if level is None else f"{name} {level}",
                "before": _named(detector, parts)[1].as_list(),
                "after": _named(tuned, parts)[1].as_list() if tuned else None,
                "clean_after": clean,
            }  # fmt: skip


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
    prints = network.fingerprints.detach()
    flat = prints.flatten(1).double()
    products, correlations, counts = [], [], []
    for part in fitted.tests(bench):
        with torch.inference_mode():
            planes = torch.split(fitted.detector.planes(part), BATCH)
            own = torch.cat([network.image_fingerprint(batch) for batch in planes]).flatten(1).double()
        product = own @ flat.T
        norms = own.norm(dim=1, keepdim=True) * flat.norm(dim=1)
        products.append(product.mean(0).numpy())
        correlations.append((product / norms.clamp_min(1e-12)).mean(0).numpy())
        counts.append(len(part))
    return Responses(
        fitted.system.name, fitted.names, np.stack(products), np.stack(correlations), tuple(counts),
        prints.numpy().copy(),
    )  # fmt: skip


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
    names = (bench.real.name, *bench.sources)
    each = min(count // len(names), *(len(bench.splits[name].test) for name in names))
    if each * len(names) < FEWEST:
        return []
    rows = {name: bench.splits[name].test[:each] for name in names}
    images = tuple(bench.images(name).paths[i] for name, at in rows.items() for i in at)
    source = np.repeat(np.arange(len(names)), each)
    maps = []
    for title, system in {system.name.partition("+")[0]: system for system in systems}.items():
        features = np.concatenate([bench.features(system, name)[at] for name, at in rows.items()])
        points = embed(features, derive_seed(seed, f"tsne/{title}") % 2**31)
        maps.append(Map(title, names, source, images, points))
    return maps


def embed(features: npt.NDArray[np.float32], seed: int) -> Floats:
    """t-SNE of ``(N, ...)`` to ``(N, 2)`` (van der Maaten and Hinton, JMLR 9, 2008; scikit-learn)."""
    flat = StandardScaler().fit_transform(features.reshape(len(features), -1).astype(np.float64))
    if flat.shape[1] > COMPONENTS:
        flat = PCA(min(COMPONENTS, len(flat) - 1), random_state=seed).fit_transform(flat)
    perplexity = min(PERPLEXITY, (len(flat) - 1) / 3)
    points: Floats = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(flat)
    return points
