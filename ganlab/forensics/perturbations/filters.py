"""Gaussian noise, Gaussian blur and the median: operators that leave the geometry alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.perturbations.base import Range, check_range, draw, through_float
from ganlab.images import UInt8Array

GREY_LEVEL = 1.0 / 127.5
"""One grey level of 0..255 in [-1, 1]."""


@dataclass(frozen=True)
class GaussianNoise:
    """White Gaussian noise of a given variance (grey levels squared, image 0..255).

    Attributes:
        variance: of the noise, not its standard deviation.
    """

    variance: Range = 10.0

    def __post_init__(self) -> None:
        check_range("variance", self.variance, 0.0, 255.0**2)

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Add noise, clamp, round."""
        deviation = math.sqrt(draw(rng, self.variance)) * GREY_LEVEL
        noise = torch.from_numpy(rng.standard_normal(image.shape).astype(np.float32)).permute(2, 0, 1)
        return through_float(image, lambda x: x + deviation * noise)


@dataclass(frozen=True)
class GaussianBlur:
    """Gaussian blur of a given sigma in pixels, kernel cut at four sigma, mirrored border (edge not doubled).

    Attributes:
        sigma: standard deviation of the kernel in pixels; 0 changes nothing.
    """

    sigma: Range = 1.0

    def __post_init__(self) -> None:
        check_range("sigma", self.sigma, 0.0, 100.0)

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Blur rows and columns."""
        sigma = draw(rng, self.sigma)
        radius = min(math.ceil(4 * sigma), min(image.shape[:2]) - 1)
        return through_float(image, lambda x: separable(x, gaussian_taps(radius, sigma)))


@dataclass(frozen=True)
class Median:
    """Median over a square window, each channel for itself, mirrored border (edge doubled).

    Attributes:
        size: side of the window in pixels, odd.
    """

    size: int = 3

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 2 == 0:
            raise GanlabError(f"the median's window side must be odd and positive; got {self.size}")

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Filter; draws nothing."""
        out: UInt8Array = scipy.ndimage.median_filter(image, size=(self.size, self.size, 1), mode="reflect")
        return out


def gaussian_taps(radius: int, sigma: float) -> Tensor:
    """Samples of a Gaussian at -radius..radius, normalised to sum 1; ``(2 * radius + 1,)`` float32."""
    offset = torch.arange(-radius, radius + 1, dtype=torch.float64)
    taps = torch.exp(-0.5 * (offset / max(sigma, 1e-12)) ** 2)
    return (taps / taps.sum()).float()


def separable(images: Tensor, taps: Tensor) -> Tensor:
    """Correlate rows and columns of ``(N, C, H, W)`` with odd ``taps``; border mirrored, edge not doubled.

    By SciPy: for single small images a convolution of torch costs ten times as much.
    """
    values, weights = images.numpy(), taps.numpy()
    for axis in (2, 3):
        values = scipy.ndimage.correlate1d(values, weights, axis=axis, mode="mirror")
    return torch.from_numpy(values)
