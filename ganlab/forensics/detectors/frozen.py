"""A fitted detector as arrays and a list of steps: it needs no scikit-learn, and reading one runs no code.

Each step has a kind, arrays, and numbers; the kinds are the functions of `KINDS` and nothing else. A file
with another kind is refused. `freeze` takes the arrays out of a fitted pipeline, by `FREEZERS`; predictions
equal those of the pipeline.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from ganlab.errors import GanlabError
from ganlab.forensics.detectors.classical import Clusters, MeanPenalty, Neighbours
from ganlab.forensics.detectors.prepare import Calibrated, Flatten, Planes, Reduce, odds_of
from ganlab.forensics.detectors.prnu import Patterns, SensorPatterns, sensor_filter, unit_rows

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

ROWS_AT_ONCE = 1024
DEEPEST_TREE = 1000
"""Levels of a tree; scikit-learn's have some dozens. Steps from node to node must end in any file."""


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
        return self._after(self.steps, features, len(self.classes_))

    def decision_function(self, features: Array) -> Floats:
        """Log-odds of class 1 where there are two, ``(N,)``: no end where probabilities round to 0 or 1.

        Raises:
            GanlabError: another shape.
        """
        last = self.steps[-1]
        if last.kind not in ("sigmoid", "platt"):
            return odds_of(self.predict_proba(features))
        scores = self._after(self.steps[:-1], features, 1)[:, 0]
        return scores if last.kind == "sigmoid" else -(scores * last.arrays["slope"] + last.arrays["shift"])

    def _after(self, steps: tuple[Step, ...], features: Array, columns: int) -> Floats:
        """What some of the steps make of the features, ``(N, columns)``."""
        if tuple(features.shape[1:]) != self.shape:
            raise GanlabError(
                f"this detector was fitted on features of shape {self.shape}; got {tuple(features.shape[1:])}"
            )
        flat = np.asarray(features).reshape(len(features), math.prod(self.shape))
        blocks = [np.empty((0, columns))]
        for start in range(0, len(flat), ROWS_AT_ONCE):
            values = flat[start : start + ROWS_AT_ONCE].astype(np.float64)
            for step in steps:
                values = KINDS[step.kind](step, values)
            blocks.append(values)
        return np.concatenate(blocks)

    def predict(self, features: Array) -> npt.NDArray[np.int64]:
        """The likeliest class of each image."""
        likeliest: npt.NDArray[np.int64] = self.classes_[np.argmax(self.predict_proba(features), 1)]
        return likeliest


# ------------------------------------------------------------------------------------------ what a step does


def _sensor(step: Step, values: Floats) -> Floats:
    """Residuals without lines and periods."""
    planes = values.reshape(len(values), int(step.numbers["height"]), int(step.numbers["width"]))
    return sensor_filter(planes).reshape(len(values), -1)


def _polynomial(step: Step, values: Floats) -> Floats:
    """Kernel (gamma x.y + shift) ** degree."""
    numbers, vectors = step.numbers, step.arrays["vectors"].astype(np.float64)
    return _machines(step, (numbers["gamma"] * (values @ vectors.T) + numbers["shift"]) ** numbers["degree"])


def _machines(step: Step, kernel: Floats) -> Floats:
    """Scores of one machine a class; ``start`` says where each one's support vectors begin."""
    terms = kernel * step.arrays["weights"]
    sums: Floats = np.add.reduceat(terms, step.arrays["start"], axis=1) + step.arrays["offset"]
    return sums


def _squared_distances(step: Step, values: Floats) -> Floats:
    """Of every image to every stored vector, ``(N, M)``."""
    vectors = step.arrays["vectors"].astype(np.float64)
    norms = (values**2).sum(1)[:, None] + (vectors**2).sum(1)
    # |x|^2 + |y|^2 - 2 x.y in place of differences: no (N, M, D) array; rounding may leave it below 0
    distances: Floats = np.maximum(norms - 2 * (values @ vectors.T), 0.0)
    return distances


def _two_columns(probability: Floats) -> Floats:
    return np.concatenate([1 - probability, probability], axis=1)


def _platt(step: Step, scores: Floats) -> Floats:
    """A logistic curve for every score; several are scaled to sum 1."""
    curves: Floats = expit(-(scores * step.arrays["slope"] + step.arrays["shift"]))
    if curves.shape[1] == 1:
        return _two_columns(curves)
    total = curves.sum(1, keepdims=True)
    return np.where(total > 0, curves / np.where(total > 0, total, 1.0), 1.0 / curves.shape[1])


def _leaf_values(step: Step, values: Floats) -> Floats:
    """Value of the leaf that every image ends in, for every tree: ``(N, trees, V)``."""
    arrays = step.arrays
    node = np.repeat(arrays["root"][None], len(values), axis=0)
    rows = np.arange(len(values))[:, None]
    tested = values.astype(np.float32)  # trees were grown on float32
    for _ in range(DEEPEST_TREE):
        left = tested[rows, arrays["feature"][node]] <= arrays["threshold"][node]
        following = np.where(left, arrays["left"][node], arrays["right"][node])
        if np.array_equal(following, node):  # a leaf is its own child
            return np.asarray(arrays["value"][node])
        node = following
    raise GanlabError(f"a tree of the detector has no leaf within {DEEPEST_TREE} levels")


