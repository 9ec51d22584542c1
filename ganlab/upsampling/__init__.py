"""The x2 operators, and nothing else: as layers (``make_upsampler``) and bare (``interpolate2x``)."""

from __future__ import annotations

from ganlab.upsampling.base import FixedUpsampler, Upsampler
from ganlab.upsampling.functional import interpolate2x, kernel_of, make_upsampler
from ganlab.upsampling.kernels import Kernel
from ganlab.upsampling.registry import UPSAMPLERS

KERNELS: dict[str, Kernel] = {
    name: layer.kernel
    for name, layer in UPSAMPLERS.items()
    if issubclass(layer, FixedUpsampler) and layer.kernel is not None
}

__all__ = [
    "KERNELS", "UPSAMPLERS", "FixedUpsampler", "Kernel", "Upsampler",
    "interpolate2x", "kernel_of", "make_upsampler",
]  # fmt: skip
