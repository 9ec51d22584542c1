"""Python processes that end with the one that started them, however that one ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from ganlab.util.signals import TERMINATED, terminable

GRACE_SECONDS = 60.0
"""What a process has to save its work in after SIGTERM."""
PR_SET_PDEATHSIG = 1
"""Linux's number of "send me this signal when my parent ends"."""


class Child:
    """``python -m MODULE ARGUMENTS``, which gets SIGTERM when this process ends, by kill -9 too.

    Args:
        module: what is run.
        arguments: its command line.
        output: file to which all it prints is appended.
        threads: of its OpenMP; set in its environment, because later is too late for some libraries.
    """

    def __init__(self, module: str, arguments: Sequence[str], output: Path, threads: int) -> None:
        self.output = output
        output.parent.mkdir(parents=True, exist_ok=True)
        # Nobody writes into this pipe: whoever reads from it learns that this process is gone.
        lifeline, self._held = os.pipe()
        try:
            with output.open("ab") as stream:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", __name__, str(lifeline), str(os.getpid()), module, *arguments],
                    stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, pass_fds=(lifeline,),
                    env={**os.environ, "OMP_NUM_THREADS": str(threads)},
                )  # fmt: skip
        except OSError:
            os.close(self._held)
            raise
        finally:
            os.close(lifeline)

    def status(self) -> int | None:
        """Exit status; None while it runs."""
        return self.process.poll()

    def last_lines(self, count: int) -> list[str]:
        """The end of what it printed."""
        return self.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-count:]

    def close(self, deadline: float = 0.0) -> None:
        """Wait for its end until ``deadline`` (``time.monotonic``), then kill it."""
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._held)


def stop(children: Iterable[Child]) -> None:
    """Ask all of them to save and leave; kill those that have not after a minute."""
    asked = list(children)
    for child in asked:
        child.process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for child in asked:
        child.close(deadline)


def _end_with(lifeline: int) -> None:
    """Leave when the pipe ends: politely, and after the grace period for certain."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(TERMINATED)


def _run() -> None:
    """The child's side: tie its life to the parent's, then be the module that was asked for."""
    lifeline, parent, module = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    # The kernel's signal reaches a process whose threads are all busy; other systems have the pipe alone.
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # It ended before the signal was asked for.
        sys.exit(TERMINATED)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    sys.argv = [module, *sys.argv[4:]]
    with terminable():
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _run()
