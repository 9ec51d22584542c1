"""Latents and classes of image i: functions of (seed, i) alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ganlab.util.hashing import derive_seed

BLOCK = 64
"""The network always computes images 64k ... 64k + 63 together. A convolution may sum in another order for
another batch size, and a last-digit difference can change a rounded pixel; a fixed block rules that out."""


def image_latents(seed: int, first: int, count: int, shape: int | Sequence[int]) -> Tensor:
    """Standard normal latents ``(count, *shape)`` of images ``first ... first + count - 1``."""
    size = (shape,) if isinstance(shape, int) else tuple(shape)
    rows = [
        torch.randn(size, generator=torch.Generator().manual_seed(derive_seed(seed, "fake", index)))
        for index in range(first, first + count)
    ]
    return torch.stack(rows)


def image_labels(seed: int, first: int, count: int, num_classes: int) -> Tensor | None:
    """Class of each image ``(count,)``; None for an unconditional generator."""
    if not num_classes:
        return None
    indices = range(first, first + count)
    return torch.tensor([derive_seed(seed, "fake-label", index) % num_classes for index in indices])
