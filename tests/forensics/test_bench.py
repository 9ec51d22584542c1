"""Training and test data of every question: balanced, disjoint, nested; and the published systems by name."""

import numpy as np
import pytest
from forensics_images import natural, striped

from ganlab.data.imageset import array_image_set
from ganlab.errors import GanlabError
from ganlab.forensics import (
    DETECTORS,
    FEATURES,
    NULL,
    PERTURBATIONS,
    PRESETS,
    System,
    check,
    make_bench,
    make_perturbation,
    parse_system,
    systems_of,
)
from ganlab.images import to_float

PIXELS = System("pixels", "logistic")


@pytest.fixture(scope="module")
def bench():
    images = natural(260, 8)
    sets = {"real": images[:120], "a": striped(images[120:200]), "b": striped(images[200:], 5)}
    real, *fakes = (array_image_set(pixels, name) for name, pixels in sets.items())
    return make_bench(check(real, fakes, allow=["jpeg_grid", "resampling"]), seed=1)


def flat(features):
    return {one.tobytes() for one in features}


def test_training_is_balanced_disjoint_from_the_test_and_nested(bench):
    features, labels = bench.training(PIXELS, ["a"])
    assert labels.tolist() == [0] * 48 + [1] * 48
    test, truth = bench.testing(PIXELS, "a")
    assert np.bincount(truth).tolist() == [24, 16]
    validation, _ = bench.training(PIXELS, ["a"], part="val")
    assert not flat(features) & flat(test)
    assert not flat(features) & flat(validation)
    small, some = bench.training(PIXELS, ["a"], limit=20)
    assert np.bincount(some).tolist() == [10, 10]
    assert flat(small) < flat(features)
    assert len(bench.test_paths("a")) == len(test)
    assert bench.test_paths("a")[0].startswith("real#")
    assert bench.test_paths("a")[-1].startswith("a#")


def test_pooled_training_takes_equal_shares(bench):
    features, labels = bench.training(PIXELS, ["a", "b"])
    assert np.bincount(labels).tolist() == [72, 72]
    from_a = flat(to_float(bench.images("a").read(bench.splits["a"].train)).numpy())
    assert sum(one.tobytes() in from_a for one in features) == 36


def test_null_control_consists_of_reals_only(bench):
    features, labels = bench.training(PIXELS, [NULL])
    test, truth = bench.testing(PIXELS, NULL)
    reals = flat(to_float(bench.real.read(np.arange(120))).numpy())
    assert flat(features) <= reals
    assert flat(test) <= reals
    assert not flat(features) & flat(test)
    assert np.bincount(labels).tolist() == [36, 36]
    assert np.bincount(truth).tolist() == [12, 12]
    assert not flat(test[truth == 0]) & flat(test[truth == 1])


def test_perturbed_test_images_keep_their_places(bench):
    plain, truth = bench.testing(PIXELS, "a")
    mirrored, same = bench.perturbed(PIXELS, "a", make_perturbation("mirror"))
    np.testing.assert_array_equal(truth, same)
    np.testing.assert_array_equal(mirrored, plain[:, :, :, ::-1])


def test_impossible_questions_are_explained(bench):
    with pytest.raises(GanlabError, match="expected one of a, b"):
        bench.training(PIXELS, ["c"])
    with pytest.raises(GanlabError, match="of its own"):
        bench.training(PIXELS, [NULL, "a"])
    with pytest.raises(GanlabError, match="too few"):
        bench.training(PIXELS, ["a"], limit=1)
    with pytest.raises(GanlabError, match="nothing"):
        bench.training(PIXELS, [])
    with pytest.raises(GanlabError, match="at least one fake"):
        check(bench.real, [])


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_what_exists(name):
    preset = PRESETS[name]
    assert preset.systems
    assert preset.summary
    assert preset.source
    assert preset.trap
    for system in preset.systems:
        assert system.feature in FEATURES
        assert system.detector in DETECTORS
        system.make_feature()
        system.make_detector(0)
    assert set(preset.perturbations) <= set(PERTURBATIONS)
    assert len({system.name for system in preset.systems}) == len(preset.systems)


def test_systems_by_text():
    system = parse_system("both+logistic")
    assert (system.feature, system.detector, system.name) == ("both", "logistic", "both+logistic")
    assert system.with_detector_options({"cost": 3.0}).name == "both+logistic(cost=3.0)"
    assert len(systems_of(["decay", "both+knn", "decay"])) == 3
    with pytest.raises(GanlabError, match=r"feature\+detector"):
        parse_system("both")
    with pytest.raises(GanlabError, match="unknown feature"):
        parse_system("bothh+knn")
    with pytest.raises(GanlabError, match="unknown detector"):
        parse_system("both+knnn")
    with pytest.raises(GanlabError, match="did you mean 'frank2020'"):
        systems_of(["frank20"])
