"""The upsamplers as layers: fixed operators followed by a learned convolution, and learned interpolation."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.upsampling import kernels
from ganlab.upsampling.kernels import Kernel, check_border, pad, zero_insert_and_filter


class Upsampler(nn.Module):
    """``(N, C_in, H, W) -> (N, C_out, 2H, 2W)`` with a convolution of ``kernel_size`` somewhere in it.

    Subclasses say in ``OPTIONS`` which keyword options they take beside ``border`` and ``bias``.
    """

    OPTIONS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, border: str) -> None:
        super().__init__()
        if min(in_channels, out_channels, kernel_size) < 1 or kernel_size % 2 == 0:
            raise GanlabError(
                f"an upsampler needs positive channels and an odd kernel_size; got {in_channels} -> "
                f"{out_channels} channels, kernel_size {kernel_size}"
            )
        check_border(border)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.border = kernel_size, border

    @property
    def fans(self) -> tuple[float, float]:
        """Fan-in and fan-out of one output pixel, for initialisers: channels times the taps that reach it."""
        return self.in_channels * self.taps, self.out_channels * self.taps

    @property
    def taps(self) -> float:
        """How many input pixels an output pixel sums, on average; zeros that were inserted do not count."""
        return float(self.kernel_size**2)

    def finish_init(self) -> None:
        """Called once after the network's own initialisation; layers with a rule of their own apply it."""


class FixedUpsampler(Upsampler):
    """A fixed operator, then a learned convolution. Subclasses give the kernel, or the operator itself."""

    kernel: ClassVar[Kernel | None] = None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        border: str = "torch",
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, border)
        self.conv = same_conv(in_channels, out_channels, kernel_size, border, bias)

    @classmethod
    def operator(cls, x: Tensor, border: str) -> Tensor:
        """The weightless part: ``(N, C, H, W) -> (N, C, 2H, 2W)``."""
        if cls.kernel is None:
            raise GanlabError(f"{cls.__name__} defines neither a kernel nor an operator")
        return zero_insert_and_filter(x, cls.kernel, border)

    @property
    def commutes_with_pointwise(self) -> bool:
        """Whether a 1x1 convolution may come first: for its bias, both phases must sum to 1.

        An operator without a kernel may do anything, so it has to say itself that it commutes.
        """
        if self.kernel is None or self.kernel_size != 1 or self.border == "zeros":
            return False
        return all(abs(self.kernel.phase(p)[0].sum() - 1.0) < 1e-12 for p in (0, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Interpolate, then convolve; a 1x1 goes first where that is the same at a quarter of the cost."""
        if self.commutes_with_pointwise:
            return self.operator(self.conv(x), self.border)
        out: Tensor = self.conv(self.operator(x, self.border))
        return out


def same_conv(in_channels: int, out_channels: int, kernel_size: int, border: str, bias: bool) -> nn.Conv2d:
    """A convolution that keeps the size; its border is zeros under "torch"."""
    mode: Any = "zeros" if border == "torch" else border
    return nn.Conv2d(
        in_channels, out_channels, kernel_size, padding=kernel_size // 2, padding_mode=mode, bias=bias
    )


def interpolate_with_border(x: Tensor, mode: str, border: str, reach: int) -> Tensor:
    """The half-pixel interpolation of torch, exact for any border: pad, enlarge, cut the padding off.

    Raises:
        GanlabError: unknown border.
    """
    align = None if mode == "nearest" else False
    if border in ("torch", "replicate") or reach == 0:
        check_border(border)
        return F.interpolate(x, scale_factor=2, mode=mode, align_corners=align)
    big = F.interpolate(pad(x, reach, border), scale_factor=2, mode=mode, align_corners=align)
    return big[..., 2 * reach : -2 * reach, 2 * reach : -2 * reach]


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


class Transposed(Upsampler):
    """One transposed convolution with stride 2, its kernel one larger than ``kernel_size`` (3 -> 4x4).

    The even kernel divides by the stride, so that every output pixel gets the same number of terms (Odena et
    al. 2016). ``kernel_size`` 1 gives 2x2: no overlap, the pointwise case that residual shortcuts need.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        border: str = "torch",
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, border)
        side, padding = kernel_size + 1, (kernel_size - 1) // 2
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, side, stride=2, padding=padding, bias=bias)

    @property
    def taps(self) -> float:
        """A stride of 2 spreads the kernel over four phases."""
        return (self.kernel_size + 1) ** 2 / 4

    def forward(self, x: Tensor) -> Tensor:
        """Transposed convolution; other borders than zeros by padding the input and cutting the output."""
        if self.border in ("torch", "zeros"):
            out: Tensor = self.conv(x)
            return out
        extra = (self.kernel_size + 3) // 4
        wide: Tensor = self.conv(pad(x, extra, self.border))
        return wide[..., 2 * extra : -2 * extra, 2 * extra : -2 * extra]


