"""Ctrl-C and SIGTERM: leave by an exception, so that whoever has begun something clears up; or save first."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
"""Exit statuses of a program that was asked to end, as shells have them."""
ASK_AGAIN_SECONDS = 0.05


class Terminated(SystemExit):
    """SIGTERM came. Nobody need catch it: the process ends with status 143."""

    def __init__(self) -> None:
        super().__init__(TERMINATED)


class _Leave:
    """The handler of SIGTERM: raises `Terminated` once, so clearing up is not broken off by a second one."""

    def __init__(self) -> None:
        self.asked = False
        self.other = sys.unraisablehook

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            raise Terminated

    def unraised(self, dropped: Any) -> None:
        """Python drops what is raised in a destructor; this exception must come again outside of it."""
        if not issubclass(dropped.exc_type, Terminated):
            self.other(dropped)
            return
        self.asked = False
        main = threading.main_thread().ident
        again = threading.Timer(ASK_AGAIN_SECONDS, signal.pthread_kill, (main, signal.SIGTERM))
        again.daemon = True
        again.start()


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises `Terminated` inside, so that ``finally`` blocks run.

    Only in the main thread, where alone Python handles signals; inside another such block it is that one's.
    """
    inside = isinstance(signal.getsignal(signal.SIGTERM), _Leave)
    if inside or threading.current_thread() is not threading.main_thread():
        yield
        return
    leave = _Leave()
    before = signal.signal(signal.SIGTERM, leave)
    sys.unraisablehook = leave.unraised
    try:
        yield
    finally:
        sys.unraisablehook = leave.other
        signal.signal(signal.SIGTERM, before)


class StopRequest:
    """Inside the ``with`` block, Ctrl-C and SIGTERM set ``number`` instead of ending the process.

    A loop looks at it after each step. A second Ctrl-C does not ask.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        # Python delivers signals to the main thread only; elsewhere the caller's own handling stays.
        if threading.current_thread() is threading.main_thread():
            numbers = (signal.SIGINT, signal.SIGTERM)
            self._before = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number
