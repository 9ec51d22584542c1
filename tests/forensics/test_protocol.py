"""Identities, splits, guards and metrics: against scikit-learn, by construction, and by simulation."""

import json
import math

import numpy as np
import pytest
from forensics_images import natural, smoothed
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn import metrics as reference

from ganlab.data.imageset import array_image_set, open_image_set
from ganlab.errors import GanlabError
from ganlab.forensics import (
    METRICS,
    check_leakage,
    check_sets,
    evaluate,
    exact_hashes,
    highest_area_test,
    load_splits,
    make_perturbation,
    perceptual_hashes,
    perturb,
    save_splits,
    set_hashes,
    split_by_identity,
    summarise,
)
from ganlab.forensics.protocol import guards, metrics
from ganlab.forensics.protocol import near as hashes
from ganlab.util import rates

# ----------------------------------------------------------------------------------------------- identities


def test_exact_hashes_tell_every_pixel_and_the_shape():
    images = natural(4)
    other = images.copy()
    other[2, 5, 5, 1] ^= 1
    same = exact_hashes(images) == exact_hashes(other)
    assert same.tolist() == [True, True, False, True]
    flat = np.zeros((1, 4, 8, 3), np.uint8)
    assert exact_hashes(flat)[0] != exact_hashes(flat.reshape(1, 8, 4, 3))[0]


def test_perceptual_hashes_survive_a_codec_and_tell_images_apart():
    images = natural(40, 64)
    coded = perturb(images, make_perturbation("jpeg", quality=60))
    before, after = perceptual_hashes(images), perceptual_hashes(coded)
    assert np.bitwise_count(before ^ after).mean() < 4
    others = np.bitwise_count(before[:, None] ^ before[None])[~np.eye(40, dtype=bool)]
    assert others.min() > 8
    near = np.bitwise_count(before[:, None] ^ after[None]) <= 8
    np.testing.assert_array_equal(near, np.eye(40, dtype=bool))


def test_set_hashes_do_not_depend_on_the_batch(monkeypatch):
    images = natural(10)
    whole = set_hashes(named("a", images))
    monkeypatch.setattr(hashes, "BATCH", 3)
    np.testing.assert_array_equal(set_hashes(named("a", images)), whole)
    assert len(set_hashes(named("a", images), perceptual=True)) == 10


# --------------------------------------------------------------------------------------------------- splits


@given(
    values=st.lists(st.integers(0, 50), min_size=3, max_size=120).filter(lambda v: len(set(v)) >= 3),
    seed=st.integers(0, 1000),
    fractions=st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.1, 0.1), (0.1, 0.1, 0.8)]),
)
@settings(max_examples=60, deadline=None)
def test_split_is_a_partition_by_identity(values, seed, fractions):
    identities = np.array(values, np.uint64)
    split = split_by_identity(identities, seed, fractions)
    parts = [split.train, split.val, split.test]
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(values)))
    members = [set(identities[part].tolist()) for part in parts]
    assert all(members)
    assert sum(map(len, members)) == len(set().union(*members))
    again = split_by_identity(identities, seed, fractions)
    np.testing.assert_array_equal(again.train, split.train)
    shuffled = np.random.default_rng(seed).permutation(len(values))
    moved = split_by_identity(identities[shuffled], seed, fractions)
    assert set(identities[shuffled][moved.test].tolist()) == members[2]


def test_a_split_may_do_without_validation():
    identities = np.arange(10, dtype=np.uint64)
    split = split_by_identity(identities, 3, (0.8, 0.0, 0.2))
    assert [len(split.part(part)) for part in ("train", "val", "test")] == [8, 0, 2]
    assert len(split_by_identity(identities[:2], 0, (0.8, 0.0, 0.2)).test) == 1
    for fractions in ((0.0, 0.5, 0.5), (1.0, 0.0, 0.0), (0.8, -0.1, 0.3)):
        with pytest.raises(GanlabError, match="sum to 1"):
            split_by_identity(identities, 0, fractions)


