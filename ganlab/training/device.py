"""Where and how a run computes, and the reason, as the first lines of its log say."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch

from ganlab.config.schema import TrainingConfig
from ganlab.device import choose_device
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
    device, reason = choose_device(training.device)
    if training.precision == "bf16" and device.type != "cuda":
        raise GanlabError(f"training.precision: bf16 needs CUDA; this run is on {device}. Use fp32")
    if training.threads is not None:
        torch.set_num_threads(training.threads)
    if device.type == "cuda":
        device = torch.device("cuda", local_rank)
    threads = torch.get_num_threads()
    return Placement(device, training.precision == "bf16", training.channels_last, threads, reason)
