"""Uniform draws and permutations that are the same on every machine and numpy version.

numpy guarantees the raw output of its bit generators, not the streams of ``Generator`` methods, so
everything here is made from raw 64-bit words of Philox, keyed by :func:`ganlab.util.hashing.derive_seed`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ganlab.errors import GanlabError
from ganlab.util.hashing import derive_seed


def bit_stream(seed: int, stream: str, index: int = 0) -> np.random.Philox:
    """The Philox generator of draw ``index`` of a named stream."""
    return np.random.Philox(key=derive_seed(seed, stream, index))


def uniforms(bits: np.random.Philox, count: int) -> npt.NDArray[np.float64]:
    """``count`` float64 in [0, 1): the upper 53 bits of each raw word."""
    words: npt.NDArray[np.uint64] = bits.random_raw(count)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(seed: int, stream: str, index: int, count: int) -> npt.NDArray[np.int64]:
    """A uniformly random order of ``0 .. count - 1``: the stable argsort of raw 64-bit words."""
    words = bit_stream(seed, stream, index).random_raw(count)
    return np.argsort(words, kind="stable").astype(np.int64, copy=False)


Indices = npt.NDArray[np.int64]


def split_indices(
    count: int, split: npt.NDArray[np.int64] | None, val_fraction: float, seed: int
) -> tuple[Indices, Indices]:
    """(train, held out), each ascending: the source's own split, or else a seeded one.

    The seeded split holds out ``round(val_fraction * count)`` images, at least one of each part where
    there are two images or more.

    Raises:
        GanlabError: the source's split leaves nothing to train on.
    """
    if split is not None:
        train, held_out = np.flatnonzero(split == 0), np.flatnonzero(split == 1)
        if not len(train):
            raise GanlabError(f"all {count} images are held out (split = 1); none is left to train on")
        return train, held_out
    num_held_out = min(max(round(val_fraction * count), 1), count - 1)
    order = permutation(seed, "split", 0, count)
    return np.sort(order[num_held_out:]), np.sort(order[:num_held_out])


def limit_indices(
    train: Indices, held_out: Indices, num_images: int | None, seed: int
) -> tuple[Indices, Indices]:
    """A seeded choice of ``wanted`` images, both parts in proportion; a larger choice contains a smaller.

    Files are mostly ordered by class, so the first so many would be of one class.

    Raises:
        GanlabError: there are fewer images.
    """
    total = len(train) + len(held_out)
    if num_images is None or num_images == total:
        return train, held_out
    if num_images > total:
        raise GanlabError(f"data.num_images is {num_images}, but there are only {total} images")
    of_train = min(max(round(num_images * len(train) / total), 1), num_images)
    first = permutation(seed, "limit_train", 0, len(train))[:of_train]
    second = permutation(seed, "limit_val", 0, len(held_out))[: num_images - of_train]
    return np.sort(train[first]), np.sort(held_out[second])