def test_split_sizes_seeds_and_nested_training_sets():
    identities = exact_hashes(natural(200, 8))
    split = split_by_identity(identities, 0)
    assert [len(split.part(p)) for p in ("train", "val", "test")] == [120, 40, 40]
    other = split_by_identity(identities, 1)
    assert 0.4 < np.isin(other.train, split.train).mean() < 0.8
    # the training order itself is random: the first half does not consist of the first files
    assert 60 < split.train[:60].mean() < 140


def test_splits_are_stored_and_protected(tmp_path):
    path = tmp_path / "splits.json"
    split = split_by_identity(exact_hashes(natural(20, 8)), 5)
    save_splits(path, {"real": split})
    read = load_splits(path)["real"]
    assert read.seed == 5
    assert read.fingerprint == split.fingerprint
    np.testing.assert_array_equal(read.train, split.train)
    record = json.loads(path.read_text())
    record["sets"]["real"]["test"].append(record["sets"]["real"]["train"].pop())
    path.write_text(json.dumps(record))
    with pytest.raises(GanlabError, match="changed after"):
        load_splits(path)
    path.write_text("[]")
    with pytest.raises(GanlabError, match=r"splits\.json: expected a JSON object"):
        load_splits(path)


def test_impossible_splits_are_explained():
    with pytest.raises(GanlabError, match="3 different images; this set has 1"):
        split_by_identity(np.ones(50, np.uint64))
    with pytest.raises(GanlabError, match="sum to 1"):
        split_by_identity(np.arange(9, dtype=np.uint64), fractions=(0.6, 0.2, 0.1))
    with pytest.raises(GanlabError, match="train, val, test"):
        split_by_identity(np.arange(9, dtype=np.uint64)).part("dev")


# --------------------------------------------------------------------------------------------------- guards


@pytest.fixture(scope="module")
def photos():
    return natural(300)


def test_fair_sets_pass_and_hashes_come_back(photos):
    findings, found = check_sets(named("real", photos[:150]), [named("fake", photos[150:])])
    assert findings == []
    np.testing.assert_array_equal(found["fake"], exact_hashes(photos[150:]))


def named(name, images):
    return array_image_set(images, name)


def jpeg_files(name, images, folder):
    """A set whose files are JPEG."""
    (folder / name).mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / name / f"{i:03d}.jpg", quality=95)
    return open_image_set(folder / name)


def coded(photos):
    return perturb(photos, make_perturbation("jpeg", quality=50, subsampling="4:4:4"))


def blank(photos):
    """Every tenth image of one grey, each of another."""
    photos = photos.copy()
    photos[::10] = np.arange(len(photos[::10]), dtype=np.uint8)[:, None, None, None]
    return photos


def enlarged(photos):
    return smoothed(smoothed(photos.repeat(2, 1).repeat(2, 2)))[:, 8:40, 8:40]


@pytest.mark.parametrize(
    ("guard", "make"),
    [
        ("size", lambda p: (named("real", p[:150]), [named("fake", p[150:, :30])])),
        ("channels", lambda p: (named("real", p[:150]), [named("fake", p[150:, :, :, :1])])),
        ("jpeg_history", lambda p: (named("real", coded(p[:150])), [named("fake", p[150:])])),
        ("enlarged", lambda p: (named("real", enlarged(p[:150])), [named("fake", p[150:])])),
        ("duplicates", lambda p: (named("real", p[:150]), [named("fake", p[149:])])),
        ("duplicates", lambda p: (named("real", p), [named("again", p)])),
        ("near_duplicates", lambda p: (named("real", p[:150]), [named("fake", coded(p[140:]))])),
        ("constant", lambda p: (named("real", p[:150]), [named("fake", blank(p[150:]))])),
        ("count", lambda p: (named("real", p[:150]), [named("fake", p[150:153])])),
    ],
)
def test_every_guard_refuses_and_can_be_allowed(photos, guard, make):
    real, fakes = make(photos)
    with pytest.raises(GanlabError, match=rf"(?s)not fair.*{guard}"):
        check_sets(real, fakes)
    findings, _ = check_sets(real, fakes, allow=guards.GUARDS)
    assert guard in {one.guard for one in findings}


