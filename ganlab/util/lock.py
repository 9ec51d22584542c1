"""One process at a time in a folder; the system gives the lock back however the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import IO

from ganlab.errors import GanlabError


class InUseError(GanlabError):
    """Another process holds the lock.

    Attributes:
        holder: its process number as text, or "unknown".
    """

    def __init__(self, guarded: Path, holder: str) -> None:
        super().__init__(f"{guarded} is in use by another process (pid {holder})")
        self.holder = holder


def is_held(path: str | os.PathLike[str]) -> bool:
    """Whether a process holds a file or folder, also one of another container or machine."""
    try:
        os.close(hold(path))
    except BlockingIOError:
        return True
    except OSError:  # also of a file system without locks
        return False
    return False


def hold(path: str | os.PathLike[str]) -> int:
    """Make `is_held` true of a file or folder until the returned descriptor is closed, or the process ends.

    Raises:
        OSError: there is none, somebody holds it, or its file system has no locks.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not wait for a writer
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


class FileLock:
    """An exclusive lock on a file, made if absent, that holds the owner's process number.

    Use it in a ``with`` block, or call `take` and `release`.

    Args:
        path: the lock file.
        guarded: what the lock stands for in error messages; by default the lock file's folder.
    """

    def __init__(self, path: str | os.PathLike[str], guarded: Path | None = None) -> None:
        self.path = Path(path)
        self.guarded = guarded or self.path.parent
        self._stream: IO[str] | None = None

    def take(self) -> None:
        """Take the lock without waiting.

        Raises:
            InUseError: another process has it.
            GanlabError: the file cannot be made, or its file system has no locks.
        """
        try:
            while self._stream is None:
                self._stream = self._attempt()
        except OSError as error:
            raise GanlabError(f"cannot write {self.guarded}: {error.strerror or error}") from error

    def _attempt(self) -> IO[str] | None:
        """The locked file; None where its owner removed it while this process opened it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        stream = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            with stream:
                stream.seek(0)
                raise InUseError(self.guarded, stream.read().strip() or "unknown") from error
        except OSError:
            stream.close()
            raise
        # A lock on a file that no longer has this name guards nothing: the next process makes a new one.
        if not self.path.exists() or not os.path.samestat(os.fstat(stream.fileno()), self.path.stat()):
            stream.close()
            return None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        return stream

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
