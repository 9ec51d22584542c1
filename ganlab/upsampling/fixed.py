"""Fixed x2 operators followed by a learned convolution: interpolations, zero insertion, low-pass filters."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ganlab.upsampling import kernels
from ganlab.upsampling.base import FixedUpsampler, interpolate_with_border
from ganlab.upsampling.kernels import check_border


class Nearest(FixedUpsampler):
    """Each pixel becomes a 2x2 block, then a convolution (SNGAN's authors' choice)."""

    kernel = kernels.NEAREST

    @classmethod
    def operator(cls, x: Tensor, border: str) -> Tensor:
        """Copy every pixel to a 2x2 block."""
        return interpolate_with_border(x, "nearest", border, reach=0)


class Bilinear(FixedUpsampler):
    """Half-pixel bilinear interpolation (align_corners=False), then a convolution (torch-mimicry's)."""

    kernel = kernels.BILINEAR

    @classmethod
    def operator(cls, x: Tensor, border: str) -> Tensor:
        """Weights 3/4 and 1/4 along each axis."""
        return interpolate_with_border(x, "bilinear", border, reach=1)


class Bicubic(FixedUpsampler):
    """Half-pixel bicubic interpolation as PyTorch defines it (a = -0.75), then a convolution."""

    kernel = kernels.BICUBIC

    @classmethod
    def operator(cls, x: Tensor, border: str) -> Tensor:
        """Four weights along each axis from Keys' cubic kernel."""
        return interpolate_with_border(x, "bicubic", border, reach=2)


class BilinearAlignCorners(FixedUpsampler):
    """Bilinear with align_corners=True, then a convolution: a resampler whose phase drifts with position.

    It is no filter: output pixel j reads input position j (H - 1) / (2H - 1), so it has no frequency response
    and no border (no pixel outside the image is ever read).
    """

    @property
    def commutes_with_pointwise(self) -> bool:
        """Its weights sum to 1 at every position, so a 1x1 convolution may always come first."""
        return self.kernel_size == 1

    @classmethod
    def operator(cls, x: Tensor, border: str) -> Tensor:
        """Corner pixels stay, the others are spread evenly between them."""
        check_border(border)
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


class BedOfNails(FixedUpsampler):
    """Zeros between the pixels (gain 1: the mean falls to a quarter), then a convolution."""

    kernel = kernels.BED_OF_NAILS

    @property
    def taps(self) -> float:
        """Three quarters of the taps meet zeros."""
        return self.kernel_size**2 / 4

    @classmethod
    def operator(cls, x: Tensor, border: str) -> Tensor:
        """Pixel (i, j) goes to (2i, 2j) unchanged; the rest is zero."""
        check_border(border)
        n, c, h, w = x.shape
        out = x.new_zeros(n, c, h, 2, w, 2)
        out[:, :, :, 0, :, 0] = x
        return out.view(n, c, 2 * h, 2 * w)


class Binomial(FixedUpsampler):
    """Zero insertion and the low-pass [1, 4, 6, 4, 1]/8 along each axis, then a convolution."""

    kernel = kernels.BINOMIAL


class Kaiser(FixedUpsampler):
    """Zero insertion and a 12-tap Kaiser-windowed sinc low-pass (StyleGAN3's design), then a convolution."""

    kernel = kernels.KAISER
