"""Glyphs: digits and letters of matplotlib's DejaVu fonts, built-in images that a small generator can learn.

One light character on a dark ground, drawn four times too large and reduced by Lanczos, so that edges are not
aliased. Face, size, slant, position and colours vary; the class is the character. The mask says which pixels
are ink, for segmentation. No file is needed beyond matplotlib, whose fonts may be used freely; any size.

Image ``i`` depends on ``(seed, i)`` and the recipe alone, for one version of Pillow (its font rasteriser and
its resampling are the only parts that are not integer arithmetic of our own). No torch.
"""

from __future__ import annotations

import colorsys
import functools
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ganlab.config.schema import DataConfig, glyph_characters
from ganlab.data.arrays import UInt8Array
from ganlab.data.pack import Pack, PackWriter, cache_folder, cached_pack
from ganlab.data.split import bit_stream, uniforms
from ganlab.errors import GanlabError
from ganlab.util.progress import bar

STREAM = "glyphs"
FACES = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Bold",
    "DejaVuSansMono-Bold",
)  # fmt: skip
"""Font files of matplotlib that are drawn from, each with the same probability."""
HUES = (0.60, 0.95, 0.38)
"""Of the ground: blue, red, green. More hues only make the set harder to learn (tried)."""
SUPERSAMPLE = 4
"""Samples per pixel and axis before the reduction."""
EM = 0.875
"""Font size as a share of the image's side, before the jitter of size."""
LARGEST = 0.75
"""Of the ink as a share of the side: larger characters (W, j) are drawn smaller, so that none is cut."""
DEFAULT_COUNT = 10_000
"""Images of a training set unless ``data.num_images`` says otherwise."""


@dataclass(frozen=True)
class Glyphs:
    """The recipe of a set of glyph images."""

    size: int
    """Side of the square images in pixels, 16 to 128."""
    seed: int = 0
    """All images descend from (seed, index)."""
    characters: str = "0123456789"
    """One class each, in this order."""

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 128:
            raise GanlabError(f"glyphs are made at 16 to 128 px, got {self.size}")
        if len(set(self.characters)) != len(self.characters) or not self.characters:
            raise GanlabError(f"glyphs need at least one character, each once; got {self.characters!r}")

    def recipe(self) -> dict[str, Any]:
        """Everything the pixels depend on, besides the image's index. Plain JSON values."""
        return {
            "kind": "glyphs", "version": 1, "size": self.size, "seed": self.seed,
            "characters": self.characters, "faces": list(FACES), "hues": list(HUES), "em": EM,
            "supersample": SUPERSAMPLE, "filter": "lanczos",
        }  # fmt: skip

    def label(self, index: int) -> int:
        """Class of image ``index``: the position of its character in ``characters``."""
        return int(self._draws(index)[0] * len(self.characters))

    def image(self, index: int) -> UInt8Array:
        """Image ``index`` of the set: uint8 (size, size, 3)."""
        u = self._draws(index)
        ground, ink = _colours(u[6:9])
        share = self._coverage(u).astype(np.int64)[..., None]
        # In integers, rounded half up: the same bytes everywhere.
        mixed: UInt8Array = ((ground * (255 - share) + ink * share + 127) // 255).astype(np.uint8)
        return mixed

    def mask(self, index: int) -> npt.NDArray[np.bool_]:
        """Which pixels of image ``index`` are ink (at least half covered): bool (size, size)."""
        return self._coverage(self._draws(index)) >= 128

    def _draws(self, index: int) -> npt.NDArray[np.float64]:
        """Nine numbers in [0, 1): character, face, size, slant, x, y, hue, brightness of ground and ink."""
        return uniforms(bit_stream(self.seed, STREAM, index), 9)

    def _coverage(self, u: npt.NDArray[np.float64]) -> UInt8Array:
        """How much of each pixel is ink, 0 to 255: (size, size)."""
        character = self.characters[int(u[0] * len(self.characters))]
        face, side = FACES[int(u[1] * len(FACES))], self.size * SUPERSAMPLE
        em = side * EM * (0.85 + 0.25 * u[2])
        left, top, right, bottom = _font(face, round(em)).getbbox(character)
        extent = max(right - left, bottom - top)
        if extent > LARGEST * side:
            em *= LARGEST * side / extent
            left, top, right, bottom = _font(face, round(em)).getbbox(character)
        canvas = Image.new("L", (side, side), 0)
        # The ink's centre lies within 5 % of the side around the image's: about 1.6 px of 32.
        x, y = side * (0.45 + 0.1 * u[4]), side * (0.45 + 0.1 * u[5])
        corner = (round(x - (left + right) / 2), round(y - (top + bottom) / 2))
        ImageDraw.Draw(canvas).text(corner, character, fill=255, font=_font(face, round(em)))
        slanted = canvas.rotate(24.0 * u[3] - 12.0, Image.Resampling.BICUBIC)
        return np.asarray(slanted.resize((self.size, self.size), Image.Resampling.LANCZOS))


def _colours(u: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """RGB of the dark ground and of the light ink, whose hue is the opposite one; 0 to 255."""
    hue = HUES[int(u[0] * len(HUES))]
    ground = colorsys.hsv_to_rgb(hue, 0.55, 0.18 + 0.14 * u[1])
    ink = colorsys.hsv_to_rgb((hue + 0.5) % 1.0, 0.30, 0.82 + 0.18 * u[2])
    return tuple(np.rint(np.array(colour) * 255).astype(np.int64) for colour in (ground, ink))


@functools.lru_cache(maxsize=512)
def _font(face: str, pixels: int) -> ImageFont.FreeTypeFont:
    """A face at a size. The basic layout engine: the other one is missing from some builds of Pillow."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"
    try:
        return ImageFont.truetype(str(path), pixels, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise GanlabError(f"{path}: cannot be read ({error}); glyphs need matplotlib's own fonts") from error


def glyphs_source(data: DataConfig, image_size: int) -> Pack:
    """Digits or letters of the DejaVu fonts, labelled, made and cached on first use; 10,000 unless told."""
    glyphs = Glyphs(image_size, data.seed, glyph_characters(data.classes))
    count = data.num_images or DEFAULT_COUNT
    key = {**glyphs.recipe(), "count": count}
    return cached_pack(
        cache_folder(data.cache), f"glyphs_{image_size}", key, partial(write_glyphs, glyphs, count)
    )


def write_glyphs(glyphs: Glyphs, count: int, path: Path) -> None:
    """Make ``count`` images and write them with their labels as a pack at ``path``, with a bar."""
    with PackWriter(path, glyphs.size, yield_to_existing=True) as writer:
        writer.meta["recipe"] = glyphs.recipe()
        writer.meta["class_names"] = list(glyphs.characters)
        for index in bar(range(count), total=count, desc="glyphs", unit="image"):
            writer.add(glyphs.image(index), glyphs.label(index))
