"""Cells as jobs: processes of this machine, so many at a time, or SLURM jobs through submitit."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.errors import GanlabError
from ganlab.experiments.ablation.measure import FAILURE, busy, read_result, run_cell
from ganlab.util.children import Child, stop
from ganlab.util.progress import bar
from ganlab.util.signals import terminable

POLL_SECONDS = 0.5
ATTEMPTS = 3
"""A job that ends without a word (killed, out of memory, preempted) is started again, from its checkpoint."""
SLURM_MINUTES = 24 * 60
"""A SLURM job's limit where ``timeout_min`` is not given; submitit's own is five minutes."""


@dataclass(frozen=True)
class Cluster:
    """Where jobs run.

    Attributes:
        kind: "local" or "slurm".
        at_once: jobs at a time; local ones share the cores.
        options: submitit parameters of SLURM jobs, such as ``slurm_partition`` or ``timeout_min``.
        minutes: after so many the jobs are told to save and leave, and no other is started.
    """

    kind: str = "local"
    at_once: int = 1
    options: Mapping[str, Any] | None = None
    minutes: float | None = None


def check_cluster(cluster: Cluster) -> None:
    """Whether jobs can be started there.

    Raises:
        GanlabError: an unknown cluster, no job or no time, options for local jobs, and for SLURM: submitit is
            not installed, or SLURM's programs are not there.
    """
    if cluster.kind not in ("local", "slurm"):
        raise GanlabError(f"unknown cluster {cluster.kind!r}: expected local or slurm")
    if cluster.at_once < 1:
        raise GanlabError(f"at least one job at a time; got {cluster.at_once}")
    if cluster.minutes is not None and not cluster.minutes > 0:
        raise GanlabError(f"--minutes {cluster.minutes:g}: expected more than 0")
    if cluster.kind == "local":
        if cluster.options:
            names = ", ".join(cluster.options)
            raise GanlabError(f"--option {names}: these are parameters of SLURM jobs; add --cluster slurm")
        return
    try:
        import submitit  # noqa: F401
    except ImportError as error:
        raise GanlabError("--cluster slurm submits its jobs with submitit: pip install submitit") from error
    missing = [name for name in ("sbatch", "srun") if shutil.which(name) is None]
    if missing:
        raise GanlabError(
            f"--cluster slurm: looked for {' and '.join(missing)} on PATH and found none; run this on a "
            "login node of the cluster, or use --cluster local"
        )


def run_cells(
    folders: Sequence[Path], logs: Path, cluster: Cluster, done: Callable[[Path], bool]
) -> dict[Path, str]:
    """Work on cells until each is done, diverged or failed, or the cluster's minutes are over.

    However this process ends, local jobs end with it; SLURM jobs are cancelled unless it is killed.

    Args:
        folders: cells with their ``cell.json``.
        logs: folder for what the jobs print.
        cluster: where and how many at a time.
        done: whether a cell has its result.

    Returns:
        Folder -> why it has no result, for those that failed.

    Raises:
        GanlabError: as `check_cluster`, or a job cannot be started.
        Terminated: SIGTERM came; jobs were told to save and have ended.
    """
    check_cluster(cluster)
    jobs: Any = (_LocalJobs if cluster.kind == "local" else _SlurmJobs)(logs, cluster)
    queue = _Queue(folders, jobs, cluster.at_once, done)
    deadline = math.inf if cluster.minutes is None else time.monotonic() + 60.0 * cluster.minutes
    with terminable(), bar(total=len(folders), desc="cells", unit="cell") as line:
        try:
            while queue.left and time.monotonic() < deadline:
                line.update(queue.turn())
                time.sleep(POLL_SECONDS)
        finally:
            jobs.stop(queue.running.values())
    return queue.failures


class _LocalJobs:
    """Jobs as processes of this machine; each prints into a file named after its cell."""

    def __init__(self, logs: Path, cluster: Cluster) -> None:
        self.logs, self.threads = logs, max(1, (os.cpu_count() or 1) // cluster.at_once)

    def start(self, folder: Path) -> Child:
        module = __name__.rpartition(".")[0]
        return Child(module, [str(folder)], self.logs / f"{folder.name}.out", self.threads)

    def ended(self, job: Child, done: bool) -> bool:
        if job.status() is None:
            return False
        job.close()
        return True

    def last_line(self, job: Child) -> str:
        return "".join(job.last_lines(1))

    stop = staticmethod(stop)


class _SlurmJobs:
    """Jobs through submitit, which keeps its own files in the folder."""

    def __init__(self, logs: Path, cluster: Cluster) -> None:
        import submitit

        options = dict(cluster.options or {})
        try:
            self.executor = submitit.AutoExecutor(folder=logs, cluster=cluster.kind)
            self.executor.update_parameters(**({"timeout_min": SLURM_MINUTES} | options))
        except (NameError, ValueError, AssertionError) as error:
            raise GanlabError(f"--option: submitit refuses {options}: {error}") from error

    def start(self, folder: Path) -> Any:
        try:
            return self.executor.submit(run_cell, str(folder))
        except Exception as error:
            # submitit's own errors have no common class; sbatch's words are in them.
            raise GanlabError(f"cannot start a job for {folder}: {error}") from error

    def ended(self, job: Any, done: bool) -> bool:
        # SLURM's own word on a job that has written its result may be half a minute late.
        return done or bool(job.done())

    def last_line(self, job: Any) -> str:
        return "".join(str(job.stderr() or "").strip().splitlines()[-1:])

    def stop(self, jobs: Iterable[Any]) -> None:
        for job in jobs:
            job.cancel(check=False)


class _Queue:
    """Cells that wait, run, are worked on by an earlier call's SLURM job, or have failed."""

    def __init__(
        self, folders: Sequence[Path], jobs: Any, at_once: int, done: Callable[[Path], bool]
    ) -> None:
        self.waiting, self.jobs, self.at_once, self.done = list(folders), jobs, at_once, done
        self.running: dict[Path, Any] = {}
        self.elsewhere: list[Path] = []
        self.attempts: dict[Path, int] = {}
        self.failures: dict[Path, str] = {}

    @property
    def left(self) -> int:
        """Cells that are not settled."""
        return len(self.waiting) + len(self.running) + len(self.elsewhere)

    def turn(self) -> int:
        """Settle what has ended and start what fits; returns how many were settled."""
        before = self.left
        for folder, job in list(self.running.items()):
            if self.jobs.ended(job, self.done(folder)):
                del self.running[folder]
                self._settle(folder, job)
        for folder in [folder for folder in self.elsewhere if not busy(folder)]:
            self.elsewhere.remove(folder)
            self.waiting.append(folder)
        while self.waiting and len(self.running) < self.at_once:
            folder = self.waiting.pop(0)
            if self.done(folder):
                continue
            if busy(folder):
                self.elsewhere.append(folder)
                continue
            self.attempts[folder] = self.attempts.get(folder, 0) + 1
            (folder / FAILURE).unlink(missing_ok=True)
            self.running[folder] = self.jobs.start(folder)
        return before - self.left

    def _settle(self, folder: Path, job: Any) -> None:
        """Done, failed with a reason, or gone without a word: then again, a few times."""
        if self.done(folder):
            return
        failure = read_result(folder / FAILURE)
        if failure is not None:
            self.failures[folder] = str(failure["reason"])
        elif self.attempts[folder] < ATTEMPTS:
            self.waiting.insert(0, folder)
        else:
            last = self.jobs.last_line(job) or "no message"
            self.failures[folder] = f"its process ended {ATTEMPTS} times without a result ({last})"
