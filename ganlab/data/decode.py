"""One image file -> pixels: the rules for grey, palettes, transparency and 16 bits, in one place.

* 1 and 8 bit grey stay grey; 16 bit grey becomes 8 bit by dividing by 257 and rounding.
* Transparency is laid on white.
* Palettes, CMYK, YCbCr and Lab become RGB by Pillow's conversion.
* Of an animation the first frame is taken.
* 32 bit integers and floats have no defined range and are refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ganlab.data.arrays import UInt8Array
from ganlab.data.listing import image_formats
from ganlab.errors import GanlabError
from ganlab.util.reading import reason, refuse_bomb

COLOUR_RULE = "RGB; grey repeated; transparency on white; 16 bit grey / 257 rounded; first frame"
LOSSY = frozenset({"JPEG", "JPEG2000", "WEBP", "AVIF"})
"""Formats that (may) have thrown information away; JPEG's 8x8 blocks stand in the spectrum."""
_GREY = frozenset({"1", "L", "LA", "I;16", "I;16B", "I;16L", "I;16N"})
_NO_RANGE = frozenset({"I", "F"})


def why_unreadable(error: Exception) -> str:
    """Why a file could not be read, without the repr of Python objects that Pillow puts into its messages."""
    if isinstance(error, UnidentifiedImageError):
        return "it is damaged, or of no format that Pillow knows"
    return str(error) if isinstance(error, GanlabError) else reason(error)


@contextlib.contextmanager
def open_image(stream: IO[bytes]) -> Iterator[Image.Image]:
    """A picture of which the header is read; nothing is decoded yet.

    Pillow's decoders raise exceptions of any kind on damaged files, here and while pixels are read: callers
    catch them all and pass them to `why_unreadable`.

    Raises:
        GanlabError: a few bytes that say they are a huge picture.
    """
    with Image.open(stream, formats=image_formats()) as image:
        size = stream.seek(0, io.SEEK_END)
        refuse_bomb(f"{image.width}x{image.height}", size, image.width * image.height * 3)
        stream.seek(0)
        yield image


@dataclass(frozen=True)
class Header:
    """What a file says of itself before it is decoded."""

    width: int
    height: int
    codec: str
    """Pillow's format name (JPEG, PNG, ...)."""
    grey: bool
    """Whether the file has no colour."""
    quantization: int = 0
    """JPEG: sum of the luminance quantisation table (low = high quality); otherwise 0."""
    tables: str = ""
    """JPEG: the first digits of the hash of all quantisation tables."""
    sampling: str = ""
    """JPEG: how the colour planes are sampled, such as ``4:2:0``."""
    coding: str = ""
    """``progressive``, ``interlaced``, ``lossless`` (WebP), or nothing."""
    layout: str = "RGB"
    """Pillow's mode, palettes as ``P``."""
    bits: int = 8
    """Bits a channel in the file."""
    orientation: int = 1
    """EXIF orientation; 1 is upright."""
    metadata: tuple[tuple[str, str], ...] = ()
    """EXIF tags, comments and the like: name and value, sorted."""
    profile: str = ""
    """Colour profile or declared gamma: its kind and the first digits of its hash."""

    @property
    def size(self) -> str:
        """``WIDTHxHEIGHT``."""
        return f"{self.width}x{self.height}"


def probe(stream: IO[bytes]) -> Header:
    """Read a file's header.

    Raises:
        Exception: no image, or damaged.
    """
    with open_image(stream) as image:
        tables = getattr(image, "quantization", None) or {}
        codec = {"MPO": "JPEG"}.get(image.format or "", image.format or "unknown")
        quantization = sum(tables[min(tables)]) if tables and codec == "JPEG" else 0
        orientation, metadata = _metadata(image)
        return Header(
            *image.size, codec=codec, grey=image.mode in _GREY, quantization=quantization,
            tables=_digest(json.dumps({str(k): list(v) for k, v in tables.items()})) if quantization else "",
            sampling=_sampling(image), coding=_coding(image, stream), layout=image.mode, bits=_bits(image),
            orientation=orientation, metadata=metadata, profile=_profile(image),
        )  # fmt: skip


