"""The floor of 8-bit images: what rounding to whole grey levels alone would leave, and what lies below it.

Rounding adds an error that is uniform over one grey level: 1/12 of a squared grey level a pixel, white. A
window of mean square 1 leaves the power of white noise as it is, and the luma of three channels rounded
independently has the sum of the squared weights of it. Pixels that repeat each other, as nearest enlargement
leaves them, can have less power than that somewhere: exactly none, and then a spectrum shows the rounding
of floating-point arithmetic. Below the floor a level is no measurement but an upper bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ganlab.images import LUMA_BT601
from ganlab.spectra import Moments, SpectrumStatistics
from ganlab.spectra.deviation import Deviation
from ganlab.spectra.lattice_comparison import ROUNDING
from ganlab.spectra.statistics import PROFILES

Pair = tuple[SpectrumStatistics, SpectrumStatistics]
"""Of one set: means over all images, and a sample as a set of its own."""
MEAN_LOG_DB = -10 / np.log(10) * np.euler_gamma
"""Mean of the decibels of noise minus the decibels of its mean: its power is an exponential variable."""
VISIBLE_DB = 0.005
"""Smallest difference between a value with the floor and without that makes it a bound."""


def floor_of(channels: int) -> float:
    """Power of the rounding error in a coefficient of the luma, images in [-1, 1]: 5.1e-6 of grey images."""
    return ROUNDING * (sum(weight**2 for weight in LUMA_BT601) if channels == 3 else 1.0)


def floor_db(channels: int) -> float:
    """The same in dB: -52.9 of grey images, -56.4 of coloured ones."""
    return float(10 * np.log10(floor_of(channels)))


def floored(statistics: SpectrumStatistics, floor: float) -> SpectrumStatistics | None:
    """The statistics with every power profile no lower than ``floor``; None where none is.

    A bin whose mean lies below becomes the floor in every image: how far below, nobody can tell.
    """
    moments, profiles, changed = dict(statistics.moments), dict(statistics.profiles), False
    for name in PROFILES:
        below = moments[name].mean < floor
        if below.any():
            changed = True
            moments[name] = Moments(moments[name].count, np.where(below, floor, moments[name].mean))
            if name in profiles:
                profiles[name] = profiles[name].clone()
                profiles[name][:, below] = floor
    return replace(statistics, moments=moments, profiles=profiles) if changed else None


def floored_pairs(pairs: Sequence[Pair], channels: int) -> list[Pair] | None:
    """Both sets of a comparison with the floor, each whole and as a sample; None where nothing is below."""
    floor = floor_of(channels)
    raised = [[floored(statistics, floor) for statistics in pair] for pair in pairs]
    if not any(statistics for pair in raised for statistics in pair):
        return None
    return [
        (new[0] or old[0], new[1] or old[1]) for new, old in zip(raised, pairs, strict=True)
    ]  # fmt: skip


def bound(plain: Deviation, raised: Deviation) -> str:
    """``<=``, ``>=`` or nothing: on which side of the value with the floor the truth lies.

    Args:
        plain: the value without a floor, with the arithmetic's rounding in place of the power.
        raised: the value with the floor.
    """
    if not abs(plain.value - raised.value) > VISIBLE_DB:
        return ""
    return "<=" if plain.value < raised.value else ">="
