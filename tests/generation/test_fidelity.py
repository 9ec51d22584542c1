"""How near pairs are: against the definitions written out, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from forensics_images import natural

from ganlab.errors import GanlabError
from ganlab.generation.fidelity import fidelity, mask_fidelity


@pytest.fixture(scope="module")
def pairs():
    real = np.stack(natural(6, 32, seed=1))
    noise = np.random.default_rng(0).integers(-9, 10, real.shape)
    return real, np.clip(real.astype(int) + noise, 0, 255).astype(np.uint8)


def test_psnr_and_log_frequency_distance_by_definition(pairs):
    real, made = (part.astype(float) for part in pairs)
    error = ((real - made) ** 2).mean((1, 2, 3))
    near = fidelity(*pairs)
    assert near["psnr"] == pytest.approx((10 * np.log10(255**2 / error)).mean(), abs=1e-4)
    spectrum = np.abs(np.fft.fft2(real - made, axes=(1, 2))) ** 2
    assert near["lfd"] == pytest.approx(np.log(spectrum.mean((1, 2, 3)) + 1).mean(), abs=1e-4)


def test_ssim_by_definition(pairs):
    """Wang et al. 2004: Gaussian windows of 11 pixels and deviation 1.5; borders are reflected."""
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(taps, taps) / taps.sum() ** 2

    def means(x):
        wide = np.pad(x, ((0, 0), (5, 5), (5, 5), (0, 0)), "reflect")
        view = np.lib.stride_tricks.sliding_window_view(wide, (11, 11), axis=(1, 2))
        return np.einsum("nhwcij,ij->nhwc", view, window)

    real, made = (part.astype(float) for part in pairs)
    a, b = means(real), means(made)
    va, vb, vab = means(real**2) - a**2, means(made**2) - b**2, means(real * made) - a * b
    first, second = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similar = (2 * a * b + first) * (2 * vab + second) / ((a**2 + b**2 + first) * (va + vb + second))
    assert fidelity(*pairs)["ssim"] == pytest.approx(similar.mean(), abs=1e-4)


def test_masks_by_hand():
    true = np.array([[[0, 0, 1, 1]]])
    found = np.array([[[0, 1, 1, 1]]])
    assert mask_fidelity(true, found, 2) == {"accuracy": 0.75, "iou": pytest.approx((1 / 2 + 2 / 3) / 2)}
    # a class that occurs nowhere counts nowhere
    assert mask_fidelity(true, found, 5)["iou"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_what_are_no_pairs(pairs):
    real, made = pairs
    with pytest.raises(GanlabError, match="are no pairs"):
        fidelity(real, made[:3])
    with pytest.raises(GanlabError, match="are no pairs"):
        mask_fidelity(np.zeros((2, 4, 4), int), np.zeros((2, 4, 5), int), 2)
    with pytest.raises(GanlabError, match="class 3; expected 0 to 1"):
        mask_fidelity(np.zeros((2, 4, 4), int), np.full((2, 4, 4), 3), 2)
