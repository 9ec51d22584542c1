"""Several trainings at once as processes of their own, each with its bar; for machines with a few cores."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.config import Config, dump
from ganlab.errors import GanlabError
from ganlab.util.atomic import write_text
from ganlab.util.progress import bar

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Job:
    """One training: its configuration and its run folder."""

    config: Config
    folder: Path


def train_side_by_side(jobs: Sequence[Job], at_once: int) -> None:
    """Train all jobs, ``at_once`` at a time; finished runs are left alone, unfinished ones resumed.

    A process each, because one thread per run uses a few cores better than one run on all of them.

    Raises:
        GanlabError: a training failed; its last lines are in the message, the others were stopped cleanly.
    """
    waiting, running = list(jobs), dict[str, _Child]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                taken = {child.position for child in running.values()}
                free = next(place for place in range(at_once) if place not in taken)
                running[str(job.folder)] = _Child(job, position=free)
            for name, child in list(running.items()):
                if child.poll():
                    del running[name]
            time.sleep(POLL_SECONDS)
    finally:
        for child in running.values():
            child.stop()


class _Child:
    """A ``ganlab train`` process whose metrics file feeds a bar."""

    def __init__(self, job: Job, position: int) -> None:
        self.job, self.position = job, position
        # Not with_suffix: it would take "lr-0.1" and "lr-0.2" for the same name.
        plan, self.output = (job.folder.with_name(job.folder.name + end) for end in (".yaml", ".out"))
        write_text(plan, dump(job.config))
        command = [sys.executable, "-m", "ganlab.cli", "train", str(plan), f"out={job.folder}"]
        with self.output.open("w") as stream:
            self.process = subprocess.Popen(command, stdout=stream, stderr=stream, env=_environment())
        total = job.config.training.steps
        self.bar: Any = bar(total=total, desc=f"{job.folder.name:<12}", unit="step", position=position)

    def poll(self) -> bool:
        """Move the bar; whether the process is done."""
        status = self.process.poll()
        self.bar.update(max(0, last_step(self.job.folder / "metrics.jsonl") - self.bar.n))
        if status is None:
            return False
        self.bar.close()
        if status != 0:
            lines = self.output.read_text().strip().splitlines()[-4:]
            raise GanlabError(f"training {self.job.folder} failed:\n  " + "\n  ".join(lines))
        return True

    def stop(self) -> None:
        """Ask the process to save and leave."""
        self.bar.close()
        self.process.terminate()
        self.process.wait()


def _environment() -> dict[str, str]:
    """One OpenMP thread: a run's own ``training.threads`` comes too late for some libraries."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def last_step(metrics: Path) -> int:
    """Step of the last complete line of a metrics file; 0 when there is none."""
    if not metrics.exists():
        return 0
    with metrics.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 2000))
        lines = stream.read().split(b"\n")
    for line in reversed(lines[:-1]):
        _, _, rest = line.partition(b'"step":')
        if rest:
            return int(rest.split(b",")[0])
    return 0
