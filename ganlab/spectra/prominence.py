"""How far a spectrum stands out at one frequency over its neighbours: the mark of an upsampling by two."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.spectra.levels import decibels

REPLICAS = (2, 4, 8)
"""Replica frequencies are N/2, N/4, N/8: those at which the last, the last but one, ... upsampling repeats
the zero frequency."""


def prominence_reach(windowed: bool) -> tuple[int, int]:
    """Distances of the neighbours compared with: a window spreads a line over the bins beside it."""
    return (2, 3) if windowed else (1, 2)


def has_replica(size: int, divisor: int, windowed: bool = False) -> bool:
    """Whether ``size`` points have a bin at ``size / divisor`` with enough neighbours above zero."""
    return size % divisor == 0 and size // divisor > prominence_reach(windowed)[1]


def peak_prominence(power: Tensor, size: int, divisor: int, windowed: bool = False) -> Tensor:
    """Local bump of a mean power profile at frequency ``1/divisor`` cycles per pixel, in dB.

    The level at the bin minus the level that its neighbours let expect: the cubic through the neighbours at
    distances a and b on both sides, ``(b^2 m_a - a^2 m_b) / (b^2 - a^2)`` of their mean levels, so that slope
    and curvature of a natural spectrum cancel. (a, b) is (1, 2), with a window (2, 3). The profile continues
    past Nyquist as its own mirror image.

    Args:
        power: ``(..., size//2+1)`` linear mean power over frequencies k/size: horizontal, vertical, diagonal.
        size: number of pixels along that axis.
        divisor: 2 for Nyquist, 4, 8, ...
        windowed: whether the spectra were windowed.

    Returns:
        ``(...)`` dB; 0 for a smooth spectrum, negative for a notch.

    Raises:
        GanlabError: the profile has another length, or no such bin with enough neighbours.
    """
    if power.shape[-1] != size // 2 + 1:
        raise GanlabError(f"a profile of {size} points has {size // 2 + 1} bins; got {power.shape[-1]}")
    if not has_replica(size, divisor, windowed):
        raise GanlabError(f"{size} points have no usable bin at {size}/{divisor}")
    levels = decibels(power)
    near, far = prominence_reach(windowed)
    centre = size // divisor

    def mean_at(distance: int) -> Tensor:
        upper = centre + distance
        upper = size - upper if upper > size // 2 else upper
        mean: Tensor = (levels[..., centre - distance] + levels[..., upper]) / 2
        return mean

    expected = (far**2 * mean_at(near) - near**2 * mean_at(far)) / (far**2 - near**2)
    return torch.sub(levels[..., centre], expected)