_PROFILE = ("gamma", "srgb", "chromaticity")
_TECHNICAL = frozenset({
    "adobe", "adobe_transform", "aspect", "background", "compression", "duration", "exif", "extension",
    "icc_profile", "interlace", "jfif", "jfif_unit", "jfif_version", "jfif_density", "loop", "photoshop",
    "progression", "progressive", "resolution", "timestamp", "transparency", "version", *_PROFILE,
})  # fmt: skip
"""What Pillow notes of a file beside what its maker wrote into it."""
_BY_FORMAT = {("dpi", "BMP"), ("dpi", "TIFF")}
"""Fields that every file of a format has."""
_VALUE = 60
"""Characters of a piece of metadata that are kept."""


def _digest(text: str | bytes) -> str:
    data = text.encode() if isinstance(text, str) else text
    return hashlib.sha256(data).hexdigest()[:8]


def _metadata(image: Image.Image) -> tuple[int, tuple[tuple[str, str], ...]]:
    """EXIF orientation, and every EXIF tag, comment and text field; damaged EXIF is a field of its own."""
    held: dict[str, str] = {}
    orientation = 1
    if "exif" in image.info:
        try:
            tags = image.getexif()
            value = tags.get(ExifTags.Base.Orientation, 1)
            orientation = value if value in range(1, 9) else 1
            held |= {str(ExifTags.TAGS.get(tag, tag)): str(content)[:_VALUE] for tag, content in tags.items()}
            held["EXIF"] = "yes"
        except Exception:  # Pillow: of any kind
            held["EXIF"] = "damaged"
    for name, content in image.info.items():
        if name not in _TECHNICAL and (name, image.format) not in _BY_FORMAT:
            held[str(name)] = content[:_VALUE] if isinstance(content, str) else _short(content)
    return orientation, tuple(sorted(held.items()))


def _short(content: Any) -> str:
    return _digest(content) if isinstance(content, bytes) else str(content)[:_VALUE]


def _profile(image: Image.Image) -> str:
    """The embedded ICC profile, or the gamma that a PNG declares."""
    embedded = image.info.get("icc_profile")
    if embedded:
        return f"ICC {_digest(embedded)}"
    return ", ".join(f"{name} {image.info[name]}" for name in _PROFILE if name in image.info)


def _sampling(image: Image.Image) -> str:
    """JPEG: ``4:2:0`` and the like from the components' factors; otherwise nothing."""
    layer = getattr(image, "layer", None) if image.format in ("JPEG", "MPO") else None
    if not layer or len(layer) < 3:
        return ""
    across, down = layer[0][1] // max(1, layer[1][1]), layer[0][2] // max(1, layer[1][2])
    known = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1"}
    return known.get((across, down), f"{across}x{down}")


def _coding(image: Image.Image, stream: IO[bytes]) -> str:
    if image.format == "WEBP" and stream.seekable():
        stream.seek(0)
        return "lossless" if b"VP8L" in stream.read(64) else ""
    named = {"progressive": "progressive", "interlace": "interlaced"}
    return next((name for key, name in named.items() if image.info.get(key)), "")


def _bits(image: Image.Image) -> int:
    """Bits a channel in the file: Pillow reads 16 bit RGB as 8, and only the raw mode tells."""
    if image.mode == "1":
        return 1
    tiles = getattr(image, "tile", None)
    raw = tiles[0][3] if tiles else ""
    raw = raw[0] if isinstance(raw, tuple) and raw else raw
    digits = re.search(r";(\d+)", str(raw))
    return 8 if image.mode == "P" or digits is None else min(16, int(digits[1]))


def decode(stream: IO[bytes], channels: int) -> UInt8Array:
    """A file's pixels as stored: uint8 (H, W, channels), nothing resized, cropped or turned.

    Raises:
        Exception: no image, damaged, truncated, or (GanlabError) no defined range.
    """
    with open_image(stream) as image:
        flat = to_grey(image) if channels == 1 else to_rgb(image)
        pixels = np.asarray(flat)
    return pixels[..., None] if channels == 1 else pixels


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in mode RGB by the rules above.

    Raises:
        GanlabError: 32 bit integers or floats.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    return _eight_bit(image).convert("RGB")


def to_grey(image: Image.Image) -> Image.Image:
    """The image in mode L by the rules above (colour files: ITU-R BT.601 luma, Pillow's).

    Raises:
        GanlabError: 32 bit integers or floats.
    """
    return _eight_bit(image).convert("L")


def _eight_bit(image: Image.Image) -> Image.Image:
    """The image with 8 bits a channel and no transparency."""
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour)
    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.rint(wide / 257.0).astype(np.uint8))
    if image.mode in _NO_RANGE:
        raise GanlabError(f"pixels are of mode {image.mode!r} (32 bit), which has no defined range")
    return image


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
