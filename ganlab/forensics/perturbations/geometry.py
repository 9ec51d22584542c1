"""Crop, rescale, rotate, mirror, shift, occlude: operators that move or hide pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.perturbations.base import Range, check_range, draw, through_float
from ganlab.images import UInt8Array


@dataclass(frozen=True)
class CropResize:
    """Cut the same margin off every side and resize back, bicubic (a = -0.75) with antialiasing.

    Attributes:
        fraction: part of each side's length that is lost, both margins together.
    """

    fraction: Range = 0.1

    def __post_init__(self) -> None:
        check_range("crop fraction", self.fraction, 0.0, 0.9)

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Crop at least one pixel a side, so that a small image is never left as it was."""
        fraction = draw(rng, self.fraction)
        height, width = image.shape[:2]
        top, left = (max(1, int(side * fraction / 2)) for side in (height, width))
        kept = image[top : height - top, left : width - left]
        return through_float(kept, lambda x: resize(x, (height, width)))


@dataclass(frozen=True)
class Rescale:
    """Resize by a factor and back to the original size, bicubic (a = -0.75) with antialiasing.

    Attributes:
        factor: below 1 loses detail for good, above 1 only resamples.
    """

    factor: Range = 0.5

    def __post_init__(self) -> None:
        check_range("rescale factor", self.factor, 0.05, 8.0)

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Down (or up) and back, without rounding to integers in between."""
        factor = draw(rng, self.factor)
        size = (image.shape[0], image.shape[1])
        between = tuple(max(1, round(side * factor)) for side in size)
        return through_float(image, lambda x: resize(resize(x, between), size))


@dataclass(frozen=True)
class Rotation:
    """Rotate about the centre, counter-clockwise; the size stays and the border is mirrored.

    Multiples of 90 degrees of a square image move pixels exactly; other angles are interpolated (bicubic).

    Attributes:
        degrees: the angle.
    """

    degrees: Range = 45.0

    def __post_init__(self) -> None:
        check_range("rotation in degrees", self.degrees, -360.0, 360.0)

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Rotate by the drawn angle."""
        angle = draw(rng, self.degrees)
        quarters = angle / 90.0
        square = image.shape[0] == image.shape[1]
        if quarters % 2 == 0 or (quarters == int(quarters) and square):
            return np.rot90(image, k=int(quarters)).copy()
        return through_float(image, lambda x: rotate(x, angle))


@dataclass(frozen=True)
class Mirror:
    """Exchange left and right: a check that a detector has learned no layout."""

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Flip; draws nothing."""
        return image[:, ::-1].copy()


@dataclass(frozen=True)
class Shift:
    """Move by whole pixels in a random direction; the border is mirrored (edge not doubled).

    Attributes:
        pixels: largest displacement an axis; the drawn one is never (0, 0).
    """

    pixels: int = 1

    def __post_init__(self) -> None:
        if self.pixels < 1:
            raise GanlabError(f"a shift needs at least one pixel; got {self.pixels}")

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Draw one of the (2p+1)^2 - 1 displacements and move."""
        p = self.pixels
        if p >= min(image.shape[:2]):
            raise GanlabError(f"cannot shift an image of {image.shape[0]}x{image.shape[1]} by {p} pixels")
        place = int(rng.integers((2 * p + 1) ** 2 - 1))
        place += place >= ((2 * p + 1) ** 2) // 2  # leaves out the centre, which moves nothing
        dy, dx = divmod(place, 2 * p + 1)
        padded = np.pad(image, ((p, p), (p, p), (0, 0)), mode="reflect")
        return padded[dy : dy + image.shape[0], dx : dx + image.shape[1]].copy()


@dataclass(frozen=True)
class Occlusion:
    """Cover a random square with one random colour.

    Attributes:
        fraction: side of the square over the image's shorter side.
    """

    fraction: Range = 0.25

    def __post_init__(self) -> None:
        check_range("occlusion fraction", self.fraction, 0.0, 1.0)

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Draw place and colour; the square lies inside the image."""
        side = round(draw(rng, self.fraction) * min(image.shape[:2]))
        top, left = (int(rng.integers(length - side + 1)) for length in image.shape[:2])
        out = image.copy()
        out[top : top + side, left : left + side] = rng.integers(0, 256, image.shape[2], dtype=np.uint8)
        return out


def resize(images: Tensor, size: tuple[int, ...]) -> Tensor:
    """``(N, C, H, W)`` to ``size``: bicubic (a = -0.75), half-pixel centres, antialiased when it shrinks."""
    return F.interpolate(images, size=size, mode="bicubic", align_corners=False, antialias=True)


def rotate(images: Tensor, degrees: float) -> Tensor:
    """``(N, C, H, W)`` about the centre, counter-clockwise, bicubic, mirrored outside."""
    radians = math.radians(degrees)
    cosine, sine = math.cos(radians), math.sin(radians)
    aspect = images.shape[-2] / images.shape[-1]
    matrix = torch.tensor([[cosine, -sine * aspect, 0.0], [sine / aspect, cosine, 0.0]])
    grid = F.affine_grid(matrix.expand(images.shape[0], 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
