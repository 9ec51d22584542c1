"""Packs: many images in one array on disk, read without decoding and without pickle.

A pack is a folder ``NAME.gpack``::

    images.npy   uint8 (N, H, W, 3), memory-mappable
    labels.npy   int64 (N,), only where there are classes
    split.npy    uint8 (N,), 0 train, 1 held out; only where the source has a split
    files.json   where each image came from, in order; only where it came from a file
    meta.json    format and version, shape, class names, recipe, versions, SHA-256 of the parts

It is written under a temporary name and renamed, so it is there complete or not at all. ``.npz`` files
with the keys ``images`` and optionally ``labels``, ``split``, ``class_names`` are read as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ganlab.data.arrays import UInt8Array, check_images, guarded, integer_column, npy_header, open_npy
from ganlab.errors import GanlabError

FORMAT = "ganlab-pack"
VERSION = 1
SUFFIX = ".gpack"
IN_MEMORY_BYTES = 2**30
"""Image arrays up to this size are read into memory; larger ones are memory-mapped."""


@dataclass(frozen=True)
class Pack:
    """Images and what is known of them."""

    path: Path
    images: UInt8Array
    """uint8 (N, H, W, 3), in memory or memory-mapped."""
    labels: npt.NDArray[np.int64] | None = None
    """Class of each image, -1 where unknown."""
    split: npt.NDArray[np.int64] | None = None
    """0 train, 1 held out (validation or test)."""
    class_names: tuple[str, ...] = ()
    meta: dict[str, Any] = field(default_factory=dict)
    """meta.json; empty for an ``.npz``."""

    @property
    def files(self) -> list[str] | None:
        """Where each image came from, if recorded."""
        listing = self.path / "files.json"
        return read_json(listing, list) if self.path.is_dir() and listing.is_file() else None


def read_json(path: Path, kind: type[Any]) -> Any:
    """A JSON file whose top level is a ``kind`` (dict or list).

    Raises:
        GanlabError: missing, not JSON, or of another kind.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GanlabError(f"{path}: cannot be read as JSON ({error}); is the pack complete?") from error
    if not isinstance(value, kind):
        raise GanlabError(f"{path}: expected a JSON {'object' if kind is dict else 'array'}")
    return value


def read_pack(path: str | os.PathLike[str]) -> Pack:
    """Read a pack folder or an ``.npz``.

    Raises:
        GanlabError: missing, damaged, pickled, or not a pack; names the file and what is expected.
    """
    place = Path(path)
    if place.is_dir():
        return _read_folder(place)
    if not place.is_file():
        raise GanlabError(f"{place}: no such pack; expected an .npz file or a folder {SUFFIX}")
    return read_npz(place)


def _read_folder(path: Path) -> Pack:
    """The pack in a folder, checked against its meta.json."""
    if not (path / "meta.json").is_file():
        raise GanlabError(
            f"{path}: a folder without meta.json is no pack; images become one with "
            f"'ganlab data pack {path} OUT --size N', or use source: folder"
        )
    meta = read_json(path / "meta.json", dict)
    if meta.get("format") != FORMAT or meta.get("version") != VERSION:
        raise GanlabError(
            f"{path}/meta.json: format {meta.get('format')!r} version {meta.get('version')!r}, "
            f"expected {FORMAT!r} version {VERSION}; pack the images again with this ganlab"
        )
    image_file = path / "images.npy"
    large = image_file.is_file() and image_file.stat().st_size > IN_MEMORY_BYTES
    images = open_npy(image_file, mmap=large)
    check_images(image_file, images.shape, images.dtype)
    if list(images.shape) != meta.get("shape"):
        raise GanlabError(f"{image_file}: shape {images.shape}, expected {meta.get('shape')} by meta.json")
    columns = {
        name: integer_column(path / f"{name}.npy", name, open_npy(path / f"{name}.npy", False), len(images))
        for name in ("labels", "split")
        if (path / f"{name}.npy").is_file()
    }
    return _checked(path, images, columns, _class_names(path, meta), meta)


def _class_names(path: Path, meta: dict[str, Any]) -> tuple[str, ...]:
    """The names of the classes in meta.json."""
    names = meta.get("class_names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise GanlabError(f"{path}/meta.json: 'class_names' is {names!r}, expected a list of names")
    return tuple(names)


def read_npz(path: Path, channels: tuple[int, ...] = (3,)) -> Pack:
    """The pack in an ``.npz``; each member is decompressed once, none is unpickled.

    Raises:
        GanlabError: not a zip, truncated, pickled, without ``images``, or of wrong shape or type.
    """

    def read() -> dict[str, npt.NDArray[Any]]:
        with zipfile.ZipFile(path) as archive:
            check_images(path, *npz_member(path, archive, "images"), channels)
            with np.load(path, allow_pickle=False) as arrays:
                wanted = [k for k in ("images", "labels", "split", "class_names") if k in arrays.files]
                return {name: arrays[name] for name in wanted}

    arrays = guarded(path, "the .npz", read)
    images = arrays.pop("images")
    names = tuple(str(name) for name in arrays.pop("class_names", np.empty(0, dtype="U1")).ravel())
    columns = {name: integer_column(path, name, values, len(images)) for name, values in arrays.items()}
    return _checked(path, images, columns, names, {})


def npz_member(path: Path, archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """(shape, dtype) of one array of an ``.npz``, from its header alone.

    Raises:
        GanlabError: the array is not in the file.
    """
    if f"{name}.npy" not in archive.namelist():
        held = ", ".join(sorted(member.removesuffix(".npy") for member in archive.namelist())) or "nothing"
        raise GanlabError(f"{path}: holds {held}; expected an array {name!r}, uint8 (N, H, W, 3)")
    with archive.open(f"{name}.npy") as stream:
        return npy_header(stream)


def _checked(
    path: Path,
    images: UInt8Array,
    columns: dict[str, npt.NDArray[np.int64]],
    class_names: tuple[str, ...],
    meta: dict[str, Any],
) -> Pack:
    """The pack, once labels and split lie in their ranges."""
    labels, split = columns.get("labels"), columns.get("split")
    if split is not None and not np.isin(split, (0, 1)).all():
        found = sorted(set(split.tolist()))
        raise GanlabError(f"{path}: 'split' holds {found}, expected 0 (train) and 1 (held out) only")
    if labels is not None and labels.min() < -1:
        raise GanlabError(f"{path}: 'labels' holds {labels.min()}, expected 0, 1, ... (or -1 for unknown)")
    if labels is not None and class_names and labels.max() >= len(class_names):
        raise GanlabError(f"{path}: 'labels' holds {labels.max()}, but there are {len(class_names)} classes")
    return Pack(path, images, labels, split, class_names, meta)


def pixels_sha256(images: Sequence[UInt8Array] | UInt8Array) -> str:
    """SHA-256 of the pixels in order (row by row, RGB), independent of the container."""
    digest = hashlib.sha256()
    for start in range(0, len(images), 4096):
        digest.update(np.ascontiguousarray(images[start : start + 4096]).data)
    return digest.hexdigest()
