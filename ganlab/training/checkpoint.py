"""Training state on disk: atomic, loadable with ``weights_only``, the last few and the milestones kept."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from ganlab.errors import GanlabError
from ganlab.util.atomic import atomic_path

FORMAT = "ganlab-checkpoint-1"
PATTERN = re.compile(r"step-(\d{9})\.pt")


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
