"""StyleGAN3's average spectra: whitened, Kaiser-windowed, zero-padded, in decibels, with two slices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.spectra.rings import FloatArray
from ganlab.spectra.summary import image_chunks


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
        full = np.fft.fftshift(10 * np.log10(np.maximum(np.concatenate((half, mirrored), 1), 1e-30)))
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
