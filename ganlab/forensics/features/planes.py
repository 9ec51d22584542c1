"""Features that are planes: pixels and their neighbours' differences, pairs of grey levels, 2-D spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.features.base import Feature, Floats, Shape, decibels
from ganlab.images import luma
from ganlab.spectra import WINDOWS, dct2, median_residual, npr_residual, power_spectrum

DCT_EPSILON = 1e-12


@dataclass(frozen=True)
class Pixels(Feature):
    """The image itself in [-1, 1]: the baseline of every comparison, (C, H, W)."""

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """Channels, height, width."""
        return shape[2], shape[0], shape[1]

    def __call__(self, images: Tensor) -> Tensor:
        """The images as float32."""
        return images.float()


@dataclass(frozen=True)
class NeighbouringPixels(Feature):
    """NPR: each pixel minus the top-left pixel of its 2 x 2 block, (C, H, W).

    Source: Tan et al., CVPR 2024, arXiv 2312.10461: x minus nearest-up(nearest-down(x)) for images in [0, 1],
    times 2/3. Their images are normalised with ImageNet's deviations first, (0.229, 0.224, 0.225) for red,
    green and blue, so that their residual is 4.37, 4.46 and 4.44 times this one (the means drop out of a
    difference). The network's first convolution, trained here, takes up such a scale of a channel.
    """

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """Channels, height, width; both sides are even.

        Raises:
            GanlabError: an odd side.
        """
        if shape[0] % 2 or shape[1] % 2:
            raise GanlabError(f"NPR needs even sides; got {shape[1]}x{shape[0]}")
        return shape[2], shape[0], shape[1]

    def __call__(self, images: Tensor) -> Tensor:
        """The residual; the shift of the value range drops out of a difference."""
        return npr_residual(images.float()).mul(2.0 / 3.0)


@dataclass(frozen=True)
class Cooccurrence(Feature):
    """How often each pair of grey levels stands side by side, each channel for itself, (C, L, L).

    Source: Nataraj et al. 2019, arXiv 1903.06836 (there with all 256 levels).

    Attributes:
        levels: number of equal-width bins of 0..255, a divisor of 256.
    """

    levels: int = 32

    def __post_init__(self) -> None:
        if not 2 <= self.levels <= 256 or 256 % self.levels:
            raise GanlabError(f"co-occurrence levels must divide 256 and be at least 2; got {self.levels}")

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """Channels and twice the levels."""
        return shape[2], self.levels, self.levels

    def __call__(self, images: Tensor) -> Tensor:
        """Frequencies of (left, right) pairs; each channel sums to 1."""
        count, channels, _, width = images.shape
        if width < 2:
            raise GanlabError("co-occurrence needs images at least 2 pixels wide")
        grey = images.float().add(1.0).mul(127.5).round().clamp(0, 255).long() // (256 // self.levels)
        pairs = grey[..., :-1] * self.levels + grey[..., 1:]
        planes = torch.arange(count * channels, device=images.device).view(count, channels, 1, 1)
        cells = self.levels**2
        # every channel of every image counts into cells of its own: one count for the whole batch
        counted = torch.bincount((pairs + planes * cells).flatten(), minlength=count * channels * cells)
        share = counted.view(count, channels, self.levels, self.levels).float()
        return share / pairs[0, 0].numel()


@dataclass(frozen=True)
class Dft(Feature):
    """Log power of the luma's two-dimensional DFT in dB, half plane, (1, H, W // 2 + 1).

    Attributes:
        window: "none", "hann" or "kaiser".
    """

    window: str = "none"

    def __post_init__(self) -> None:
        if self.window not in WINDOWS:
            raise GanlabError(f"unknown window {self.window!r}: expected one of {', '.join(WINDOWS)}")

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
