"""A uniform random sample of images of fixed size that does not depend on the order in which they come.

Each image gets a pseudo-random key computed from its own profile, and the sample is the images with the
smallest keys. Samples of disjoint sets merge into the sample of the union.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ganlab.spectra.rings import FloatArray

PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)

_ODD = 0x5851F42D4C957F2D
_MIX = 0x14057B7EF767814F


def empty_reservoir(size: int, length: int) -> Tensor:
    """``(size, 1 + length)`` float64: keys (infinite where no image is) and profiles."""
    reservoir = torch.zeros(size, 1 + length, dtype=torch.float64)
    reservoir[:, 0] = float("inf")
    return reservoir


def _keys(profiles: Tensor) -> Tensor:
    """Uniform on [0, 1): a multiplicative hash of the profile's bits; integers wrap around at 64 bits."""
    bits = profiles.float().contiguous().view(torch.int32).to(torch.int64)
    powers = np.cumprod(np.full(bits.shape[1], _ODD, dtype=np.int64))
    mixed = (bits * torch.from_numpy(powers).to(bits.device)).sum(1)
    mixed = (mixed ^ (mixed >> 29)) * _MIX
    mixed = (mixed ^ (mixed >> 32)) * _ODD
    return ((mixed >> 11) & (2**53 - 1)).double() / 2**53


def _smallest(rows: Tensor, size: int) -> Tensor:
    return rows[rows[:, 0].argsort(stable=True)[:size]]


def add_to_reservoir(reservoir: Tensor, profiles: Tensor, in_place: bool = False) -> Tensor:
    """The sample after ``(N, L)`` more profiles: rows with the largest keys give way to smaller new ones.

    Args:
        reservoir: ``(size, 1 + L)``.
        profiles: of the new images.
        in_place: overwrite ``reservoir`` instead of a copy of it.
    """
    size, keys = len(reservoir), _keys(profiles).to(reservoir.device)
    kept = torch.cat((reservoir[:, 0], keys)).topk(size, largest=False, sorted=False).indices
    stays = torch.zeros(size + len(keys), dtype=torch.bool, device=reservoir.device)
    stays[kept] = True
    leaving, coming = (~stays[:size]).nonzero()[:, 0], stays[size:].nonzero()[:, 0]
    rows = torch.cat((keys[coming, None], profiles[coming.to(profiles.device)].to(reservoir)), 1)
    return (reservoir if in_place else reservoir.clone()).index_copy_(0, leaving, rows)


def merge_reservoirs(first: Tensor, second: Tensor) -> Tensor:
    """The sample of the union of two sets from their samples."""
    return _smallest(torch.cat((first, second)), len(first))


def reduce_reservoirs(stacked: Tensor) -> Tensor:
    """``(processes, size, 1 + L)`` samples of all processes -> the sample of the union."""
    return _smallest(stacked.flatten(0, 1), stacked.shape[1])


def bands(reservoir: Tensor, lengths: Mapping[str, int]) -> tuple[dict[str, FloatArray], int]:
    """Percentiles of every profile over the sample, ``(5, K)`` each, and the number of images in it."""
    rows = reservoir[torch.isfinite(reservoir[:, 0]), 1:].cpu().numpy()
    levels = np.percentile(rows, PERCENTILES, axis=0)
    ends = np.cumsum(list(lengths.values()))[:-1]
    return dict(zip(lengths, np.split(levels, ends, axis=1), strict=True)), len(rows)
