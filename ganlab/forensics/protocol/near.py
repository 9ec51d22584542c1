"""Who is who: an exact hash of the pixels, and a perceptual one that survives a codec."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F

from ganlab.data.imageset import ImageSet
from ganlab.images import UInt8Array, luma, to_float
from ganlab.util.progress import bar

Hashes = npt.NDArray[np.uint64]

BATCH = 512
GRID = 8
DISTANCE = 8
"""Bits in which the perceptual hashes of near-duplicates differ at most."""
CORRELATION = 0.97
"""Of their thumbnails, at least: hashes alone agree by chance in large sets."""
THUMBNAIL = 16
BAR_FROM = 20_000


def exact_hashes(images: UInt8Array) -> Hashes:
    """One 64-bit number an image, equal only where shape and every pixel are: ``(N,)`` (BLAKE2b)."""
    shape = str(images.shape[1:]).encode()
    digests = [
        hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=8, person=shape[:16]).digest()
        for image in images
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def perceptual_hashes(images: UInt8Array) -> Hashes:
    """64 bits an image: which of two neighbouring cells of a 9 x 8 grid of luma means is brighter, ``(N,)``.

    The "difference hash": brightness, contrast, JPEG and small rescaling change few bits.
    """
    grey = luma(to_float(images))[:, None]
    cells = F.adaptive_avg_pool2d(grey, (GRID, GRID + 1))[:, 0]
    bits = (cells[:, :, 1:] > cells[:, :, :-1]).flatten(1).numpy()
    packed = np.packbits(bits, axis=1)
    return np.ascontiguousarray(packed).view(np.uint64)[:, 0]


def set_hashes(images: ImageSet, perceptual: bool = False) -> Hashes:
    """Hashes of a whole set in its order, in constant memory beside the result."""
    function = perceptual_hashes if perceptual else exact_hashes
    return np.concatenate([function(batch) for batch in images.batches(BATCH)])


def shared(left: Hashes, right: Hashes) -> Hashes:
    """Identities that occur in both, each once."""
    return np.intersect1d(left, right)


@dataclass(frozen=True)
class Looks:
    """What tells the images of a set apart, an entry an image.

    Attributes:
        exact: hashes of the pixels.
        perceptual: hashes of what is seen.
        thumbnails: luma of mean 0 and norm 1, float16 ``(N, 256)``; zeros for an image of one value.
        constant: whether every channel holds one value only.
    """

    exact: Hashes
    perceptual: Hashes
    thumbnails: npt.NDArray[np.float16]
    constant: npt.NDArray[np.bool_]


def look(images: ImageSet) -> Looks:
    """Read a set once. Memory grows by half a kilobyte an image."""
    parts = [
        (
            exact_hashes(batch),
            perceptual_hashes(batch),
            thumbnails(batch),
            (batch == batch[:, :1, :1]).all((1, 2, 3)),
        )
        for batch in images.batches(BATCH)
    ]
    return Looks(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def thumbnails(images: UInt8Array) -> npt.NDArray[np.float16]:
    """Luma means of a 16 x 16 grid, every image with mean 0 and norm 1: float16 ``(N, 256)``."""
    cells = F.adaptive_avg_pool2d(luma(to_float(images))[:, None], THUMBNAIL).flatten(1).double().numpy()
    centred = cells - cells.mean(1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float16] = (centred / np.where(norm > 1e-6, norm, np.inf)).astype(np.float16)
    return scaled


def identities(sets: Sequence[Looks]) -> list[Hashes]:
    """One number an image; images that are near-duplicates of each other, in any set, have the same.

    The number is the smallest exact hash of the group, so that nothing depends on the order of the files.
    """
    exact = np.concatenate([looks.exact for looks in sets])
    unique, first, inverse = np.unique(exact, return_index=True, return_inverse=True)
    perceptual = np.concatenate([looks.perceptual for looks in sets])[first]
    pictures = np.concatenate([looks.thumbnails for looks in sets])[first]
    # sorted by hash, and a group is named by its first member: by its smallest hash
    named = unique[groups(perceptual, pictures)][inverse]
    ends = np.cumsum([len(looks.exact) for looks in sets])[:-1]
    return np.split(named, ends)


def groups(perceptual: Hashes, pictures: npt.NDArray[np.float16]) -> npt.NDArray[np.int64]:
    """For every image the first of the images it is linked to, directly or by others: its number, ``(N,)``.

    Image by image, since a set whose images all look alike would have as many pairs as images squared.
    """
    group = np.arange(len(perceptual))
    images = range(len(perceptual))
    for i in bar(images, desc="near-duplicates", unit="image") if len(images) >= BAR_FROM else images:
        near = i + 1 + np.flatnonzero(np.bitwise_count(perceptual[i] ^ perceptual[i + 1 :]) <= DISTANCE)
        near = near[group[near] != group[i]]
        if len(near):
            alike = pictures[near].astype(np.float32) @ pictures[i].astype(np.float32) >= CORRELATION
            joined = np.unique(group[np.append(near[alike], i)])
            group[np.isin(group, joined)] = joined[0]
    return group
