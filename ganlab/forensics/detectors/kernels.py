"""Support vector machines of libsvm: Gaussian, polynomial and linear kernel."""

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
