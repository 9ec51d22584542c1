"""Classical detectors: find what is there, are at chance where nothing is, and survive being saved."""

import itertools
import json
import warnings

import numpy as np
import pytest
from forensics_images import checkered, natural
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.special import expit
from sklearn.base import clone
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from ganlab.data.imageset import array_image_set
from ganlab.errors import GanlabError
from ganlab.forensics import (
    DETECTORS,
    SavedDetector,
    evaluate,
    load_detector,
    log_odds,
    make_detector,
    make_feature,
    save_detector,
    score_images,
    write_scores,
)
from ganlab.forensics.detectors.classical import FRANK_GRID, Neighbours
from ganlab.forensics.detectors.frozen import KINDS, FrozenDetector, Step, freeze
from ganlab.forensics.detectors.prnu import sensor_filter
from ganlab.images import to_float

SMALL = {"random_forest": {"trees": 40}, "gradient_boosting": {"trees": 40}}
CLASSICAL = tuple(name for name in DETECTORS if isinstance(make_detector(name), Pipeline))


def fitted(name, features, labels, seed=0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return make_detector(name, seed=seed, **SMALL.get(name, {})).fit(features, labels)


@pytest.fixture(scope="module")
def projections():
    """Both projections of 300 images and of 300 others with a faint checkerboard; and of 300 plain ones."""
    real, other = natural(300, 16), natural(600, 16, seed=1)
    feature = make_feature("both")
    return {
        "real": feature(to_float(real)).numpy(),
        "marked": feature(to_float(checkered(other[:300], 8))).numpy(),
        "same": feature(to_float(other[300:])).numpy(),
    }


def halves(first, second):
    """Training and test features and labels: even images train."""
    features = np.concatenate([first, second])
    labels = np.repeat([0, 1], [len(first), len(second)])
    train = np.arange(len(labels)) % 2 == 0
    return features[train], labels[train], features[~train], labels[~train]


@pytest.mark.parametrize("name", [name for name in CLASSICAL if name != "prnu_sensor"])
def test_finds_the_checkerboard(name, projections):
    train, labels, test, truth = halves(projections["real"], projections["marked"])
    if name in ("durall_svm", "kmeans"):  # made for features of unit size; the Nyquist bins tell
        train, test = train[:, [8, 17]] / 10, test[:, [8, 17]] / 10
    found = evaluate(truth, fitted(name, train, labels).predict_proba(test)[:, 1], resamples=200)
    assert found["balanced_accuracy"].low > 0.8
    assert found["roc_auc"].low > 0.85


@pytest.mark.parametrize("name", CLASSICAL)
def test_is_at_chance_on_two_halves_of_one_process(name, projections):
    train, labels, test, truth = halves(projections["real"], projections["same"])
    found = evaluate(truth, fitted(name, train, labels).predict_proba(test)[:, 1], resamples=500, level=0.99)
    assert found["roc_auc"].contains(0.5)
    assert found["balanced_accuracy"].contains(0.5)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", CLASSICAL)
def test_frozen_predictions_equal_the_estimators(name, classes, tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(90) % classes
    features = (rng.standard_normal((90, 2, 3)) + labels[:, None, None]).astype(np.float32)
    detector = fitted(name, features, labels)
    expected = detector.predict_proba(features)
    assert expected.shape == (90, classes)
    np.testing.assert_allclose(expected.sum(1), 1.0, atol=1e-6)
    if classes == 2:
        np.testing.assert_allclose(expit(log_odds(detector, features)), expected[:, 1], atol=1e-6)
    ours = freeze(detector)
    np.testing.assert_allclose(ours.predict_proba(features), expected, atol=2e-5)
    if classes == 2:
        odds = log_odds(detector, features)
        np.testing.assert_allclose(log_odds(ours, features), odds, rtol=1e-3, atol=1e-3 * np.ptp(odds))
    np.testing.assert_array_equal(ours.predict(features), ours.classes_[expected.argmax(1)])
    path = tmp_path / "detector.safetensors"
    names = ("real", "a", "b")[:classes]
    save_detector(path, SavedDetector(detector, "pixels", {}, (3, 2, 1), names, {"note": "test"}))
    read = load_detector(path)
    np.testing.assert_array_equal(read.detector.predict_proba(features), ours.predict_proba(features))
    assert read.class_names == names
    assert read.record == {"note": "test"}
    assert read.make_feature() == make_feature("pixels")


@pytest.mark.parametrize("name", CLASSICAL)
def test_same_seed_same_detector_and_clonable(name):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    features = (rng.standard_normal((60, 5)) + 0.7 * labels[:, None]).astype(np.float32)
    first, second = (fitted(name, features, labels, seed=3).predict_proba(features) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    again = clone(make_detector(name, seed=3, **SMALL.get(name, {}))).fit(features, labels)
    np.testing.assert_array_equal(again.predict_proba(features), first)


@pytest.mark.parametrize("name", CLASSICAL)
@pytest.mark.parametrize(
    ("features", "labels", "word"),
    [
        (np.zeros((6, 3)), np.zeros(6, int), "two classes"),
        (np.zeros((3, 3)), np.array([0, 0, 1]), "at least 2 images"),
        (np.full((6, 3), np.nan), np.arange(6) % 2, "NaN"),
        (np.zeros((6, 3)), np.arange(5) % 2, "as many labels"),
    ],
)
def test_impossible_training_sets_are_explained(name, features, labels, word):
    with pytest.raises(GanlabError, match=word):
        make_detector(name).fit(features.astype(np.float32), labels)


@pytest.mark.parametrize("name", CLASSICAL)
def test_four_images_and_constant_features_work(name):
    labels = np.array([0, 0, 1, 1])
    features = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
    features[:, 2] = 1.0
    assert np.isfinite(fitted(name, features, labels).predict_proba(features)).all()


def test_other_shapes_are_refused():
    features = np.random.default_rng(0).standard_normal((20, 5)).astype(np.float32)
    detector = make_detector("ridge").fit(features, np.arange(20) % 2)
    for one in (detector, freeze(detector)):
        with pytest.raises(GanlabError, match="fitted on features of shape"):
            one.predict_proba(features[:, :4])
    with pytest.raises(GanlabError, match="fitted detector"):
        freeze(make_detector("ridge"))


def test_neighbours_choose_k_from_the_published_grid():
    assert FRANK_GRID == (1, 3, 5, 9, 17, 33, 65, 129, 257, 513, 1025)
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    features = rng.standard_normal((60, 2)) + labels[:, None] * 0.8
    chosen = Neighbours().fit(features, labels)
    right = []
    for k in FRANK_GRID[:6]:
        predicted = cross_val_predict(KNeighborsClassifier(k), features, labels, cv=LeaveOneOut())
        right.append((predicted == labels).sum())
    assert chosen.k_ == FRANK_GRID[int(np.argmax(right))]
    with pytest.raises(GanlabError, match="at least 1"):
        Neighbours(0).fit(features, labels)


def test_ridge_minimises_the_mean_loss():
    from scipy.optimize import minimize

    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    features = rng.standard_normal((80, 3)) + 0.5 * labels[:, None]
    model = make_detector("ridge", strength=0.05).fit(features, labels)
    scaled = (features - features.mean(0)) / features.std(0)

    def objective(w):
        score = scaled @ w[:3] + w[3]
        return np.mean(np.logaddexp(0, score) - labels * score) + 0.05 * np.sum(w[:3] ** 2)

    best = minimize(objective, np.zeros(4)).x
    np.testing.assert_allclose(model[-1].model_.coef_[0], best[:3], atol=1e-3)
    with pytest.raises(GanlabError, match="positive strength"):
        make_detector("ridge", strength=-1.0).fit(features, labels)


@pytest.mark.parametrize(("name", "kernel"), [("poly_svm", "poly"), ("hinge_svm", "linear")])
def test_kernel_machines_are_those_of_libsvm(name, kernel):
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    features = (rng.standard_normal((80, 5)) + 0.5 * labels[:, None]).astype(np.float32)
    ours = make_detector(name, standardise=False).fit(features, labels)
    inner = ours[-1].fitted_.calibrated_classifiers_[0].estimator
    expected = SVC(kernel=kernel).fit(features, labels).decision_function(features)
    np.testing.assert_allclose(inner.decision_function(features), expected, atol=1e-6)


# ------------------------------------------------------------------------------------------------- sensors


def sensor_reference(plane):
    """The filter written out for one plane with loops over lattices and frequencies."""
    height, width = plane.shape
    flat = plane.astype(float).copy()
    for i, j in itertools.product((0, 1), (0, 1)):
        part = flat[i::2, j::2] - flat[i::2, j::2].mean()
        flat[i::2, j::2] = part - part.mean(0, keepdims=True) - part.mean(1, keepdims=True)
    variance = flat.var()
    spectrum = np.fft.fft2(flat)
    out = np.zeros_like(spectrum)
    for row, column in itertools.product(range(height), range(width)):
        means = []
        for half in (1, 2, 3, 4):
            rows, columns = ((at + np.arange(-half, half + 1)) for at in (row, column))
            near = np.abs(spectrum[np.ix_(rows % height, columns % width)]) ** 2 / (height * width)
            means.append(near.mean())
        out[row, column] = spectrum[row, column] * variance / (variance + max(min(means) - variance, 0.0))
    return np.fft.ifft2(out).real


def test_sensor_filter_by_its_definition():
    rng = np.random.default_rng(0)
    planes = rng.standard_normal((2, 12, 16)) + 2 * np.cos(np.arange(16) * 2 * np.pi * 3 / 16)
    expected = np.stack([sensor_reference(plane) for plane in planes])
    np.testing.assert_allclose(sensor_filter(planes), expected, atol=1e-10)
    np.testing.assert_array_equal(sensor_filter(np.zeros((1, 4, 4))), np.zeros((1, 4, 4)))


def test_sensor_forensics_keeps_a_sensors_pattern_and_erases_that_of_upsampling():
    images, rng = natural(400, 32), np.random.default_rng(3)
    grain = rng.standard_normal((32, 32, 1))
    marked = {
        "grain": np.clip(images[200:] + 4 * grain, 0, 255).astype(np.uint8),
        "checkerboard": checkered(images[200:], 6),
    }
    found = {}
    for kind, fakes in marked.items():
        pixels = to_float(np.concatenate([images[:200], fakes]))
        train, labels, test, truth = halves(*np.split(make_feature("residual")(pixels).numpy(), 2))
        for name in ("prnu", "prnu_sensor"):
            scores = make_detector(name).fit(train, labels).predict_proba(test)[:, 1]
            found[kind, name] = evaluate(truth, scores, resamples=300, level=0.99)["roc_auc"]
    assert found["grain", "prnu"].low > 0.85
    assert found["grain", "prnu_sensor"].low > 0.85
    assert found["checkerboard", "prnu"].low > 0.95
    assert found["checkerboard", "prnu_sensor"].contains(0.5)


def test_unknown_names_and_options_are_explained():
    with pytest.raises(GanlabError, match="did you mean 'logistic'"):
        make_detector("logistics")
    with pytest.raises(GanlabError, match="costs"):
        make_detector("logistic", costs=3)


# ---------------------------------------------------------------------------------------------------- files


def saved_ridge(folder, size=12):
    images = natural(40, size)
    features = make_feature("dct")(to_float(images)).numpy()
    detector = make_detector("ridge").fit(features, np.arange(40) % 2)
    path = folder / "ridge.safetensors"
    save_detector(path, SavedDetector(detector, "dct", {}, (size, size, 3), ("real", "fake")))
    return path, images, detector


def test_a_folder_is_scored_image_by_image(tmp_path):
    path, images, detector = saved_ridge(tmp_path)
    saved = load_detector(path)
    scores = score_images(saved, array_image_set(images, "photos"))
    expected = detector.predict_proba(make_feature("dct")(to_float(images)).numpy())
    np.testing.assert_allclose(scores.probabilities, expected, atol=1e-5)
    np.testing.assert_allclose(scores.fake, expected[:, 1], atol=1e-5)
    write_scores(tmp_path / "scores.csv", scores)
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert lines[0] == "image,verdict,p_real,p_fake"
    assert len(lines) == 41
    first = lines[1].split(",")
    assert first[1] == ("fake" if expected[0, 1] > 0.5 else "real")
    assert float(first[3]) == pytest.approx(expected[0, 1], abs=1e-5)
    with pytest.raises(GanlabError, match="12x12x3"):
        score_images(saved, array_image_set(natural(4, 16), "larger"))


def test_foreign_damaged_and_hostile_files_are_refused(tmp_path):
    path, _, _ = saved_ridge(tmp_path)
    with pytest.raises(GanlabError, match=r"\.safetensors cannot be read"):
        load_detector(tmp_path / "nothing.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:100])
    with pytest.raises(GanlabError, match=r"\.safetensors cannot be read"):
        load_detector(tmp_path / "cut.safetensors")
    save_file({"a": np.zeros(3)}, tmp_path / "other.safetensors", metadata={"format": "pt"})
    with pytest.raises(GanlabError, match="no detector"):
        load_detector(tmp_path / "other.safetensors")
    with safe_open(path, framework="numpy") as stream:
        arrays, metadata = {k: stream.get_tensor(k) for k in stream.keys()}, stream.metadata()  # noqa: SIM118
    for change, word in (
        (lambda d: d["steps"].append({"kind": "os.system", "numbers": {}}), "unknown step 'os.system'"),
        (lambda d: d.pop("classes"), "damaged"),
    ):
        description = json.loads(metadata["detector"])
        change(description)
        bad = tmp_path / "bad.safetensors"
        save_file(arrays, bad, metadata=metadata | {"detector": json.dumps(description)})
        with pytest.raises(GanlabError, match=word):
            load_detector(bad)
    with pytest.raises(GanlabError, match="cannot be saved"):
        save_detector(tmp_path / "x", SavedDetector(object(), "dct", {}, (1, 1, 1), ()))


def test_every_frozen_kind_is_reached():
    kinds = set()
    labels = np.arange(40) % 2
    features = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
    for name in CLASSICAL:
        kinds |= {step.kind for step in freeze(fitted(name, features, labels)).steps}
    assert kinds == set(KINDS)


def test_platt_curves_that_all_say_no_share_alike():
    step = Step("platt", {"slope": np.zeros(3), "shift": np.full(3, 800.0)})
    one = FrozenDetector((step,), np.arange(3), (3,))
    np.testing.assert_allclose(one.predict_proba(np.zeros((1, 3))), 1 / 3)
    assert one.predict_proba(np.zeros((0, 3))).shape == (0, 3)
