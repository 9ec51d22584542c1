"""Hyper-parameters chosen once, on validation images of all generators together, before any test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import ParameterSampler

from ganlab.forensics import Bench, System, evaluate
from ganlab.util.seeding import derive_seed

SPACES: dict[str, Mapping[str, Sequence[Any]]] = {
    "logistic": {"cost": [10.0**k for k in range(-4, 5)]},
    "ridge": {"strength": [10.0**k for k in range(-6, 1)]},
    "lasso": {"strength": [10.0**k for k in range(-6, 0)]},
    "linear_svm": {"cost": [10.0**k for k in range(-4, 3)]},
    "rbf_svm": {"cost": [0.1, 0.3, 1.0, 3.0, 10.0, 30.0], "gamma": ["scale", 1e-3, 3e-3, 1e-2, 3e-2, 1e-1]},
    "random_forest": {"trees": [300], "min_leaf": [1, 2, 4, 8, 16]},
    "gradient_boosting": {"trees": [100, 200, 400], "rate": [0.03, 0.1, 0.3], "depth": [2, 3, 5]},
    "knn": {"k": [1, 3, 5, 9, 17, 33, 65, 129]},
    "eigenfaces": {"variance": [0.25, 0.5, 0.75, 0.95], "cost": [1e-4, 1e-3, 1e-2, 1e-1]},
    "cnn": {"rate": [3e-4, 1e-3, 3e-3], "batch": [64, 128]},
}
"""What is tried; detectors that are not listed keep their settings."""
_RESIDUAL: dict[str, Sequence[Any]] = {
    "levels": [1, 2, 3, 4],
    "sigma": [step * 0.05 / 127.5 for step in range(1, 20)],
}
FEATURE_SPACES: dict[str, Mapping[str, Sequence[Any]]] = {"prnu": _RESIDUAL, "prnu_sensor": _RESIDUAL}
"""What is tried of the feature, by detector: Frank 2020's grid, 0.05 to 0.95 grey levels of noise."""


def optimised(
    bench: Bench, system: System, candidates: int, seed: int
) -> tuple[System, list[dict[str, Any]]]:
    """The system with the options of the best mean validation ROC-AUC over all sources, and what was tried.

    Candidates are drawn from `SPACES` without repetition (scikit-learn's ParameterSampler). Test images are
    never looked at.
    """
    space = _space(system)
    if not space or candidates == 0:
        return system, []
    total = int(np.prod([len(values) for values in space.values()]))
    sampler = ParameterSampler(
        space, min(candidates, total), random_state=derive_seed(seed, "search") % 2**31
    )
    chosen = [_changed(system, drawn) for drawn in sampler]
    areas = [_score(bench, one, seed) for one in chosen]
    tried: list[dict[str, Any]] = [
        {**options_of(one), "roc_auc": area} for one, area in zip(chosen, areas, strict=True)
    ]
    return chosen[int(np.argmax(areas))], tried


def _space(system: System) -> dict[tuple[bool, str], Sequence[Any]]:
    """What is tried, by (whether it is the feature's, name)."""
    own = {(False, name): values for name, values in SPACES.get(system.detector, {}).items()}
    if system.feature != "residual":
        return own
    return {**own, **{(True, n): values for n, values in FEATURE_SPACES.get(system.detector, {}).items()}}


def options_of(system: System) -> dict[str, Any]:
    """What a system's options are, as JSON values."""
    return {"options": dict(system.detector_options), "feature_options": dict(system.feature_options)}


def _changed(system: System, drawn: Mapping[tuple[bool, str], Any]) -> System:
    """The system with options drawn for its detector (False) and its feature (True)."""
    detector = {name: value for (of_feature, name), value in drawn.items() if not of_feature}
    feature = {name: value for (of_feature, name), value in drawn.items() if of_feature}
    return system.with_detector_options(detector).with_feature_options(feature)


def _score(bench: Bench, system: System, seed: int) -> float:
    """Mean ROC-AUC on the validation parts of all sources."""
    values = []
    for source in bench.sources:
        features, labels = bench.training(system, [source])
        held, truth = bench.testing(system, source, part="val")
        detector = system.make_detector(seed).fit(features, labels)
        scores = np.clip(detector.predict_proba(held)[:, 1], 0, 1)
        values.append(evaluate(truth, scores, resamples=0)["roc_auc"].value)
    return float(np.mean(values))
