"""Detector networks: they learn, they are at chance where nothing is, they are saved and restored."""

import numpy as np
import pytest
import torch
from forensics_images import natural, striped
from torch import nn

from ganlab.errors import GanlabError
from ganlab.forensics import (
    SavedDetector,
    evaluate,
    load_detector,
    make_detector,
    make_feature,
    receptive_field,
    save_detector,
)
from ganlab.forensics.nets.architectures import DetectorNetwork
from ganlab.forensics.nets.detector import NETWORKS, NetDetector
from ganlab.forensics.nets.patch import ENSEMBLES, PatchNetwork, truncated_backbone
from ganlab.forensics.nets.trainer import AUGMENTATIONS, Examples, Plan, batches, train
from ganlab.images import to_float

TINY = {
    "cnn": {"epochs": 8, "batch": 16, "rate": 3e-3},
    "patch": {"depth": 1, "epochs": 8, "batch": 12},
    "attribution": {"divisor": 16, "epochs": 10, "batch": 12},
    "fingerprint": {"width": 4, "epochs": 12, "batch": 12},
    "npr_resnet": {"epochs": 6, "batch": 12, "rate": 1e-3},
    "resnet": {"epochs": 4, "batch": 10, "rate": 1e-3, "augment": "mirror"},
}
"""Networks and trainings small enough for a test."""
SIDE = {"resnet": 8}
COUNT = {"cnn": 120, "resnet": 24, "npr_resnet": 40}
FEATURE = {"cnn": "dct", "npr_resnet": "npr"}
STRIPES = 110
"""Grey levels: so plain that all of 20 seeds find them, and nothing hangs on how a processor rounds."""


def examples(name, kind, seed=0):
    """Features and labels to train and to test on: plain images and as many others, striped or as plain.

    Most images are for the test: chance, and how sure a perfect order is, are an interval's matter.
    """
    count = 2 * COUNT.get(name, 48) if kind == "marked" else 120
    images = natural(2 * count, SIDE.get(name, 16), seed=100 + seed)
    second = striped(images[count:], STRIPES) if kind == "marked" else images[count:]
    feature = make_feature(FEATURE.get(name, "pixels"))
    features = feature(to_float(np.concatenate([images[:count], second]))).numpy()
    labels = np.repeat([0, 1], count)
    order = np.arange(2 * count)
    train_part = order % 3 == 0 if kind == "marked" else order % 6 == 0
    return features[train_part], labels[train_part], features[~train_part], labels[~train_part]


@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize("name", TINY)
def test_learns_the_stripes(name, seed):
    features, labels, test, truth = examples(name, "marked", seed)
    detector = make_detector(name, seed=seed, **TINY[name]).fit(features, labels)
    measured = evaluate(truth, detector.predict_proba(test)[:, 1], resamples=200)
    assert measured["roc_auc"].low > 0.9
    # nats; the smallest fall of any network over 20 seeds is 0.29 (fingerprints add 20 times a distance)
    assert min(detector.history_.training) < detector.history_.training[0] - 0.1


@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize("name", TINY)
def test_is_at_chance_on_two_halves_of_one_process(name, seed):
    features, labels, test, truth = examples(name, "plain", seed)
    detector = make_detector(name, seed=seed, **{**TINY[name], "epochs": 1}).fit(features, labels)
    area = evaluate(truth, detector.predict_proba(test)[:, 1], resamples=20)["roc_auc"].value
    reals, others = np.bincount(truth)
    # Mann and Whitney: deviation where nothing is to be found; of 20 seeds of six networks the largest is 2.9
    deviation = np.sqrt((reals + others + 1) / (12 * reals * others))
    assert abs(area - 0.5) < 4 * deviation


@pytest.mark.parametrize("name", TINY)
def test_saved_and_restored_with_the_same_predictions(name, tmp_path):
    rng = np.random.default_rng(0)
    side = SIDE.get(name, 16)
    features = rng.uniform(-1, 1, (18, 3, side, side)).astype(np.float32)
    detector = make_detector(name, **{**TINY[name], "epochs": 1}).fit(features, np.arange(18) % 3)
    expected = detector.predict_proba(features)
    assert expected.shape == (18, 3)
    np.testing.assert_allclose(expected.sum(1), 1, atol=1e-5)
    path = tmp_path / "net.safetensors"
    save_detector(path, SavedDetector(detector, "pixels", {}, (side, side, 3), ("real", "a", "b")))
    read = load_detector(path).detector
    np.testing.assert_allclose(read.predict_proba(features), expected, atol=1e-6)
    np.testing.assert_array_equal(read.predict(features), detector.predict(features))


