"""One process at a time in a folder; the system gives the lock back however the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import IO


class InUseError(Exception):
    """Another process holds the lock; the text is its process number, or "unknown"."""


class FileLock:
    """An exclusive lock on a file, made if absent, that holds the owner's process number.

    Use it in a ``with`` block, or call `take` and `release`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._stream: IO[str] | None = None

    def take(self) -> None:
        """Take the lock without waiting.

        Raises:
            InUseError: another process has it.
            OSError: the file cannot be made, or its file system has no locks.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        stream = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            stream.close()
            raise InUseError(holder) from error
        except OSError:
            stream.close()
            raise
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        self._stream = stream

    def release(self) -> None:
        """Give it back; nothing if it is not held."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __enter__(self) -> FileLock:
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
