"""Detectors that first look for few directions: discriminant analysis and eigenfaces."""

from __future__ import annotations

from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from ganlab.forensics.detectors.calibrate import Calibrated
from ganlab.forensics.detectors.prepare import Reduce, preparation


def lda(seed: int = 0, components: int = 256) -> Pipeline:
    """Linear discriminant analysis with a shrunk covariance, on at most 256 principal components."""
    steps = [("reduce", Reduce(components, seed))]
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return Pipeline([*preparation(), *steps, ("classify", model)])


def eigenfaces(seed: int = 0, variance: float = 0.95, cost: float = 0.01) -> Pipeline:
    """Principal components that hold 95 % of the variance, then a linear SVM (Frank 2020's Eigenfaces)."""
    model = Calibrated(LinearSVC(C=cost, max_iter=5000, random_state=seed), seed)
    return Pipeline([*preparation(standardise=False), ("reduce", PCA(variance)), ("classify", model)])
