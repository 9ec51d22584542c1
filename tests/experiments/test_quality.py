"""Sliced Wasserstein distance on Laplacian pyramids, and the honest absence of FID."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import scipy.ndimage
import torch

from ganlab.errors import GanlabError
from ganlab.generation import quality
from ganlab.images import to_float


def images(count, seed, side=32, sigma=2.0):
    noise = np.random.default_rng(seed).normal(size=(count, side, side, 3))
    smooth = scipy.ndimage.gaussian_filter(noise, (0, sigma, sigma, 0))
    return np.clip(127.5 + 200 * smooth, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("side", "levels"), [(16, [16]), (32, [32, 16]), (64, [64, 32, 16]), (48, [48, 24])])
def test_pyramid_levels_add_up_to_the_images(side, levels):
    batch = to_float(images(3, 0, side))
    pyramid = quality.laplacian_pyramid(batch)
    assert [level.shape[-1] for level in pyramid] == levels
    rebuilt = pyramid[-1]
    for level in reversed(pyramid[:-1]):
        rebuilt = level + quality._enlarge(rebuilt)
    assert torch.allclose(rebuilt, batch, atol=1e-5)


def test_band_pass_levels_of_a_constant_are_zero():
    levels = quality.laplacian_pyramid(torch.full((1, 3, 64, 64), 0.3))
    inner = slice(4, -4)
    assert all(level[..., inner, inner].abs().max() < 1e-6 for level in levels[:-1])
    assert torch.allclose(levels[-1], torch.full((1, 3, 16, 16), 0.3), atol=1e-6)


def test_distance_orders_sets_by_how_far_they_are():
    real = images(100, 0)
    values = [
        quality.sliced_wasserstein(real, other)["swd"]
        for other in (images(100, 1), images(100, 2, sigma=1.5), images(100, 3, sigma=0.7))
    ]
    assert values[0] < values[1] < values[2]
    assert values[0] < values[2] / 2


def test_distance_in_one_direction_against_scipy():
    a, b = torch.randn(2, 300, 1, generator=torch.Generator().manual_seed(0))
    expected = scipy.stats.wasserstein_distance(a[:, 0].numpy(), b[:, 0].numpy())
    assert quality._distance(a, b, 0) == pytest.approx(expected, rel=1e-5)


def test_it_is_deterministic_and_reports_levels():
    real, fake = images(40, 0), images(50, 1)
    found = quality.sliced_wasserstein(real, fake, seed=3)
    assert found == quality.sliced_wasserstein(real, fake, seed=3)
    assert found != quality.sliced_wasserstein(real, fake, seed=4)
    assert set(found) == {"swd", "swd_32", "swd_16"}
    assert found["swd"] == pytest.approx((found["swd_32"] + found["swd_16"]) / 2)
    with pytest.raises(GanlabError, match="equal image size"):
        quality.sliced_wasserstein(real, images(4, 0, 16))


def test_fid_says_why_it_is_not_computed(monkeypatch, tmp_path):
    monkeypatch.setattr(quality.importlib.util, "find_spec", lambda name: None)
    assert "torch-fidelity is not installed" in quality.quality(images(8, 0), images(8, 1), 0)["not_computed"]
    monkeypatch.setattr(quality.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert "weights are not there" in quality.quality(images(8, 0), images(8, 1), 0)["not_computed"]
    found = quality.quality(images(8, 0), images(8, 1), 0, inception=False)
    assert found["not_computed"] == "not asked for"
    assert found["swd_null"] > 0


def test_fid_comes_from_torch_fidelity_where_its_weights_are(monkeypatch, tmp_path):
    """Its interface: two data sets of uint8 (3, H, W), fakes first, and no download."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / quality.FID_WEIGHTS).touch()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(quality.importlib.util, "find_spec", lambda name: object())
    calls = {}

    def calculate_metrics(**options):
        calls.update(options)
        return {"frechet_inception_distance": 12.5, "kernel_inception_distance_mean": 0.25}

    monkeypatch.setitem(
        sys.modules, "torch_fidelity", types.SimpleNamespace(calculate_metrics=calculate_metrics)
    )
    real, fake = images(9, 0), images(7, 1)
    assert quality.inception_metrics(real, fake) == {"fid": 12.5, "kid": 0.25}
    assert (len(calls["input1"]), len(calls["input2"]), calls["kid_subset_size"]) == (7, 9, 7)
    assert torch.equal(calls["input1"][2], torch.from_numpy(fake[2]).permute(2, 0, 1))
