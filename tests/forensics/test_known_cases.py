"""Every feature and every classical detector, on sets that differ and on sets that do not.

The networks are asked the same in ``test_nets.py``.
"""

import functools

import numpy as np
import pytest
from forensics_images import natural, striped
from sklearn.pipeline import Pipeline

from ganlab.forensics import DETECTORS, FEATURES, evaluate, make_detector, make_feature
from ganlab.images import to_float

COUNT, SIDE = 120, 32
CLASSICAL = tuple(name for name in DETECTORS if isinstance(make_detector(name), Pipeline))
FEATURE_OF = {"prnu": "residual", "prnu_sensor": "residual", "eigenfaces": "pixels"}
FEATURE_OF |= dict.fromkeys(("kmeans", "durall_svm", "poly_svm", "hinge_svm"), "durall_80")
SMALL = {"random_forest": {"trees": 40}, "gradient_boosting": {"trees": 40}}


@functools.cache
def features(name, kind):
    """Of reals and others: with rows of two brightnesses and a fixed pattern, or of the same process."""
    first, second = np.split(natural(2 * COUNT, SIDE, seed=11), 2)
    if kind == "marked":
        grain = 25 * np.random.default_rng(2).standard_normal((SIDE, SIDE, 1))
        second = np.clip(striped(second, 30) + grain, 0, 255).astype(np.uint8)
    return make_feature(name)(to_float(np.concatenate([first, second]))).numpy()


def judged(detector, features, kind):
    """ROC-AUC on every third image, trained on the others, with a 99.9 % interval."""
    labels = np.repeat([0, 1], len(features) // 2)
    train = np.arange(len(labels)) % 3 != 0
    scores = detector.fit(features[train], labels[train]).predict_proba(features[~train])[:, 1]
    area = evaluate(labels[~train], np.clip(scores, 0, 1), resamples=500, level=0.999)["roc_auc"]
    return area.low > 0.5 if kind == "marked" else area.contains(0.5)


@pytest.mark.parametrize("kind", ["marked", "same"])
@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_tells_what_differs_and_nothing_else(name, kind):
    assert judged(make_detector("lda"), features(name, kind), kind)


@pytest.mark.parametrize("kind", ["marked", "same"])
@pytest.mark.parametrize("name", CLASSICAL)
def test_every_detector_finds_what_differs_and_nothing_else(name, kind):
    own = features(FEATURE_OF.get(name, "both"), kind)
    assert judged(make_detector(name, **SMALL.get(name, {})), own, kind)
