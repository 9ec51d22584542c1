"""What detectors share: checks, flattening, standardising, reducing what is too wide, calibration."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from ganlab.errors import GanlabError

Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]

FOLDS = 3


def check_training(features: Floats, labels: Labels | None) -> None:
    """Refuse what no detector can learn from.

    Raises:
        GanlabError: lengths differ, one class only, fewer than two images of a class, or values that are no
            numbers.
    """
    if labels is None or len(features) != len(labels):
        count = "none" if labels is None else len(labels)
        raise GanlabError(f"{len(features)} feature vectors need as many labels; got {count}")
    names, counts = np.unique(labels, return_counts=True)
    if len(names) < 2:
        raise GanlabError(
            f"a detector needs at least two classes to learn from; all labels are {names.tolist()}"
        )
    if counts.min() < 2:
        raise GanlabError(f"a detector needs at least 2 images of every class; counts are {counts.tolist()}")
    if not np.isfinite(features).all():
        raise GanlabError("the features hold NaN or infinite values")


class Judge(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that defines ``fit`` and ``predict_proba``; the likeliest class follows from them."""

    classes_: Labels

    @abstractmethod
    def predict_proba(self, features: Floats) -> Floats:
        """Probability of each class, ``(N, K)``."""

    def predict(self, features: Floats) -> Labels:
        """The likeliest class, ``(N,)``."""
        likeliest: Labels = self.classes_[np.argmax(self.predict_proba(features), 1)]
        return likeliest


def log_odds(detector: Any, features: Floats) -> npt.NDArray[np.float64]:
    """How much speaks for class 1 (fake) against class 0, on a scale without ends, ``(N,)``.

    A probability rounds to 0 or 1 where much speaks for one side. Images that a detector was not made for,
    such as perturbed ones, would then all score alike, and seem not to be told apart at all. So images are
    ranked by this: by the detector's decision function where it has one, else by its probabilities.

    Args:
        detector: fitted, of two classes.
        features: ``(N, ...)``.
    """
    if hasattr(detector, "decision_function"):
        return np.asarray(detector.decision_function(features), np.float64)
    shares = np.asarray(detector.predict_proba(features), np.float64)
    return odds_of(shares)


def odds_of(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Log-odds ``(N,)`` from probabilities of two classes ``(N, 2)``; none is taken as less than 1e-300."""
    logs = np.log(np.maximum(shares, 1e-300))
    return np.asarray(logs[:, 1] - logs[:, 0])


class Flatten(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """(N, ...) to (N, D), after a check of features and labels."""

    def fit(self, features: Floats, labels: Labels | None = None) -> Self:
        """Check, and remember the feature's shape."""
        check_training(features, labels)
        self.shape_ = tuple(features.shape[1:])
        return self

    def transform(self, features: Floats) -> Floats:
        """Flatten.

        Raises:
            GanlabError: another shape than that of the training features.
        """
        if tuple(features.shape[1:]) != self.shape_:
            raise GanlabError(
                f"this detector was fitted on features of shape {self.shape_}; "
                f"got {tuple(features.shape[1:])}"
            )
        return np.asarray(features).reshape(len(features), -1)


class Planes(Flatten):
    """(N, ...) to planes (N, H, W), W the feature's last side, after a check of features and labels."""

    def transform(self, features: Floats) -> Floats:
        """Put all sides but the last together."""
        flat = super().transform(features)
        return flat.reshape(len(flat), -1, self.shape_[-1])


class Reduce(PCA):  # type: ignore[misc]
    """Principal components, at most as many as there are numbers and images to find them with."""

    def __init__(self, limit: int = 256, random_state: int | None = None) -> None:
        super().__init__(n_components=limit, random_state=random_state)
        self.limit = limit

    def fit_transform(self, features: Floats, labels: Labels | None = None) -> Floats:
        """Fit with the limit cut down to the data, and project."""
        self.n_components = min(self.limit, features.shape[1], len(features) - 1)
        projected: Floats = super().fit_transform(features, labels)
        return projected


def preparation(standardise: bool = True) -> list[tuple[str, Any]]:
    """Pipeline steps: flatten, and unless told otherwise mean 0 and deviation 1 of the training images."""
    steps: list[tuple[str, Any]] = [("flatten", Flatten())]
    return [*steps, ("standardise", StandardScaler())] if standardise else steps


class Calibrated(Judge):
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
        # no ensemble of the folds' models: one model of all images is what can be frozen and explained
        self.fitted_ = CalibratedClassifierCV(clone(self.model), cv=splitter, ensemble=False)
        self.fitted_.fit(features, labels)
        self.classes_ = self.fitted_.classes_
        return self

    def predict_proba(self, features: Floats) -> Floats:
        """Probability of each class, ``(N, K)``."""
        probabilities: Floats = self.fitted_.predict_proba(features)
        return probabilities

    def decision_function(self, features: Floats) -> Floats:
        """Log-odds by the curves, ``(N,)`` of class 1 where there are two classes, else ``(N, K)``."""
        inner = self.fitted_.calibrated_classifiers_[0]
        scores = inner.estimator.decision_function(features)
        slope, shift = (np.array([getattr(c, end) for c in inner.calibrators]) for end in ("a_", "b_"))
        odds: Floats = -(scores.reshape(len(scores), -1) * slope + shift)
        return odds[:, 0] if odds.shape[1] == 1 else odds
