"""Arrays from files somebody else made: opened without pickle, checked before they are used."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ganlab.errors import GanlabError

UInt8Array = npt.NDArray[np.uint8]

_BROKEN = (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile, KeyError, SyntaxError)


def guarded(path: object, what: str, read: Callable[[], Any]) -> Any:
    """Call ``read``; whatever a damaged or foreign file makes numpy or zipfile raise becomes one error.

    Raises:
        GanlabError: naming the file, the part, the reason and what is expected there.
    """
    try:
        return read()
    except GanlabError:
        raise
    except _BROKEN as error:
        text = str(error)
        if "allow_pickle" in text or "Object arrays" in text:
            reason = "it holds pickled objects, which can run code and are never loaded"
        else:
            reason = f"it is damaged or of another kind ({text or type(error).__name__})"
        raise GanlabError(f"{path}: {what} cannot be read: {reason}; expected a plain numpy array") from error


def npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """(shape, dtype) of a ``.npy`` stream, its position left at the data.

    Raises:
        ValueError: not a ``.npy`` stream, or one of objects.
    """
    version = np.lib.format.read_magic(stream)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in header:
        raise ValueError(f".npy version {version}")
    shape, fortran, dtype = header[version](stream)
    if dtype.hasobject:
        raise ValueError("Object arrays need allow_pickle")
    if fortran and len(shape) > 1:
        raise ValueError("Fortran order")
    return shape, dtype


def open_npy(path: str | os.PathLike[str], mmap: bool = True) -> npt.NDArray[Any]:
    """A ``.npy`` file, memory-mapped or in memory, never unpickled.

    Raises:
        GanlabError: missing, truncated, pickled, or not a ``.npy``.
    """
    if not os.path.isfile(path):
        raise GanlabError(f"{path}: no such file; expected a .npy array")

    def read() -> npt.NDArray[Any]:
        with open(path, "rb") as stream:
            npy_header(stream)
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
        return array

    array: npt.NDArray[Any] = guarded(path, "the array", read)
    return array


def check_images(
    path: object, shape: tuple[int, ...], dtype: np.dtype[Any], channels: tuple[int, ...] = (3,)
) -> None:
    """Images are uint8 (N, H, W, 3), with at least one; where ``channels`` allows it also (N, H, W, 1).

    Raises:
        GanlabError: anything else, with a hint where the cause is likely.
    """
    if dtype == np.uint8 and len(shape) == 4 and shape[3] in channels and min(shape) > 0:
        return
    hint = ""
    if len(shape) == 4 and shape[1] == 3 and shape[3] != 3:
        hint = "; this looks like (N, C, H, W): transpose(0, 2, 3, 1)"
    elif dtype.kind == "f":
        hint = "; floats have no fixed range: convert with ganlab.images.to_uint8"
    raise GanlabError(f"{path}: 'images' is {dtype} of shape {shape}, expected uint8 (N, H, W, 3){hint}")


def integer_column(path: object, name: str, values: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    """One integer per image, as int64.

    Raises:
        GanlabError: another length, shape or type.
    """
    if values.shape != (count,) or values.dtype.kind not in "iub":
        raise GanlabError(
            f"{path}: {name!r} is {values.dtype} of shape {values.shape}, "
            f"expected one integer for each of the {count} images"
        )
    return values.astype(np.int64)
