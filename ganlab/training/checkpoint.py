"""A run on disk: its folder, held by one process and one configuration for good, and its checkpoints."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

import ganlab
from ganlab.config import Config, dump, identity, load
from ganlab.errors import GanlabError
from ganlab.util.atomic import atomic_path, remove_leftovers, write_json, write_text
from ganlab.util.hashing import sha256_json
from ganlab.util.lock import FileLock
from ganlab.util.reading import Archive, read_json, reading

FORMAT = "ganlab-checkpoint-2"
PATTERN = re.compile(r"step-(\d{9})\.pt")
CONFIG, ENVIRONMENT, DATA, LOCK = "config.yaml", "environment.json", "data.json", ".lock"
LOG, METRICS = "log.txt", "metrics.jsonl"
PLACES = ("data.path", "data.masks")
"""Keys that say where images and masks lie; what they hold is told by hash."""
SAME_DATA = ("pixels_sha256", "num_train", "num_val")
"""What a resumed run's images must agree in; their place may change."""


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the state after ``step`` steps is kept."""
    return folder / f"step-{step:09d}.pt"


def owner_of(config: Config, data: Mapping[str, Any]) -> str:
    """SHA-256 of what makes a run this run: its configuration without places, its images by their hash."""
    fields = identity(config, exclude_defaults=True)
    for key in PLACES:
        fields.pop(key, None)
    if config.optimizer.schedule == "constant":
        fields.pop("training.steps", None)  # more steps extend the same run
    return sha256_json({"config": fields, "data": {key: data.get(key) for key in SAME_DATA}})


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any], owner: str) -> Path:
    """Write the state after ``step`` steps; equal states give equal bytes.

    Args:
        folder: where the checkpoints are.
        step: number of steps.
        state: tensors and plain values in dicts and lists.
        owner: hash of all that the state descends from (`owner_of`); others are refused by `load_checkpoint`.

    Raises:
        GanlabError: the file cannot be written; older checkpoints stay.
    """
    path = checkpoint_path(folder, step)
    content: dict[str, Any] = _canonical({"format": FORMAT, "step": step, "owner": owner, "state": state})
    content["sha256"] = _digest(content)
    # By way of a stream: torch keeps a file's name in the file, and a temporary one is another every time.
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        try:
            torch.save(content, stream)
        except RuntimeError as error:
            # torch's zip writer reports a full disk as a RuntimeError.
            raise OSError(str(error).splitlines()[0]) from error
    return path


def _canonical(value: Any) -> Any:
    """The same value, where equal texts are one object: pickle writes one that it has met as a reference."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()  # the optimizer needs its moments as the weights lie in memory
    if isinstance(value, str):
        return sys.intern(str(value))
    if isinstance(value, dict):
        made: Any = type(value)((_canonical(key), _canonical(item)) for key, item in value.items())
        if hasattr(value, "_metadata"):  # versions of a state dict's modules
            made._metadata = _canonical(value._metadata)
        return made
    return type(value)(map(_canonical, value)) if isinstance(value, list | tuple) else value


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 over every value of a checkpoint in order: names, types, shapes and bytes."""
    digest = hashlib.sha256()
    waiting: list[tuple[str, Any]] = [("", content)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{name}/{key!r}", item) for key, item in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [(f"{name}/{place}", item) for place, item in enumerate(value)]
        if isinstance(value, Tensor):
            digest.update(f"{name}: {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            size = len(value) if isinstance(value, Mapping | list | tuple) else repr(value)
            digest.update(f"{name}: {type(value).__name__} {size}\n".encode())
    return digest.hexdigest()


def not_finite(state: Mapping[str, Any]) -> str:
    """Name of the first part of a state with a number that is not finite; "" where all are."""
    for name, part in state.items():
        waiting: list[Any] = [part]
        while waiting:
            value = waiting.pop()
            if isinstance(value, Tensor):
                if value.is_floating_point() and value.element_size() == 1:
                    value = value.float()  # torch 2.10 has no isfinite of eight bits
                if not bool(torch.isfinite(value).all()):
                    return name
            elif isinstance(value, Mapping):
                waiting += value.values()
            elif isinstance(value, list | tuple):
                waiting += value
    return ""


def saved_steps(folder: Path) -> list[int]:
    """Steps of the checkpoints in ``folder``, ascending."""
    names = [PATTERN.fullmatch(path.name) for path in folder.glob("step-*.pt")]
    return sorted(int(match[1]) for match in names if match)


def load_checkpoint(path: Path, device: torch.device, owner: str | None = None) -> dict[str, Any]:
    """Read a state; nothing but tensors and plain values is ever unpickled.

    Args:
        path: the file.
        device: where its tensors go.
        owner: what it must have been saved with; anything when absent.

    Raises:
        GanlabError: truncated, changed, of another run or step, not finite, not a checkpoint of ganlab, or
            holding objects that could run code.
    """
    try:
        # A zip of torch's is neither packed nor encrypted: one that is was not made by `save_checkpoint`.
        Archive(path).check()
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise GanlabError(f"{path}: the checkpoint is damaged or no checkpoint ({reason})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise GanlabError(f"{path}: not a checkpoint of this version of ganlab")
    named = PATTERN.fullmatch(path.name)
    with reading(path):
        step, state = int(content["step"]), dict(content["state"])
        if named and step != int(named[1]):
            raise GanlabError(f"{path}: holds the state of step {step}; it was renamed")
        if owner is not None and content["owner"] != owner:
            raise GanlabError(f"{path}: belongs to a run of another configuration or other images")
        if content.pop("sha256") != _digest(content):
            raise GanlabError(f"{path}: changed since it was saved: its checksum differs")
        bad = not_finite(state)
    if bad:
        raise GanlabError(f"{path}: {bad.replace('_', ' ')} is not finite")
    return state


def restore(
    folder: Path, device: torch.device, owner: str, load: Callable[[dict[str, Any]], None]
) -> tuple[int, list[str]]:
    """Load the newest checkpoint that can be; those that cannot are set aside, as ``NAME.refused``.

    Args:
        folder: where the checkpoints are.
        device: where tensors go.
        owner: of the run (`owner_of`).
        load: takes a state, and raises a GanlabError where it does not fit.

    Returns:
        The step, 0 where there is no checkpoint, and a sentence about each that was refused.

    Raises:
        GanlabError: there are checkpoints, and none of them can be used; they stay.
    """
    refused: dict[Path, str] = {}
    for step in reversed(saved_steps(folder)):
        path = checkpoint_path(folder, step)
        try:
            load(load_checkpoint(path, device, owner))
        except GanlabError as error:
            reason = str(error)
            refused[path] = reason if reason.startswith(str(path)) else f"{path}: {reason}"
            continue
        for other in refused:
            with contextlib.suppress(OSError):
                os.replace(other, other.with_name(f"{other.name}.refused"))
        return step, [f"refused: {reason}; going on from step {step}" for reason in refused.values()]
    if refused:
        reasons = "\n  ".join(refused.values())
        raise GanlabError(f"no checkpoint can be used; remove {folder} to begin anew\n  {reasons}")
    return 0, []


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
            if key not in PLACES and before.get(key) != after.get(key)
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
        # `python -m ganlab`, as a quickstart trains, has its file's name there.
        "command": shlex.join([Path(sys.argv[0]).name.replace("__main__.py", "ganlab"), *sys.argv[1:]]),
    }
