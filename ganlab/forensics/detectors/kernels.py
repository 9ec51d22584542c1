"""The support vector machine with a Gaussian kernel."""

from __future__ import annotations

from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from ganlab.forensics.detectors.calibrate import Calibrated
from ganlab.forensics.detectors.prepare import preparation

DURALL_COST = 6.37
DURALL_GAMMA = 0.86
CACHE_MIB = 500


def rbf_svm(
    seed: int = 0, cost: float = 1.0, gamma: float | str = "scale", standardise: bool = True
) -> Pipeline:
    """Support vector machine with a Gaussian kernel, calibrated on held-out folds."""
    model = OneVsRestClassifier(SVC(C=cost, gamma=gamma, cache_size=CACHE_MIB))
    return Pipeline([*preparation(standardise), ("classify", Calibrated(model, seed))])


def durall_svm(seed: int = 0) -> Pipeline:
    """Durall 2019's Gaussian support vector machine: C 6.37, gamma 0.86, features as they are."""
    return rbf_svm(seed, DURALL_COST, DURALL_GAMMA, standardise=False)
