"""Where a run computes: device and precision, and the processes of torchrun that share its batches."""

from __future__ import annotations

import contextlib
import inspect
import os
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ganlab.config.schema import TrainingConfig
from ganlab.device import choose_device, set_cuda_arithmetic
from ganlab.errors import GanlabError

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Placement:
    """A device, a precision, a memory layout, a number of CPU threads, and why this device."""

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
    """Choose the device, set torch's CPU threads, and on CUDA how it rounds.

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
        set_cuda_arithmetic(training.tf32, training.deterministic)
    threads = torch.get_num_threads()
    return Placement(device, training.precision == "bf16", training.channels_last, threads, reason)


@dataclass(frozen=True)
class World:
    """This process among all."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    host: dist.ProcessGroup | None = None
    """Where tensors of the device travel by NCCL: a group beside it for what lies in ordinary memory."""

    @property
    def is_main(self) -> bool:
        """The process that writes files."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait for the others."""
        if self.size > 1:
            dist.barrier()

    def share(self, flag: bool) -> bool:
        """Whether the flag is up in any process; all must call it. No device is waited for."""
        if self.size == 1:
            return flag
        value = torch.tensor(float(flag))
        dist.all_reduce(value, op=dist.ReduceOp.MAX, group=self.host)
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
    # Beside NCCL's processes, which is what the type of `new_group` leaves open: every process is in it.
    host: Any = dist.new_group(backend="gloo") if cuda else None
    return World(dist.get_rank(), size, local_rank, host)


def leave_world(world: World) -> None:
    """Leave the process group."""
    if world.size > 1 and dist.is_initialized():
        dist.destroy_process_group()


def parallel(module: nn.Module, world: World, device: torch.device) -> nn.Module:
    """The module as DDP sees it. Buffers are not broadcast: two forwards before one backward would fail."""
    if world.size == 1:
        return module
    options: dict[str, Any] = {"device_ids": [device.index] if device.type == "cuda" else None}
    # Newer versions of torch warn of the old name of this switch, older ones lack the new name.
    known = inspect.signature(DistributedDataParallel).parameters
    options["forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"] = False
    return DistributedDataParallel(module, **options)


def synchronised(module: Module, world: World) -> Module:
    """The module with batch statistics over all processes; unchanged for one process.

    torch's own layer computes on CUDA only; `ProcessBatchNorm` is the same for processes of the CPU.
    """
    if world.size == 1:
        return module
    if world.host is not None:
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-any-return, no-untyped-call]
    return share_batch_norm(module)


def share_batch_norm(module: Module) -> Module:
    """Replace every batch norm inside ``module``, in place; names in the state dict stay."""
    for name, child in module.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            setattr(module, name, ProcessBatchNorm(child))
        else:
            share_batch_norm(child)
    return module


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
        with torch.no_grad():
            # Running statistics as torch keeps them: the variance unbiased, though the batch's is not.
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * count / (count - 1), self.momentum)
            self.num_batches_tracked += 1
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
        processes, rank = dist.get_world_size(), dist.get_rank()
        axes = [axis for axis in range(x.ndim) if axis != 1]
        var, mean = torch.var_mean(x.float(), axes, correction=0)
        rows = torch.zeros(processes, 2, len(mean), device=x.device)
        rows[rank] = torch.stack([mean, var])
        means, variances = sum_over_processes(rows).unbind(1)
        mean = means.mean(0)
        count = x.numel() // x.shape[1] * processes
        return mean, (variances + (means - mean).square()).mean(0), count


class _Sum(torch.autograd.Function):
    """Sum over processes. Each process has a loss of its own, so gradients are summed likewise."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return sum_over_processes(gradient)


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum of every process's tensor, the same in all of them; differentiable. All must call it."""
    total: Tensor = _Sum.apply(values)
    return total


class _Gather(torch.autograd.Function):
    """Concatenation over processes whose backward pass needs no communication.

    Every process computes the same loss from all rows, so each knows the gradient of its own rows exactly.
    DDP then averages the parameters' gradients over processes where a sum is due: hence the factor.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.count = len(rows)
        parts = [
            torch.empty_like(rows, memory_format=torch.contiguous_format)
            for _ in range(dist.get_world_size())
        ]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        start = dist.get_rank() * ctx.count
        return gradient[start : start + ctx.count] * dist.get_world_size()


def gather_rows(rows: Tensor) -> Tensor:
    """This process's rows ``(n, ...)`` -> those of all processes, in their order, ``(n * processes, ...)``.

    The gradient is scaled so that DDP's mean over processes is the gradient of the loss of all rows. Every
    process must call it, with equally many rows.
    """
    gathered: Tensor = _Gather.apply(rows)
    return gathered
