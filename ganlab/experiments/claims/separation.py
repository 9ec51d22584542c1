"""How well a detector tells two sets apart: fitted on every other image, tested on those between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn.pipeline import Pipeline
from torch import Tensor

from ganlab.forensics import System, evaluate

Matrix = npt.NDArray[np.float32]


def features(system: System, images: Tensor) -> Matrix:
    """The system's feature of float images ``(N, C, H, W)``, rounded or not."""
    values: Matrix = system.make_feature()(images.float()).numpy()
    return values


def fitted(system: System, sets: Sequence[Matrix], seed: int) -> Any:
    """The system's detector, fitted on the even places of every set; the class is the set's place."""
    return system.make_detector(seed).fit(
        np.concatenate([values[::2] for values in sets]), labels([values[::2] for values in sets])
    )


def labels(sets: Sequence[Matrix]) -> npt.NDArray[np.int64]:
    """Place of the set for every image."""
    return np.repeat(np.arange(len(sets)), [len(values) for values in sets])


def scores(detector: Any, values: Matrix) -> npt.NDArray[np.float64]:
    """How much speaks for fake, on a scale without ends.

    A probability rounds to 0 or 1 where much speaks for one side. Images that a detector was not made for,
    such as those with frequencies cut out, would then all score alike, and seem not to be told apart at all.
    """
    steps = detector[:-1] if isinstance(detector, Pipeline) else None
    last = detector[-1] if isinstance(detector, Pipeline) else detector
    # The published penalties hold scikit-learn's model inside.
    model = getattr(last, "model_", last)
    if hasattr(model, "decision_function"):
        found: npt.NDArray[np.float64] = model.decision_function(steps.transform(values) if steps else values)
        return found
    shares = np.log(np.maximum(detector.predict_proba(values), 1e-300))
    return np.asarray(shares[:, 1] - shares[:, 0])


def tested(detector: Any, real: Matrix, fake: Matrix) -> tuple[float, float]:
    """Area under the ROC curve and share of the fakes called fake, on the odd places."""
    found = scores(detector, np.concatenate([real[1::2], fake[1::2]]))
    truth = labels([real[1::2], fake[1::2]])
    # The area depends on ranks alone, and they are numbers from 0 to 1.
    area = evaluate(truth, rankdata(found) / len(found), resamples=0)["roc_auc"].value
    return area, float((found[truth == 1] >= 0).mean())


def area(system: System, real: Tensor, fake: Tensor, seed: int = 0) -> float:
    """Area under the ROC curve of a system fitted on one half of both sets and tested on the other."""
    sets = [features(system, images) for images in (real, fake)]
    return tested(fitted(system, sets, seed), sets[0], sets[1])[0]
