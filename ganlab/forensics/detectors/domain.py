"""What kind of images a detector was trained on, and how many of others lie outside of that.

A detector has learned where its reals and its fakes part. Of images of another origin it says something all
the same, and mostly "fake". What it knows is kept as two small summaries, of its training reals and of its
training fakes: mean and covariance of the log spectrum's bands, of colour and contrast. The features are
the same for every detector, so that networks are told of as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom
from sklearn.covariance import ledoit_wolf

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.forensics.audit.pixels import colour_signs
from ganlab.images import UInt8Array

Floats = npt.NDArray[np.float64]

SMALLEST = 16
"""Pixels a side; below there are too few bands."""
FEWEST = 40
"""Training images of a class below which nothing is kept."""
SAMPLE = 1000
INSIDE = 0.99
"""Part of the training images of a class that lies inside, when each is measured by the other half."""
SURE = 1e-3
"""Chance of as many outside for images of the same kind, below which it is said."""
LEAST = 0.05
BATCH = 128
DIGITS = 7


def domain_features(images: UInt8Array) -> Floats:
    """Bands of the log spectrum less their mean, that mean, colour against luma, contrast and colour means.

    Args:
        images: uint8 ``(N, H, W, 1 or 3)``, at least 16 pixels a side.

    Returns:
        ``(N, K)``; K depends on nothing but the image size.
    """
    parts = [colour_signs(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    bands, chroma, colour, spread = (np.concatenate(part) for part in zip(*parts, strict=True))
    level = bands.mean(1)
    return np.column_stack([bands - level[:, None], level, chroma, colour / 32, np.log(spread + 1)])


@dataclass(frozen=True)
class Domain:
    """The images that a detector knows.

    Attributes:
        means: of every class ``(K,)``.
        precisions: inverse covariances ``(K, K)``.
        limits: squared Mahalanobis distances within which `INSIDE` of the class lies.
    """

    means: tuple[Floats, ...]
    precisions: tuple[Floats, ...]
    limits: tuple[float, ...]

    def outside(self, images: UInt8Array) -> npt.NDArray[np.bool_]:
        """Which images lie beyond every class, ``(N,)``.

        Args:
            images: uint8 ``(N, H, W, C)`` of the training images' size.

        Raises:
            GanlabError: images of another size.
        """
        features = domain_features(images)
        beyond = np.ones(len(features), bool)
        for mean, precision, limit in zip(self.means, self.precisions, self.limits, strict=True):
            if features.shape[1] != len(mean):
                raise GanlabError("images of another size than those that the detector was trained on")
            beyond &= _distances(features, mean, precision) > limit
        return beyond

    def as_json(self) -> dict[str, Any]:
        """Plain values, a few digits each."""
        return {
            "means": [_rounded(mean) for mean in self.means],
            "precisions": [_rounded(precision) for precision in self.precisions],
            "limits": [float(f"{limit:.{DIGITS}g}") for limit in self.limits],
        }

    @staticmethod
    def from_json(held: Mapping[str, Any]) -> Domain:
        """What `as_json` described.

        Raises:
            GanlabError: something else.
        """
        try:
            means = tuple(np.array(mean, np.float64) for mean in held["means"])
            precisions = tuple(np.array(one, np.float64) for one in held["precisions"])
            limits = tuple(float(limit) for limit in held["limits"])
            shapes = [(len(mean), len(mean)) for mean in means]
            values = [*means, *precisions, np.array(limits)]
            if not means or len(limits) != len(means) or [one.shape for one in precisions] != shapes:
                raise ValueError("shapes that do not fit")
            if not all(np.isfinite(part).all() for part in values):
                raise ValueError("values that are not finite")
        except (KeyError, TypeError, ValueError) as error:
            raise GanlabError(f"what the detector says of the images it knows is damaged: {error}") from error
        return Domain(means, precisions, limits)


def fit_domain(classes: Sequence[ImageSet], seed: int = 0) -> Domain | None:
    """Summaries of the training images of every class; None for too few or too small images.

    Args:
        classes: the training images of each class, all of one size.
        seed: of the halves that set the limits.
    """
    if any(len(images) < FEWEST or min(images.shape[:2]) < SMALLEST for images in classes):
        return None
    means, precisions, limits = [], [], []
    for images in classes:
        chosen = images.subset(images.spaced(SAMPLE))
        features = np.concatenate([domain_features(batch) for batch in chosen.batches(BATCH)])
        halves = np.array_split(np.random.default_rng(seed).permutation(len(features)), 2)
        distances = [
            _distances(features[other], *_gaussian(features[half])) for half, other in (halves, halves[::-1])
        ]
        mean, precision = _gaussian(features)
        means.append(mean)
        precisions.append(precision)
        limits.append(float(np.quantile(np.concatenate(distances), INSIDE)))
    return Domain(tuple(means), tuple(precisions), tuple(limits))


def outside_words(outside: npt.NDArray[np.bool_]) -> str | None:
    """A sentence, if more images lie outside than chance brings; None otherwise.

    Args:
        outside: of every image, from `Domain.outside`.
    """
    count, images = int(outside.sum()), len(outside)
    chance = float(binom.sf(count - 1, images, 1 - INSIDE))
    if count == 0 or (images > 1 and (chance >= SURE or count < LEAST * images)):
        return None
    share = "it is" if images == 1 else f"{100 * count / images:.0f} % of the images are"
    return (
        f"{share} outside what this detector knows (its own training images are in "
        f"{100 * (1 - INSIDE):.0f} %): what it calls them means little"
    )


def _gaussian(features: Floats) -> tuple[Floats, Floats]:
    """Mean and inverse covariance, shrunk by Ledoit and Wolf's rule in units of each feature's deviation."""
    mean, scale = features.mean(0), features.std(0) + 1e-3
    covariance = ledoit_wolf((features - mean) / scale, assume_centered=True)[0]
    covariance = covariance + 1e-6 * np.eye(len(covariance))
    precision: Floats = np.linalg.inv(covariance) / np.outer(scale, scale)
    return mean, precision


def _distances(features: Floats, mean: Floats, precision: Floats) -> Floats:
    centred = features - mean
    distances: Floats = np.einsum("nk,kl,nl->n", centred, precision, centred, optimize=True)
    return distances


def _rounded(values: Floats) -> Any:
    return np.vectorize(lambda value: float(f"{value:.{DIGITS}g}"))(values).tolist()
