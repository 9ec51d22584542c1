"""Exponential moving average of a generator."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)

RAMP = 10


class MovingAverage(Generic[Network]):
    """A copy of a network that follows it.

    The decay at update n is ``min(decay, (1 + n) / (10 + n))``: without the ramp the random start would still
    weigh 0.999^500 = 61 % after 500 steps. Batch-norm statistics are averaged like weights, because they
    belong to them; integer buffers are copied.
    """

    def __init__(self, network: Network, decay: float, start: int = 0) -> None:
        self.network: Network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay, self.start = decay, start

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards ``network`` after its update number ``step`` (from 0)."""
        ours, theirs = self._tensors(self.network), self._tensors(network)
        after = step - self.start
        decay = min(self.decay, (1 + after) / (RAMP + after)) if after >= 0 else 0.0
        floats = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.is_floating_point()]
        torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1.0 - decay)
        for mine, other in zip(ours, theirs, strict=True):
            if not mine.is_floating_point():
                mine.copy_(other)

    @staticmethod
    def _tensors(network: nn.Module) -> list[Tensor]:
        return [*network.parameters(), *network.buffers()]
