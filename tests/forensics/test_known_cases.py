"""Every feature and every detector of the registries, on sets that differ and on sets that do not."""

import numpy as np
import pytest
from forensics_images import natural, striped
from sklearn.pipeline import Pipeline

from ganlab.forensics import DETECTORS, FEATURES, evaluate, make_detector, make_feature
from ganlab.images import to_float

COUNT, SIDE = 120, 32
FEATURE_OF = {
    "prnu": "residual",
    "prnu_sensor": "residual",
    "npr_resnet": "npr",
    "cnn": "dct",
    "kmeans": "durall_80",
}
FEATURE_OF |= dict.fromkeys(("durall_svm", "poly_svm", "hinge_svm"), "durall_80")
FEATURE_OF |= dict.fromkeys(("attribution", "fingerprint", "resnet", "eigenfaces", "patch"), "pixels")
SMALL = {
    "cnn": {"epochs": 15, "batch": 16, "rate": 1e-2},
    "patch": {"depth": 1, "epochs": 6, "batch": 16},
    "attribution": {"divisor": 16, "epochs": 8, "batch": 16},
    "fingerprint": {"width": 4, "epochs": 8, "batch": 16},
    "npr_resnet": {"epochs": 3, "batch": 16, "rate": 1e-3},
    "resnet": {"epochs": 4, "batch": 16, "rate": 1e-3, "augment": "mirror"},
    "random_forest": {"trees": 40},
    "gradient_boosting": {"trees": 40},
}
NET_SIDE, NET_COUNT = {"resnet": 8}, 60


def images(kind, count, side):
    """Reals and others: with rows of two brightnesses and a fixed pattern, or of the same process."""
    first, second = np.split(natural(2 * count, side, seed=11), 2)
    if kind == "marked":
        grain = 25 * np.random.default_rng(2).standard_normal((side, side, 1))
        second = np.clip(striped(second, 30) + grain, 0, 255).astype(np.uint8)
    return to_float(np.concatenate([first, second]))


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
    features = make_feature(name)(images(kind, COUNT, SIDE)).numpy()
    assert judged(make_detector("lda"), features, kind)


@pytest.mark.parametrize("kind", ["marked", "same"])
@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_finds_what_differs_and_nothing_else(name, kind):
    classical = isinstance(make_detector(name), Pipeline)
    count, side = (COUNT, SIDE) if classical else (NET_COUNT, NET_SIDE.get(name, 16))
    features = make_feature(FEATURE_OF.get(name, "both"))(images(kind, count, side)).numpy()
    assert judged(make_detector(name, **SMALL.get(name, {})), features, kind)
