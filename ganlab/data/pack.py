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

import contextlib
import hashlib
import itertools
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL

import ganlab
from ganlab.data.arrays import (
    UInt8Array,
    check_images,
    integer_column,
    npz_array,
    npz_header,
    open_npy,
)
from ganlab.errors import GanlabError
from ganlab.util.atomic import remove_leftovers, temporary_path, write_json
from ganlab.util.hashing import sha256_json
from ganlab.util.lock import hold
from ganlab.util.reading import Archive, is_unicode, read_json

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
        if not self.path.is_dir() or not listing.is_file():
            return None
        names: list[str] = read_json(listing, list)
        if len(names) != len(self.images) or not all(isinstance(name, str) for name in names):
            raise GanlabError(f"{listing}: expected {len(self.images)} names, one for each image")
        return names


def read_pack(path: str | os.PathLike[str]) -> Pack:
    """Read a pack folder or an ``.npz``.

    Raises:
        GanlabError: missing, damaged, pickled, or not a pack; names the file and what is expected.
    """
    location = Path(path)
    if location.is_dir():
        return _read_folder(location)
    if not location.is_file():
        raise GanlabError(f"{location}: no such pack; expected an .npz file or a folder {SUFFIX}")
    return read_npz(location)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


META: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("class_names", "a list of names", _texts),
    ("notes", "a list of sentences", _texts),
    (
        "skipped", "a list of [file, reason]",
        lambda value: isinstance(value, list) and all(_texts(pair) and len(pair) == 2 for pair in value),
    ),
    ("recipe", "an object", lambda value: isinstance(value, dict)),
    ("images_sha256", "64 hexadecimal digits", lambda value: bool(re.fullmatch("[0-9a-f]{64}", str(value)))),
)  # fmt: skip
"""Entries of meta.json that others read: key, what it must be in words, and whether a value is that."""


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
    for key, expected, fits in META:
        if key in meta and not fits(meta[key]):
            shown = repr(meta[key])[:80]
            raise GanlabError(f"{path}/meta.json: {key!r} is {shown}, expected {expected}")
    return _checked(path, images, columns, tuple(meta.get("class_names", ())), meta)


def read_npz(path: Path, channels: tuple[int, ...] = (3,)) -> Pack:
    """The pack in an ``.npz``; each member is decompressed once, none is unpickled.

    Raises:
        GanlabError: not a zip, truncated, pickled, without ``images``, or of wrong shape or type.
    """
    archive = Archive(path)
    check_images(path, *npz_header(archive, "images"), channels)
    present = (k for k in ("images", "labels", "split", "class_names") if f"{k}.npy" in archive.names)
    arrays = {name: npz_array(archive, name) for name in present}
    images = arrays.pop("images")
    names = tuple(str(name) for name in arrays.pop("class_names", np.empty(0, dtype="U1")).ravel())
    if not all(map(is_unicode, names)):
        raise GanlabError(f"{path}: 'class_names' holds half a surrogate pair, expected Unicode text")
    columns = {name: integer_column(path, name, values, len(images)) for name, values in arrays.items()}
    return _checked(path, images, columns, names, {})


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
        values = sorted(set(split.tolist()))
        raise GanlabError(f"{path}: 'split' holds {values}, expected 0 (train) and 1 (held out) only")
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


_HEADER_BYTES = 128
_NUMBERS = itertools.count()
UNKNOWN = -1


def _npy_header(shape: tuple[int, ...]) -> bytes:
    """A version 1.0 ``.npy`` header of fixed length, so that the count can be filled in at the end."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    body = text.ljust(_HEADER_BYTES - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body.encode("ascii")


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Nothing may be there, or a pack that may be replaced.

    Raises:
        GanlabError: something is there, and it is not a pack or must not be overwritten.
    """
    if not path.exists():
        return
    if not overwrite:
        raise GanlabError(f"{path} exists; give another name, or --force to replace the pack there")
    if not (path / "meta.json").is_file() or not (path / "images.npy").is_file():
        raise GanlabError(f"{path} exists and is no pack; it is not replaced, give another name")


