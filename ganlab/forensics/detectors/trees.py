"""Detectors made of decision trees."""

from __future__ import annotations

from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import Pipeline

from ganlab.forensics.detectors.prepare import preparation


def random_forest(seed: int = 0, trees: int = 300, min_leaf: int = 1) -> Pipeline:
    """Random forest: the mean of many trees on resampled images and features."""
    model = RandomForestClassifier(trees, min_samples_leaf=min_leaf, random_state=seed, n_jobs=-1)
    return Pipeline([*preparation(standardise=False), ("classify", model)])


def gradient_boosting(
    seed: int = 0, trees: int = 150, rate: float = 0.1, depth: int = 3, subsample: float = 0.5
) -> Pipeline:
    """Gradient boosting: small trees one after the other, each on half the images."""
    model = GradientBoostingClassifier(
        n_estimators=trees, learning_rate=rate, max_depth=depth, subsample=subsample, max_features="sqrt",
        random_state=seed,
    )  # fmt: skip
    return Pipeline([*preparation(standardise=False), ("classify", model)])
