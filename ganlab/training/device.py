"""Where and how a run computes, and the reason, as the first lines of its log say."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch

from ganlab.config.schema import TrainingConfig
from ganlab.errors import GanlabError


@dataclass(frozen=True)
class Placement:
    """A device, a precision, a number of CPU threads, and why."""

    device: torch.device
    bf16: bool
    channels_last: bool
    threads: int
    reason: str

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Mixed precision where it was asked for."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else contextlib.nullcontext()

    @property
    def memory_format(self) -> torch.memory_format:
        """Layout of the convolutions' weights and of the images."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


def place(training: TrainingConfig, local_rank: int = 0) -> Placement:
    """Choose the device and set torch's CPU threads.

    Raises:
        GanlabError: the device is not on this machine, or bf16 is asked for elsewhere than on CUDA.
    """
    kind, reason = _kind(training.device)
    if training.precision == "bf16" and kind != "cuda":
        raise GanlabError(f"training.precision: bf16 needs CUDA; this run is on {kind}. Use fp32")
    if training.threads is not None:
        torch.set_num_threads(training.threads)
    device = torch.device("cuda", local_rank) if kind == "cuda" else torch.device(kind)
    threads = torch.get_num_threads()
    return Placement(device, training.precision == "bf16", training.channels_last, threads, reason)


def _kind(wanted: str) -> tuple[str, str]:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        kind = next(name for name, present in there.items() if present)
        return kind, "training.device is auto, and this is the first of cuda, mps, cpu that is there"
    if not there[wanted]:
        have = ", ".join(name for name, present in there.items() if present)
        raise GanlabError(f"training.device: {wanted} is not available on this machine; it has {have}")
    return wanted, "training.device says so"