class PackWriter:
    """A context manager: ``add`` images in order, then leave the block; ``meta`` may be filled until then.

    If the block raises, or the process dies, nothing is at ``path`` (and what was there stays).

    Args:
        path: the pack's folder.
        size: side of the images in pixels.
        overwrite: replace a pack that is there.
        yield_to_existing: if another process has put a pack there meanwhile, keep that one (for caches).
    """

    def __init__(
        self, path: Path, size: int, overwrite: bool = False, yield_to_existing: bool = False
    ) -> None:
        self.path = path
        self.size = size
        self.meta: dict[str, Any] = {}
        self.count = 0
        self._overwrite = overwrite
        self._yield = yield_to_existing
        # Numbered, because two of one process may write the same cache entry.
        self._temporary = temporary_path(path.with_name(f"{path.name}.{next(_NUMBERS)}"))
        self._held = -1
        self._digest = hashlib.sha256()
        self._labels: list[int] = []
        self._split: list[int] = []
        self._files: list[str] = []

    def __enter__(self) -> PackWriter:
        remove_leftovers(self.path)
        refuse_existing(self.path, self._overwrite or self._yield)
        with self._os_errors():
            self._temporary.mkdir(parents=True)
            self._held = hold(self._temporary)
            self._stream = open(self._temporary / "images.npy", "wb")
            self._stream.write(_npy_header((0, self.size, self.size, 3)))
        return self

    def add(
        self, image: npt.NDArray[np.uint8], label: int | None = None, split: int | None = None, file: str = ""
    ) -> None:
        """Append one image, uint8 (size, size, 3); label, split (0 or 1) and file name if there are any.

        Raises:
            GanlabError: another shape or type, or the disk refused.
        """
        if image.shape != (self.size, self.size, 3) or image.dtype != np.uint8:
            expected = f"uint8 ({self.size}, {self.size}, 3)"
            raise GanlabError(f"{file or 'image'}: {image.dtype} {image.shape}, expected {expected}")
        data = np.ascontiguousarray(image).data
        with self._os_errors():
            self._stream.write(data)
        self._digest.update(data)
        self._labels.append(UNKNOWN if label is None else label)
        self._split.append(UNKNOWN if split is None else split)
        self._files.append(file)
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            with contextlib.suppress(OSError):
                self._stream.close()
            shutil.rmtree(self._temporary, ignore_errors=True)
            os.close(self._held)

    @contextlib.contextmanager
    def _os_errors(self) -> Any:
        """A full disk or a missing permission becomes one sentence."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise GanlabError(f"cannot write {self.path}: {reason}; nothing was changed there") from error

    def _finish(self) -> None:
        """Fill in the count, write the small parts, and put the folder in its place."""
        if not self.count:
            raise GanlabError(f"no image was added to {self.path}; a pack needs at least one")
        with self._os_errors():
            self._stream.seek(0)
            self._stream.write(_npy_header((self.count, self.size, self.size, 3)))
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            if any(label != UNKNOWN for label in self._labels):
                np.save(self._temporary / "labels.npy", np.array(self._labels, dtype=np.int64))
            # A split says of every image where it belongs; half of one could not be used.
            if all(part != UNKNOWN for part in self._split):
                np.save(self._temporary / "split.npy", np.array(self._split, dtype=np.uint8))
            if any(self._files):
                write_json(self._temporary / "files.json", self._files)
            versions = {"ganlab": ganlab.__version__, "numpy": np.__version__, "pillow": PIL.__version__}
            meta = {
                "format": FORMAT,
                "version": VERSION,
                "shape": [self.count, self.size, self.size, 3],
                "images_sha256": self._digest.hexdigest(),
                **self.meta,
                "written_with": versions,
            }
            write_json(self._temporary / "meta.json", meta)
            self._move_in()

    def _move_in(self) -> None:
        """Rename the finished folder over the target; an old pack is set aside first, then removed."""
        if self._yield and self.path.exists():
            return
        refuse_existing(self.path, self._overwrite)
        aside = temporary_path(self.path, "old")
        if self.path.exists():
            os.rename(self.path, aside)
        os.rename(self._temporary, self.path)
        shutil.rmtree(aside, ignore_errors=True)


def cache_folder(configured: str | None) -> Path:
    """``data.cache``, else the environment's GANLAB_CACHE, else the platform's cache folder for a user."""
    if configured or os.environ.get("GANLAB_CACHE"):
        return Path(configured or os.environ["GANLAB_CACHE"]).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "ganlab"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "ganlab" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganlab"


def cached_pack(folder: Path, name: str, key: dict[str, Any], build: Callable[[Path], None]) -> Pack:
    """The pack of a key, built by ``build(path)`` if it is not in the cache yet.

    Args:
        folder: the cache folder.
        name: first part of the pack's name, for people.
        key: everything the pack's content depends on; its SHA-256 is the second part of the name.
        build: writes the pack, with ``PackWriter(path, ..., yield_to_existing=True)``.
    """
    path = folder / f"{name}-{sha256_json(key)[:16]}{SUFFIX}"
    if not path.exists():
        # Of images that have changed since, whose pack has another name, too.
        remove_leftovers(folder, inside=True)
        build(path)
    return read_pack(path)
