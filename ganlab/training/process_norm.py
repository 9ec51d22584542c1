"""Batch norm whose statistics run over all processes; unlike torch's SyncBatchNorm also on the CPU."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

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
