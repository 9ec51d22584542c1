"""How the power is spread over directions (Corvi et al. 2023), and the autocorrelation of a mean spectrum."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.spectra.conventions import CORVI2023
from ganlab.spectra.inputs import check_images
from ganlab.spectra.rings import half_passes
from ganlab.spectra.transforms import measure_half_plane, prepare
from ganlab.spectra.windows import apply_window

ANGULAR_BINS = 16
ANGULAR_MINIMUM = 0.1
"""Coefficients at or below this radius, cycles per pixel, have no direction worth counting."""


@functools.lru_cache(maxsize=32)
def _direction_passes(height: int, width: int, bins: int, minimum: float) -> tuple[Tensor, ...]:
    rows = np.arange(-(height // 2), (height + 1) // 2)
    columns = np.arange(-(width // 2), (width + 1) // 2)
    y, x = (rows / height)[:, None], (columns / width)[None, :]
    labels = (np.rint(bins * np.arctan2(y, x) / np.pi) % bins).astype(np.int64)
    labels[np.sqrt(y**2 + x**2) <= minimum] = bins
    with torch.inference_mode(False):
        return tuple(torch.from_numpy(p) for p in half_passes(rows, columns, labels, (height, width), bins))


def angular_profile(
    images: Tensor, bins: int = ANGULAR_BINS, minimum: float = ANGULAR_MINIMUM, window: str | None = None
) -> Tensor:
    """Share of an image's power in each direction, beyond a minimum radius (Corvi et al. 2023).

    Images are standardised jointly over height, width and channels; the power is averaged over channels.
    Bin b holds the directions ``round(bins * atan2(fy, fx) / pi) mod bins``, so that bin 0 lies around the
    horizontal frequencies and bin ``bins/2`` around the vertical ones.

    Args:
        images: float ``(N, C, H, W)``; the value range does not matter.
        bins: number of directions over half a turn.
        minimum: coefficients with radius above this count, cycles per pixel.
        window: as in ``power_spectrum``.

    Returns:
        ``(N, bins)``; sums to the share of the power beyond ``minimum``. Differentiable.

    Raises:
        GanlabError: wrong type or shape, fewer than one bin, unknown window.

    Source: grip-unina/SyntheticImagesAnalysis 061414b, arXiv 2304.06408.
    """
    if bins < 1:
        raise GanlabError(f"an angular profile has at least one bin; got {bins}")
    planes = apply_window(prepare(check_images(images), CORVI2023), window)
    height, width = planes.shape[-2:]
    half = measure_half_plane(planes, "power", 0.0).mean(1).flatten(1)
    sums = half.new_zeros(len(half), bins + 1)
    for labels in _direction_passes(height, width, bins, minimum):
        sums = sums.index_add(1, labels.to(half.device), half)
    return sums[:, :bins] / (height * width)


def autocorrelation(power: Tensor, width: int, remove_mean: bool = True) -> Tensor:
    """Circular autocorrelation of the pixels from their power spectrum, 1 at lag zero (Wiener-Khinchin).

    Regular peaks away from the origin are the mark of a generator's upsampling (Corvi et al. 2023 show those
    of noise residuals; see ``median_residual``).

    Args:
        power: ``(..., H, W//2+1)`` un-shifted, for example ``SpectrumStatistics.power.mean`` as a tensor.
        width: W.
        remove_mean: leave out the zero frequency, so that it is the autocorrelation about the mean.

    Returns:
        ``(..., H, W)``, un-shifted: lag zero at [0, 0], lag (dy, dx) at [dy mod H, dx mod W]. A spectrum
        without power gives zeros. Differentiable.

    Raises:
        GanlabError: ``power`` is no half plane of that width.
    """
    if power.ndim < 2 or power.shape[-1] != width // 2 + 1:
        raise GanlabError(
            f"power is (..., H, W//2+1); got {tuple(power.shape)}, which is no half plane for W = {width}"
        )
    if remove_mean:
        keep = torch.ones_like(power[..., :, :])
        keep[..., 0, 0] = 0
        power = power * keep
    lags: Tensor = torch.fft.irfft2(power, s=(power.shape[-2], width))
    variance = lags[..., :1, :1]
    return lags.div(torch.where(variance > 0, variance, torch.ones_like(variance)))
