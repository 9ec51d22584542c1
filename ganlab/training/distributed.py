"""Several processes under torchrun: a thin wrapper that is nothing at all for one process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ganlab.errors import GanlabError
from ganlab.training.process_norm import share_batch_norm

Module = TypeVar("Module", bound=nn.Module)


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
