"""Random numbers of a run: each draw is a function of (seed, stream, index) alone."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.util.seeding import derive_seed


def generator_for(seed: int, stream: str, index: int = 0) -> torch.Generator:
    """A CPU generator for one draw; the CPU's numbers are the same whatever device the run is on."""
    return torch.Generator().manual_seed(derive_seed(seed, stream, index))


def latents(seed: int, stream: str, index: int, count: int, z_dim: int) -> Tensor:
    """Standard normal ``(count, z_dim)``, float32, on the CPU."""
    return torch.randn(count, z_dim, generator=generator_for(seed, stream, index))


def labels(seed: int, stream: str, index: int, count: int, num_classes: int) -> Tensor | None:
    """Uniform class labels ``(count,)``; None without classes."""
    if not num_classes:
        return None
    return torch.randint(num_classes, (count,), generator=generator_for(seed, f"{stream}/labels", index))
