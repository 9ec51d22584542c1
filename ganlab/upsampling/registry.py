"""Name -> upsampler. A new one is a class in this room and a line here; whatever iterates has it."""

from __future__ import annotations

from ganlab.upsampling.base import Upsampler
from ganlab.upsampling.fixed import (
    BedOfNails,
    Bicubic,
    Bilinear,
    BilinearAlignCorners,
    Binomial,
    Kaiser,
    Nearest,
)
from ganlab.upsampling.learned import PixelShuffle, Transposed

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
