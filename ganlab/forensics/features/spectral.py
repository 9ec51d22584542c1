"""Two-dimensional spectra as features: DFT, DCT, and the spectrum of a high-pass residual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.features.base import Feature, Floats, Shape, decibels
from ganlab.images import luma
from ganlab.spectra import WINDOWS, dct2, median_residual, power_spectrum

DCT_EPSILON = 1e-12


@dataclass(frozen=True)
class Dft(Feature):
    """Log power of the luma's two-dimensional DFT in dB, half plane, (1, H, W // 2 + 1).

    Attributes:
        window: "none", "hann" or "kaiser".
    """

    window: str = "none"

    def __post_init__(self) -> None:
        _check_window(self.window)

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """One channel, un-shifted rows, non-negative column frequencies."""
        return 1, shape[0], shape[1] // 2 + 1

    def frequencies(self, shape: Shape) -> Floats:
        """Radial frequency of each coefficient."""
        rows, columns = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
        plane: Floats = np.hypot(rows[:, None], columns[None])
        return plane[None]

    def __call__(self, images: Tensor) -> Tensor:
        """10 log10 of |F|^2 / (H W)."""
        return decibels(power_spectrum(luma(images.float())[:, None], self.window))


@dataclass(frozen=True)
class Dct(Feature):
    """Log magnitude of the full image's DCT-II, each channel for itself, (C, H, W).

    Source: Frank et al., ICML 2020, arXiv 2003.08685: orthonormal DCT of 0..255, ln(|.| + 1e-12). The
    standardisation of every coefficient belongs to the detector, which fits it on training images only.
    """

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """Channels, height, width."""
        return shape[2], shape[0], shape[1]

    def frequencies(self, shape: Shape) -> Floats:
        """Radial frequency; coefficient k of n has k / (2 n) cycles per pixel."""
        rows, columns = (np.arange(side) / (2 * side) for side in shape[:2])
        plane = np.hypot(rows[:, None], columns[None])
        return np.repeat(plane[None], shape[2], axis=0)

    def __call__(self, images: Tensor) -> Tensor:
        """ln(|DCT of the image in 0..255| + 1e-12)."""
        grey = images.float().add(1.0).mul_(127.5)
        return dct2(grey).abs_().add_(DCT_EPSILON).log_()


@dataclass(frozen=True)
class HighPass(Feature):
    """Log power of the luma minus its median: what a denoiser leaves, in dB, (1, H, W // 2 + 1).

    Sources: Wang et al., CVPR 2020 (median of 5); Ricker et al. 2022, arXiv 2210.14571 (median of 3).

    Attributes:
        size: side of the median's window, odd.
    """

    size: int = 3

    def __post_init__(self) -> None:
        if self.size < 3 or self.size % 2 == 0:
            raise GanlabError(f"the median's window side must be odd and at least 3; got {self.size}")

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """As `Dft`."""
        return Dft().dims(shape)

    def frequencies(self, shape: Shape) -> Floats:
        """As `Dft`."""
        return Dft().frequencies(shape)

    def __call__(self, images: Tensor) -> Tensor:
        """10 log10 of the residual's power."""
        grey = luma(images.float())[:, None]
        return decibels(power_spectrum(median_residual(grey, self.size)))


def _check_window(window: str) -> None:
    if window not in WINDOWS:
        raise GanlabError(f"unknown window {window!r}: expected one of {', '.join(WINDOWS)}")
