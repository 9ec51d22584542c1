"""Files appear complete or not at all: written beside under a temporary name, flushed, then renamed."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganlab.errors import GanlabError

LEFTOVER = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)\.(tmp|old)")
"""Names of unfinished writes: of what, and by which process."""


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it over ``path`` on success, remove it on failure.

    Raises:
        GanlabError: the operating system refused (disk full, no permission, ...); ``path`` is as it was.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise GanlabError(
            f"cannot write {target}: {error.strerror or error}; nothing was changed there"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove unfinished writes of processes that no longer live: in ``folder``, and of the folder beside it.

    Call it under the folder's lock, before anything is written there.
    """
    place = Path(folder).absolute()
    beside = (path for path in place.parent.glob(f".{glob.escape(place.name)}.*") if path.is_dir())
    for path in [*place.glob(".*"), *beside]:
        match = LEFTOVER.fullmatch(path.name)
        # What carries this process's own number was left by an earlier one that had the same number.
        if match and (int(match["pid"]) == os.getpid() or not _lives(int(match["pid"]))):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _flush_to_disk(path: Path) -> None:
    """A rename must not overtake the data: after a power cut the file is the old one or the new one."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text to ``path`` atomically.

    Raises:
        GanlabError: half a surrogate pair in the text, or as `atomic_path`.
    """
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise GanlabError(f"cannot write {path}: {text[error.start :][:20]!r} is no Unicode text") from error
    write_bytes(path, data)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON to ``path`` atomically. NaN is refused: it is not JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
