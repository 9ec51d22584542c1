"""Upsamplers by name: a new one is a class in this room and a line here; whatever iterates has it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ganlab.errors import GanlabError, lookup
from ganlab.images import described
from ganlab.upsampling.kernels import Kernel
from ganlab.upsampling.layers import (
    BedOfNails,
    Bicubic,
    Bilinear,
    BilinearAlignCorners,
    Binomial,
    FixedUpsampler,
    Kaiser,
    MaxUnpool,
    Nearest,
    PixelShuffle,
    Transposed,
    Upsampler,
)

UPSAMPLERS: dict[str, type[Upsampler]] = {
    "transposed": Transposed,
    "nearest": Nearest,
    "bilinear": Bilinear,
    "bicubic": Bicubic,
    "pixel_shuffle": PixelShuffle,
    "bed_of_nails": BedOfNails,
    "binomial": Binomial,
    "kaiser": Kaiser,
    "bilinear_align_corners": BilinearAlignCorners,
}

UNPOOLERS: dict[str, type[MaxUnpool]] = {"max_unpool": MaxUnpool}
"""Those that need an encoder before them; a generator of latents has none, so they stand apart."""

KERNELS: dict[str, Kernel] = {
    name: layer.kernel
    for name, layer in UPSAMPLERS.items()
    if issubclass(layer, FixedUpsampler) and layer.kernel is not None
}
"""Those that are filters: fixed, and the same at every position."""


def make_upsampler(
    name: str, in_channels: int, out_channels: int, kernel_size: int = 3, **options: Any
) -> Upsampler:
    """A layer ``(N, C_in, H, W) -> (N, C_out, 2H, 2W)``.

    Interpolations and filters come before a convolution of ``kernel_size``, zero insertion likewise; pixel
    shuffle comes after a convolution to 4 C_out; the transposed convolution is one of ``kernel_size + 1``.

    Args:
        name: a key of ``UPSAMPLERS``.
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: odd; 1 for a residual shortcut.
        **options: ``border`` ("torch", "zeros", "reflect", "replicate", "circular"), ``bias``, and for
            pixel_shuffle ``icnr`` and ``shuffle_first``.

    Raises:
        GanlabError: unknown name or option, even kernel, channels that do not fit.
    """
    layer = lookup(UPSAMPLERS, name, "upsampler")
    known = ("border", "bias", *layer.OPTIONS)
    for option in options:
        if option not in known:
            raise GanlabError(f"upsampler {name!r} has no option {option!r}; it takes {', '.join(known)}")
    return layer(in_channels, out_channels, kernel_size, **options)


def interpolate2x(x: Tensor, name: str, border: str = "torch") -> Tensor:
    """The fixed operator alone: ``(N, C, H, W) -> (N, C, 2H, 2W)``, weightless and differentiable.

    Args:
        x: images or feature maps, any value range.
        name: a fixed operator of ``UPSAMPLERS``.
        border: what lies outside the image: "torch" and "replicate" the edge pixel (as
            ``torch.nn.functional.interpolate`` has it), "zeros", "reflect", or "circular", under which the
            operator is an exact circular filter and theory holds to rounding.

    Raises:
        GanlabError: unknown or learned name, unknown border, no float tensor ``(N, C, H, W)``, no pixel.
    """
    layer = lookup(UPSAMPLERS, name, "upsampler")
    if not issubclass(layer, FixedUpsampler):
        raise GanlabError(f"upsampler {name!r} is learned: it has no fixed operator; use make_upsampler")
    if not isinstance(x, Tensor) or x.ndim != 4 or not x.is_floating_point() or 0 in x.shape[1:]:
        raise GanlabError(f"expected a float tensor (N, C, H, W) with pixels; got {described(x)}")
    return layer.operator(x, border)


def kernel_of(name: str) -> Kernel:
    """The kernel behind a fixed, position-independent operator.

    Raises:
        GanlabError: unknown name, a learned upsampler, or one that is no filter (bilinear_align_corners).
    """
    layer = lookup(UPSAMPLERS, name, "upsampler")
    if not issubclass(layer, FixedUpsampler):
        raise GanlabError(f"upsampler {name!r} is learned: it has no fixed kernel")
    if layer.kernel is None:
        raise GanlabError(f"upsampler {name!r} depends on position: it is no filter and has no kernel")
    return layer.kernel
