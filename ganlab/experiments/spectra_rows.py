"""The table of deviations: one plain row a fake set, and the null control."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ganlab.errors import lookup
from ganlab.experiments.spectra_profiles import Curve, Profiles
from ganlab.spectra.rings import FloatArray

HALF_NYQUIST = 0.25
"""Cycles per pixel: what lies above it is made by the last doubling."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: the estimate.
        low: lower end of the 95 % bootstrap interval over images, None without.
        high: its upper end.
        p_value: of the permutation test that both sets are alike, None without.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None

    def text(self, digits: int = 2, sign: bool = False) -> str:
        """``1.23 [1.10, 1.40]``."""
        shape = f"{'+' if sign else ''}.{digits}f"
        if self.low is None or self.high is None:
            return format(self.value, shape)
        return f"{self.value:{shape}} [{self.low:{shape}}, {self.high:{shape}}]"


@dataclass(frozen=True)
class Metric:
    """A column of the table."""

    title: str
    unit: str
    meaning: str
    signed: bool = False


@dataclass(frozen=True)
class DeviationRow:
    """How one set differs from the reals.

    Attributes:
        name: of the set.
        role: "fake", or "null" for one half of the reals against the other half.
        count: number of images of the set.
        values: metric -> estimate; names and units in ``METRICS``.
    """

    name: str
    role: str
    count: int
    values: Mapping[str, Estimate]

    def __getitem__(self, metric: str) -> Estimate:
        return lookup(self.values, metric, "metric")

    def plain(self) -> dict[str, Any]:
        """As JSON values; NaN and infinity become None."""
        values = {
            name: {key: _finite(number) for key, number in asdict(estimate).items()}
            for name, estimate in self.values.items()
        }
        return {"set": self.name, "role": self.role, "count": self.count, "values": values}


def row_from_plain(plain: Mapping[str, Any]) -> DeviationRow:
    """The row that ``DeviationRow.plain`` described."""
    values = {
        name: Estimate(**{**one, "value": float("nan") if one["value"] is None else one["value"]})
        for name, one in plain["values"].items()
    }
    return DeviationRow(plain["set"], plain["role"], plain["count"], values)


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


METRICS: dict[str, Metric] = {
    "mean_abs_db": Metric("mean |difference|", "dB", "radial profile, mean absolute difference, all but DC"),
    "high_abs_db": Metric("the same, f >= 1/4", "dB", "the same from half Nyquist up"),
    "high_db": Metric("mean difference, f >= 1/4", "dB", "above 0 the fakes have too much", signed=True),
    "nyquist_db": Metric("difference at Nyquist", "dB", "radial profile at its highest ring", signed=True),
    "axis_nyquist_db": Metric(
        "the same on the axes", "dB",
        "horizontal and vertical profile at their highest frequency, mean of both", signed=True,
    ),
}  # fmt: skip
"""Name -> column."""

Rule = Callable[[FloatArray, FloatArray], float]
_OF_RADIAL: dict[str, Rule] = {
    "mean_abs_db": lambda f, d: float(np.abs(d[f > 0]).mean()),
    "high_abs_db": lambda f, d: float(np.abs(d[f >= HALF_NYQUIST]).mean()),
    "high_db": lambda f, d: float(d[f >= HALF_NYQUIST].mean()),
    "nyquist_db": lambda _, d: float(d[-1]),
}


def deviation_rows(radial: Profiles, axes: Sequence[Profiles]) -> tuple[DeviationRow, ...]:
    """One row for every fake set and one for the null control.

    Args:
        radial: the radial profiles in the "ganlab" convention.
        axes: the horizontal and the vertical profiles.
    """
    return tuple(
        _row(radial.frequencies, curve, [kind.curves[place] for kind in axes])
        for place, curve in enumerate(radial.curves)
        if curve.role != "real"
    )


def _row(frequencies: FloatArray, radial: Curve, axes: Sequence[Curve]) -> DeviationRow:
    values = {name: Estimate(rule(frequencies, radial.difference)) for name, rule in _OF_RADIAL.items()}
    at_nyquist = float(np.mean([curve.difference[-1] for curve in axes]))
    values["axis_nyquist_db"] = Estimate(at_nyquist)
    return DeviationRow(radial.name, radial.role, radial.count, values)
