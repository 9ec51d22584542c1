"""The one door for files that somebody else may have written: whatever is wrong with them is one GanlabError.

Every reader of ganlab opens files by `open_regular` or `Archive`, parses JSON by `parse_json`, and calls
the libraries that read other formats (numpy, safetensors, torch, Pillow) inside `reading`. Their own
exceptions are of dozens of kinds, and a list of them is never complete: inside the block all are caught.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import NoneType
from typing import IO, Any

from ganlab.errors import GanlabError

LARGEST_TEXT = 256 * 2**20
"""Bytes of the largest text file that is read whole: everything ganlab writes is far smaller."""
DEEPEST = 64
"""Levels of the deepest JSON: ganlab writes ten; deeper ones would end later, in somebody's recursion."""
SAFE_BYTES, SAFE_RATIO = 64 * 2**20, 200
"""What may unpack to more than so many times its size: this many bytes. Photographs reach a ratio of 20."""
REASON = 200
"""Characters of a library's message that are passed on."""
METHODS = {
    zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflate", zipfile.ZIP_BZIP2: "bzip2",
    zipfile.ZIP_LZMA: "LZMA",
}  # fmt: skip
_HALF_PAIR = re.compile(r"[\ud800-\udfff]")
_KINDS = {dict: "object", list: "array", str: "string", NoneType: "null"}


@contextlib.contextmanager
def reading(path: object, part: str = "", expected: str = "") -> Iterator[None]:
    """Inside the block, whatever a damaged or foreign file makes a reader raise becomes one GanlabError.

    Args:
        path: the file, for the message.
        part: which part of it: a member of an archive, or what was looked for.
        expected: what would be right.

    Raises:
        GanlabError: in place of every exception; one that is a GanlabError already passes unchanged.
    """
    try:
        yield
    except GanlabError:
        raise
    except BaseException as error:
        # safetensors' Rust code panics with a class that is no Exception; signals and exits must pass.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        where = f"{path}: {part}" if part else str(path)
        wanted = f"; expected {expected}" if expected else ""
        raise GanlabError(f"{where} cannot be read: {reason(error)}{wanted}") from error


def reason(error: BaseException) -> str:
    """Why something could not be read, in one line of at most `REASON` characters."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "it says that it needs more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 text (byte {error.start})"
    if isinstance(error, KeyError) and error.args:
        return f"it is damaged, it lacks {error.args[0]!r}"[:REASON]
    text = " ".join(str(error).split())
    if "allow_pickle" in text or "Object arrays" in text:
        return "it holds pickled objects, which can run code and are never loaded"
    shown = text[:REASON] + (" ..." if len(text) > REASON else "")
    return f"it is damaged or of another kind ({shown or type(error).__name__})"


# ---------------------------------------------------------------------------------------------------- files


def open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """A file's bytes, opened for reading.

    Raises:
        OSError: it cannot be opened, or it is a pipe, a socket or a device, which may never end.
        ValueError: no operating system has such a path.
    """
    if stat.S_ISDIR(mode := os.stat(path).st_mode):
        raise IsADirectoryError(0, "it is a folder", os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(0, "it is a pipe, a socket or a device, and no regular file", os.fspath(path))
    return open(path, "rb")


def read_bytes(path: str | os.PathLike[str], largest: int = LARGEST_TEXT) -> bytes:
    """The whole of a regular file.

    Raises:
        GanlabError: missing, no regular file, not readable, or larger than ``largest`` bytes.
    """
    if not os.path.lexists(path):
        raise GanlabError(f"{path} is missing")
    with reading(path), open_regular(path) as stream:
        data = stream.read(largest + 1)
    if len(data) > largest:
        raise GanlabError(f"{path} has more than {largest} bytes: no file that ganlab reads")
    return data


def read_text(path: str | os.PathLike[str], largest: int = LARGEST_TEXT, errors: str = "strict") -> str:
    """The whole of a UTF-8 text file, with or without a byte order mark.

    Raises:
        GanlabError: as `read_bytes`, or it is not UTF-8 and ``errors`` is "strict".
    """
    data = read_bytes(path, largest)
    with reading(path):
        return data.decode("utf-8-sig", errors)


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: no half of a surrogate pair in it.

    File names that are not UTF-8 arrive with such halves in them.
    """
    return not _HALF_PAIR.search(text)


# ----------------------------------------------------------------------------------------------------- JSON


