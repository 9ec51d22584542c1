"""Features that are images or counts of pixels: the pixels themselves, NPR, co-occurrence."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.features.base import Feature, Shape
from ganlab.forensics.features.traces import KERNEL_SIZES, convolutional_traces
from ganlab.spectra import npr_residual


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
    times 2/3.
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
        counted = torch.bincount((pairs + planes * cells).flatten(), minlength=count * channels * cells)
        share = counted.view(count, channels, self.levels, self.levels).float()
        return share / pairs[0, 0].numel()


@dataclass(frozen=True)
class ConvolutionalTraces(Feature):
    """How each pixel follows from its neighbours (Guarnera 2020): EM kernels of all channels, one vector.

    Attributes:
        kernel_size: 3, 5 or 7: 8, 24 or 48 numbers a channel.
    """

    kernel_size: int = 3

    def __post_init__(self) -> None:
        if self.kernel_size not in KERNEL_SIZES:
            raise GanlabError(f"trace kernels are 3, 5 or 7 pixels wide; got {self.kernel_size}")

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """One vector."""
        return (shape[2] * (self.kernel_size**2 - 1),)

    def __call__(self, images: Tensor) -> Tensor:
        """Fit all channels together."""
        return convolutional_traces(images, self.kernel_size).features()
