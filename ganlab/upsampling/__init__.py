"""The x2 operators, and nothing else: as layers (``make_upsampler``) and bare (``interpolate2x``)."""

from __future__ import annotations

from ganlab.upsampling.kernels import Kernel
from ganlab.upsampling.layers import FixedUpsampler, MaxUnpool, Upsampler
from ganlab.upsampling.registry import (
    KERNELS,
    UNPOOLERS,
    UPSAMPLERS,
    interpolate2x,
    kernel_of,
    make_upsampler,
)
from ganlab.upsampling.surgery import Replaced, replace_upsampling

__all__ = [
    "KERNELS",
    "UNPOOLERS",
    "UPSAMPLERS",
    "FixedUpsampler",
    "Kernel",
    "MaxUnpool",
    "Replaced",
    "Upsampler",
    "interpolate2x",
    "kernel_of",
    "make_upsampler",
    "replace_upsampling",
]  # fmt: skip