def parse_json(text: str | bytes, source: object, kind: type[Any] | None = None, finite: bool = True) -> Any:
    """The value of a JSON text, strictly: what it says can be computed with and be written again.

    Args:
        text: the text, or its bytes in UTF-8.
        source: where it stands, for messages.
        kind: what the top level must be: dict or list; anything when absent.
        finite: NaN, infinity and numbers beyond double precision are errors; otherwise they are read.

    Raises:
        GanlabError: not JSON, a number that is not finite or beyond 64 bits, a key twice, half a surrogate
            pair, more than `DEEPEST` levels, or another kind.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        value = json.loads(
            text, parse_constant=_no_number if finite else float, parse_float=_finite if finite else float,
            parse_int=_integer, object_pairs_hook=_unique,
        )  # fmt: skip
        _walk(value)
    except (ValueError, RecursionError) as error:
        what = reason(error) if isinstance(error, RecursionError | UnicodeDecodeError) else str(error)
        raise GanlabError(f"{source} is no readable JSON: {what}") from error
    if kind is not None and not isinstance(value, kind):
        held = _KINDS.get(type(value), "number")
        raise GanlabError(f"{source}: expected a JSON {_KINDS[kind]}, got a JSON {held}")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"the number {text[:40]} is out of range")
    return value


def _integer(text: str) -> int:
    # The length first: Python takes quadratic time for thousands of digits.
    if len(text) > 20 or not -(2**63) <= (value := int(text)) < 2**64:
        raise ValueError(f"the number {text[:40]} is out of range")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:40]!r} stands twice")
    return value


def _walk(value: Any) -> None:
    """Refuse what is too deep and texts that cannot be written."""
    level = [value]
    for _ in range(DEEPEST + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if not is_unicode(item):
                    raise ValueError(f"half a surrogate pair in {item[:40]!r}")
            elif isinstance(item, dict):
                below += item.keys()
                below += item.values()
            elif isinstance(item, list):
                below += item
        level = below
        if not level:
            return
    raise ValueError(f"nested too deep, over {DEEPEST} levels")


def read_json(path: str | os.PathLike[str], kind: type[Any] | None = None) -> Any:
    """The value in a JSON file; ``kind`` is dict or list where the top level must be one.

    Raises:
        GanlabError: as `read_bytes` and `parse_json`.
    """
    return parse_json(read_bytes(path), path, kind)


def read_json_lines(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The objects of a file with one in each line; lines that a kill cut off or a fault spoiled are left out.

    Numbers may be NaN or infinite, as logs have them.

    Raises:
        GanlabError: as `read_bytes`.
    """
    rows = []
    for line in read_text(path, errors="replace").splitlines():
        with contextlib.suppress(GanlabError):
            rows.append(parse_json(line, path, dict, finite=False))
    return rows


# --------------------------------------------------------------------------------------------------- tensors


@contextlib.contextmanager
def open_safetensors(
    path: str | os.PathLike[str], framework: str, expected: str
) -> Iterator[tuple[dict[str, str], Any]]:
    """Metadata and the open file, for a ``with`` block in which all of it is read.

    Args:
        path: the file.
        framework: what its tensors become: "pt" or "numpy".
        expected: whose file it should be, for the message.

    Raises:
        GanlabError: no safetensors file, or anything that is raised inside the block.
    """
    # Imported late: it takes as long as all else here, and most commands read no tensors.
    import safetensors

    with reading(path, expected=expected):
        open_regular(path).close()
        with safetensors.safe_open(os.fspath(path), framework=framework) as opened:
            yield dict(opened.metadata() or {}), opened


# ----------------------------------------------------------------------------------------------------- zips


def refuse_bomb(source: object, packed: int, unpacked: int) -> None:
    """Call it before anything is unpacked.

    Raises:
        GanlabError: ``packed`` bytes that would become so many that they can only be a trap.
    """
    if unpacked > SAFE_BYTES and unpacked > SAFE_RATIO * max(packed, 0):
        raise GanlabError(
            f"{source}: {packed} bytes would unpack to {unpacked}; no images do, it is not read"
        )


class Archive:
    """A zip that somebody else made; members are checked before they are unpacked. Threads may share it.

    Args:
        path: the file.

    Attributes:
        names: of its members, in their order.

    Raises:
        GanlabError: no readable zip.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with reading(path, expected="a zip archive"):
            self._zip = zipfile.ZipFile(open_regular(path))
        self.names = self._zip.namelist()

    def open(self, name: str) -> IO[bytes]:
        """A member's bytes, to read and to seek in.

        Raises:
            GanlabError: encrypted, packed by an unknown method, damaged, or far larger than any image.
        """
        info = self._checked(name)
        with reading(self.path, name):
            stream = self._zip.open(info)
            # Seeking back in a packed member would unpack it from its beginning each time.
            if info.compress_type == zipfile.ZIP_STORED:
                return stream
            with stream:
                return BytesIO(stream.read())

    def stream(self, name: str) -> IO[bytes]:
        """A member's bytes, unpacked while they are read in order: call inside `reading`.

        Raises:
            GanlabError: as `open`, for what is known before reading.
        """
        info = self._checked(name)
        with reading(self.path, name):
            return self._zip.open(info)

    def read(self, name: str) -> bytes:
        """A member as a whole.

        Raises:
            GanlabError: as `open`.
        """
        with self.open(name) as stream, reading(self.path, name):
            return stream.read()

    def size(self, name: str) -> int:
        """Bytes of a member when it is unpacked, as the archive says."""
        return self._checked(name).file_size

    def check(self) -> None:
        """Hold every member against what can be read and what is safe to unpack.

        Raises:
            GanlabError: naming the first that is neither.
        """
        for name in self.names:
            self._checked(name)

    def _checked(self, name: str) -> zipfile.ZipInfo:
        with reading(self.path):
            info = self._zip.getinfo(name)
        where = f"{self.path}: {name}"
        if info.flag_bits & 1:
            raise GanlabError(f"{where} is encrypted; unpack it with its password first")
        if info.compress_type not in METHODS:
            known = ", ".join(METHODS.values())
            raise GanlabError(
                f"{where} is packed by method {info.compress_type}; expected one of {known}: pack it again"
            )
        refuse_bomb(where, info.compress_size, info.file_size)
        return info
