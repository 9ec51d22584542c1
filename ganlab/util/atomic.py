"""Files appear complete or not at all: written beside under a temporary name, flushed, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganlab.errors import GanlabError

TEMPORARY = re.compile(r"\..+\.\d+\.tmp")


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
    """Remove what killed processes left of unfinished writes; only for who alone writes to ``folder``."""
    for path in Path(folder).glob(".*.tmp"):
        if TEMPORARY.fullmatch(path.name):
            with contextlib.suppress(OSError):
                path.unlink()


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
    """Write UTF-8 text to ``path`` atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON to ``path`` atomically. NaN is refused: it is not JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
