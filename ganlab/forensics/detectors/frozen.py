"""A fitted detector as arrays and a list of steps: it needs no scikit-learn, and reading one runs no code.

Each step has a kind, arrays, and numbers; the kinds are the functions of `KINDS` and nothing else. A file
with another kind is refused. Predictions equal those of the fitted estimator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from ganlab.errors import GanlabError
from ganlab.forensics.detectors.prnu import sensor_filter, unit_rows

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Step:
    """One operation of a frozen detector.

    Attributes:
        kind: a key of `KINDS`.
        arrays: what was fitted.
        numbers: scalar parameters.
    """

    kind: str
    arrays: Mapping[str, Array] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FrozenDetector:
    """A fitted detector that only predicts.

    Attributes:
        steps: in the order of application.
        classes_: labels of the columns of `predict_proba`.
        shape: of one image's feature.
    """

    steps: tuple[Step, ...]
    classes_: npt.NDArray[np.int64]
    shape: tuple[int, ...]

    def predict_proba(self, features: Array) -> Floats:
        """Probability of each class, ``(N, K)`` float64, for features ``(N, *shape)``.

        Raises:
            GanlabError: another shape.
        """
        if tuple(features.shape[1:]) != self.shape:
            raise GanlabError(
                f"this detector was fitted on features of shape {self.shape}; got {tuple(features.shape[1:])}"
            )
        flat = np.asarray(features).reshape(len(features), math.prod(self.shape))
        blocks = [self._run(flat[i : i + ROWS_AT_ONCE]) for i in range(0, len(flat), ROWS_AT_ONCE)]
        return np.concatenate(blocks) if blocks else np.empty((0, len(self.classes_)))

    def _run(self, values: Array) -> Floats:
        out = values.astype(np.float64)
        for step in self.steps:
            out = KINDS[step.kind](step, out)
        return out

    def predict(self, features: Array) -> npt.NDArray[np.int64]:
        """The likeliest class of each image."""
        chosen: npt.NDArray[np.int64] = self.classes_[np.argmax(self.predict_proba(features), 1)]
        return chosen


def _standardise(step: Step, values: Floats) -> Floats:
    return (values - step.arrays["mean"]) / step.arrays["scale"]


def _project(step: Step, values: Floats) -> Floats:
    out: Floats = (values - step.arrays["mean"]) @ step.arrays["components"].T
    return out


def _unit(step: Step, values: Floats) -> Floats:
    """Rows of mean 0 and norm 1."""
    return unit_rows(values)


def _sensor(step: Step, values: Floats) -> Floats:
    """Residuals without lines and periods."""
    planes = values.reshape(len(values), int(step.numbers["height"]), int(step.numbers["width"]))
    return sensor_filter(planes).reshape(len(values), -1)


def _linear(step: Step, values: Floats) -> Floats:
    out: Floats = values @ step.arrays["weights"].T + step.arrays["offset"]
    return out


def _gaussian(step: Step, values: Floats) -> Floats:
    """Kernel exp(-gamma |x - y|^2)."""
    distance = _squared_distances(values, step.arrays["vectors"])
    return _machines(step, np.exp(-step.numbers["gamma"] * distance))


def _polynomial(step: Step, values: Floats) -> Floats:
    """Kernel (gamma x.y + shift) ** degree."""
    numbers, vectors = step.numbers, step.arrays["vectors"].astype(np.float64)
    kernel = (numbers["gamma"] * (values @ vectors.T) + numbers["shift"]) ** numbers["degree"]
    return _machines(step, kernel)


def _machines(step: Step, kernel: Floats) -> Floats:
    """Scores of one machine a class; ``start`` says where each one's support vectors begin."""
    terms = kernel * step.arrays["weights"]
    sums: Floats = np.add.reduceat(terms, step.arrays["start"], axis=1) + step.arrays["offset"]
    return sums


def _squared_distances(left: Floats, right: Array) -> Floats:
    products = left @ right.T.astype(np.float64)
    norms = (left**2).sum(1)[:, None] + (right.astype(np.float64) ** 2).sum(1)
    out: Floats = np.maximum(norms - 2 * products, 0.0)
    return out


def _two_columns(probability: Floats) -> Floats:
    return np.concatenate([1 - probability, probability], axis=1)


def _sigmoid(step: Step, scores: Floats) -> Floats:
    """One score: its logistic. Several: their softmax."""
    return _two_columns(expit(scores)) if scores.shape[1] == 1 else softmax(scores, axis=1)


def _platt(step: Step, scores: Floats) -> Floats:
    """A logistic curve for every score; several are scaled to sum 1."""
    curves: Floats = expit(-(scores * step.arrays["slope"] + step.arrays["shift"]))
    if curves.shape[1] == 1:
        return _two_columns(curves)
    total = curves.sum(1, keepdims=True)
    return np.where(total > 0, curves / np.where(total > 0, total, 1.0), 1.0 / curves.shape[1])


def _leaves(step: Step, values: Floats) -> npt.NDArray[np.int64]:
    """The leaf every image ends in, for every tree: ``(N, trees)``; a leaf is its own child."""
    arrays = step.arrays
    node = np.repeat(arrays["root"][None], len(values), axis=0)
    rows = np.arange(len(values))[:, None]
    tested = values.astype(np.float32)  # trees were grown on float32
    while True:
        left = tested[rows, arrays["feature"][node]] <= arrays["threshold"][node]
        following: npt.NDArray[np.int64] = np.where(left, arrays["left"][node], arrays["right"][node])
        if np.array_equal(following, node):
            return following
        node = following


def _forest(step: Step, values: Floats) -> Floats:
    """Mean class shares of the leaves."""
    return np.asarray(step.arrays["value"][_leaves(step, values)].mean(axis=1))


def _boosting(step: Step, values: Floats) -> Floats:
    """Sum of leaf values for each score, ``(N, scores)``; trees in rounds, one a score."""
    scores = len(step.arrays["start"])
    leaves = step.arrays["value"][_leaves(step, values)][:, :, 0]
    rounds = leaves.reshape(len(values), -1, scores).sum(1)
    return np.asarray(step.arrays["start"] + step.numbers["rate"] * rounds)


def _nearest(step: Step, values: Floats) -> Floats:
    """Class shares among the k nearest stored vectors."""
    k, labels = int(step.numbers["k"]), step.arrays["labels"]
    distance = _squared_distances(values, step.arrays["vectors"])
    near = labels[np.argpartition(distance, k - 1, axis=1)[:, :k]]
    return np.asarray((near[:, :, None] == np.arange(int(step.numbers["classes"]))).mean(axis=1))


def _centres(step: Step, values: Floats) -> Floats:
    """Softmax of minus the mean squared distance to each centre."""
    distance = ((values[:, None] - step.arrays["centres"]) ** 2).mean(2)
    return np.asarray(softmax(-distance / (2 * step.numbers["width"]), axis=1))


KINDS: dict[str, Callable[[Step, Floats], Floats]] = {
    "standardise": _standardise,
    "project": _project,
    "unit": _unit,
    "sensor": _sensor,
    "linear": _linear,
    "gaussian": _gaussian,
    "polynomial": _polynomial,
    "sigmoid": _sigmoid,
    "platt": _platt,
    "forest": _forest,
    "boosting": _boosting,
    "nearest": _nearest,
    "centres": _centres,
}