def test_every_network_has_a_detector():
    assert {make_detector(name).network for name in TINY} == set(NETWORKS)


def test_same_seed_same_weights_and_the_global_generator_is_left_alone():
    features, labels, _, _ = examples("cnn", "marked")
    before = torch.get_rng_state()
    first, second, other = (
        make_detector("cnn", seed=seed, epochs=2).fit(features, labels).predict_proba(features)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1e-4
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("seed", [0])
def test_profiles_are_one_row_planes(seed):
    features = np.random.default_rng(seed).standard_normal((60, 17)).astype(np.float32)
    labels = np.arange(60) % 2
    features[labels == 1, 5:9] += 6
    detector = make_detector("cnn", seed=seed, epochs=20, batch=10, rate=3e-3).fit(features, labels)
    assert detector.module_.head.in_features == 32 * 4  # 17 values pooled twice along the row, never across
    assert (detector.predict(features) == labels).mean() > 0.8


# --------------------------------------------------------------------------------------------------- patches


@pytest.mark.parametrize(
    ("depth", "size", "stride"), [(1, 19, 4), (2, 43, 8), (3, 91, 16), (4, 187, 16), (5, 283, 16)]
)
def test_receptive_fields_of_xception(depth, size, stride):
    """The table of patch-forensics (its rfutil.py), computed from the layers."""
    body, _ = truncated_backbone("xception", 3, depth)
    field = receptive_field(body)
    assert (field.size, field.stride) == (size, stride)


@pytest.mark.parametrize(("depth", "size", "stride"), [(1, 43, 4), (2, 99, 8), (3, 211, 16), (4, 435, 32)])
def test_receptive_fields_of_resnet(depth, size, stride):
    body, _ = truncated_backbone("resnet18", 3, depth)
    field = receptive_field(body)
    assert (field.size, field.stride) == (size, stride)


@pytest.mark.parametrize("depth", [1, 2])
def test_receptive_field_is_where_gradients_reach(depth):
    """An output in the middle depends on the pixels of its patch, and on no others."""
    body = truncated_backbone("xception", 1, depth)[0].double().eval()
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
    for parent in list(body.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.MaxPool2d):  # a maximum passes only one pixel on
                setattr(parent, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
            elif isinstance(child, nn.ReLU):
                setattr(parent, name, nn.Identity())
    image = torch.ones(1, 1, 80, 80, dtype=torch.float64, requires_grad=True)
    out = body(image)
    row, column = out.shape[2] // 2, out.shape[3] // 2
    out[0, :, row, column].sum().backward()
    touched = torch.nonzero(image.grad[0, 0].abs() > 0)
    field = receptive_field(body)
    first = field.start + row * field.stride
    assert touched.amin(0).tolist() == [first, first]
    assert touched.amax(0).tolist() == [first + field.size - 1] * 2


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_ensembling_rules_by_hand(ensemble):
    network = PatchNetwork((3, 32, 32), 2, depth=1, ensemble=ensemble).eval()
    torch.manual_seed(0)
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.inference_mode():
        logits = 50 * network(images)
        network.head.weight.mul_(50)
        network.head.bias.mul_(50)
        found = network.probabilities(images)
    expected = {
        "mean_probability": logits.softmax(1).mean((2, 3)),
        "mean_logit": logits.mean((2, 3)).softmax(1),
        "vote": torch.stack([(logits.argmax(1) == k).float().mean((1, 2)) for k in (0, 1)], 1),
    }[ensemble]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_patch_training_loss_is_the_mean_over_patches():
    network = PatchNetwork((3, 32, 32), 2, depth=1).eval()
    images, labels = torch.rand(3, 3, 32, 32), torch.tensor([0, 1, 1])
    logits = network(images)
    each = [
        nn.functional.cross_entropy(logits[..., i, j], labels)
        for i in range(logits.shape[2])
        for j in range(logits.shape[3])
    ]
    torch.testing.assert_close(network.training_loss(images, labels), torch.stack(each).mean())


# ---------------------------------------------------------------------------------------------- fingerprints


def test_fingerprint_logits_are_inner_products():
    network = NETWORKS["fingerprint"]((3, 16, 16), 3, width=4)
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    responses = network.responses(images)
    assert responses.shape == (2, 3, 3, 16, 16)
    torch.testing.assert_close(network(images), responses.sum((2, 3, 4)), atol=1e-5, rtol=1e-4)
    assert network.image_fingerprint(images).shape == images.shape


def test_attribution_has_the_published_widths():
    network = NETWORKS["attribution"]((3, 128, 128), 5)
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    widths = [(m.in_channels, m.out_channels) for m in convs]
    expected = []
    for before in (16, 32, 64, 128, 256):
        expected += [(before, before), (before, 2 * before)]
    assert widths == [*expected, (512, 512)]
    assert all(m.padding_mode == "reflect" for m in convs)


# --------------------------------------------------------------------------------------------------- trainer


def test_early_stopping_keeps_the_best_weights():
    class Drifting(DetectorNetwork):
        """Its validation loss falls once and then rises."""

        def __init__(self):
            super().__init__()
            self.place = nn.Parameter(torch.zeros(1))

        def forward(self, features):
            return torch.cat([self.place.expand(len(features), 1), torch.zeros(len(features), 1)], 1)

    features = np.zeros((8, 1, 1, 1), np.float32)
    training = Examples(features, np.zeros(8, np.int64))
    validation = Examples(features, np.array([0, 0, 0, 0, 1, 1, 1, 0]))
    network = Drifting()
    history = train(network, training, validation, Plan(epochs=40, batch=8, rate=0.2, patience=3), 0)
    assert len(history.validation) == history.best + 4
    assert history.validation[history.best] == min(history.validation)
    assert network.place.item() == pytest.approx(0.2 * (history.best + 1), rel=0.2)
    assert not network.training


def test_batches_leave_no_single_image():
    assert [len(b) for b in batches(np.arange(9), 4)] == [4, 5]
    assert [len(b) for b in batches(np.arange(8), 4)] == [4, 4]
    assert [len(b) for b in batches(np.arange(1), 4)] == [1]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_keep_shape_range_and_seed(name):
    images = to_float(natural(6, 16))
    augment = AUGMENTATIONS[name]
    if augment is None:
        return
    first, second = (augment(images, np.random.default_rng(0)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == images.shape
    assert first.abs().max() <= 1.0
    assert not torch.equal(first, images)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize(
    ("features", "labels", "word"),
    [
        (np.zeros((6, 3, 16, 16)), np.zeros(6, int), "two classes"),
        (np.full((6, 3, 16, 16), np.nan), np.arange(6) % 2, "NaN"),
        (np.zeros((6, 4, 4)), np.arange(6) % 2, r"\(N, C, H, W\)"),
    ],
)
def test_impossible_training_sets_are_explained(name, features, labels, word):
    with pytest.raises(GanlabError, match=word):
        make_detector(name).fit(features.astype(np.float32), labels)


def test_bad_options_are_explained(tmp_path):
    pixels = np.random.default_rng(0).uniform(-1, 1, (8, 3, 16, 16)).astype(np.float32)
    labels = np.arange(8) % 2
    for options, word in (
        ({"backbone": "vgg"}, "xception, resnet18"),
        ({"depth": 6}, "5 blocks"),
        ({"ensemble": "max"}, "mean_logit"),
    ):
        with pytest.raises(GanlabError, match=word):
            make_detector("patch", **options).fit(pixels, labels)
    with pytest.raises(GanlabError, match="too small"):
        PatchNetwork((3, 4, 4), 2)
    with pytest.raises(GanlabError, match="square images"):
        make_detector("attribution").fit(pixels[:, :, :, :15], labels)
    with pytest.raises(GanlabError, match="18 or 50"):
        make_detector("resnet", layers=34).fit(pixels, labels)
    with pytest.raises(GanlabError, match="pixels in"):
        make_detector("resnet").fit(5 * pixels, labels)
    with pytest.raises(GanlabError, match="positive"):
        Plan(epochs=0)
    with pytest.raises(GanlabError, match="unknown network"):
        NetDetector("nothing").fit(pixels, labels)
    with pytest.raises(GanlabError, match="fitted detector"):
        save_detector(
            tmp_path / "x", SavedDetector(make_detector("cnn"), "pixels", {}, (16, 16, 3), ("real",))
        )
    fitted = make_detector("cnn", epochs=1).fit(pixels, labels)
    with pytest.raises(GanlabError, match="fitted on features of shape"):
        fitted.predict_proba(pixels[:, :, :8])
    with pytest.raises(GanlabError, match="not finite"):
        make_detector("cnn", epochs=1).set_params(plan=Plan(rate=1e30)).fit(pixels, labels)
