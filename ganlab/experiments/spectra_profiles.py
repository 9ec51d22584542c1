"""Numbers behind the profile figures: one curve a set, its band over images, its difference to the reals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganlab.experiments.spectra_measure import NULL_NAME, MeasuredSet
from ganlab.experiments.spectra_theory import predictions
from ganlab.spectra import CONVENTIONS, POWER_FLOOR, Moments, ProfileConvention, SpectrumStatistics
from ganlab.spectra.reservoir import PERCENTILES
from ganlab.spectra.rings import FloatArray

BAND = (5.0, 95.0)
"""Percentiles over images that the bands show."""
KINDS = ("radial", "horizontal", "vertical")


@dataclass(frozen=True)
class Curve:
    """A profile of one set.

    Attributes:
        name: of the set.
        role: "real", "fake", "null" for a half of the reals against the other half, or "theory" for the reals
            at half resolution, enlarged by a fixed operator alone.
        count: number of images.
        level: dB (or the convention's unit) by frequency, ``(K,)``.
        low: lower end of the band over images, and
        high: the upper end; None for "null" and "theory".
        difference: to the reals, same unit; zero for the reals themselves.
    """

    name: str
    role: str
    count: int
    level: FloatArray
    low: FloatArray | None
    high: FloatArray | None
    difference: FloatArray


@dataclass(frozen=True)
class Profiles:
    """One kind of profile of all sets.

    Attributes:
        kind: "radial", "horizontal" or "vertical".
        convention: name of the radial convention; "ganlab" for the axis profiles.
        window: name of the window.
        unit: "dB", or nothing where the convention has none.
        quantity: what the level is, for the axis label.
        band: what the bands are, in words.
        frequencies: cycles per pixel, ``(K,)``.
        curves: the reals first, then the fakes in order, then the null control.
        theory: one for each fixed operator that ends a fake set's generator.
    """

    kind: str
    convention: str
    window: str
    unit: str
    quantity: str
    band: str
    frequencies: FloatArray
    curves: tuple[Curve, ...]
    theory: tuple[Curve, ...] = ()


def moments_of(statistics: SpectrumStatistics, kind: str, convention: str = "ganlab") -> Moments:
    """Moments of one kind of profile."""
    axes = {"horizontal": statistics.horizontal, "vertical": statistics.vertical}
    return axes[kind] if kind in axes else statistics.radial[convention]


def decibels(power: FloatArray) -> FloatArray:
    """``10 log10`` of linear power, no lower than the floor of ganlab's spectra."""
    level: FloatArray = 10 * np.log10(np.maximum(power, POWER_FLOOR))
    return level


def unit_of(convention: ProfileConvention) -> tuple[str, str]:
    """Unit of a convention's level and what it is: decibels wherever it is linear power."""
    if convention.normalise == "minmax":
        return "", "min-max log profile"
    if convention.measure == "log_amplitude":
        return "", "20 ln|F|"
    return "dB", "power"


def profiles_of(sets: Sequence[MeasuredSet], kind: str, convention: str) -> Profiles:
    """One kind of profile of the reals (first) and the fakes.

    Args:
        sets: the measured sets.
        kind: one of ``KINDS``.
        convention: name of the radial convention; without effect on the axis profiles.
    """
    used = convention if kind == "radial" else "ganlab"
    unit, quantity = unit_of(CONVENTIONS[used])
    real = sets[0].statistics
    base = _level(moments_of(real, kind, used), unit)
    curves = [_curve(one, kind, used, unit, base) for one in sets]
    return Profiles(
        kind, used, real.window, unit, quantity, _band_text(sets, used, unit),
        real.frequencies(used if kind == "radial" else kind),
        (*curves, _null_curve(sets[0], kind, used, unit)),
        _theory_curves(sets, kind, base) if used == "ganlab" else (),
    )  # fmt: skip


def _theory_curves(sets: Sequence[MeasuredSet], kind: str, base: FloatArray) -> tuple[Curve, ...]:
    levels = [(one.operator, decibels(one.power[kind])) for one in predictions(sets)]
    return tuple(
        Curve(f"{operator} alone (theory)", "theory", sets[0].count, level, None, None, level - base)
        for operator, level in levels
    )


def _level(moments: Moments, unit: str) -> FloatArray:
    return decibels(moments.mean) if unit == "dB" else moments.mean


def _curve(one: MeasuredSet, kind: str, convention: str, unit: str, base: FloatArray) -> Curve:
    moments = moments_of(one.statistics, kind, convention)
    level = _level(moments, unit)
    low, high = _band(one.statistics, kind, convention, unit)
    return Curve(one.name, one.role, one.count, level, low, high, level - base)


def _band(
    statistics: SpectrumStatistics, kind: str, convention: str, unit: str
) -> tuple[FloatArray, FloatArray]:
    if convention == "ganlab" and statistics.bands is not None:
        rows = statistics.bands[kind]
        return tuple(decibels(rows[PERCENTILES.index(level)]) for level in BAND)  # type: ignore[return-value]
    moments = moments_of(statistics, kind, convention)
    if unit == "dB" and moments.std_log is not None:
        spread = moments.std_log * (10 / np.log(10))
        return moments.mean_db - spread, moments.mean_db + spread
    return moments.mean - moments.std, moments.mean + moments.std


def _band_text(sets: Sequence[MeasuredSet], convention: str, unit: str) -> str:
    if convention != "ganlab":
        return "mean of dB ± 1 std over images" if unit == "dB" else "mean ± 1 std over images"
    text = f"{BAND[0]:.0f} to {BAND[1]:.0f} % of images"
    sampled = [one for one in sets if one.statistics.band_count < one.count]
    return text + (f" (sample of {sampled[0].statistics.band_count})" if sampled else "")


def _null_curve(real: MeasuredSet, kind: str, convention: str, unit: str) -> Curve:
    first, second = (_level(moments_of(s, kind, convention), unit) for s in real.part_statistics)
    count = real.part_statistics[0].count
    return Curve(NULL_NAME, "null", count, first, None, None, first - second)