def _boosting(step: Step, values: Floats) -> Floats:
    """Sum of leaf values for each score, ``(N, scores)``; trees in rounds, one a score."""
    leaves = _leaf_values(step, values)[:, :, 0]
    rounds = leaves.reshape(len(values), -1, len(step.arrays["start"])).sum(1)
    return np.asarray(step.arrays["start"] + step.numbers["rate"] * rounds)


def _nearest(step: Step, values: Floats) -> Floats:
    """Class shares among the k nearest stored vectors."""
    k = int(step.numbers["k"])
    nearest = np.argpartition(_squared_distances(step, values), k - 1, axis=1)[:, :k]
    labels = step.arrays["labels"][nearest]
    return np.asarray((labels[:, :, None] == np.arange(int(step.numbers["classes"]))).mean(axis=1))


def _centres(step: Step, values: Floats) -> Floats:
    """Softmax of minus the mean squared distance to each centre."""
    distance = ((values[:, None] - step.arrays["centres"]) ** 2).mean(2)
    return np.asarray(softmax(-distance / (2 * step.numbers["width"]), axis=1))


KINDS: dict[str, Callable[[Step, Floats], Floats]] = {
    "standardise": lambda step, values: (values - step.arrays["mean"]) / step.arrays["scale"],
    "project": lambda step, values: (values - step.arrays["mean"]) @ step.arrays["components"].T,
    "unit": lambda step, values: unit_rows(values),
    "sensor": _sensor,
    "linear": lambda step, values: values @ step.arrays["weights"].T + step.arrays["offset"],
    "gaussian": lambda step, values: _machines(
        step, np.exp(-step.numbers["gamma"] * _squared_distances(step, values))
    ),
    "polynomial": _polynomial,
    # one score: its logistic; several: their softmax
    "sigmoid": lambda step, scores: (
        _two_columns(expit(scores)) if scores.shape[1] == 1 else softmax(scores, axis=1)
    ),
    "platt": _platt,
    # the mean class shares of the leaves
    "forest": lambda step, values: _leaf_values(step, values).mean(axis=1),
    "boosting": _boosting,
    "nearest": _nearest,
    "centres": _centres,
}
LAST = ("sigmoid", "platt", "forest", "nearest", "centres")
"""Kinds that end in probabilities."""


def check_steps(detector: FrozenDetector) -> None:
    """Hold a detector that was read from a file against what every one of `freeze` is.

    Raises:
        GanlabError: it ends in no probabilities, a number is not finite, or it cannot judge a blank image.
    """
    if not detector.steps or detector.steps[-1].kind not in LAST:
        last = detector.steps[-1].kind if detector.steps else "nothing"
        raise GanlabError(f"its last step is {last!r}, which gives no probabilities; expected one of {LAST}")
    for step in detector.steps:
        numbers = [*map(np.asarray, step.numbers.values()), *step.arrays.values()]
        if any(array.dtype.kind not in "iufb" or not np.isfinite(array).all() for array in numbers):
            raise GanlabError(f"the step {step.kind!r} holds what is no finite number")
        if step.kind == "forest" and (step.arrays["value"].min() < 0 or step.arrays["value"].max() > 1):
            raise GanlabError("the leaves of its forest hold what are no shares")
    with np.errstate(all="ignore"):
        check_probabilities(detector.predict_proba(np.zeros((1, *detector.shape))), len(detector.classes_))


def check_probabilities(values: Floats, classes: int) -> None:
    """Hold what a detector gave against what probabilities are.

    Raises:
        GanlabError: not ``(N, classes)`` numbers from 0 to 1 that add up to 1 in each row.
    """
    fits = values.ndim == 2 and values.shape[1] == classes and bool(np.isfinite(values).all())
    if not fits or values.min(initial=0) < 0 or (abs(values.sum(1) - 1) > 1e-3).any():
        raise GanlabError(f"what it gives are no probabilities of {classes} classes: it is damaged")


# --------------------------------------------------------------------------------- from a pipeline to steps


def freeze(detector: Pipeline) -> FrozenDetector:
    """The same predictions without scikit-learn.

    Raises:
        GanlabError: not fitted, or a step that has no frozen form.
    """
    if not hasattr(detector[0], "shape_"):
        raise GanlabError("only a fitted detector can be frozen")
    steps: list[Step] = []
    for _, part in detector.steps:
        if type(part) not in FREEZERS:
            raise GanlabError(f"a step of type {type(part).__name__} has no frozen form")
        steps += FREEZERS[type(part)](part)
    return FrozenDetector(tuple(steps), np.asarray(detector.classes_, np.int64), detector[0].shape_)


def _linear(part: Any) -> Step:
    return Step("linear", {"weights": part.coef_, "offset": np.atleast_1d(part.intercept_)})


