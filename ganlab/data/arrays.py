"""Arrays from files somebody else made: opened without pickle, checked before they are used."""

from __future__ import annotations

import math
import os
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ganlab.errors import GanlabError
from ganlab.util.reading import Archive, open_regular, reading

UInt8Array = npt.NDArray[np.uint8]

PLAIN_ARRAY = "a plain numpy array"


def npy_header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """(shape, dtype) of a ``.npy`` stream, its position left at the data.

    Args:
        stream: at its beginning.
        size: its bytes; the data must lie within them, so that nobody makes room for what is not there.

    Raises:
        ValueError: not a ``.npy`` stream, one of objects, or one that is cut off. numpy raises others too, so
            call it inside `reading`.
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
    if any(not isinstance(side, int) or isinstance(side, bool) or side < 0 for side in shape):
        raise ValueError(f"shape {shape}")
    if stream.tell() + math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"its {size} bytes do not hold {dtype} of shape {shape}")
    return shape, dtype


def open_npy(path: str | os.PathLike[str], mmap: bool = True) -> npt.NDArray[Any]:
    """A ``.npy`` file, memory-mapped or in memory, never unpickled.

    Raises:
        GanlabError: missing, truncated, pickled, or not a ``.npy``.
    """
    if not os.path.isfile(path):
        raise GanlabError(f"{path}: no such file; expected a .npy array")
    with reading(path, "the array", PLAIN_ARRAY):
        with open_regular(path) as stream:
            npy_header(stream, os.fstat(stream.fileno()).st_size)
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    return array


def npz_header(archive: Archive, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """(shape, dtype) of one array of an ``.npz``, from its header alone.

    Raises:
        GanlabError: the array is not in the file, or damaged.
    """
    member = f"{name}.npy"
    if member not in archive.names:
        held = ", ".join(sorted(other.removesuffix(".npy") for other in archive.names)[:20]) or "nothing"
        raise GanlabError(f"{archive.path}: holds {held}; expected an array {name!r}, uint8 (N, H, W, 3)")
    with reading(archive.path, member, PLAIN_ARRAY), archive.stream(member) as stream:
        return npy_header(stream, archive.size(member))


def npz_array(archive: Archive, name: str) -> npt.NDArray[Any]:
    """One array of an ``.npz``, unpacked once and never unpickled.

    Raises:
        GanlabError: as `npz_header`.
    """
    npz_header(archive, name)
    member = f"{name}.npy"
    with reading(archive.path, member, PLAIN_ARRAY), archive.stream(member) as stream:
        array: npt.NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
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
    if values.size and values.max() >= 2**31:
        raise GanlabError(f"{path}: {name!r} holds {values.max()}; expected numbers of classes")
    return values.astype(np.int64)
