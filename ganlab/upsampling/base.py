"""What every upsampler of the registry is: a layer that doubles height and width."""

from __future__ import annotations

from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.errors import GanlabError
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
