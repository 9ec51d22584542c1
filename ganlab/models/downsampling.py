"""How a discriminator halves its feature maps: by stride, by averaging, or by blurring first."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

BLUR = (0.25, 0.5, 0.25)
"""The binomial filter [1, 2, 1]/4 (Zhang 2019, arXiv 1904.11486): zero at each axis's Nyquist frequency."""


def keep_every_second(x: Tensor) -> Tensor:
    """``(N, C, H, W) -> (N, C, H/2, W/2)``: what a stride of 2 does; all above the new Nyquist aliases."""
    return x[..., ::2, ::2]


def average_pairs(x: Tensor) -> Tensor:
    """``(N, C, H, W) -> (N, C, H/2, W/2)``: mean over 2x2."""
    return F.avg_pool2d(x, 2)


def blur_then_drop(x: Tensor) -> Tensor:
    """``(N, C, H, W) -> (N, C, H/2, W/2)``: `BLUR` on both axes (borders reflected), every second place."""
    channels = x.shape[1]
    taps = x.new_tensor(BLUR)
    kernel = (taps[:, None] * taps[None, :]).expand(channels, 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), kernel, stride=2, groups=channels)


HALVINGS = {"stride": keep_every_second, "avg_pool": average_pairs, "blur_pool": blur_then_drop}


class Halve(nn.Module):
    """One of `HALVINGS` as a layer without weights."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W) -> (N, C, H/2, W/2)``."""
        return HALVINGS[self.how](x)

    def extra_repr(self) -> str:
        """Which one, in the network's printed form."""
        return self.how


def halving_conv(in_channels: int, out_channels: int, how: str, bias: bool = True) -> list[nn.Module]:
    """A 4x4 convolution that halves: of stride 2, or of stride 1 and then pooled; the same weights.

    The dense convolution pads one pixel before and two behind, so that with `BLUR` its outputs are centred
    where the strided one's are.
    """
    if how == "stride":
        return [nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=bias)]
    return [
        nn.ZeroPad2d((1, 2, 1, 2)),
        nn.Conv2d(in_channels, out_channels, 4, bias=bias),
        Halve(how),
    ]
