"""JPEG by quality and chroma subsampling, in memory."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from ganlab.errors import GanlabError
from ganlab.forensics.perturbations.base import Range, check_range, draw
from ganlab.images import UInt8Array

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]
SUBSAMPLINGS: tuple[Subsampling, ...] = ("4:4:4", "4:2:2", "4:2:0")


@dataclass(frozen=True)
class Jpeg:
    """JPEG there and back by Pillow at a given quality and chroma subsampling.

    Attributes:
        quality: 1..95 as libjpeg counts (up to 100 accepted); drawn values are rounded down.
        subsampling: of the chroma; "4:2:0" is what cameras and most software write.
    """

    quality: Range = 75
    subsampling: Subsampling = "4:2:0"

    def __post_init__(self) -> None:
        check_range("JPEG quality", self.quality, 1, 100)
        if self.subsampling not in SUBSAMPLINGS:
            names = ", ".join(SUBSAMPLINGS)
            raise GanlabError(f"unknown chroma subsampling {self.subsampling!r}: expected one of {names}")

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Encode and decode."""
        return jpeg_roundtrip(image, int(draw(rng, self.quality)), self.subsampling)


def jpeg_roundtrip(image: UInt8Array, quality: int, subsampling: Subsampling = "4:2:0") -> UInt8Array:
    """uint8 ``(H, W, C)``, C 1 or 3, through a JPEG of the given quality."""
    buffer = io.BytesIO()
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    picture.save(buffer, format="JPEG", quality=quality, subsampling=subsampling)
    decoded = np.array(Image.open(buffer), dtype=np.uint8)
    return decoded.reshape(image.shape)
