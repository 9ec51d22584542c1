"""Single operators: noise, blur, the median, JPEG and light; then those that move pixels or cover them."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.ndimage
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.perturbations.base import Range, check_range, draw, through_float
from ganlab.images import UInt8Array

GREY_LEVEL = 1.0 / 127.5
"""One grey level of 0..255 in [-1, 1]."""
Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]
SUBSAMPLINGS: tuple[Subsampling, ...] = ("4:4:4", "4:2:2", "4:2:0")


@dataclass(frozen=True)
class GaussianNoise:
    """White Gaussian noise of a given variance (grey levels squared, image 0..255).

    Attributes:
        variance: of the noise, not its standard deviation.
    """

    variance: Range = 10.0

    def __post_init__(self) -> None:
        check_range("variance", self.variance, 0.0, 255.0**2)

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Add noise, clamp, round."""
        deviation = math.sqrt(draw(rng, self.variance)) * GREY_LEVEL
        noise = torch.from_numpy(rng.standard_normal(image.shape).astype(np.float32)).permute(2, 0, 1)
        return through_float(image, lambda x: x + deviation * noise)


@dataclass(frozen=True)
class GaussianBlur:
    """Gaussian blur of a given sigma in pixels, kernel cut at four sigma, mirrored border (edge not doubled).

    Attributes:
        sigma: standard deviation of the kernel in pixels; 0 changes nothing.
    """

    sigma: Range = 1.0

    def __post_init__(self) -> None:
        check_range("sigma", self.sigma, 0.0, 100.0)

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Blur rows and columns."""
        sigma = draw(rng, self.sigma)
        radius = min(math.ceil(4 * sigma), min(image.shape[:2]) - 1)
        return through_float(image, lambda x: separable(x, gaussian_taps(radius, sigma)))


@dataclass(frozen=True)
class Median:
    """Median over a square window, each channel for itself, mirrored border (edge doubled).

    Attributes:
        size: side of the window in pixels, odd.
    """

    size: int = 3

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 2 == 0:
            raise GanlabError(f"the median's window side must be odd and positive; got {self.size}")

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Filter; draws nothing."""
        out: UInt8Array = scipy.ndimage.median_filter(image, size=(self.size, self.size, 1), mode="reflect")
        return out


def gaussian_taps(radius: int, sigma: float) -> Tensor:
    """Samples of a Gaussian at -radius..radius, normalised to sum 1; ``(2 * radius + 1,)`` float32."""
    offset = torch.arange(-radius, radius + 1, dtype=torch.float64)
    taps = torch.exp(-0.5 * (offset / max(sigma, 1e-12)) ** 2)
    return (taps / taps.sum()).float()


def separable(images: Tensor, taps: Tensor) -> Tensor:
    """Correlate rows and columns of ``(N, C, H, W)`` with odd ``taps``; border mirrored, edge not doubled.

    By SciPy: for single small images a convolution of torch costs ten times as much.
    """
    values, weights = images.numpy(), taps.numpy()
    for axis in (2, 3):
        values = scipy.ndimage.correlate1d(values, weights, axis=axis, mode="mirror")
    return torch.from_numpy(values)


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


@dataclass(frozen=True)
class Relight:
    """Multiply the image by a linear ramp of brightness in a random direction, 1 at the centre.

    Attributes:
        strength: the gain runs from 1 - strength to 1 + strength between two opposite edges (farther in the
            corners).
    """

    strength: Range = 0.3

    def __post_init__(self) -> None:
        check_range("relighting strength", self.strength, 0.0, 1.0)

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Draw strength and direction; black stays black."""
        strength, angle = draw(rng, self.strength), rng.uniform(0.0, 2.0 * math.pi)
        # pixel centres from -1 to 1, the image's edges
        rows, columns = ((torch.arange(side) + 0.5) * (2.0 / side) - 1.0 for side in image.shape[:2])
        ramp = math.sin(angle) * rows[:, None] + math.cos(angle) * columns[None]
        return through_float(image, lambda x: (x + 1.0) * (1.0 + strength * ramp).clamp_min(0.0) - 1.0)


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
        """Crop at least one pixel a side, so that a small image is never left as it was.

        Raises:
            GanlabError: nothing would be left.
        """
        fraction = draw(rng, self.fraction)
        height, width = image.shape[:2]
        if min(height, width) < 3:
            raise GanlabError(f"an image of {height}x{width} has no margin to crop: 3 pixels a side at least")
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
        move = int(rng.integers((2 * p + 1) ** 2 - 1))
        move += move >= ((2 * p + 1) ** 2) // 2  # leaves out the centre, which moves nothing
        dy, dx = divmod(move, 2 * p + 1)
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
