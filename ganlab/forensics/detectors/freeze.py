"""From a fitted scikit-learn pipeline to a frozen detector: the arrays are taken out, the objects stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from ganlab.errors import GanlabError
from ganlab.forensics.detectors.classical import MeanPenalty
from ganlab.forensics.detectors.frozen import FrozenDetector, Step
from ganlab.forensics.detectors.neighbours import Clusters, Neighbours
from ganlab.forensics.detectors.prepare import Calibrated, Flatten, Planes, Reduce
from ganlab.forensics.detectors.prnu import Patterns, SensorPatterns

Array = npt.NDArray[Any]


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


def _nothing(part: Flatten) -> list[Step]:
    return []


def _scaler(part: StandardScaler) -> list[Step]:
    return [Step("standardise", {"mean": part.mean_, "scale": part.scale_})]


def _components(part: PCA) -> list[Step]:
    return [Step("project", {"mean": part.mean_, "components": part.components_})]


def _linear(part: Any) -> Step:
    return Step("linear", {"weights": part.coef_, "offset": np.atleast_1d(part.intercept_)})


def _logistic(part: Any) -> list[Step]:
    return [_linear(part), Step("sigmoid")]


def _mean_penalty(part: MeanPenalty) -> list[Step]:
    return _logistic(part.model_)


def _machines(part: OneVsRestClassifier) -> Step:
    """The support vectors of one machine a class, one after the other; of linear ones their weights."""
    machines = part.estimators_
    if machines[0].kernel == "linear":
        weights = np.concatenate([machine.coef_ for machine in machines])
        offset = np.concatenate([machine.intercept_ for machine in machines])
        return Step("linear", {"weights": weights, "offset": offset})
    counts = [len(machine.support_vectors_) for machine in machines]
    arrays: dict[str, Array] = {
        "vectors": np.concatenate([machine.support_vectors_ for machine in machines]).astype(np.float64),
        "weights": np.concatenate([machine.dual_coef_[0] for machine in machines]),
        "offset": np.concatenate([machine.intercept_ for machine in machines]),
        "start": np.cumsum([0, *counts[:-1]]),
    }
    gammas = {float(machine._gamma) for machine in machines}  # the value behind "scale"; no public name
    numbers = {"gamma": gammas.pop()}
    if machines[0].kernel == "rbf":
        return Step("gaussian", arrays, numbers)
    return Step("polynomial", arrays, {**numbers, "degree": machines[0].degree, "shift": machines[0].coef0})


def _patterns(part: Patterns) -> list[Step]:
    """Correlations; of two classes their difference, which is linear too."""
    weights = part.patterns_[1:] - part.patterns_[:1] if len(part.classes_) == 2 else part.patterns_
    return [Step("unit"), Step("linear", {"weights": weights, "offset": np.zeros(len(weights))})]


def _sensor_patterns(part: SensorPatterns) -> list[Step]:
    height, width = part.plane_
    return [Step("sensor", {}, {"height": height, "width": width}), *_patterns(part)]


SCORES: dict[type, Callable[[Any], list[Step]]] = {
    LinearSVC: lambda part: [_linear(part)],
    OneVsRestClassifier: lambda part: [_machines(part)],
    Patterns: _patterns,
    SensorPatterns: _sensor_patterns,
}
"""What `Calibrated` may hold, as steps that end in scores."""


def _calibrated(part: Calibrated) -> list[Step]:
    inner = part.fitted_.calibrated_classifiers_[0]
    scores = SCORES[type(inner.estimator)](inner.estimator)
    slope = np.array([curve.a_ for curve in inner.calibrators])
    shift = np.array([curve.b_ for curve in inner.calibrators])
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
    grown = [one.tree_ for one in part.estimators_]
    shares = [tree.value[:, 0] / tree.value[:, 0].sum(1, keepdims=True) for tree in grown]
    return [Step("forest", _trees(grown, shares))]


def _boosting(part: GradientBoostingClassifier) -> list[Step]:
    grown = [one.tree_ for one in part.estimators_.ravel()]
    prior = part.init_.class_prior_
    start = np.log(prior[1:] / prior[:1]) if len(prior) == 2 else np.log(prior)
    arrays = _trees(grown, [tree.value[:, 0] for tree in grown])
    arrays["start"] = start
    return [Step("boosting", arrays, {"rate": part.learning_rate}), Step("sigmoid")]


def _neighbours(part: Neighbours) -> list[Step]:
    arrays: dict[str, Array] = {"vectors": part.features_, "labels": part.codes_.astype(np.int64)}
    return [Step("nearest", arrays, {"k": part.k_, "classes": len(part.classes_)})]


def _clusters(part: Clusters) -> list[Step]:
    return [Step("centres", {"centres": part.centres_}, {"width": part.width_})]


FREEZERS: dict[type, Callable[[Any], list[Step]]] = {
    Flatten: _nothing,
    Planes: _nothing,
    StandardScaler: _scaler,
    PCA: _components,
    Reduce: _components,
    LogisticRegression: _logistic,
    MeanPenalty: _mean_penalty,
    LinearDiscriminantAnalysis: _logistic,
    Calibrated: _calibrated,
    RandomForestClassifier: _forest,
    GradientBoostingClassifier: _boosting,
    Neighbours: _neighbours,
    Clusters: _clusters,
}
