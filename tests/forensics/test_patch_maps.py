"""Where a patch detector looks, what it exaggerates, and a generator that learns to pass it."""

import copy

import numpy as np
import pytest
import torch
from forensics_images import natural, striped
from torch import nn

from ganlab.errors import GanlabError
from ganlab.forensics import exaggerate, finetune_against, make_detector, patch_maps, telling_patches
from ganlab.forensics.nets.adversarial import Finetuning
from ganlab.forensics.nets.patch import (
    ENSEMBLES,
    ensemble,
    log_odds,
    output_side,
    receptive_table,
    truncated_backbone,
)
from ganlab.forensics.nets.patch_maps import Patch, patch_field, patch_logits
from ganlab.images import to_float


def pixels(images):
    return to_float(images).numpy()


@pytest.fixture(scope="module")
def detector():
    images = natural(160, 32, seed=4)
    features = pixels(np.concatenate([images[:80], striped(images[80:])]))
    return make_detector("patch", depth=1, epochs=8, batch=16).fit(features, np.repeat([0, 1], 80))


def test_maps_and_patches_point_at_the_stripes(detector):
    images = natural(4, 64, seed=8)
    images[2, :, 36:] = striped(images[2:3])[0, :, 36:]  # only the right half of the third image
    maps = patch_maps(detector, pixels(images))
    assert maps.shape[0] == 4
    half = maps.shape[2] // 2
    assert maps[2, :, half + 2 :].mean() > maps[2, :, : half - 2].mean() + 0.2
    best = telling_patches(detector, pixels(images), 3, one_per_image=False)
    assert [patch.image for patch in best] == [2, 2, 2]
    assert all(patch.left + patch.size > 36 and patch.size == 19 for patch in best)
    assert best[0].probability >= best[1].probability >= best[2].probability
    assert {p.image for p in telling_patches(detector, pixels(images), 4)} == {0, 1, 2, 3}
    least = telling_patches(detector, pixels(images), 2, fake=False)
    assert least[0].probability <= least[1].probability


def test_exaggeration_moves_the_verdict_by_no_more_than_asked(detector):
    images = pixels(natural(6, 32, seed=9))
    for fake in (True, False):
        moved = exaggerate(detector, images, strength=0.1, steps=5, fake=fake)
        change = detector.predict_proba(moved)[:, 1] - detector.predict_proba(images)[:, 1]
        assert np.all(change > 0) if fake else np.all(change < 0)
        assert np.sqrt(((moved - images) ** 2).mean((1, 2, 3))).max() <= 0.1 + 1e-4
        assert np.abs(moved).max() <= 1.0
    with pytest.raises(GanlabError, match="positive strength"):
        exaggerate(detector, images, strength=0.0)


class Striping(nn.Module):
    """Smooth images plus stripes of a learned height."""

    z_dim = 16

    def __init__(self):
        super().__init__()
        self.height = nn.Parameter(torch.tensor(0.2))
        self.register_buffer("basis", torch.randn(16, 3 * 64, generator=torch.Generator().manual_seed(0)))

    def forward(self, z):
        small = (0.1 * z @ self.basis).view(-1, 3, 8, 8)
        smooth = nn.functional.interpolate(small, scale_factor=4, mode="bicubic")
        sign = torch.arange(32) % 2 * 2.0 - 1.0
        return (smooth + self.height * sign[:, None]).clamp(-1, 1)


