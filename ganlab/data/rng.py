"""Uniform draws and permutations that are the same on every machine and numpy version.

numpy guarantees the raw output of its bit generators, not the streams of ``Generator`` methods, so
everything here is made from raw 64-bit words of Philox, keyed by :func:`ganlab.util.seeding.derive_seed`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ganlab.util.seeding import derive_seed


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
