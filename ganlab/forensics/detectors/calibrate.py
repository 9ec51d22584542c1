"""From scores to probabilities: Platt's logistic curve, fitted on folds that the model did not see."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold

from ganlab.forensics.detectors.prepare import Floats, Labels

FOLDS = 3


class Calibrated(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier with a decision function, fitted on everything, and a logistic curve for each class.

    The curve comes from cross-validated scores (Platt 1999): 3 folds, or as many as the rarest class has
    images.

    Attributes:
        model: the classifier.
        seed: of the folds.
    """

    def __init__(self, model: Any, seed: int = 0) -> None:
        self.model = model
        self.seed = seed

    def fit(self, features: Floats, labels: Labels) -> Self:
        """Fit folds, curve and model."""
        folds = min(FOLDS, int(np.unique(labels, return_counts=True)[1].min()))
        splitter = StratifiedKFold(folds, shuffle=True, random_state=self.seed)
        self.fitted_ = CalibratedClassifierCV(clone(self.model), cv=splitter, ensemble=False)
        self.fitted_.fit(features, labels)
        self.classes_ = self.fitted_.classes_
        return self

    def predict_proba(self, features: Floats) -> Floats:
        """Probability of each class, ``(N, K)``."""
        probabilities: Floats = self.fitted_.predict_proba(features)
        return probabilities

    def predict(self, features: Floats) -> Labels:
        """The likeliest class."""
        chosen: Labels = self.classes_[np.argmax(self.predict_proba(features), 1)]
        return chosen
