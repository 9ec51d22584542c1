"""Batch norm whose statistics run over all processes; unlike torch's SyncBatchNorm also on the CPU."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.parallel import DistributedDataParallel

from ganlab.errors import GanlabError

Module = TypeVar("Module", bound=nn.Module)


class ProcessBatchNorm(nn.Module):
    """Stands in for a batch norm, with the same parameter and buffer names, inside torchrun.

    The sums travel through a differentiable all-reduce, so the gradient equals that of one process with the
    whole batch. Every process must bring the same number of images.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm) -> None:
        super().__init__()
        self.eps, self.momentum = norm.eps, norm.momentum or 0.1
        self.weight, self.bias = norm.weight, norm.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C)`` or ``(N, C, H, W)``, normalised per channel; computed in float32, in x's type."""
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        mean, var, count = self._statistics(x)
        self._track(mean.detach(), var.detach(), count)
        shape = (1, -1) + (1,) * (x.ndim - 2)
        out = (x.float() - mean.view(shape)) * torch.rsqrt(var.view(shape) + self.eps)
        if self.weight is not None:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(x.dtype)

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor, int]:
        """Mean, biased variance and number of values per channel, over all processes; float32.

        Each process's own two moments travel, in a row of their own, and are merged about the common mean: a
        mean of squares would lose the variance of channels with a large mean.
        """
        processes, rank = torch.distributed.get_world_size(), torch.distributed.get_rank()
        axes = [axis for axis in range(x.ndim) if axis != 1]
        var, mean = torch.var_mean(x.float(), axes, correction=0)
        rows = torch.zeros(processes, 2, len(mean), device=x.device)
        rows[rank] = torch.stack([mean, var])
        means, variances = all_reduce(rows).unbind(1)  # type: ignore[no-untyped-call]
        mean = means.mean(0)
        count = x.numel() // x.shape[1] * processes
        return mean, (variances + (means - mean).square()).mean(0), count

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor, count: int) -> None:
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var * count / (count - 1), self.momentum)
        self.num_batches_tracked += 1


def share_batch_norm(module: Module) -> Module:
    """Replace every batch norm inside ``module``, in place; names in the state dict stay."""
    for name, child in module.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            setattr(module, name, ProcessBatchNorm(child))
        else:
            share_batch_norm(child)
    return module


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


@dataclass(frozen=True)
class World:
    """This process among all."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """The process that writes files."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait for the others."""
        if self.size > 1:
            dist.barrier()

    def share(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is up in any process; all must call it."""
        if self.size == 1:
            return flag
        value = torch.tensor(float(flag), device=device)
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return bool(value.item())

    def rows(self, total: int) -> slice:
        """This process's part of a global batch of ``total`` rows."""
        part = total // self.size
        return slice(self.rank * part, (self.rank + 1) * part)


def join_world(cuda: bool) -> World:
    """Join torchrun's process group if there is one (its environment variables), with nccl or gloo.

    Raises:
        GanlabError: WORLD_SIZE announces several processes, but what else torchrun sets is missing.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return World()
    try:
        size, local_rank = int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", "0"))
        if cuda:
            # NCCL's barrier and tensors without an index would otherwise all go to the first device.
            torch.cuda.set_device(local_rank)
        if not dist.is_initialized():
            dist.init_process_group("nccl" if cuda else "gloo")
    except ValueError as error:
        raise GanlabError(
            f"WORLD_SIZE={os.environ['WORLD_SIZE']} is set, but torchrun's other variables are not usable "
            f"({error}); start with torchrun, or unset WORLD_SIZE"
        ) from error
    return World(dist.get_rank(), size, local_rank)


def leave_world(world: World) -> None:
    """Leave the process group."""
    if world.size > 1 and dist.is_initialized():
        dist.destroy_process_group()


def synchronised(module: Module, world: World) -> Module:
    """The module with batch statistics over all processes; unchanged for one process."""
    return share_batch_norm(module) if world.size > 1 else module


def parallel(module: nn.Module, world: World, device: torch.device) -> nn.Module:
    """The module as DDP sees it. Buffers are not broadcast: two forwards before one backward would fail."""
    if world.size == 1:
        return module
    ids = [device.index] if device.type == "cuda" else None
    return DistributedDataParallel(module, device_ids=ids, broadcast_buffers=False)
