"""Upsamplers whose interpolation itself is learned: transposed convolution and pixel shuffle."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.upsampling.base import Upsampler, same_conv
from ganlab.upsampling.kernels import pad


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
