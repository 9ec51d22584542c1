"""Correlation with one mean pattern a class."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from ganlab.forensics.detectors.calibrate import Calibrated
from ganlab.forensics.detectors.prepare import Floats, Labels, preparation


class Patterns(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Normalised cross-correlation of a residual with the mean residual of each class."""

    def fit(self, features: Floats, labels: Labels) -> Self:
        """Average the residuals of each class, then normalise."""
        self.classes_ = np.unique(labels)
        means = np.stack([features[labels == one].mean(0) for one in self.classes_])
        self.patterns_: npt.NDArray[np.float64] = unit_rows(means.astype(np.float64))
        return self

    def decision_function(self, features: Floats) -> Floats:
        """Correlation with each class ``(N, K)``; of two classes the difference ``(N,)``."""
        correlation = unit_rows(np.asarray(features, np.float64)) @ self.patterns_.T
        difference: Floats = correlation[:, 1] - correlation[:, 0]
        return difference if len(self.classes_) == 2 else correlation

    def predict(self, features: Floats) -> Labels:
        """The class with the largest correlation."""
        correlation = unit_rows(np.asarray(features, np.float64)) @ self.patterns_.T
        chosen: Labels = self.classes_[correlation.argmax(1)]
        return chosen


def unit_rows(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Every row with mean 0 and norm 1; a constant row becomes 0."""
    centred = values - values.mean(1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float64] = centred / np.where(norm > 1e-12, norm, 1.0)
    return scaled


def prnu(seed: int = 0) -> Pipeline:
    """Correlation with each class's mean noise residual, calibrated; made for the feature "residual"."""
    return Pipeline([*preparation(standardise=False), ("classify", Calibrated(Patterns(), seed))])
