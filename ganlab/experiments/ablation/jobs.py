"""Cells as jobs: processes on this machine, so many at a time, or SLURM jobs; both through submitit."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganlab.errors import GanlabError
from ganlab.experiments.ablation.measure import FAILURE, busy, run_cell
from ganlab.util.progress import bar

POLL_SECONDS = 0.5
ATTEMPTS = 3
"""A job that ends without a word (killed, out of memory, preempted) is started again, from its checkpoint."""
TIMEOUT_MINUTES = {"local": 7 * 24 * 60, "slurm": 24 * 60}
"""A job's limit where ``timeout_min`` is not given; submitit's own is five minutes."""
SLURM_COMMANDS = ("sbatch", "srun")


@dataclass(frozen=True)
class Cluster:
    """Where jobs run.

    Attributes:
        kind: "local" or "slurm".
        at_once: jobs at a time.
        options: submitit parameters, such as ``slurm_partition`` or ``timeout_min``.
    """

    kind: str = "local"
    at_once: int = 1
    options: Mapping[str, Any] | None = None

    @property
    def threads(self) -> int:
        """CPU threads of each local job."""
        return max(1, (os.cpu_count() or 1) // self.at_once)


def check_cluster(cluster: Cluster) -> None:
    """Whether jobs can be started there.

    Raises:
        GanlabError: an unknown cluster, submitit is not installed, or there is no SLURM.
    """
    if cluster.kind not in ("local", "slurm"):
        raise GanlabError(f"unknown cluster {cluster.kind!r}: expected local or slurm")
    if cluster.at_once < 1:
        raise GanlabError(f"at least one job at a time; got {cluster.at_once}")
    try:
        import submitit  # noqa: F401
    except ImportError as error:
        raise GanlabError(
            "ganlab ablate starts its jobs with submitit: pip install 'ganlab[cluster]'"
        ) from error
    missing = [name for name in SLURM_COMMANDS if shutil.which(name) is None]
    if cluster.kind == "slurm" and missing:
        raise GanlabError(
            f"--cluster slurm: looked for {' and '.join(missing)} on PATH and found none; run this on a "
            "login node of the cluster, or use --cluster local"
        )


def run_cells(
    folders: Sequence[Path], logs: Path, cluster: Cluster, done: Callable[[Path], bool]
) -> dict[Path, str]:
    """Work on cells until each is done, diverged or failed.

    Args:
        folders: cells with their ``cell.json``.
        logs: folder for submitit's files.
        cluster: where and how many at a time.
        done: whether a cell has its result.

    Returns:
        Folder -> why it has no result, for those that failed.
    """
    check_cluster(cluster)
    queue = _Queue(folders, logs, cluster, done)
    try:
        with bar(total=len(folders), desc="cells", unit="cell") as line:
            while queue.left:
                line.update(queue.turn())
                time.sleep(POLL_SECONDS)
    finally:
        queue.cancel()
    return queue.failures


class _Queue:
    """Waiting, running and failed cells."""

    def __init__(
        self, folders: Sequence[Path], logs: Path, cluster: Cluster, done: Callable[[Path], bool]
    ) -> None:
        self.waiting, self.cluster, self.done = list(folders), cluster, done
        self.running: dict[Path, Any] = {}
        self.elsewhere: list[Path] = []
        self.attempts: dict[Path, int] = {}
        self.failures: dict[Path, str] = {}
        self.executor = _executor(logs, cluster)

    @property
    def left(self) -> int:
        """Cells that are not settled."""
        return len(self.waiting) + len(self.running) + len(self.elsewhere)

    def turn(self) -> int:
        """Settle what has ended and start what fits; returns how many were settled."""
        before = self.left
        for folder, job in list(self.running.items()):
            if self.done(folder) or job.done():
                del self.running[folder]
                self._settle(folder, job)
        for folder in [folder for folder in self.elsewhere if not busy(folder)]:
            self.elsewhere.remove(folder)
            self.waiting.append(folder)
        while self.waiting and len(self.running) < self.cluster.at_once:
            self._start(self.waiting.pop(0))
        return before - self.left

    def _start(self, folder: Path) -> None:
        """Submit a cell, unless it is done or a process of an earlier call still works on it."""
        if self.done(folder):
            return
        if busy(folder):
            self.elsewhere.append(folder)
            return
        self.attempts[folder] = self.attempts.get(folder, 0) + 1
        (folder / FAILURE).unlink(missing_ok=True)
        with _threads(self.cluster):
            self.running[folder] = _submit(self.executor, folder)

    def _settle(self, folder: Path, job: Any) -> None:
        """Done, failed with a reason, or gone without a word: then again, a few times."""
        if self.done(folder):
            return
        if (folder / FAILURE).exists():
            self.failures[folder] = _reason(folder)
        elif self.attempts[folder] < ATTEMPTS:
            self.waiting.insert(0, folder)
        else:
            last = (str(job.stderr() or "").strip().splitlines() or ["no message"])[-1]
            self.failures[folder] = f"its process ended {ATTEMPTS} times without a result ({last})"

    def cancel(self) -> None:
        """Ask running jobs to save and leave."""
        for job in self.running.values():
            job.cancel(check=False)


def _reason(folder: Path) -> str:
    import json

    return str(json.loads((folder / FAILURE).read_text())["reason"])


def _submit(executor: Any, folder: Path) -> Any:
    try:
        return executor.submit(run_cell, str(folder))
    except Exception as error:
        # submitit's own errors have no common class; sbatch's words are in them.
        raise GanlabError(f"cannot start a job for {folder}: {error}") from error


def _executor(logs: Path, cluster: Cluster) -> Any:
    import submitit

    parameters: dict[str, Any] = {"timeout_min": TIMEOUT_MINUTES[cluster.kind]}
    if cluster.kind == "local" and torch.cuda.is_available():
        # submitit hides every GPU from a local job that asks for none.
        parameters |= {"gpus_per_node": 1, "local_visible_gpus": list(range(torch.cuda.device_count()))}
    try:
        executor = submitit.AutoExecutor(folder=logs, cluster=cluster.kind)
        executor.update_parameters(**(parameters | dict(cluster.options or {})))
    except (NameError, ValueError, AssertionError) as error:
        raise GanlabError(f"--option: submitit refuses {dict(cluster.options or {})}: {error}") from error
    return executor


@contextmanager
def _threads(cluster: Cluster) -> Iterator[None]:
    """Local jobs inherit this process's environment: their share of the processor's cores."""
    if cluster.kind != "local":
        yield
        return
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(cluster.threads)
    try:
        yield
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before