def _support_vectors(part: OneVsRestClassifier) -> Step:
    """The support vectors of one machine a class, one after the other; of linear ones their weights."""
    machines = part.estimators_
    offset = np.concatenate([machine.intercept_ for machine in machines])
    if machines[0].kernel == "linear":
        return Step(
            "linear", {"weights": np.concatenate([machine.coef_ for machine in machines]), "offset": offset}
        )
    counts = [len(machine.support_vectors_) for machine in machines]
    arrays: dict[str, Array] = {
        "vectors": np.concatenate([machine.support_vectors_ for machine in machines]).astype(np.float64),
        "weights": np.concatenate([machine.dual_coef_[0] for machine in machines]),
        "offset": offset,
        "start": np.cumsum([0, *counts[:-1]]),
    }
    # all machines share one gamma; the value behind "scale" has no public name
    numbers = {"gamma": float(machines[0]._gamma)}
    if machines[0].kernel == "rbf":
        return Step("gaussian", arrays, numbers)
    return Step("polynomial", arrays, {**numbers, "degree": machines[0].degree, "shift": machines[0].coef0})


def _patterns(part: Patterns) -> list[Step]:
    """Correlations; of two classes their difference, which is linear too."""
    weights = part.patterns_[1:] - part.patterns_[:1] if len(part.classes_) == 2 else part.patterns_
    steps = [Step("unit"), Step("linear", {"weights": weights, "offset": np.zeros(len(weights))})]
    if isinstance(part, SensorPatterns):
        height, width = part.plane_
        steps.insert(0, Step("sensor", {}, {"height": height, "width": width}))
    return steps


SCORES: dict[type, Callable[[Any], list[Step]]] = {
    LinearSVC: lambda part: [_linear(part)],
    OneVsRestClassifier: lambda part: [_support_vectors(part)],
    Patterns: _patterns,
    SensorPatterns: _patterns,
}
"""What `Calibrated` may hold, as steps that end in scores."""


def _calibrated(part: Calibrated) -> list[Step]:
    inner = part.fitted_.calibrated_classifiers_[0]
    slope = np.array([curve.a_ for curve in inner.calibrators])
    shift = np.array([curve.b_ for curve in inner.calibrators])
    scores = SCORES[type(inner.estimator)](inner.estimator)
    return [*scores, Step("platt", {"slope": slope, "shift": shift})]


def _trees(grown: list[Any], values: list[Array]) -> dict[str, Array]:
    """Trees one after the other; node numbers count through, and a leaf is its own child."""
    root = np.cumsum([0, *(tree.node_count for tree in grown[:-1])])
    left, right = [], []
    for tree, start in zip(grown, root, strict=True):
        own = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        left.append(start + np.where(leaf, own, tree.children_left))
        right.append(start + np.where(leaf, own, tree.children_right))
    return {
        "root": root,
        "left": np.concatenate(left),
        "right": np.concatenate(right),
        "feature": np.concatenate([np.maximum(tree.feature, 0) for tree in grown]),
        "threshold": np.concatenate([tree.threshold for tree in grown]),
        "value": np.concatenate(values),
    }


def _forest(part: RandomForestClassifier) -> list[Step]:
    grown = [tree.tree_ for tree in part.estimators_]
    shares = [tree.value[:, 0] / tree.value[:, 0].sum(1, keepdims=True) for tree in grown]
    return [Step("forest", _trees(grown, shares))]


def _boosted(part: GradientBoostingClassifier) -> list[Step]:
    grown = [tree.tree_ for tree in part.estimators_.ravel()]
    prior = part.init_.class_prior_
    start = np.log(prior[1:] / prior[:1]) if len(prior) == 2 else np.log(prior)
    arrays = {**_trees(grown, [tree.value[:, 0] for tree in grown]), "start": start}
    return [Step("boosting", arrays, {"rate": part.learning_rate}), Step("sigmoid")]


def _neighbours(part: Neighbours) -> list[Step]:
    arrays: dict[str, Array] = {"vectors": part.features_, "labels": part.codes_.astype(np.int64)}
    return [Step("nearest", arrays, {"k": part.k_, "classes": len(part.classes_)})]


FREEZERS: dict[type, Callable[[Any], list[Step]]] = {
    # a frozen detector flattens by itself
    Flatten: lambda part: [],
    Planes: lambda part: [],
    StandardScaler: lambda part: [Step("standardise", {"mean": part.mean_, "scale": part.scale_})],
    PCA: lambda part: [Step("project", {"mean": part.mean_, "components": part.components_})],
    Reduce: lambda part: [Step("project", {"mean": part.mean_, "components": part.components_})],
    LogisticRegression: lambda part: [_linear(part), Step("sigmoid")],
    MeanPenalty: lambda part: [_linear(part.model_), Step("sigmoid")],
    LinearDiscriminantAnalysis: lambda part: [_linear(part), Step("sigmoid")],
    Calibrated: _calibrated,
    RandomForestClassifier: _forest,
    GradientBoostingClassifier: _boosted,
    Neighbours: _neighbours,
    Clusters: lambda part: [Step("centres", {"centres": part.centres_}, {"width": part.width_})],
}
