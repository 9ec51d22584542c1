"""Profiles as they are drawn: levels, bands, differences to the reals, and what theory says of the reals.

The curve that theory puts beside a fake set is what its last doubling alone would do: the reals at half
resolution (their spectrum up to 1/4 cycles per pixel, cut off ideally) are enlarged by the operator and by
nothing else. Zero insertion repeats the spectrum, the kernel weighs it: ``|H(f)|^2`` times the power at the
frequency that f is a replica of. Whatever a measured curve has beyond that, the learned layers around the
operator made; a linear one among them can refill everything but an exact null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from ganlab.config import from_mapping
from ganlab.config.architecture import stage_names
from ganlab.data.imageset import MANIFEST
from ganlab.errors import GanlabError
from ganlab.experiments.spectra.floors import floor_db
from ganlab.experiments.spectra.measure import NULL_NAME, SAMPLE, MeasuredSet
from ganlab.spectra import CONVENTIONS, ProfileConvention, decibels, frequency_response, statistics_of_power
from ganlab.spectra.rings import FloatArray, multiplicity, orbit_sums
from ganlab.upsampling import KERNELS
from ganlab.util.reading import read_json

BAND = (5.0, 95.0)
"""Percentiles over images that the bands show."""
KINDS = ("radial", "horizontal", "vertical")
PARENTS = 3
"""How far above a set its manifest may lie: OUT, OUT/NAME, OUT/train/NAME."""


@dataclass(frozen=True)
class Prediction:
    """Mean power of the reals, halved and enlarged by ``operator`` alone, by kind of profile."""

    operator: str
    sets: tuple[str, ...]
    power: Mapping[str, FloatArray]


def predictions(measured: Sequence[MeasuredSet]) -> tuple[Prediction, ...]:
    """One for each fixed operator that ends a generator of the fake sets.

    None where it would not be well defined: odd sizes, windowed spectra, learned or position-dependent
    upsamplers, sets without a manifest of ``ganlab generate``.
    """
    real = measured[0].whole
    if real.window != "none" or real.height % 4 or real.width % 4:
        return ()
    found: dict[str, list[str]] = {}
    for one in measured[1:]:
        operator = last_operator(one.images.path)
        if operator in KERNELS:
            found.setdefault(operator, []).append(one.name)
    return tuple(
        Prediction(operator, tuple(names), enlarged_profiles(real.mean("power"), operator))
        for operator, names in found.items()
    )


def last_operator(path: Path) -> str | None:
    """Name of the upsampler that ends the generator of a set, from its manifest; None where unknown."""
    place = path.absolute()
    for folder in (place, *place.parents[:PARENTS]):
        try:
            plan = read_json(folder / MANIFEST)["plan"]
            part = place.with_suffix("") if place.suffix in (".zip", ".npy") else place
            return _operator_in(plan["parts"], PurePosixPath(part.relative_to(folder)))
        except (ValueError, KeyError, TypeError):
            continue  # also of a folder above, which may be anybody's
    return None


def _operator_in(parts: Sequence[Mapping[str, Any]], wanted: PurePosixPath) -> str | None:
    """Of the part at this relative path, or below it if all there are of one generator."""
    sources = [
        part["source"]
        for part in parts
        if PurePosixPath(part["path"]) == wanted or PurePosixPath(part["path"]).is_relative_to(wanted)
    ]
    try:
        names = {
            stage_names(from_mapping(source["config"]).model)[-1] if source["kind"] == "fake" else None
            for source in sources
        }
    except GanlabError:
        return None
    return names.pop() if len(names) == 1 else None


def enlarged_profiles(power: FloatArray, operator: str) -> dict[str, FloatArray]:
    """Radial, horizontal and vertical profile (linear power) of the reals halved and enlarged.

    Args:
        power: mean power of the reals ``(H, W//2+1)``; H and W divisible by 4, no window.
        operator: a key of ``ganlab.upsampling.KERNELS``.
    """
    height, width = power.shape[0], 2 * (power.shape[1] - 1)
    half = torch.from_numpy(power)[None]
    quarter = orbit_sums(half, width)[0].numpy() / np.outer(multiplicity(height), multiplicity(width))
    gains = [frequency_response(operator, n).numpy() ** 2 for n in (height, width)]
    folds = [_folded(n) for n in (height, width)]
    enlarged = np.outer(*gains) * quarter[np.ix_(*folds)]
    rows = np.minimum(np.arange(height), height - np.arange(height))
    statistics = statistics_of_power(enlarged[rows])
    return {kind: statistics.mean(kind) for kind in KINDS}


def _folded(size: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Frequency number that 0..size/2 is a replica of after zero insertion."""
    steps = np.arange(size // 2 + 1)
    return np.minimum(steps, size // 2 - steps)


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
        floor: level that the rounding of 8-bit images alone has, dB; measured levels are no lower (where one
            equals it, it is a bound). None where the convention is no power of a coefficient.
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
    floor: float | None = None


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
    about, name = sets[0].whole, used if kind == "radial" else kind
    floor = floor_db(sets[0].images.shape[2]) if used == "ganlab" else None
    base = _level(about.mean(name), unit, floor)
    curves = []
    for one in sets:
        level = _level(one.whole.mean(name), unit, floor)
        rows = one.whole.profiles["radial" if name == "ganlab" else name].double().numpy()
        low, high = (_level(end, unit, floor) for end in np.percentile(rows, BAND, axis=0))
        curves.append(Curve(one.name, one.role, one.count, level, low, high, level - base))
    first, second = (half for half, _ in sets[0].halves)
    levels = [_level(half.mean(name), unit, floor) for half in (first, second)]
    curves.append(Curve(NULL_NAME, "null", second.count, levels[1], None, None, levels[1] - levels[0]))
    theory = [
        Curve(f"{one.operator} alone (theory)", "theory", sets[0].count, level, None, None, level - base)
        for one in (predictions(sets) if used == "ganlab" else ())
        for level in (decibels(one.power[kind]),)
    ]
    band = f"{BAND[0]:.0f} to {BAND[1]:.0f} % of images"
    band += f" (from {SAMPLE} of them)" if any(one.count > SAMPLE for one in sets) else ""
    return Profiles(
        kind, used, about.window, unit, quantity, band, about.frequencies(name), tuple(curves), tuple(theory),
        floor,
    )  # fmt: skip


def _level(mean: FloatArray, unit: str, floor: float | None) -> FloatArray:
    level = decibels(mean) if unit == "dB" else mean
    return level if floor is None else np.maximum(level, floor)
