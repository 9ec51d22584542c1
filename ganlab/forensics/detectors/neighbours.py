"""Detectors by distance: nearest neighbours with a chosen k, and k-means with labels matched afterwards."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline

from ganlab.errors import GanlabError
from ganlab.forensics.detectors.prepare import Floats, Labels, preparation

FRANK_GRID = (1, *(2**power + 1 for power in range(1, 11)))
"""1, 3, 5, 9, ... 1025: Frank et al. 2020."""


class Neighbours(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """k nearest neighbours; k is given, or chosen from a grid by leaving one out of the training images.

    Attributes:
        k: number of neighbours, or None.
        grid: what is tried when k is None.
    """

    def __init__(self, k: int | None = None, grid: tuple[int, ...] = FRANK_GRID) -> None:
        self.k = k
        self.grid = grid

    def fit(self, features: Floats, labels: Labels) -> Self:
        """Keep the training set and choose k."""
        if self.k is not None and self.k < 1:
            raise GanlabError(f"k must be at least 1; got {self.k}")
        self.classes_, self.codes_ = np.unique(labels, return_inverse=True)
        self.features_ = np.asarray(features, np.float32)
        self.k_ = min(self.k, len(features)) if self.k is not None else self._chosen()
        self.search_ = NearestNeighbors(n_neighbors=self.k_).fit(self.features_)
        return self

    def _chosen(self) -> int:
        """The k of the grid with the best leave-one-out accuracy; of equals the smallest."""
        candidates = [k for k in self.grid if k < len(self.features_)] or [1]
        search = NearestNeighbors(n_neighbors=max(candidates)).fit(self.features_)
        near = self.codes_[search.kneighbors(return_distance=False)]  # without the image itself
        votes = np.cumsum(near[:, :, None] == np.arange(len(self.classes_)), axis=1)
        right = [(votes[:, k - 1].argmax(1) == self.codes_).mean() for k in candidates]
        return candidates[int(np.argmax(right))]

    def predict_proba(self, features: Floats) -> Floats:
        """Share of each class among the neighbours, ``(N, K)``."""
        near = self.codes_[self.search_.kneighbors(features, return_distance=False)]
        shares: Floats = (near[:, :, None] == np.arange(len(self.classes_))).mean(1)
        return shares

    def predict(self, features: Floats) -> Labels:
        """The commonest class among the neighbours."""
        chosen: Labels = self.classes_[np.argmax(self.predict_proba(features), 1)]
        return chosen


class Clusters(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
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

    def predict(self, features: Floats) -> Labels:
        """The nearest centre's class."""
        chosen: Labels = self.classes_[np.argmax(self.predict_proba(features), 1)]
        return chosen


def knn(seed: int = 0, k: int | None = None, standardise: bool = True) -> Pipeline:
    """K nearest neighbours; k from Frank 2020's grid (1, 3, 5, 9 ... 1025) unless given."""
    del seed  # nothing is drawn
    return Pipeline([*preparation(standardise), ("classify", Neighbours(k))])


def kmeans(seed: int = 0, standardise: bool = False) -> Pipeline:
    """k-means without labels, matched to the classes afterwards (Durall 2019)."""
    return Pipeline([*preparation(standardise), ("classify", Clusters(seed))])
