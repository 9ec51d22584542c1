"""Dzanic et al.'s decay of the highest frequencies: a power law fitted to amplitudes, three numbers."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganlab.images import luma
from ganlab.spectra.conventions import LUMA_FOUR_DIGITS
from ganlab.spectra.rings import FloatArray, multiplicity, orbit_sums
from ganlab.spectra.transforms import check_images, half_squares

DECAY_BINS = 200
START, FIT_START = 0.5, 0.85
SMOOTHING = 5


@dataclass(frozen=True)
class DecayFit:
    """Power laws ``y = first * (x / x_first)^exponent`` fitted to the upper end of amplitude profiles.

    Attributes:
        exponent: ``(M,)``; 0 where the amplitude does not fall off, negative where it does.
        first: amplitude at 0.85 of the corner frequency, ``(M,)``, of images in 0..255.
        last: amplitude at the corner, ``(M,)``.
    """

    exponent: Tensor
    first: Tensor
    last: Tensor


@functools.lru_cache(maxsize=32)
def _bins(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Bin of every quarter-plane cell, the matrix from bin sums to filled bin means, and the bins' radii."""
    y, x = np.arange(height // 2 + 1), np.arange(width // 2 + 1)
    radii = np.hypot(y[:, None], x[None, :])
    used = radii > START * np.hypot(height / 2, width / 2)
    edges = np.linspace(radii[used].min(), radii.max(), DECAY_BINS + 1)
    labels = np.clip(np.searchsorted(edges, radii) - 1, 0, DECAY_BINS - 1)
    labels[~used] = DECAY_BINS
    orbits = np.outer(multiplicity(height), multiplicity(width))
    counts = np.bincount(labels.ravel(), orbits.ravel(), DECAY_BINS + 1)[:DECAY_BINS]
    filled = np.flatnonzero(counts)
    weights = np.stack([np.interp(np.arange(DECAY_BINS), filled, row) for row in np.eye(len(filled))])
    matrix = np.zeros((DECAY_BINS, DECAY_BINS))
    matrix[filled] = weights / counts[filled, None]
    with torch.inference_mode(False):
        return (
            torch.from_numpy(labels.ravel()),
            torch.from_numpy(matrix),
            torch.from_numpy((edges[1:] + edges[:-1]) / 2),
        )


def decay_profile(images: Tensor) -> Tensor:
    """Mean amplitude ``|F|`` in 200 equal rings between half the corner frequency and the corner.

    The luma is that of images in 0..255 (weights 0.2989, 0.5870, 0.1140; not rounded). Rings without a
    coefficient, which images below about 256 pixels have, are interpolated between their neighbours. Radii
    are measured from the zero frequency (the released MATLAB code measures them from one pixel beside it).

    Args:
        images: float ``(N, 1 or 3, H, W)`` in [-1, 1].

    Returns:
        ``(N, 200)``. Differentiable where no amplitude is zero.

    Raises:
        GanlabError: wrong type, shape or channel count.

    Source: Dzanic et al. NeurIPS 2020, arXiv 1911.06465; tarikdzanic/FourierSpectrumDiscrepancies 7bfdda1.
    """
    grey = luma(check_images(images), LUMA_FOUR_DIGITS) * 127.5 + 127.5
    height, width = grey.shape[-2:]
    labels, matrix, _ = _bins(height, width)
    # The modulus has a gradient at zero; the root of squares has none, and is twice as fast.
    modulus = torch.fft.rfft2(grey).abs() if grey.requires_grad else half_squares(grey).sqrt_()
    amplitudes = orbit_sums(modulus, width).flatten(1)
    sums = amplitudes.new_zeros(len(grey), DECAY_BINS + 1).index_add(1, labels.to(grey.device), amplitudes)
    return sums[:, :DECAY_BINS] @ matrix.to(grey)


def decay_radii(height: int, width: int) -> FloatArray:
    """Middle of the 200 rings, as a share of the largest one's."""
    radii = _bins(height, width)[2].numpy()
    shares: FloatArray = radii / radii.max()
    return shares


def _smooth(profiles: Tensor) -> Tensor:
    """Moving average of five; nearer to an end, the widest that fits around the point."""
    sums = torch.cat((profiles.new_zeros(len(profiles), 1), profiles.cumsum(1)), 1)
    index = torch.arange(profiles.shape[1], device=profiles.device)
    reach = torch.minimum(
        torch.minimum(index, profiles.shape[1] - 1 - index), index.new_tensor(SMOOTHING // 2)
    )
    return (sums[:, index + reach + 1] - sums[:, index - reach]) / (2 * reach + 1)


def decay_fit(profiles: Tensor, height: int, width: int, steps: int = 60) -> DecayFit:
    """Fit the decay of amplitude profiles beyond 0.85 of the corner frequency, all at once.

    Least squares in the amplitude over the exponent alone, the curve held at the first point, as published
    (there by a simplex search from -2, here by damped Gauss-Newton steps).

    Args:
        profiles: ``(M, 200)`` from ``decay_profile`` or means of such.
        height: H of the images.
        width: W of the images.
        steps: of the search for the exponent; 0 where only the amplitudes are asked for.
    """
    start = round(DECAY_BINS * (FIT_START - START) / START)
    y = _smooth(profiles.double())[:, start:]
    radii = torch.from_numpy(decay_radii(height, width))[start:].to(y.device)
    log_x = (radii / radii[0]).log()
    first = y[:, :1].clamp_min(1e-12)
    relative = y / first
    exponent = torch.full_like(first, -2.0)
    for _ in range(steps):
        curve = torch.exp(exponent * log_x)
        slope = curve * log_x
        step = ((relative - curve) * slope).sum(1, keepdim=True) / slope.square().sum(1, keepdim=True)
        exponent = (exponent + step.clamp(-2, 2)).clamp(-200, 200)
    return DecayFit(exponent[:, 0], y[:, 0], y[:, -1])
