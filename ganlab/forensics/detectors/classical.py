"""Detectors on scikit-learn: one function a detector, each giving an unfitted pipeline.

Linear ones, kernel machines, trees, projections, and what goes by distance: neighbours and clusters. Every
function takes ``seed``, the seed of whatever it draws, and options of its own.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC, LinearSVC

from ganlab.errors import GanlabError
from ganlab.forensics.detectors.prepare import Calibrated, Floats, Judge, Labels, Reduce, preparation

DURALL_COST = 6.37
DURALL_GAMMA = 0.86
CACHE_MIB = 500
FRANK_GRID = (1, *(2**power + 1 for power in range(1, 11)))
"""1, 3, 5, 9, ... 1025: Frank et al. 2020."""


class MeanPenalty(Judge):
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

    def decision_function(self, features: Floats) -> Floats:
        """Log-odds of class 1 ``(N,)`` where there are two classes, else scores ``(N, K)``."""
        scores: Floats = self.model_.decision_function(features)
        return scores


class Neighbours(Judge):
    """k nearest neighbours; k is given, or chosen from a grid by leaving one out of the training images.

    Attributes:
        k: number of neighbours, or None.
        grid: what is tried when k is None.
    """

    def __init__(self, k: int | None = None, grid: tuple[int, ...] = FRANK_GRID) -> None:
        self.k = k
        self.grid = grid

    def fit(self, features: Floats, labels: Labels) -> Self:
        """Keep the training set and choose k: the grid's best by leave-one-out, of equals the smallest."""
        if self.k is not None and self.k < 1:
            raise GanlabError(f"k must be at least 1; got {self.k}")
        self.classes_, self.codes_ = np.unique(labels, return_inverse=True)
        self.features_ = np.asarray(features, np.float32)
        if self.k is not None:
            self.k_ = min(self.k, len(features))
        else:
            candidates = [k for k in self.grid if k < len(features)] or [1]
            search = NearestNeighbors(n_neighbors=max(candidates)).fit(self.features_)
            # asked without vectors, the search leaves out the image itself; one search serves every k
            near = self.codes_[search.kneighbors(return_distance=False)]
            votes = np.cumsum(near[:, :, None] == np.arange(len(self.classes_)), axis=1)
            right = [(votes[:, k - 1].argmax(1) == self.codes_).mean() for k in candidates]
            self.k_ = candidates[int(np.argmax(right))]
        self.search_ = NearestNeighbors(n_neighbors=self.k_).fit(self.features_)
        return self

    def predict_proba(self, features: Floats) -> Floats:
        """Share of each class among the neighbours, ``(N, K)``."""
        near = self.codes_[self.search_.kneighbors(features, return_distance=False)]
        shares: Floats = (near[:, :, None] == np.arange(len(self.classes_))).mean(1)
        return shares


class Clusters(Judge):
    """k-means that never sees the labels; afterwards every cluster gets the class it fits best.

    The probability is a softmax of minus the squared distance to each centre over twice the mean squared
    distance of the training images to their own centre, per dimension.
    """

    def __init__(self, random_state: int | None = None) -> None:
        self.random_state = random_state

    def fit(self, features: Floats, labels: Labels) -> Self:
        """Cluster, then match clusters to classes (the assignment with most images right)."""
        self.classes_, codes = np.unique(labels, return_inverse=True)
        count = len(self.classes_)
        means = KMeans(count, n_init=10, random_state=self.random_state).fit(features)
        agree = np.zeros((count, count))
        np.add.at(agree, (codes, means.labels_), 1)
        _, cluster = linear_sum_assignment(-agree)
        self.centres_: npt.NDArray[np.float64] = means.cluster_centers_[cluster].astype(np.float64)
        self.width_ = max(float(means.inertia_) / features.size, 1e-12)
        return self

    def predict_proba(self, features: Floats) -> Floats:
        """Nearness to each class's centre, ``(N, K)``."""
        distance = ((features[:, None].astype(np.float64) - self.centres_) ** 2).mean(2)
        shares: Floats = softmax(-distance / (2 * self.width_), axis=1)
        return shares


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


def _kernel_machine(machine: SVC, seed: int, standardise: bool) -> Pipeline:
    # one machine a class also where scikit-learn would compare the classes in pairs: it freezes to arrays
    model = Calibrated(OneVsRestClassifier(machine), seed)
    return Pipeline([*preparation(standardise), ("classify", model)])


def rbf_svm(
    seed: int = 0, cost: float = 1.0, gamma: float | str = "scale", standardise: bool = True
) -> Pipeline:
    """Support vector machine with a Gaussian kernel, calibrated on held-out folds."""
    return _kernel_machine(SVC(C=cost, gamma=gamma, cache_size=CACHE_MIB), seed, standardise)


def poly_svm(
    seed: int = 0, cost: float = 1.0, degree: int = 3, gamma: float | str = "scale", standardise: bool = True
) -> Pipeline:
    """Support vector machine with the polynomial kernel (gamma x.y) ** degree, calibrated on folds.

    ``gamma`` "scale" is 1 / (features times their variance), "auto" 1 / features, what Durall 2019 ran with.
    """
    machine = SVC(C=cost, kernel="poly", degree=degree, gamma=gamma, cache_size=CACHE_MIB)
    return _kernel_machine(machine, seed, standardise)


def hinge_svm(seed: int = 0, cost: float = 1.0, standardise: bool = True) -> Pipeline:
    """Linear support vector machine with the plain hinge loss, calibrated on folds (Durall 2019's)."""
    return _kernel_machine(SVC(C=cost, kernel="linear", cache_size=CACHE_MIB), seed, standardise)


def durall_svm(seed: int = 0) -> Pipeline:
    """Durall 2019's Gaussian support vector machine: C 6.37, gamma 0.86, features as they are."""
    return rbf_svm(seed, DURALL_COST, DURALL_GAMMA, standardise=False)


def lda(seed: int = 0, components: int = 256) -> Pipeline:
    """Linear discriminant analysis with a shrunk covariance, on at most 256 principal components."""
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return Pipeline([*preparation(), ("reduce", Reduce(components, seed)), ("classify", model)])


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


def knn(seed: int = 0, k: int | None = None, standardise: bool = True) -> Pipeline:
    """K nearest neighbours; k from Frank 2020's grid (1, 3, 5, 9 ... 1025) unless given."""
    del seed  # nothing is drawn
    return Pipeline([*preparation(standardise), ("classify", Neighbours(k))])


def kmeans(seed: int = 0, standardise: bool = False) -> Pipeline:
    """k-means without labels, matched to the classes afterwards (Durall 2019)."""
    return Pipeline([*preparation(standardise), ("classify", Clusters(seed))])
