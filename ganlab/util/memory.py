"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable


def release_memory() -> None:
    """Give freed memory back to the system; nothing happens where the C library has no call for it.

    Tensors are aligned, and an allocator that must align a block finds no room for it in the gap that an
    equal one left if a small array came to lie behind: a loop that keeps a few numbers of every batch
    occupies another gap a batch (2,000 images of 256 px: 1.5 GB), of which nothing is in use. This takes
    some 10 ms, so that it is for every few dozens of megabytes that were read, not for every batch.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    """``malloc_trim`` of the GNU C library."""
    if not sys.platform.startswith("linux"):
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
