"""Normalisation layers: batch norm, class-conditional batch norm, layer norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConditionalBatchNorm(nn.Module):
    """Batch norm without its own gain and bias, which each class brings (Dumoulin et al. 2017).

    ``(N, C, H, W)`` and labels ``(N,)`` -> ``(N, C, H, W)``. Gains start at 1, biases at 0.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Embedding(num_classes, channels)
        self.bias = nn.Embedding(num_classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Normalise over the batch, then scale and shift by class."""
        gain, bias = self.gain(labels)[..., None, None], self.bias(labels)[..., None, None]
        out: Tensor = gain * self.norm(x) + bias
        return out


def batch_norm(channels: int, num_classes: int) -> nn.Module:
    """Batch norm for a generator: conditional when there are classes."""
    return ConditionalBatchNorm(channels, num_classes) if num_classes else nn.BatchNorm2d(channels)


def normalise(norm: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
    """Apply either kind of generator norm."""
    out: Tensor = norm(x, labels) if isinstance(norm, ConditionalBatchNorm) else norm(x)
    return out


def discriminator_norm(kind: str, channels: int) -> nn.Module:
    """The layer called "batch", "layer" (one group over channels and pixels) or "none"."""
    kinds: dict[str, nn.Module] = {
        "batch": nn.BatchNorm2d(channels),
        "layer": nn.GroupNorm(1, channels),
        "none": nn.Identity(),
    }
    return kinds[kind]


def has_batch_norm(module: nn.Module) -> bool:
    """Whether the images of a batch see each other in this network."""
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())


def standard_normal_gain_(module: nn.Module) -> None:
    """DCGAN's initial batch-norm gain, N(1, 0.02)."""
    if isinstance(module, nn.BatchNorm2d) and module.affine:
        torch.nn.init.normal_(module.weight, 1.0, 0.02)
