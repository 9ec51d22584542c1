"""What becomes of one photograph: its centre square, reduced; or tiles of its own pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ganlab.data.arrays import UInt8Array
from ganlab.data.decode import COLOUR_RULE, to_rgb
from ganlab.errors import GanlabError


def resize_recipe(size: int) -> dict[str, Any]:
    """How a photograph becomes a training image. Plain JSON values."""
    return {
        "kind": "resize", "version": 1, "size": size, "orientation": "EXIF applied", "colour": COLOUR_RULE,
        "crop": "centre square of the shorter side, offset rounded down",
        "resize": "Lanczos (a = 3), antialiased, on the stored (gamma-encoded) 8 bit values",
        "upscaling": "refused",
    }  # fmt: skip


def tile_recipe(size: int) -> dict[str, Any]:
    """How a photograph is cut into tiles of its own pixels. Plain JSON values."""
    return {
        "kind": "tiles", "version": 1, "size": size, "orientation": "EXIF applied", "colour": COLOUR_RULE,
        "crop": "all tiles of a grid from the upper left corner that do not overlap", "resize": "never",
    }  # fmt: skip


def prepare(image: Image.Image, size: int) -> UInt8Array:
    """One image by the recipe: uint8 (size, size, 3).

    An image whose centre square already has the size is copied, not resampled.

    Raises:
        GanlabError: it would have to be enlarged, or its pixels have no defined range.
    """
    upright = to_rgb(ImageOps.exif_transpose(image))
    width, height = upright.size
    side = min(width, height)
    if side < size:
        raise GanlabError(f"{width}x{height} would have to be enlarged to {size}x{size}")
    left, top = (width - side) // 2, (height - side) // 2
    square = upright.crop((left, top, left + side, top + side))
    if side != size:
        square = square.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(square)


def cut_tiles(image: Image.Image, size: int) -> list[UInt8Array]:
    """All tiles of one image that fit, row by row, each uint8 (size, size, 3): pixels as they are.

    Raises:
        GanlabError: not one fits, or the pixels have no defined range.
    """
    pixels = np.asarray(to_rgb(ImageOps.exif_transpose(image)))
    rows, columns = pixels.shape[0] // size, pixels.shape[1] // size
    if not rows * columns:
        raise GanlabError(f"{image.width}x{image.height} holds no tile of {size}x{size}")
    grid = pixels[: rows * size, : columns * size].reshape(rows, size, columns, size, 3)
    return list(grid.swapaxes(1, 2).reshape(-1, size, size, 3))


def one_square(image: Image.Image, size: int) -> list[UInt8Array]:
    """`prepare`, as the only image that is made of a file."""
    return [prepare(image, size)]


Cut = Callable[[Image.Image, int], list[UInt8Array]]
"""A file's image and the size -> the images that are made of it."""
