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


def optimised(
    bench: Bench, system: System, candidates: int, seed: int
) -> tuple[System, list[dict[str, Any]]]:
    """The system with the options of the best mean validation ROC-AUC over all sources, and what was tried.

    Candidates are drawn from `SPACES` without repetition (scikit-learn's ParameterSampler). Test images are
    never looked at.
    """
    space = SPACES.get(system.detector)
    if not space or candidates == 0:
        return system, []
    total = int(np.prod([len(values) for values in space.values()]))
    sampler = ParameterSampler(
        space, min(candidates, total), random_state=derive_seed(seed, "search") % 2**31
    )
    tried: list[dict[str, Any]] = [
        {"options": dict(options), "roc_auc": _score(bench, system, options, seed)} for options in sampler
    ]
    best = max(tried, key=lambda one: one["roc_auc"])
    return system.with_detector_options(best["options"]), tried


def _score(bench: Bench, system: System, options: Mapping[str, Any], seed: int) -> float:
    """Mean ROC-AUC on the validation parts of all sources."""
    values = []
    for source in bench.sources:
        features, labels = bench.training(system, [source])
        held, truth = bench.testing(system, source, part="val")
        detector = system.with_detector_options(options).make_detector(seed).fit(features, labels)
        scores = np.clip(detector.predict_proba(held)[:, 1], 0, 1)
        values.append(evaluate(truth, scores, resamples=0)["roc_auc"].value)
    return float(np.mean(values))
