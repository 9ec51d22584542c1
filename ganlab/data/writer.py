"""Write a pack image by image, atomically: a temporary folder beside the target, renamed at the end."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL

import ganlab
from ganlab.data.pack import FORMAT, VERSION
from ganlab.errors import GanlabError
from ganlab.util.atomic import write_json

_HEADER_BYTES = 128
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
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._digest = hashlib.sha256()
        self._labels: list[int] = []
        self._split: list[int] = []
        self._files: list[str] = []

    def __enter__(self) -> PackWriter:
        refuse_existing(self.path, self._overwrite or self._yield)
        with self._os_errors():
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary.mkdir(parents=True)
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
            self._write_columns()
            write_json(self._temporary / "meta.json", self._complete_meta())
            self._move_in()

    def _write_columns(self) -> None:
        """labels, split and files, where they are known for at least one image (split: for all)."""
        if any(label != UNKNOWN for label in self._labels):
            np.save(self._temporary / "labels.npy", np.array(self._labels, dtype=np.int64))
        if all(part != UNKNOWN for part in self._split):
            np.save(self._temporary / "split.npy", np.array(self._split, dtype=np.uint8))
        if any(self._files):
            write_json(self._temporary / "files.json", self._files)

    def _complete_meta(self) -> dict[str, Any]:
        """What the caller said, with what the writer knows."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "shape": [self.count, self.size, self.size, 3],
            "images_sha256": self._digest.hexdigest(),
            **self.meta,
            "written_with": {
                "ganlab": ganlab.__version__,
                "numpy": np.__version__,
                "pillow": PIL.__version__,
            },
        }

    def _move_in(self) -> None:
        """Rename the finished folder over the target; an old pack is set aside first, then removed."""
        if self._yield and self.path.exists():
            return
        refuse_existing(self.path, self._overwrite)
        aside = self.path.with_name(f".{self.path.name}.{os.getpid()}.old")
        if self.path.exists():
            os.rename(self.path, aside)
        os.rename(self._temporary, self.path)
        shutil.rmtree(aside, ignore_errors=True)
