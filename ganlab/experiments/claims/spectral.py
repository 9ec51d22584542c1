"""Spectra as experiments use them: profiles against the reals with their null, deviations with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ganlab.data import ImageSet
from ganlab.experiments.claims.drawing import curves
from ganlab.experiments.claims.outcome import Drawing, Table
from ganlab.experiments.claims.setting import Setting, floats
from ganlab.forensics import Interval
from ganlab.results.tables import plain, with_interval
from ganlab.spectra import decibels, profile_set, spectral_deviation

Floats = npt.NDArray[np.float64]
NULL_NAME = "null"
METRICS = {
    "mean_db": "mean deviation (dB)", "high_db": "above 1/4 (dB)", "high_excess_db": "above 1/4, signed (dB)",
    "axis_nyquist_excess_db": "Nyquist row and column, signed (dB)",
}  # fmt: skip
"""Deviations that tables show, with their titles."""


def profiles(
    real: ImageSet, fakes: Sequence[ImageSet], kind: str, window: str | None = None
) -> dict[str, Floats]:
    """Mean profile in dB of every set, the reals first, and of one half of the reals over the other ("null").

    Args:
        real: the reals.
        fakes: sets of the same size.
        kind: "radial", "horizontal" or "vertical".
        window: as in ``ganlab.spectra.power_spectrum``.

    Returns:
        Name -> ``(K,)``; the null is that half's profile on the level of all reals.
    """
    rows = {one.name: _rows(one, kind, window) for one in (real, *fakes)}
    found = {name: decibels(own.mean(0)) for name, own in rows.items()}
    halves = [decibels(rows[real.name][start::2].mean(0)) for start in (0, 1)]
    return {**found, NULL_NAME: found[real.name] + halves[0] - halves[1]}


def _rows(images: ImageSet, kind: str, window: str | None) -> Floats:
    measured = profile_set(floats(images), window)
    values: Floats = measured.profiles[kind].double().numpy()
    return values


def against(
    stem: str, caption: str, panels: Mapping[str, Mapping[str, Floats]], real: str = "real"
) -> Drawing:
    """Profiles over those of the reals, a panel a kind; the null among them."""
    differences = {
        title: {name: values - own[real] for name, values in own.items() if name != real}
        for title, own in panels.items()
    }
    count = len(next(iter(next(iter(differences.values())).values())))
    x = np.arange(count) / (2 * (count - 1))
    return curves(
        stem,
        caption,
        x,
        differences,
        "frequency (cycles per pixel)",
        "power against the reals (dB)",
        zero=True,
    )


def deviations(setting: Setting, real: ImageSet, fakes: Sequence[ImageSet]) -> dict[str, dict[str, Any]]:
    """`METRICS` of every set of fakes against the reals, with intervals and null, as JSON values."""

    def make(fake: ImageSet) -> Any:
        report = spectral_deviation(
            floats(real), floats(fake), metrics=list(METRICS),
            resamples=setting.scale.resamples, seed=setting.seed,
        )  # fmt: skip
        return plain(report.as_dict()["deviations"])

    return {fake.name: setting.once(f"deviation-{fake.name}", partial(make, fake)) for fake in fakes}


def deviation(found: Mapping[str, Any], metric: str) -> Interval:
    """One deviation of a set; without resamples its ends are the value."""
    entry = found[metric]
    value = entry["value"]
    low, high = (value if entry[end] is None else entry[end] for end in ("low", "high"))
    return Interval(value, low, high)


def deviation_table(stem: str, title: str, found: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row a set of fakes; the last one is the null of the first set's comparison."""

    def cell(entry: Mapping[str, Any], ends: tuple[str, str, str], sign: bool) -> str:
        value, low, high = (entry[end] for end in ends)
        return with_interval(value, low, high, 2, sign)

    def row(name: str, own: Mapping[str, Any], ends: tuple[str, str, str]) -> list[str]:
        return [name, *(cell(own[metric], ends, "excess" in metric) for metric in METRICS)]

    rows = [row(name, own, ("value", "low", "high")) for name, own in found.items()]
    first = next(iter(found.values()))
    rows.append(row("null: real against real", first, ("null_mean", "null_low", "null_high")))
    note = "Luma power on rings, no window; the null has the counts of the first comparison."
    return Table(stem, title, ("set", *METRICS.values()), rows, note)
