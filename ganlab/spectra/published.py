"""Spectra of sets as published: Corvi's directions, residuals behind a median, StyleGAN3's padded grid."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.images import luma
from ganlab.spectra.conventions import CORVI2023
from ganlab.spectra.rings import FloatArray, half_passes
from ganlab.spectra.summary import image_chunks
from ganlab.spectra.transforms import (
    apply_window,
    check_images,
    decibels,
    half_power,
    measure_half_plane,
    prepare,
)

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


Average = Literal["complex", "power", "log"]


def median_residual(images: Tensor, size: int = 5) -> Tensor:
    """Each pixel minus the median of the ``size`` x ``size`` square around it; edge pixels are repeated.

    Args:
        images: float ``(N, C, H, W)``.
        size: odd; 5 for Wang et al. 2020, 3 for Ricker et al. 2022.

    Returns:
        ``(N, C, H, W)``. Differentiable.

    Raises:
        GanlabError: wrong type or shape, even size, or a size that reaches beyond the image.
    """
    planes = check_images(images)
    if size < 1 or size % 2 == 0:
        raise GanlabError(f"a median filter has an odd size; got {size}")
    edge = size // 2
    padded = F.pad(planes, (edge, edge, edge, edge), mode="replicate")
    squares = padded.unfold(2, size, 1).unfold(3, size, 1).flatten(4)
    return planes - squares.median(-1).values


def npr_residual(images: Tensor) -> Tensor:
    """Neighbouring pixel relations: each pixel minus the top left one of its 2x2 block (Tan et al. 2024).

    Equal to ``x - up(down(x))`` with nearest-neighbour resampling by two.

    Args:
        images: float ``(N, C, H, W)`` in [-1, 1], H and W even.

    Returns:
        ``(N, C, H, W)`` on the scale of images in [0, 1]; zero at every top left pixel. Differentiable. The
        released code divides by ImageNet's deviations (0.229, 0.224, 0.225) before and takes 2/3 of it.

    Raises:
        GanlabError: wrong type or shape, odd height or width.

    Source: arXiv 2312.10461, chuangchuangtan/NPR-DeepfakeDetection.
    """
    planes = check_images(images)
    if planes.shape[-2] % 2 or planes.shape[-1] % 2:
        raise GanlabError(
            f"NPR needs even height and width; got {planes.shape[-2]}x{planes.shape[-1]}: crop one"
        )
    corners = planes[..., ::2, ::2].repeat_interleave(2, -2).repeat_interleave(2, -1)
    return (planes - corners) / 2


def _chunk_sum(images: Tensor, size: int, average: Average) -> Tensor:
    residual = median_residual(luma(images).unsqueeze(1), size)[:, 0]
    if average == "complex":
        mean: Tensor = torch.fft.rfft2(residual.sum(0, dtype=torch.float64))
        return mean
    power = half_power(residual).double()
    return power.sum(0) if average == "power" else power.clamp_min(1e-20).log().sum(0)


def residual_spectrum(
    images: Tensor | Iterable[Tensor], size: int = 5, average: Average = "complex"
) -> Tensor:
    """Mean spectrum of the median residuals of the luma of a set of images.

    Args:
        images: float ``(N, 1 or 3, H, W)`` in [-1, 1], or batches of such.
        size: of the median filter. StudioGAN's variant uses H//8 (made odd) with average "log".
        average: "complex" is the modulus of the mean of the complex spectra over sqrt(H W) (Wang et al. 2020,
            as their author describes it): only what has the same phase in every image remains. "power" is the
            root of the mean power (Corvi et al. 2023 with a median in place of their denoising network).
            "log" is the geometric mean of the amplitudes.

    Returns:
        Amplitude ``(H, W//2+1)`` in float64, un-shifted; ``20 log10`` of it is dB.

    Raises:
        GanlabError: no image, wrong type or shape, unknown average, even size.
    """
    if average not in ("complex", "power", "log"):
        raise GanlabError(f"unknown average {average!r}: expected one of complex, power, log")
    total, count = torch.zeros((), dtype=torch.float64), 0
    for chunk in image_chunks(images, 1 / size**2):
        total = total.to(chunk.device) + _chunk_sum(chunk, size, average)
        count, pixels = count + len(chunk), chunk.shape[-2] * chunk.shape[-1]
    if not count:
        raise GanlabError("there is no mean spectrum of zero images")
    mean = total / count
    if average == "complex":
        return mean.abs().div(pixels**0.5)
    return mean.sqrt() if average == "power" else (mean / 2).exp()


@dataclass(frozen=True)
class PaddedSpectrum:
    """Mean power of whitened, windowed images on a grid finer than theirs.

    Attributes:
        power: ``(pad * H, pad * W//2 + 1)`` float64, linear, un-shifted; mean over images and channels.
        height: H.
        width: W.
        padding: how many times finer the grid is.
        count: number of images.
    """

    power: Tensor
    height: int
    width: int
    padding: int
    count: int

    def heatmap(self) -> FloatArray:
        """Power in dB, shifted, first row and column repeated at the end: Nyquist at both ends.

        Returns:
            ``(pad * H + 1, pad * W + 1)``.
        """
        half = self.power.cpu().numpy()
        mirrored = np.roll(half[::-1], 1, axis=0)[:, (self.padding * self.width - 1) // 2 : 0 : -1]
        full = np.fft.fftshift(decibels(np.concatenate((half, mirrored), 1), 1e-30))
        return np.pad(full, ((0, 1), (0, 1)), mode="wrap")

    def slice_0(self) -> tuple[FloatArray, FloatArray]:
        """Horizontal frequencies in cycles per pixel, 0 to 1/2, and the power there in dB."""
        middle, centre = self.padding * self.height // 2, self.padding * self.width // 2
        levels = self.heatmap()[middle, centre:]
        return np.linspace(0, 0.5, len(levels)), levels

    def slice_45(self) -> tuple[FloatArray, FloatArray]:
        """Radial frequencies along the diagonal, 0 to sqrt(1/2) cycles per pixel, and the power in dB.

        Raises:
            GanlabError: the images are not square.
        """
        if self.height != self.width:
            raise GanlabError(f"the 45 degree slice needs square images; got {self.height}x{self.width}")
        centre = self.padding * self.width // 2
        levels = np.diagonal(self.heatmap()[centre:, centre:]).copy()
        return np.linspace(0, 0.5**0.5, len(levels)), levels


def pixel_moments(images: Tensor | Iterable[Tensor]) -> tuple[float, float]:
    """Mean and standard deviation of all pixels of all channels, in float64.

    Args:
        images: float ``(N, C, H, W)``, or batches of such.

    Raises:
        GanlabError: no image, wrong type or shape.
    """
    sums = np.zeros(3)
    for chunk in image_chunks(images):
        values = chunk.double()
        sums += values.numel(), float(values.sum()), float(values.square().sum())
    if not sums[0]:
        raise GanlabError("there is no mean of zero images")
    mean = sums[1] / sums[0]
    return float(mean), float(np.sqrt(max(sums[2] / sums[0] - mean**2, 0.0)))


def _unit_window(size: int, beta: float, like: Tensor) -> Tensor:
    window = np.kaiser(size, beta)
    return torch.from_numpy(window / np.sqrt((window**2).sum())).to(like)


def _chunk_power(images: Tensor, moments: tuple[float, float], padding: int, beta: float) -> Tensor:
    height, width = images.shape[-2:]
    window = _unit_window(height, beta, images)[:, None] * _unit_window(width, beta, images)
    windowed = (images - moments[0]) / moments[1] * window
    grown = F.pad(windowed, (0, (padding - 1) * width, 0, (padding - 1) * height))
    parts = torch.view_as_real(torch.fft.rfft2(grown))
    return parts.square().sum(-1).mean(1).sum(0, dtype=torch.float64)


def padded_spectrum(
    images: Tensor | Iterable[Tensor],
    mean: float | None = None,
    std: float | None = None,
    padding: int = 4,
    beta: float = 8.0,
) -> PaddedSpectrum:
    """Average power spectrum as StyleGAN3's ``avg_spectra.py`` computes it.

    Args:
        images: float ``(N, C, H, W)``, or batches of such, all of one size.
        mean: to subtract, in the images' own range. Sets that are compared must be whitened with the same
            numbers, the real set's (``pixel_moments``). By default those of ``images``, a tensor then.
        std: to divide by, likewise.
        padding: the grid is this many times finer than the images'.
        beta: of the Kaiser window.

    Raises:
        GanlabError: no image, wrong type or shape, std not positive, or batches without ``mean`` and ``std``.

    Source: Karras et al. 2021, arXiv 2106.12423; NVlabs/stylegan3 c233a91.
    """
    if mean is None or std is None:
        if not isinstance(images, Tensor):
            raise GanlabError("give mean and std with batches (pixel_moments computes them in a first pass)")
        mean, std = pixel_moments(images)
    if not std > 0 or padding < 1:
        raise GanlabError(f"std is positive and padding at least 1; got {std} and {padding}")
    total, count, size = None, 0, (0, 0)
    for chunk in image_chunks(images, 1 / padding**2):
        added = _chunk_power(chunk, (mean, std), padding, beta)
        total = added if total is None else total + added
        count, size = count + len(chunk), (chunk.shape[-2], chunk.shape[-1])
    if total is None:
        raise GanlabError("there is no mean spectrum of zero images")
    return PaddedSpectrum(total / count, *size, padding, count)
