"""A run folder: one process at a time, one configuration for good."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ganlab
from ganlab.config import Config, dump, identity, load
from ganlab.errors import GanlabError
from ganlab.util.atomic import remove_leftovers, write_json, write_text
from ganlab.util.lock import FileLock

CONFIG, ENVIRONMENT, DATA, LOCK = "config.yaml", "environment.json", "data.json", ".lock"
LOG, METRICS = "log.txt", "metrics.jsonl"
SAME_DATA = ("pixels_sha256", "num_train", "num_val")
"""What a resumed run's images must agree in; their place may change."""


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
        for folder in (self.path, self.checkpoints, self.samples):
            remove_leftovers(folder)

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
            self._refuse_foreign_files()
            write_text(file, dump(config))
            write_json(self.path / ENVIRONMENT, environment())
            return None
        found = _differences(load(file), config)
        extension = _extension(found, config)
        if found and extension is None:
            lines = "\n".join(f"  {key}: {old!r} there, {new!r} asked for" for key, old, new in found)
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
            before = json.loads(file.read_text(encoding="utf-8"))
            changed = [key for key in SAME_DATA if before[key] != description[key]]
        except (ValueError, KeyError, TypeError) as error:
            raise GanlabError(
                f"{file} is damaged ({error}); remove it to go on without this check"
            ) from error
        if changed:
            raise GanlabError(
                f"{self.path} was begun on other images: {', '.join(changed)} of {description['path']} "
                f"differ from {DATA}; restore them, or use another out="
            )

    def _refuse_foreign_files(self) -> None:
        """An existing folder that no run wrote may be somebody's data."""
        others = [path.name for path in self.path.iterdir() if path.name != LOCK]
        if others:
            names = ", ".join(sorted(others)[:3])
            raise GanlabError(
                f"{self.path} exists, is no run folder and is not empty ({names}); use another out="
            )


def _differences(old: Config, new: Config) -> list[tuple[str, object, object]]:
    """Key, old and new value wherever the numbers of the run would differ.

    Not the folder of the images: they may have moved, and `RunFolder.settle_data` holds their pixels against
    those the run began with.
    """
    before, after = identity(old), identity(new)
    keys = [key for key in [*before, *(key for key in after if key not in before)] if key != "data.path"]
    return [(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]


def _extension(found: list[tuple[str, object, object]], config: Config) -> str | None:
    """More steps under a constant learning rate give the run that was planned longer from the start."""
    if [key for key, _, _ in found] != ["training.steps"] or config.optimizer.schedule != "constant":
        return None
    _, old, new = found[0]
    if not isinstance(old, int) or not isinstance(new, int) or new < old:
        return None
    return f"extended from {old} to {new} steps (constant learning rate: the same as {new} from the start)"


def environment() -> dict[str, str]:
    """Versions and machine, for the record."""
    import numpy
    import torch

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


def cut_metrics(path: Path, step: int) -> None:
    """Drop the lines after ``step``: steps that a killed run had logged but not saved are run again."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    kept = [line for line in lines if _step_of(line) <= step]
    if len(kept) < len(lines):
        write_text(path, "".join(f"{line}\n" for line in kept))


def _step_of(line: str) -> float:
    """A line cut off by the kill counts as lying in the future."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
