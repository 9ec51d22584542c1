"""Linear detectors: logistic regression with three kinds of penalty, and the linear SVM."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from ganlab.errors import GanlabError
from ganlab.forensics.detectors.calibrate import Calibrated
from ganlab.forensics.detectors.prepare import Floats, Labels, preparation


class MeanPenalty(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression that minimises mean loss + strength * |w|, whatever the number of images.

    Attributes:
        norm: "l2" adds strength * |w|^2, "l1" adds strength * sum |w|.
        strength: the factor.
        max_iter: of the solver.
    """

    def __init__(
        self, norm: str = "l2", strength: float = 0.01, max_iter: int = 1000, random_state: int | None = None
    ) -> None:
        self.norm = norm
        self.strength = strength
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, features: Floats, labels: Labels) -> Self:
        """Translate the strength to scikit-learn's C, which multiplies the sum of the losses, and fit."""
        if self.norm not in ("l1", "l2") or self.strength <= 0:
            raise GanlabError(f"penalty l1 or l2 with a positive strength; got {self.norm}, {self.strength}")
        cost = 1.0 / (self.strength * len(features) * (2 if self.norm == "l2" else 1))
        solver: dict[str, Any] = (
            {"solver": "saga", "l1_ratio": 1.0, "tol": 1e-3} if self.norm == "l1" else {"solver": "lbfgs"}
        )
        self.model_ = LogisticRegression(
            C=cost, max_iter=self.max_iter, random_state=self.random_state, **solver
        )
        self.model_.fit(features, labels)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, features: Floats) -> Floats:
        """Probability of each class, ``(N, K)``."""
        probabilities: Floats = self.model_.predict_proba(features)
        return probabilities

    def predict(self, features: Floats) -> Labels:
        """The likeliest class."""
        chosen: Labels = self.classes_[np.argmax(self.predict_proba(features), 1)]
        return chosen


def logistic(seed: int = 0, cost: float = 1.0, standardise: bool = True) -> Pipeline:
    """Logistic regression with scikit-learn's cost (Durall 2019: not standardised, cost 1)."""
    model = LogisticRegression(C=cost, max_iter=2000, random_state=seed)
    return Pipeline([*preparation(standardise), ("classify", model)])


def ridge(seed: int = 0, strength: float = 0.01) -> Pipeline:
    """Logistic regression with an L2 penalty on the mean loss (Frank 2020's "ridge regression")."""
    return Pipeline([*preparation(), ("classify", MeanPenalty("l2", strength, random_state=seed))])


def lasso(seed: int = 0, strength: float = 0.01) -> Pipeline:
    """Logistic regression with an L1 penalty on the mean loss: few weights stay (Frank 2020's LASSO)."""
    return Pipeline([*preparation(), ("classify", MeanPenalty("l1", strength, random_state=seed))])


def linear_svm(seed: int = 0, cost: float = 1.0, standardise: bool = True) -> Pipeline:
    """Linear support vector machine, calibrated to probabilities on held-out folds."""
    model = LinearSVC(C=cost, max_iter=5000, random_state=seed)
    return Pipeline([*preparation(standardise), ("classify", Calibrated(model, seed))])
