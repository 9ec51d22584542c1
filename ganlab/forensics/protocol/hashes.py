"""Who is who: an exact hash of the pixels, and a perceptual one that survives a codec."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.images import UInt8Array, luma, to_float

Hashes = npt.NDArray[np.uint64]

BATCH = 512
GRID = 8


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


def hamming_pairs(left: Hashes, right: Hashes, distance: int) -> npt.NDArray[np.int64]:
    """Pairs (i, j) with at most ``distance`` different bits between ``left[i]`` and ``right[j]``: ``(M, 2)``.

    Raises:
        GanlabError: a negative distance.
    """
    if distance < 0:
        raise GanlabError(f"a Hamming distance is at least 0; got {distance}")
    rows: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(left), BATCH):
        different = np.bitwise_count(left[start : start + BATCH, None] ^ right[None])
        found = np.argwhere(different <= distance)
        rows.append(found + np.array([start, 0]))
    return np.concatenate(rows) if rows else np.empty((0, 2), np.int64)


def shared(left: Hashes, right: Hashes) -> Hashes:
    """Identities that occur in both, each once."""
    return np.intersect1d(left, right)