def test_a_generator_learns_to_pass_the_frozen_detector(detector):
    generator = Striping()
    state = {name: value.clone() for name, value in detector.module_.state_dict().items()}
    tuned = finetune_against(generator, detector, steps=60, batch=8, rate=5e-3, closeness=0.1)
    z = torch.randn(32, 16, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        before, after = (detector.predict_proba(g(z).numpy())[:, 1].mean() for g in (generator, tuned))
    assert after < before - 0.2
    assert abs(tuned.height.item()) < 0.15
    assert generator.height.item() == pytest.approx(0.2)
    assert all(torch.equal(value, state[name]) for name, value in detector.module_.state_dict().items())


def test_what_is_no_patch_detector_is_refused(detector):
    features = np.random.default_rng(0).uniform(-1, 1, (12, 3, 16, 16)).astype(np.float32)
    cnn = make_detector("cnn", epochs=1).fit(features, np.arange(12) % 3)
    for call in (
        lambda: patch_maps(cnn, features),
        lambda: patch_maps(make_detector("patch"), features),
        lambda: exaggerate(cnn, features),
        lambda: finetune_against(Striping(), cnn),
        lambda: finetune_against(nn.Linear(2, 2), detector),
    ):
        with pytest.raises(GanlabError):
            call()


# ---------------------------------------------------------------------------------------- known answers


def planted(images, seed):
    """The same images with an 8x8 patch of fine stripes somewhere, and its corners (top, left)."""
    draw = np.random.default_rng(seed)
    corners = draw.integers(0, images.shape[1] - 8, (len(images), 2))
    marked = images.copy()
    for image, stripes, (top, left) in zip(marked, striped(images, 60), corners, strict=True):
        image[top : top + 8, left : left + 8] = stripes[top : top + 8, left : left + 8]
    return marked, corners


@pytest.fixture(scope="module")
def planted_detector():
    images = natural(200, 32, seed=14)
    features = pixels(np.concatenate([images[:100], planted(images[100:], 1)[0]]))
    detector = make_detector("patch", depth=1, epochs=10, batch=16, rate=2e-3)
    return detector.fit(features, np.repeat([0, 1], 100))


def test_the_map_is_highest_where_a_patch_was_planted(planted_detector):
    images, corners = planted(natural(60, 32, seed=15), 2)
    best = telling_patches(planted_detector, pixels(images), len(images))
    assert sorted(patch.image for patch in best) == list(range(60))
    inside = 0
    for patch in best:
        top, bottom, left, right = patch.inside(32, 32)
        row, column = corners[patch.image] + 4
        inside += top <= row < bottom and left <= column < right
    assert inside > 40  # a field chosen at random covers the patch in about 20 images; least of 12 seeds: 48
    field = patch_field(planted_detector)
    for values, (top, left) in zip(patch_maps(planted_detector, pixels(images)), corners, strict=True):
        rows, columns = (np.array([field.edge(k) for k in range(count)]) for count in values.shape)
        over = np.ix_(
            *((near <= at + 4) & (at + 4 < near + field.size) for near, at in ((rows, top), (columns, left)))
        )
        touching = np.ix_(
            *((near < at + 8) & (at < near + field.size) for near, at in ((rows, top), (columns, left)))
        )
        beside = np.ones(values.shape, bool)
        beside[touching] = False
        if beside.any():
            assert values[over].mean() > values[beside].mean()


def test_places_and_numbers_of_patches_agree_with_the_maps(detector):
    images = pixels(natural(3, 48, seed=16))
    maps, field = patch_maps(detector, images), patch_field(detector)
    for fake in (True, False):
        every = telling_patches(detector, images, maps.size + 5, fake=fake, one_per_image=False)
        assert len(every) == maps.size
        odds = [patch.log_odds for patch in every]
        assert odds == sorted(odds, reverse=fake)
        for patch in every[:10]:
            row, column = (round((edge - field.start) / field.stride) for edge in (patch.top, patch.left))
            assert maps[patch.image, row, column] == pytest.approx(patch.probability, abs=1e-5)
        firsts = list({patch.image: patch for patch in reversed(every)}.values())
        assert set(telling_patches(detector, images, 3, fake=fake)) == set(firsts)
    corner = Patch(0, -6, 20, 19, 0.5, 0.0)
    assert corner.inside(32, 32) == (0, 13, 20, 32)


def test_maps_do_not_depend_on_the_batch(detector, monkeypatch):
    images = pixels(natural(7, 32, seed=17))
    whole = patch_logits(detector, images)
    monkeypatch.setattr("ganlab.forensics.nets.patch_maps.PREDICT_BATCH", 3)
    np.testing.assert_allclose(patch_logits(detector, images), whole, atol=1e-5)


@pytest.mark.parametrize("rule", ENSEMBLES)
def test_exaggeration_raises_the_log_odds_under_every_rule(detector, rule):
    """Also under the vote, which has no gradient itself."""
    network = detector.module_
    before = network.ensemble
    images = pixels(natural(4, 32, seed=18))
    try:
        network.ensemble = rule
        odds = []
        for fake in (False, None, True):
            moved = images if fake is None else exaggerate(detector, images, 0.05, 4, fake=fake)
            with torch.inference_mode():
                odds.append(log_odds(network, torch.from_numpy(moved)).mean((1, 2)).numpy())
    finally:
        network.ensemble = before
    assert np.all(odds[0] < odds[1])
    assert np.all(odds[1] < odds[2])


def measured_field(body, height):
    """(first row, last row) that two neighbouring outputs in the middle depend on, by gradient.

    Positive weights and averages instead of maxima: nothing cancels and no pixel is passed over.
    """
    body = copy.deepcopy(body).double().eval()
    for module in list(body.modules()):
        if isinstance(module, nn.Conv2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            module.weight.data /= module.weight[0].numel()
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
            elif isinstance(child, nn.ReLU):
                setattr(module, name, nn.Identity())
    image = torch.ones(1, 3, height, 32, dtype=torch.float64, requires_grad=True)
    out = body(image)
    found = []
    middle = out.shape[2] // 2
    for row in (middle, middle + 1):
        (gradient,) = torch.autograd.grad(out[0, :, row].sum(), image, retain_graph=True)
        rows = torch.nonzero(gradient[0].abs().sum((0, 2)) > 0)[:, 0]
        found.append((row, int(rows.min()), int(rows.max())))
    return out.shape[2], found


@pytest.mark.parametrize("row", receptive_table(), ids=lambda row: f"{row.backbone}-{row.depth}")
def test_the_table_is_what_gradients_measure(row):
    """Every block of both networks: an output's gradient covers the patch of the table and nothing else."""
    body, channels = truncated_backbone(row.backbone, 3, row.depth)
    height = row.field.size + 6 * row.field.stride + 1
    height += height % 2
    grid, found = measured_field(body, height)
    for place, first, last in found:
        assert (first, last) == (row.field.edge(place), row.field.edge(place) + row.field.size - 1)
    assert output_side(body, height) == grid
    assert channels == row.channels


def test_the_grid_of_the_table_is_that_of_the_networks():
    for row in receptive_table([32, 61]):
        with torch.device("meta"):
            body, channels = truncated_backbone(row.backbone, 3, row.depth)
            for side, grid in zip((32, 61), row.grids, strict=True):
                assert body.eval()(torch.zeros(1, 3, side, side)).shape[1:] == (channels, grid, grid)
    assert receptive_table([2])[0].grids == (0,)


class Conditional(nn.Module):
    """Flat images whose brightness is that of their class, plus something of the latent."""

    z_dim, num_classes = 4, 3

    def __init__(self):
        super().__init__()
        self.levels = nn.Parameter(torch.tensor([-0.5, 0.0, 0.5]))

    def forward(self, z, labels):
        level = self.levels[labels] + 0.1 * z[:, 0]
        return level[:, None, None, None].expand(-1, 3, 32, 32).tanh()


def test_a_tuning_may_stop_at_any_step(detector):
    whole = Finetuning(Striping(), detector, batch=4, rate=5e-3)
    curve = [whole.step(index) for index in range(6)]
    first = Finetuning(Striping(), detector, batch=4, rate=5e-3)
    start = [first.step(index) for index in range(3)]
    second = Finetuning(Striping(), detector, batch=4, rate=5e-3)
    second.load_state(first.state())
    assert start + [second.step(index) for index in range(3, 6)] == curve
    assert torch.equal(second.tuned.height, whole.tuned.height)
    for step in curve:
        assert step.loss == pytest.approx(step.evasion + 1.0 * step.change, rel=1e-5)
    assert curve[0].change == 0


def test_a_conditional_generator_is_tuned_with_its_labels(detector):
    tuned = finetune_against(Conditional(), detector, steps=3, batch=4, rate=1e-2)
    assert not torch.equal(tuned.levels, Conditional().levels)


def test_closeness_keeps_the_images(detector):
    z = torch.randn(16, 16, generator=torch.Generator().manual_seed(5))
    changes = []
    for closeness in (0.0, 1000.0):
        tuned = finetune_against(Striping(), detector, steps=15, batch=8, rate=1e-2, closeness=closeness)
        with torch.no_grad():
            changes.append((tuned(z) - Striping()(z)).square().mean().item())
    assert changes[1] < 0.5 * changes[0]


def test_images_that_do_not_fit_are_refused(detector):
    for shape in ((2, 1, 32, 32), (2, 3, 16, 32), (3, 32, 32)):
        with pytest.raises(GanlabError, match="takes images"):
            patch_maps(detector, np.zeros(shape, np.float32))
    with pytest.raises(GanlabError, match="unknown ensembling rule"):
        ensemble(torch.zeros(1, 2, 3, 3), "median")
    small = Striping()
    small.forward = lambda z: torch.zeros(len(z), 3, 16, 16)
    with pytest.raises(GanlabError, match="generator makes images of 3x16x16"):
        Finetuning(small, detector)
    with pytest.raises(GanlabError, match="at least one step"):
        finetune_against(Striping(), detector, steps=0)
    with pytest.raises(GanlabError, match="no gradient"):
        finetune_against(Striping(), make_detector("logistic"))
    broken = Striping()
    broken.height.data.fill_(float("nan"))
    with pytest.raises(GanlabError, match="not finite at step 0"):
        Finetuning(broken, detector).step(0)
