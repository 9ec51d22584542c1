"""Linear detectors: logistic regression with three kinds of penalty, and the linear SVM."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC, LinearSVC

from ganlab.errors import GanlabError
from ganlab.forensics.detectors.prepare import Calibrated, Floats, Labels, Reduce, preparation


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


DURALL_COST = 6.37
DURALL_GAMMA = 0.86
CACHE_MIB = 500


def rbf_svm(
    seed: int = 0, cost: float = 1.0, gamma: float | str = "scale", standardise: bool = True
) -> Pipeline:
    """Support vector machine with a Gaussian kernel, calibrated on held-out folds."""
    return _machine(SVC(C=cost, gamma=gamma, cache_size=CACHE_MIB), seed, standardise)


def poly_svm(
    seed: int = 0,
    cost: float = 1.0,
    degree: int = 3,
    gamma: float | str = "scale",
    standardise: bool = True,
) -> Pipeline:
    """Support vector machine with the polynomial kernel (gamma x.y) ** degree, calibrated on folds."""
    machine = SVC(C=cost, kernel="poly", degree=degree, gamma=gamma, cache_size=CACHE_MIB)
    return _machine(machine, seed, standardise)


def hinge_svm(seed: int = 0, cost: float = 1.0, standardise: bool = True) -> Pipeline:
    """Linear support vector machine with the plain hinge loss, calibrated on folds (Durall 2019's)."""
    return _machine(SVC(C=cost, kernel="linear", cache_size=CACHE_MIB), seed, standardise)


def _machine(machine: SVC, seed: int, standardise: bool) -> Pipeline:
    model = Calibrated(OneVsRestClassifier(machine), seed)
    return Pipeline([*preparation(standardise), ("classify", model)])


def durall_svm(seed: int = 0) -> Pipeline:
    """Durall 2019's Gaussian support vector machine: C 6.37, gamma 0.86, features as they are."""
    return rbf_svm(seed, DURALL_COST, DURALL_GAMMA, standardise=False)


def lda(seed: int = 0, components: int = 256) -> Pipeline:
    """Linear discriminant analysis with a shrunk covariance, on at most 256 principal components."""
    steps = [("reduce", Reduce(components, seed))]
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return Pipeline([*preparation(), *steps, ("classify", model)])


def eigenfaces(seed: int = 0, variance: float = 0.95, cost: float = 0.01) -> Pipeline:
    """Principal components that hold 95 % of the variance, then a linear SVM (Frank 2020's Eigenfaces)."""
    model = Calibrated(LinearSVC(C=cost, max_iter=5000, random_state=seed), seed)
    return Pipeline([*preparation(standardise=False), ("reduce", PCA(variance)), ("classify", model)])


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