@pytest.mark.parametrize("lossy", ["real", "fake"])
def test_codecs_are_compared(photos, tmp_path, lossy):
    parts = {"real": photos[:20], "fake": photos[20:40]}
    sets = {n: jpeg_files(n, p, tmp_path) if n == lossy else named(n, p) for n, p in parts.items()}
    with pytest.raises(GanlabError, match="codec"):
        check_sets(sets["real"], [sets["fake"]])
    findings, _ = check_sets(sets["real"], [sets["fake"]], allow=["codec"])
    assert {one.guard for one in findings} == {"codec"}


def test_what_a_comparison_alone_shows_is_told(photos):
    findings, _ = check_sets(named("real", photos[150:]), [named("coarse", photos[:150] // 4 * 4)])
    (depth,) = [one for one in findings if one.guard == "bit_depth"]
    assert depth.note
    assert "all values lie on the levels of 6 bits" in depth.message


def test_enlarged_reals_were_no_jpegs(photos):
    real, fake = named("real", enlarged(photos[:150])), named("fake", photos[150:])
    findings, _ = check_sets(real, [fake], allow=["resampling"])
    assert "enlarged" in {one.guard for one in findings}
    assert not {"jpeg_history", "grid"} & {one.guard for one in findings}


def test_guards_are_named(photos):
    real, fake = named("real", photos[:150]), named("fake", photos[150:])
    with pytest.raises(GanlabError, match="did you mean 'codec'"):
        check_sets(real, [fake], allow=["codecs"])
    with pytest.raises(GanlabError, match="different names"):
        check_sets(real, [fake, fake])


def test_leakage_between_sets_is_found(photos):
    found = {"a": exact_hashes(photos[:100]), "b": exact_hashes(photos[:100][::-1])}
    fair = {name: split_by_identity(found[name], 0) for name in found}
    assert check_leakage(fair, found) == []
    unfair = {"a": fair["a"], "b": split_by_identity(found["b"], 1)}
    with pytest.raises(GanlabError, match="leakage"):
        check_leakage(unfair, found)
    assert check_leakage(unfair, found, allow=["leakage"])


# -------------------------------------------------------------------------------------------------- metrics


def weighted_reference(truth, scores, weight):
    called = scores >= 0.5
    alarm, recall, _ = reference.roc_curve(truth, scores, sample_weight=weight, drop_intermediate=False)
    return {
        "balanced_accuracy": reference.balanced_accuracy_score(truth, called, sample_weight=weight),
        "roc_auc": reference.roc_auc_score(truth, scores, sample_weight=weight),
        "average_precision": reference.average_precision_score(truth, scores, sample_weight=weight),
        "tpr_at_1": recall[alarm <= 0.01].max(),
        "tpr_at_5": recall[alarm <= 0.05].max(),
        "brier": reference.brier_score_loss(truth, scores, sample_weight=weight),
    }


@given(count=st.integers(4, 80), ties=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_metrics_equal_scikit_learn_for_any_weights(count, ties, seed):
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(count) % 2 == 0)
    scores = rng.integers(0, 5, count) / 4 if ties else rng.random(count)
    weight = rng.integers(0, 4, count).astype(float)
    weight[np.argmax(truth)] = weight[np.argmin(truth)] = 1.0
    order = np.argsort(-scores, kind="stable")
    ours = metrics._metrics(truth[order], scores[order], scores[order], weight[order][None])
    for name, value in weighted_reference(truth, scores, weight).items():
        assert ours[name][0] == pytest.approx(value, abs=1e-12), name


def test_calibration_error_by_hand():
    labels, scores = [1, 0, 1, 0, 0], [0.95, 0.95, 0.65, 0.15, 0.05]
    expected = abs(1.9 - 1) / 5 + abs(0.65 - 1) / 5 + 0.15 / 5 + 0.05 / 5
    assert evaluate(labels, scores, resamples=0)["ece"].value == pytest.approx(expected)


def test_perfect_and_useless_detectors():
    labels = np.arange(400) % 2
    perfect = evaluate(labels, labels.astype(float))
    assert all(perfect[name].value == 1.0 for name in METRICS[:5])
    assert perfect["ece"].value == perfect["brier"].value == 0.0
    constant = evaluate(labels, np.full(400, 0.5))
    assert constant["roc_auc"].value == 0.5
    assert constant["roc_auc"].high - 0.5 == pytest.approx(0.5 - constant["roc_auc"].low) != 0
    assert constant["balanced_accuracy"].value == 0.5
    blind = evaluate(labels, np.random.default_rng(0).random(400))
    assert blind["roc_auc"].contains(0.5)
    assert blind["balanced_accuracy"].contains(0.5)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """Normal scores one deviation apart: the true area is Phi(1 / sqrt 2)."""
    from scipy.stats import norm

    truth, rng, covered = norm.cdf(1 / np.sqrt(2)), np.random.default_rng(0), 0
    labels = np.arange(200) % 2
    for trial in range(120):
        scores = norm.cdf(rng.standard_normal(200) + labels)
        covered += evaluate(labels, scores, resamples=300, seed=trial)["roc_auc"].contains(truth)
    assert 0.87 * 120 <= covered <= 120


def test_no_rate_is_certain_after_eighty_images():
    """1.000 [1.000, 1.000] from 40 reals and 40 fakes, and 0.000 [0.000, 0.000], are what this is not."""
    labels = np.repeat([0, 1], 40)
    for resamples in (0, 200):
        best = evaluate(labels, labels.astype(float), resamples)
        worst = evaluate(labels, 1.0 - labels, resamples)
        for name in METRICS[:5]:
            assert best[name].value == best[name].high == 1.0
            assert 0.85 < best[name].low < 0.99, name
        for name in ("balanced_accuracy", "roc_auc"):
            assert worst[name].value == worst[name].low == 0.0
            assert worst[name].high == pytest.approx(1 - best[name].low)


def test_intervals_of_rates_and_areas():
    assert rates.wilson(20, 20) == pytest.approx((0.8389, 1.0), abs=1e-4)
    assert rates.wilson(98, 100) == pytest.approx((0.9300, 0.9945), abs=1e-4)
    assert rates.wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert rates.clopper_pearson(20, 20) == pytest.approx((0.8316, 1.0), abs=1e-4)
    assert rates.clopper_pearson(98, 100) == pytest.approx((0.9296, 0.9976), abs=1e-4)
    assert rates.clopper_pearson(0, 20) == pytest.approx((0.0, 0.1684), abs=1e-4)
    assert rates.mean_of_rates([15], [20]) == pytest.approx(rates.clopper_pearson(15, 20))
    low, high = rates.mean_of_rates([15, 18], [20, 20])
    ends = [rates.clopper_pearson(hits, 20) for hits in (15, 18)]
    assert low == pytest.approx(0.825 - np.hypot(0.75 - ends[0][0], 0.9 - ends[1][0]) / 2)
    assert high == pytest.approx(0.825 + np.hypot(ends[0][1] - 0.75, ends[1][1] - 0.9) / 2)
    for area in (0.0, 0.3, 0.5, 0.93, 1.0):
        low, high = rates.auc_interval(area, 30, 50)
        assert low <= area <= high
        assert high - low > 0.05
        for end in {low, high} - {0.0, 1.0}:
            assert abs(end - area) == pytest.approx(1.959964 * rates.auc_variance(end, 30, 50) ** 0.5)
        mirrored = rates.auc_interval(1 - area, 30, 50)
        assert (low, high) == pytest.approx((1 - mirrored[1], 1 - mirrored[0]))


@pytest.mark.parametrize("truth", [0.5, 0.8, 0.97])
def test_rates_and_areas_cover(truth):
    """Exact shares by drawing; areas of normal scores."""
    from scipy.stats import norm

    rng, hits, labels = np.random.default_rng(3), np.zeros(2), np.repeat([0, 1], 40)
    shift = norm.ppf(truth) * np.sqrt(2)
    for _ in range(300):
        scores = norm.cdf(rng.standard_normal(80) + shift * labels)
        hits[0] += evaluate(labels, scores, 0)["roc_auc"].contains(truth)
        drawn = rng.binomial(40, truth, 2)
        low, high = rates.mean_of_rates(drawn.tolist(), [40, 40])
        hits[1] += low <= truth <= high
    assert (hits >= 0.90 * 300).all()  # the binomial limit of 95 % at 1e-4 is 89.7


def test_the_highest_area_is_judged_as_the_highest():
    """Twenty detectors of noise on two splits; then one that knows."""
    rng, labels = np.random.default_rng(0), np.repeat([0, 1], 30)
    least = []
    for _ in range(60):
        common = rng.normal(size=(2, 1, 60))
        scores = common + 0.3 * rng.normal(size=(2, 10, 60))
        _, chances = highest_area_test([(labels, one) for one in scores], 200)
        least.append(min(p.min() for p in chances))
    assert np.mean(np.array(least) <= 0.1) < 0.25  # 0.1 by right; binomial limit at 1e-3
    assert np.mean(least) == pytest.approx(0.5, abs=0.15)
    scores = rng.normal(size=(3, 60))
    scores[1] += 1.5 * labels
    scores[2] -= 3.0 * labels
    (areas,), (chances,) = highest_area_test([(labels, scores)], 500)
    assert areas[1] == pytest.approx(reference.roc_auc_score(labels, scores[1]))
    assert chances[1] <= 0.01
    assert min(chances[0], chances[2]) > 0.05
    assert highest_area_test([(labels, np.zeros((1, 60)))], 50)[1][0][0] == 1.0


def test_bootstrap_keeps_the_class_balance_and_blocks_agree(monkeypatch):
    truth = np.arange(50) % 5 == 0
    for weights in metrics._resample_weights(truth, 20, 0):
        assert np.all(weights[:, truth].sum(1) == 10)
        assert np.all(weights[:, ~truth].sum(1) == 40)
    scores = np.random.default_rng(1).random(50)
    whole = evaluate(truth, scores, resamples=200)["roc_auc"]
    monkeypatch.setattr(metrics, "CELLS_AT_ONCE", 50 * 7)
    blocks = evaluate(truth, scores, resamples=200)["roc_auc"]
    assert blocks.value == whole.value
    assert blocks.low == pytest.approx(whole.low, abs=0.05)


@pytest.mark.parametrize(
    ("labels", "scores", "word"),
    [
        ([1, 1, 1], [0.1, 0.2, 0.3], "both classes"),
        ([0, 1], [0.1, 1.2], "probabilities"),
        ([0, 1], [0.1, float("nan")], "probabilities"),
        ([0, 1, 1], [0.1, 0.2], "equal vectors"),
    ],
)
def test_bad_scores_are_explained(labels, scores, word):
    with pytest.raises(GanlabError, match=word):
        evaluate(labels, scores)


def test_summary_over_seeds():
    labels = np.arange(100) % 2
    runs = [evaluate(labels, np.random.default_rng(s).random(100), resamples=20) for s in range(4)]
    table = summarise(runs)
    values = [run["roc_auc"].value for run in runs]
    assert table["roc_auc"]["mean"] == pytest.approx(np.mean(values))
    assert table["roc_auc"]["std"] == pytest.approx(np.std(values, ddof=1))
    with pytest.raises(GanlabError, match="no repetition"):
        summarise([])


@pytest.mark.parametrize(
    ("labels", "scores"), [([0, 0, 0], [1, 2, 3]), ([0, 1, 1], [1, 2]), ([0, 1, 1], [1, math.nan, 3])]
)
def test_the_highest_area_is_of_two_classes_and_of_numbers(labels, scores):
    with pytest.raises(GanlabError, match=r"expected labels 0 and 1|NaN"):
        highest_area_test([(labels, scores)], 20)
