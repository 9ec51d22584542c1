"""A run on disk: its folder, held by one process and one configuration for good, and its checkpoints."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import torch

import ganlab
from ganlab.config import Config, dump, identity, load
from ganlab.errors import GanlabError
from ganlab.util.atomic import atomic_path, remove_leftovers, write_json, write_text
from ganlab.util.lock import FileLock
from ganlab.util.reading import Archive, read_json

FORMAT = "ganlab-checkpoint-1"
PATTERN = re.compile(r"step-(\d{9})\.pt")
CONFIG, ENVIRONMENT, DATA, LOCK = "config.yaml", "environment.json", "data.json", ".lock"
LOG, METRICS = "log.txt", "metrics.jsonl"
SAME_DATA = ("pixels_sha256", "num_train", "num_val")
"""What a resumed run's images must agree in; their place may change."""


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the state after ``step`` steps is kept."""
    return folder / f"step-{step:09d}.pt"


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the state after ``step`` steps.

    Raises:
        GanlabError: the file cannot be written; older checkpoints stay.
    """
    path = checkpoint_path(folder, step)
    with atomic_path(path) as temporary:
        try:
            torch.save({"format": FORMAT, "step": step, "state": state}, temporary)
        except RuntimeError as error:
            # torch's zip writer reports a full disk as a RuntimeError.
            raise OSError(str(error).splitlines()[0]) from error
    return path


def saved_steps(folder: Path) -> list[int]:
    """Steps of the checkpoints in ``folder``, ascending."""
    names = [PATTERN.fullmatch(path.name) for path in folder.glob("step-*.pt")]
    return sorted(int(match[1]) for match in names if match)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a state; nothing but tensors and plain values is ever unpickled.

    Raises:
        GanlabError: truncated, not a checkpoint of ganlab, or holding objects that could run code.
    """
    advice = f"remove it to resume from the checkpoint before ({path.parent})"
    try:
        # A zip of torch's is neither packed nor encrypted: one that is was not made by `save_checkpoint`.
        Archive(path).check()
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise GanlabError(
            f"{path}: the checkpoint is damaged or no checkpoint ({reason}); {advice}"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or "state" not in content:
        raise GanlabError(f"{path}: not a checkpoint of ganlab; {advice}")
    state: dict[str, Any] = content["state"]
    return state


def prune(folder: Path, keep: int, milestone_every: int | None) -> None:
    """Remove all but the last ``keep`` checkpoints and the milestones."""
    steps = saved_steps(folder)
    for step in steps[:-keep]:
        if not (milestone_every and step % milestone_every == 0):
            checkpoint_path(folder, step).unlink()


class RunFolder:
    """The files of one run, locked while open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.samples = path / "samples"
        self._lock = FileLock(path / LOCK)

    def lock(self) -> None:
        """Take the folder for this process; the system gives it back however the process ends.

        Raises:
            GanlabError: another process holds it, or the folder cannot be made.
        """
        self._lock.take()
        remove_leftovers(self.path, inside=True)

    def unlock(self) -> None:
        """Give the folder back."""
        self._lock.release()

    def settle_config(self, config: Config) -> str | None:
        """Write the configuration, or hold it against the one already there.

        Returns:
            A sentence when the run is being extended, otherwise None.

        Raises:
            GanlabError: the folder belongs to a different configuration; the differences are listed.
        """
        file = self.path / CONFIG
        if not file.exists():
            # An existing folder that no run wrote may be somebody's data.
            others = sorted(path.name for path in self.path.iterdir() if path.name != LOCK)
            if others:
                raise GanlabError(
                    f"{self.path} exists, is no run folder and is not empty ({', '.join(others[:3])}); "
                    "use another out="
                )
            write_text(file, dump(config))
            write_json(self.path / ENVIRONMENT, environment())
            return None
        # Wherever the numbers of the run would differ; not the folder of the images: they may have moved, and
        # `settle_data` holds their pixels against those the run began with.
        before, after = identity(load(file)), identity(config)
        differences = [
            (key, before.get(key), after.get(key))
            for key in dict.fromkeys([*before, *after])
            if key != "data.path" and before.get(key) != after.get(key)
        ]
        extension = _extension(differences, config)
        if differences and extension is None:
            lines = "\n".join(f"  {key}: {old!r} there, {new!r} asked for" for key, old, new in differences)
            raise GanlabError(
                f"{self.path} holds a run with another configuration:\n{lines}\nUse another out="
            )
        write_text(file, dump(config))
        return extension

    def settle_data(self, description: Mapping[str, Any]) -> None:
        """Write what the images are, or hold them against those the run began with.

        Raises:
            GanlabError: other pixels or another split lie where the run's images were.
        """
        file = self.path / DATA
        if not file.exists():
            write_json(file, dict(description))
            return
        try:
            before = read_json(file, dict)
            changed = [key for key in SAME_DATA if before[key] != description[key]]
        except (GanlabError, KeyError) as error:
            raise GanlabError(
                f"{file} is damaged ({error}); remove it to go on without this check"
            ) from error
        if changed:
            raise GanlabError(
                f"{self.path} was begun on other images: {', '.join(changed)} of {description['path']} "
                f"differ from {DATA}; restore them, or use another out="
            )


def _extension(differences: list[tuple[str, object, object]], config: Config) -> str | None:
    """More steps under a constant learning rate give the run that was planned longer from the start."""
    if [key for key, _, _ in differences] != ["training.steps"] or config.optimizer.schedule != "constant":
        return None
    _, old, new = differences[0]
    if not isinstance(old, int) or not isinstance(new, int) or new < old:
        return None
    return f"extended from {old} to {new} steps (constant learning rate: the same as {new} from the start)"


def environment() -> dict[str, str]:
    """Versions, machine and command, for the record."""
    return {
        "ganlab": ganlab.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cuda": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
        "threads": str(torch.get_num_threads()),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
