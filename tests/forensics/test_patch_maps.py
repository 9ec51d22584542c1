"""Where a patch detector looks, what it exaggerates, and a generator that learns to pass it."""

import numpy as np
import pytest
import torch
from forensics_images import natural, striped
from torch import nn

from ganlab.errors import GanlabError
from ganlab.forensics import exaggerate, finetune_against, make_detector, patch_maps, telling_patches
from ganlab.images import to_float


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pixels(images):
    return to_float(images).numpy()


@pytest.fixture(scope="module")
def detector():
    torch.set_num_threads(1)
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
