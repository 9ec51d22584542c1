"""Numbers behind the profile figures: one curve a set, its band over images, its difference to the reals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganlab.experiments.spectra_measure import NULL_NAME, SAMPLE, MeasuredSet, Part
from ganlab.experiments.spectra_theory import predictions
from ganlab.spectra import CONVENTIONS, POWER_FLOOR, ProfileConvention
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


def mean_of(part: Part, kind: str, convention: str = "ganlab") -> FloatArray:
    """Mean over all images of one kind of profile, in the convention's own measure."""
    return part.mean(convention if kind == "radial" else kind)


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
    if convention.reduction == "fraction":
        return "dB", "share of the power in a ring"
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
    about = sets[0].all.sampled
    base = _level(mean_of(sets[0].all, kind, used), unit)
    curves = [_curve(one, kind, used, unit, base) for one in sets]
    return Profiles(
        kind, used, about.window, unit, quantity, _band_text(sets),
        about.frequencies(used if kind == "radial" else kind),
        (*curves, _null_curve(sets[0], kind, used, unit)),
        _theory_curves(sets, kind, base) if used == "ganlab" else (),
    )  # fmt: skip


def _theory_curves(sets: Sequence[MeasuredSet], kind: str, base: FloatArray) -> tuple[Curve, ...]:
    levels = [(one.operator, decibels(one.power[kind])) for one in predictions(sets)]
    return tuple(
        Curve(f"{operator} alone (theory)", "theory", sets[0].count, level, None, None, level - base)
        for operator, level in levels
    )


def _level(mean: FloatArray, unit: str) -> FloatArray:
    return decibels(mean) if unit == "dB" else mean


def _curve(one: MeasuredSet, kind: str, convention: str, unit: str, base: FloatArray) -> Curve:
    level = _level(mean_of(one.all, kind, convention), unit)
    low, high = _band(one, kind, convention, unit)
    return Curve(one.name, one.role, one.count, level, low, high, level - base)


def _band(one: MeasuredSet, kind: str, convention: str, unit: str) -> tuple[FloatArray, FloatArray]:
    profiles = one.all.profiles[kind if convention == "ganlab" else convention].double().numpy()
    low, high = np.percentile(profiles, BAND, axis=0)
    return (decibels(low), decibels(high)) if unit == "dB" else (low, high)


def _band_text(sets: Sequence[MeasuredSet]) -> str:
    text = f"{BAND[0]:.0f} to {BAND[1]:.0f} % of images"
    return text + (f" (from {SAMPLE} of them)" if any(one.count > SAMPLE for one in sets) else "")


def _null_curve(real: MeasuredSet, kind: str, convention: str, unit: str) -> Curve:
    first, second = (_level(mean_of(part, kind, convention), unit) for part in real.parts)
    return Curve(NULL_NAME, "null", real.parts[1].count, second, None, None, second - first)
