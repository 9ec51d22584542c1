"""What a network that takes images is shown, and what its output is held against: reduced images, masks."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from torch import Tensor

from ganlab.config.schema import DataConfig, glyph_characters
from ganlab.data.arrays import UInt8Array, open_npy
from ganlab.data.glyphs import Glyphs
from ganlab.data.load import TrainingImages
from ganlab.data.pack import cache_folder
from ganlab.errors import GanlabError
from ganlab.images import on_grey_levels
from ganlab.util.atomic import atomic_path
from ganlab.util.hashing import sha256_json
from ganlab.util.progress import bar

REDUCTION = (
    "bicubic, Keys' kernel with a = -0.5 widened by the scale so that nothing aliases (Pillow's BICUBIC), "
    "rounded to grey levels"
)
"""The filter of `reduced`, for records."""


def reduced(images: Tensor, scale: int) -> Tensor:
    """Images as a super-resolution network sees them: float ``(N, C, H, W)`` -> ``(N, C, H/scale, W/scale)``.

    Filtered by `REDUCTION` and rounded, because a small image comes out of a file.

    Raises:
        GanlabError: a side that the scale does not divide.
    """
    height, width = images.shape[-2:]
    if height % scale or width % scale:
        raise GanlabError(
            f"images of {height}x{width} cannot be reduced by {scale}; expected multiples of it"
        )
    size = (height // scale, width // scale)
    return on_grey_levels(F.interpolate(images.float(), size=size, mode="bicubic", antialias=True))


def with_masks(data: TrainingImages, config: DataConfig, classes: int) -> TrainingImages:
    """The images with the classes of their pixels, checked; glyphs draw their own.

    Args:
        data: the images.
        config: the ``data:`` section; ``masks`` names a ``.npy`` of integers (N, H, W) for other images.
        classes: how many there are. Of glyphs 2 (ground and ink), or one more than there are characters.

    Raises:
        GanlabError: no masks; another number or size than the images; a class out of range.
    """
    if config.masks is None and config.source != "glyphs":
        raise GanlabError(
            f"{config.source} has no masks; expected data.masks: a .npy of integers (N, H, W), "
            "or source: glyphs"
        )
    if config.masks is not None:
        masks = read_masks(Path(config.masks).expanduser(), data.images.shape[:3], classes)
    else:
        masks = glyph_masks(config, data, classes)
    digest = hashlib.sha256(np.ascontiguousarray(masks).data).hexdigest()
    # A run that goes on is held to this hash: other masks are other data.
    both = sha256_json([data.description["pixels_sha256"], digest])
    return replace(data, masks=masks, description={**data.description, "pixels_sha256": both})


def read_masks(path: Path, shape: tuple[int, ...], classes: int) -> UInt8Array:
    """Masks from a file: uint8 ``(N, H, W)``.

    Args:
        path: a ``.npy``.
        shape: (N, H, W) of the images; mask i belongs to image i.
        classes: their values are 0 ... classes - 1.

    Raises:
        GanlabError: unreadable, no integers, another number or size, a class out of range.
    """
    masks = open_npy(path, mmap=False)
    if masks.ndim != 3 or masks.dtype.kind not in "iub":
        raise GanlabError(f"{path}: masks are integers (N, H, W); got {masks.dtype} of shape {masks.shape}")
    if len(masks) != shape[0]:
        raise GanlabError(
            f"{path}: {len(masks)} masks and {shape[0]} images are no pairs; mask i belongs to image i"
        )
    if masks.shape[1:] != shape[1:]:
        sizes = ["x".join(map(str, part[1:])) for part in (masks.shape, shape)]
        raise GanlabError(
            f"{path}: masks are {sizes[0]}, the images {sizes[1]}; expected one size, pixel by pixel"
        )
    wrong: npt.NDArray[np.bool_] = (masks < 0) | (masks >= classes)
    if wrong.any():
        first = int(np.argwhere(wrong)[0][0])
        raise GanlabError(
            f"{path}: mask {first} has class {int(masks[wrong][0])}; expected 0 to {classes - 1} "
            f"(model.num_classes is {classes})"
        )
    return masks.astype(np.uint8)


def glyph_masks(config: DataConfig, data: TrainingImages, classes: int) -> UInt8Array:
    """Where the ink of every glyph is, as 1 or as the number of its character plus 1; made once, then cached.

    Raises:
        GanlabError: another number of classes.
    """
    characters = glyph_characters(config.classes)
    if classes not in (2, len(characters) + 1):
        raise GanlabError(
            f"model.num_classes is {classes}; masks of {len(characters)} glyphs have 2 classes (ground, ink) "
            f"or {len(characters) + 1} (ground, then each character)"
        )
    count, side = len(data.images), data.images.shape[1]
    glyphs = Glyphs(side, config.seed, characters)
    folder = cache_folder(config.cache)
    path = folder / f"glyph_masks_{side}-{sha256_json({**glyphs.recipe(), 'count': count})[:16]}.npy"
    if not path.exists():
        made = np.stack([glyphs.mask(index) for index in bar(range(count), desc="masks", unit="mask")])
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            np.save(stream, made)
    ink = read_masks(path, (count, side, side), 2)
    if classes == 2:
        return ink
    assert data.labels is not None
    coloured: UInt8Array = ink * (data.labels + 1).astype(np.uint8)[:, None, None]
    return coloured