class MaxUnpool(nn.Module):
    """Un-pooling to where an encoder's max pooling found its values, then a convolution (SegNet).

    ``(N, C_in, H, W)`` and the places ``(N, C_pooled, H, W)`` that ``max_pool2d`` with ``return_indices``
    gave for the encoder's map of twice the size -> ``(N, C_out, 2H, 2W)``. A 1x1 convolution first brings the
    channels to those of the places. Source: Badrinarayanan et al. 2017, arXiv 1511.00561.
    """

    def __init__(
        self, in_channels: int, out_channels: int, pooled_channels: int, kernel_size: int = 3,
        border: str = "torch", bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        check_border(border)
        self.reduce = nn.Conv2d(in_channels, pooled_channels, 1, bias=bias)
        self.conv = same_conv(pooled_channels, out_channels, kernel_size, border, bias)

    def forward(self, x: Tensor, places: Tensor | None = None) -> Tensor:
        """Values to their places, zeros elsewhere; then the convolution.

        Raises:
            GanlabError: no places.
        """
        if places is None:
            raise GanlabError(
                "max_unpool puts values where an encoder's max pooling found them; there are no such places"
            )
        out: Tensor = self.conv(F.max_unpool2d(self.reduce(x), places, [2, 2]))
        return out


class PixelShuffle(Upsampler):
    """Convolution to 4 C channels, then each group of four becomes a 2x2 block (sub-pixel convolution).

    With ``shuffle_first`` it is the other way: C -> C/4 channels at twice the size, then the convolution
    (Schwarz et al. 2021 call it reshape); C must then be divisible by 4. With ``icnr`` the four filters of a
    block start equal, so that the layer starts as nearest (Aitken et al. 2017).
    """

    OPTIONS: ClassVar[tuple[str, ...]] = ("icnr", "shuffle_first")

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, border: str = "torch",
        bias: bool = True, icnr: bool = False, shuffle_first: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, border)
        if shuffle_first and in_channels % 4:
            raise GanlabError(
                f"pixel_shuffle with shuffle_first needs channels divisible by 4; got {in_channels}"
            )
        if shuffle_first and icnr:
            raise GanlabError("icnr needs the convolution before the shuffle; drop icnr or shuffle_first")
        self.icnr, self.shuffle_first = icnr, shuffle_first
        channels = (in_channels // 4, out_channels) if shuffle_first else (in_channels, 4 * out_channels)
        self.conv = same_conv(*channels, kernel_size, border, bias)
        self.finish_init()

    def finish_init(self) -> None:
        """Under ICNR, give the four filters of each output channel the first one's weights."""
        if not self.icnr:
            return
        with torch.no_grad():
            for parameter in (self.conv.weight, self.conv.bias):
                if parameter is not None:
                    parameter.copy_(parameter[::4].repeat_interleave(4, dim=0))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and shuffle, in the order chosen."""
        out: Tensor = (
            self.conv(F.pixel_shuffle(x, 2)) if self.shuffle_first else F.pixel_shuffle(self.conv(x), 2)
        )
        return out
