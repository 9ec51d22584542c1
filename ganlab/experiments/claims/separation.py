"""How well a detector tells two sets apart: fitted on every other image, tested on those between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ganlab.forensics import System, evaluate, log_odds

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


def tested(detector: Any, real: Matrix, fake: Matrix) -> tuple[float, float]:
    """Area under the ROC curve and share of the fakes called fake, on the odd places."""
    found = log_odds(detector, np.concatenate([real[1::2], fake[1::2]]))
    truth = labels([real[1::2], fake[1::2]])
    called = (found >= 0).astype(float)
    area = evaluate(truth, called, resamples=0, ranking=found)["roc_auc"].value
    return area, float((found[truth == 1] >= 0).mean())


def area(system: System, real: Tensor, fake: Tensor, seed: int = 0) -> float:
    """Area under the ROC curve of a system fitted on one half of both sets and tested on the other."""
    sets = [features(system, images) for images in (real, fake)]
    return tested(fitted(system, sets, seed), sets[0], sets[1])[0]
