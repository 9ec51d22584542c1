"""Decibels, and the floor below which power is called silence."""

from __future__ import annotations

from torch import Tensor

POWER_FLOOR = 1e-12
"""Power below this counts as this in logarithms (-120 dB; the rounding of 8-bit images lies near -53 dB)."""


def decibels(power: Tensor) -> Tensor:
    """``10 log10`` of linear power, no lower than -120 dB; any shape."""
    return power.clamp_min(POWER_FLOOR).log10().mul(10)
