"""Files appear complete or not at all: written beside under a temporary name, flushed, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganlab.errors import GanlabError
from ganlab.util.lock import FileLock, is_held

LEFTOVER = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)\.(tmp|old)")
"""Names of unfinished writes: of what, and by which process."""


def temporary_path(path: str | os.PathLike[str], ending: str = "tmp") -> Path:
    """Where this process prepares ``path``: beside it, under a name that `remove_leftovers` knows."""
    target = Path(path)
    return target.with_name(f".{target.name}.{os.getpid()}.{ending}")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it over ``path`` on success, remove it on failure.

    What dead processes left of earlier attempts at ``path`` is removed.

    Raises:
        GanlabError: the operating system refused (disk full, no permission, ...), or there is a device, a
            pipe or an open file's other name; ``path`` is as it was.
    """
    target, temporary = Path(path), temporary_path(path)
    if is_stream(target) or _is_open_file(target):
        # For a user with all rights a rename would put a file in the place of /dev/null or /dev/stdout.
        raise GanlabError(f"cannot write {target}: it is a device, a pipe or an open file; name a file")
    try:
        remove_leftovers(target)
        # Locked, so that a process of another container, which cannot see this one, leaves it alone.
        with FileLock(temporary, guarded=target):
            try:
                yield temporary
                _flush_to_disk(temporary)
                os.replace(temporary, target)
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
    except OSError as error:
        raise GanlabError(
            f"cannot write {target}: {error.strerror or error}; nothing was changed there"
        ) from error


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether something is there that takes bytes and is no file to replace: a device, a pipe, a terminal."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _is_open_file(path: Path) -> bool:
    """Whether this is the system's name of an open file, as /dev/stdout is where it goes into a file."""
    return path.is_symlink() and "/proc/" in (os.readlink(path)[:6], os.path.realpath(path.parent)[:6])


def remove_leftovers(path: str | os.PathLike[str], inside: bool = False) -> None:
    """Remove unfinished writes of processes that no longer live, and of none else.

    Args:
        path: a file or folder; what it leaves behind lies beside it.
        inside: remove also what lies in the folder, however deep.
    """
    target = Path(path).absolute()
    beside = f".{target.name}."
    found = [entry for entry in _entries(target.parent) if entry.name.startswith(beside)]
    folders: list[str | Path] = [target] if inside else []
    while folders:
        entries = _entries(folders.pop())
        found += entries
        folders += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    for entry in found:
        match = LEFTOVER.fullmatch(entry.name)
        # What carries this process's own number was left by an earlier one that had the same number; unless
        # somebody holds it: this process itself, or one of another container.
        dead = match and (int(match["pid"]) == os.getpid() or not _lives(int(match["pid"])))
        if not dead or entry.is_symlink() or is_held(entry.path):
            continue
        if entry.is_dir():
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(entry.path)


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """What is in a folder; nothing if there is none."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


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
    """Write ``data`` to ``path`` atomically; a device or a pipe just gets it.

    Raises:
        GanlabError: as `atomic_path`, of what is a file or none.
    """
    if not is_stream(path):
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
        return
    try:
        with open(path, "ab") as stream:
            stream.write(data)
    except OSError as error:
        raise GanlabError(f"cannot write {path}: {error.strerror or error}") from error


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
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """What `write_json` writes."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"
