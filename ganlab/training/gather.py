"""Rows of all processes in each of them, with a gradient: for losses that are no mean over images."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _Gather(torch.autograd.Function):
    """Concatenation over processes whose backward pass needs no communication.

    Every process computes the same loss from all rows, so each knows the gradient of its own rows exactly.
    DDP then averages the parameters' gradients over processes where a sum is due: hence the factor.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.count = len(rows)
        parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        start = dist.get_rank() * ctx.count
        return gradient[start : start + ctx.count] * _size()


def _size() -> int:
    return int(dist.get_world_size())


def gather_rows(rows: Tensor) -> Tensor:
    """This process's rows ``(n, ...)`` -> those of all processes, in their order, ``(n * processes, ...)``.

    The gradient is scaled so that DDP's mean over processes is the gradient of the loss of all rows. Every
    process must call it, with equally many rows.
    """
    gathered: Tensor = _Gather.apply(rows)
    return gathered
