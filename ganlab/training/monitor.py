"""What a run tells: metrics.jsonl, TensorBoard, the log file, sample grids with their spectrum."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from ganlab.config.schema import Config
from ganlab.training.run_folder import LOG, METRICS, RunFolder, cut_metrics
from ganlab.util.atomic import atomic_path

CLOCK_WAIT, CLOCK_TRIES = 0.05, 24
"""Seconds between looks at the clock, and how many: a little over a second."""


class Monitor:
    """Writes of one run; the process that is not the main one gets a `SilentMonitor`."""

    def __init__(self, folder: RunFolder, config: Config, start: int) -> None:
        self.folder = folder
        cut_metrics(folder.path / METRICS, start)
        self._metrics = open(folder.path / METRICS, "a", encoding="utf-8")  # noqa: SIM115
        self._log = open(folder.path / LOG, "a", encoding="utf-8")  # noqa: SIM115
        self._board = _board(folder.path / "tensorboard", start) if config.logging.tensorboard else None
        self._clock, self._clock_step = time.monotonic(), start

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._metrics.close()
        self._log.close()
        if self._board is not None:
            self._board.close()

    def say(self, text: str) -> None:
        """A line on standard output and, with the time, in log.txt."""
        print(text, flush=True)  # noqa: T201
        self._log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        self._log.flush()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One line of metrics.jsonl (no clock times in it: a resumed run writes the same bytes)."""
        self._metrics.write(json.dumps({"step": step, **values}) + "\n")
        self._metrics.flush()
        if self._board is None:
            return
        for name, value in values.items():
            self._board.add_scalar(name, value, step)
        now = time.monotonic()
        speed = (step - self._clock_step) / max(now - self._clock, 1e-9)
        self._board.add_scalar("time/steps_per_second", speed, step)
        # A killed process loses what its writer still held, and a resumed one starts after the checkpoint.
        self._board.flush()
        self._clock, self._clock_step = now, step

    def picture(self, step: int, name: str, image: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        """A uint8 ``(H, W, 3)`` picture into samples/ and TensorBoard."""
        with atomic_path(self.folder.samples / f"{name}-{step:09d}.png") as temporary:
            Image.fromarray(image).save(temporary, format="PNG")
        if self._board is not None:
            self._board.add_image(name, image, step, dataformats="HWC")


class SilentMonitor(Monitor):
    """Says and writes nothing: for the other processes of a distributed run."""

    def __init__(self) -> None:
        """Open nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""

    def say(self, text: str) -> None:
        """Nothing."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""

    def picture(self, step: int, name: str, image: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        """Nothing."""


def _board(folder: Path, start: int) -> Any:
    """A TensorBoard writer; events after ``start`` that an earlier process left are purged."""
    from torch.utils.tensorboard import SummaryWriter

    _wait_for_a_later_name(folder)
    # Also from the start: a process killed before its first checkpoint has left events.
    return SummaryWriter(str(folder), purge_step=start + 1)


def _wait_for_a_later_name(folder: Path) -> None:
    """Event files are named by the second and read in the order of their names.

    A run that is resumed within the second of its last start would otherwise have its events read before
    those it replaces, which then come back.
    """
    seconds = [int(path.name.split(".")[3]) for path in folder.glob("events.out.tfevents.*")]
    # No longer than that: a clock that was set back must not stop a run.
    for _ in range(CLOCK_TRIES):
        if not seconds or int(time.time()) > max(seconds):
            return
        time.sleep(CLOCK_WAIT)
