"""The table of deviations: one plain row a fake set, and the null control."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ganlab.errors import lookup
from ganlab.experiments.spectra_measure import NULL_NAME, MeasuredSet, Part
from ganlab.experiments.spectra_options import SpectraOptions
from ganlab.spectra import DEVIATIONS, SET_DEVIATIONS, Deviation, spectral_deviation
from ganlab.spectra.statistics import PROFILES

TITLES = {
    "mean_db": "mean |dB|",
    "high_db": "mean |dB| above 1/4",
    "high_excess_db": "dB above 1/4",
    "nyquist_excess_db": "dB at Nyquist",
    "axis_nyquist_excess_db": "dB at Nyquist, axes",
}
"""Short titles of the metrics that the printed table and the chart show."""


@dataclass(frozen=True)
class DeviationRow:
    """How one set differs from the reals.

    Attributes:
        name: of the set.
        role: "fake", or "null" for one half of the reals against the other half.
        count: number of images of the set.
        values: name in ``ganlab.spectra.DEVIATIONS`` or ``SET_DEVIATIONS`` -> value, interval, null control.
    """

    name: str
    role: str
    count: int
    values: Mapping[str, Deviation]

    def __getitem__(self, metric: str) -> Deviation:
        return lookup(self.values, metric, "deviation")

    def plain(self) -> dict[str, Any]:
        """As JSON values; NaN and infinity become None."""
        values = {
            name: {key: _finite(value) for key, value in asdict(deviation).items()}
            for name, deviation in self.values.items()
        }
        return {"set": self.name, "role": self.role, "count": self.count, "values": values}


def row_from_plain(plain: Mapping[str, Any]) -> DeviationRow:
    """The row that ``DeviationRow.plain`` described."""
    values = {
        name: Deviation(**{**one, "value": math.nan if one["value"] is None else one["value"]})
        for name, one in plain["values"].items()
    }
    return DeviationRow(plain["set"], plain["role"], plain["count"], values)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_signed(metric: str) -> bool:
    """Whether a deviation is fake minus real with a sign."""
    return metric in DEVIATIONS and DEVIATIONS[metric].signed


def deviation_rows(
    measured: Sequence[MeasuredSet], options: SpectraOptions
) -> tuple[tuple[DeviationRow, ...], list[str]]:
    """One row for every fake set and one for the null control; warnings of the comparison.

    Args:
        measured: the reals, then the fakes.
        options: which metrics, how many resamples, the seed.
    """
    rows, doubts = [], []
    for one in measured[1:]:
        values, warnings = _compare(measured[0].all, one.all, options, wanted(options))
        rows.append(DeviationRow(one.name, "fake", one.count, values))
        doubts += [f"{one.name}: {warning}" for warning in warnings]
    first, second = measured[0].parts
    # Classifiers bring a null control of their own, trained on halves as well.
    simple = [name for name in wanted(options) if not name.startswith("cloaking")]
    values, _ = _compare(first, second, options, simple)
    return (*rows, DeviationRow(NULL_NAME, "null", second.count, values)), doubts


def _compare(
    real: Part, fake: Part, options: SpectraOptions, metrics: Sequence[str]
) -> tuple[dict[str, Deviation], list[str]]:
    """Power metrics of all images, the others of the samples."""
    chosen: dict[str, Any] = {"resamples": options.bootstrap, "seed": options.seed}
    power = [name for name in metrics if name in DEVIATIONS and set(DEVIATIONS[name].needs) <= set(PROFILES)]
    others = [name for name in metrics if name not in power]
    reports = [spectral_deviation(real.whole_set, fake.whole_set, metrics=power, **chosen)]
    if others:
        reports.append(spectral_deviation(real.sampled_set, fake.sampled_set, metrics=others, **chosen))
    found = {name: value for report in reports for name, value in report.items()}
    warnings = [one.message for report in reports for one in report.warnings]
    return {name: found[name] for name in metrics if name in found}, list(dict.fromkeys(warnings))


def wanted(options: SpectraOptions) -> list[str]:
    """Names of the deviations asked for, those for pairs of images left out: no set here is paired."""
    if options.metrics == "all":
        return [*DEVIATIONS, *(name for name, metric in SET_DEVIATIONS.items() if not metric.paired)]
    return [name for name, metric in DEVIATIONS.items() if set(metric.needs) <= set(PROFILES)]


def text_of(value: Deviation, digits: int = 2, sign: bool = False) -> str:
    """``1.23 [1.10, 1.40]``."""
    shape = f"{'+' if sign else ''}.{digits}f"
    if value.low is None or value.high is None:
        return format(value.value, shape)
    return f"{value.value:{shape}} [{value.low:{shape}}, {value.high:{shape}}]"
