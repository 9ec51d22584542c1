"""Other data sets: labelled fakes that nothing was trained on, and images outside what a detector knows."""

import json
from dataclasses import replace

import numpy as np
import pytest
from forensics_images import checkered, natural

from ganlab.data.imageset import array_image_set, open_image_set
from ganlab.errors import GanlabError
from ganlab.forensics import load_detector, score_images
from ganlab.forensics.detectors.domain import Domain, fit_domain, outside_words


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs, their fakes, and another data set: other images, with fakes of the same fault."""
    place, images = tmp_path_factory.mktemp("domains"), natural(320, 24, seed=21)
    draw = np.random.default_rng(0)
    # enlarged and darker: another domain
    other = (natural(120, 12, seed=22).repeat(2, 1).repeat(2, 2) * 0.6).astype(np.uint8)
    sets = {
        "real": images[:120], "fake": checkered(images[120:240]), "more": images[240:],
        "other": other[:60], "other_fake": checkered(other[60:]),
        "noise": draw.integers(0, 256, (40, 24, 24, 3), dtype=np.uint8),
    }  # fmt: skip
    for name, part in sets.items():
        np.save(place / f"{name}.npy", part)
    return place


@pytest.fixture(scope="module")
def trained(ganlab, folder):
    sets = [folder / f"{name}.npy" for name in ("real", "fake")]
    others = ["--unseen", folder / "other.npy", "--unseen-fake", folder / "other_fake.npy"]
    options = ["--system", "radial+ridge", "--seeds", 1, "--bands", 0, "--resamples", 20]
    done = ganlab("detect", *sets, *others, "--out", folder / "out", *options)
    assert done.code == 0, done.stderr
    return done


def test_labelled_fakes_of_another_data_set_are_scored(trained, folder):
    results = json.loads((folder / "out" / "results.json").read_text())
    (entry,) = [one for one in results["domains"] if one["trained_on"] == "fake"]
    assert (entry["reals"], entry["fakes"], entry["images"]) == ("other", "other_fake", [60, 60])
    for name in ("balanced_accuracy", "roc_auc", "false_alarms", "found"):
        value, low, high = entry[name]
        assert 0 <= low <= value <= high <= 1
    right = (1 - entry["false_alarms"][0] + entry["found"][0]) / 2
    assert entry["balanced_accuracy"][0] == pytest.approx(right)
    (alarms,) = [one for one in results["unseen"] if one["trained_on"] == "fake"]
    assert alarms["rate"][0] == entry["false_alarms"][0]
    assert "## Transfer to other data sets" in trained.stdout
    assert "On another data set, other against other_fake: ROC-AUC" in trained.stdout


def test_a_saved_detector_says_what_it_does_not_know(trained, ganlab, folder):
    model = next((folder / "out" / "detectors").glob("*.safetensors"))
    for name, outside in (("more", False), ("fake", False), ("other", True), ("noise", True)):
        done = ganlab("detect", "--model", model, folder / f"{name}.npy")
        assert done.code == 0
        assert ("outside what this detector knows" in done.stdout) == outside, name


def test_the_domain_is_kept_and_calibrated():
    images = natural(900, 24, seed=5)
    domain = fit_domain([array_image_set(images[:400], "reals")])
    again = Domain.from_json(json.loads(json.dumps(domain.as_json())))
    outside = again.outside(images[400:])
    np.testing.assert_array_equal(outside, domain.outside(images[400:]))
    assert outside.mean() < 0.03
    assert outside_words(outside) is None
    assert again.outside(255 - 2 * (images[400:] // 4)).mean() > 0.5
    with pytest.raises(GanlabError, match="another size"):
        Domain((np.zeros(3),), (np.eye(3),), (1.0,)).outside(images[:2])
    assert fit_domain([array_image_set(images[:10], "few")]) is None


@pytest.mark.parametrize(
    "held", [{}, {"means": [[1, 2]], "precisions": [[[1]]], "limits": [1]}, {"means": 3}, {"limits": "x"}]
)
def test_a_damaged_domain_is_an_error(held):
    with pytest.raises(GanlabError, match="damaged"):
        Domain.from_json(held)


def test_words_are_for_more_than_chance():
    assert outside_words(np.array([False])) is None
    assert outside_words(np.array([True])).startswith("it is outside")
    assert outside_words(np.arange(100) < 4) is None
    assert outside_words(np.arange(100) < 30).startswith("30 % of the images are outside")


def test_a_detector_that_does_not_say_is_read_all_the_same(trained, folder):
    saved = load_detector(next((folder / "out" / "detectors").glob("*.safetensors")))
    scores = score_images(replace(saved, record={}), open_image_set(folder / "noise.npy"))
    assert scores.outside is None
    assert scores.warning is None
