"""How far two sets of images lie apart in spectrum: named distances with intervals and a null control."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import GanlabError, lookup
from ganlab.spectra.accumulator import SpectrumAccumulator, profile_set
from ganlab.spectra.deviation_metrics import DEVIATIONS, DeviationMetric, Grid
from ganlab.spectra.guards import (
    SpectralWarning,
    check_sizes,
    codec_warnings,
    enlarged_warnings,
    number_warnings,
    range_warnings,
)
from ganlab.spectra.resampling import Stacked, bootstrap, interval, null_draws, p_values, permutations
from ganlab.spectra.set_metrics import SET_DEVIATIONS, Options, SetResult
from ganlab.spectra.statistics import SpectrumStatistics

Images = Tensor | Iterable[Tensor] | SpectrumAccumulator | SpectrumStatistics


@dataclass(frozen=True)
class Deviation:
    """One distance between a real and a fake set.

    Attributes:
        value: of the two sets as given.
        unit: "dB", "1", "nat", ...
        summary: one line that says what it is.
        low: lower end of the bootstrap percentile interval over images, None where there is none. Resampling
            adds noise, so that the interval of a distance that cannot be negative never reaches zero: hold it
            against the null control.
        high: its upper end.
        p_value: permutation test of "the labels real and fake do not matter"; None where it does not apply.
        null_mean: the same distance between real and real, mean over draws.
        null_low: lower end of its interval.
        null_high: its upper end.
        real: the number of the real set alone, where the distance is a difference of such.
        fake: that of the fake set.
        paired: whether image i was compared with image i; means nothing for unpaired sets.
        null: how the null control was drawn.
    """

    value: float
    unit: str
    summary: str
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    null_mean: float | None = None
    null_low: float | None = None
    null_high: float | None = None
    real: float | None = None
    fake: float | None = None
    paired: bool = False
    null: str = ""

    @property
    def beyond_null(self) -> bool | None:
        """Whether the value lies outside the null interval; None without one."""
        if self.null_low is None or self.null_high is None:
            return None
        return not self.null_low <= self.value <= self.null_high


class DeviationReport(dict[str, Deviation]):
    """Name -> ``Deviation``, with what the reader must know besides.

    Attributes:
        warnings: doubts about the comparison.
        skipped: name -> why a distance is missing.
        reals: number of real images.
        fakes: number of fake images.
        window: of the spectra.
        resamples: of bootstrap, null control and permutation test each.
        level: of the intervals.
    """

    def __init__(self, **about: Any) -> None:
        super().__init__()
        self.warnings: tuple[SpectralWarning, ...] = tuple(about["warnings"])
        self.skipped: dict[str, str] = {}
        self.reals: int = about["reals"]
        self.fakes: int = about["fakes"]
        self.window: str = about["window"]
        self.resamples: int = about["resamples"]
        self.level: float = about["level"]

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain numbers and text, for JSON."""
        return {
            "reals": self.reals,
            "fakes": self.fakes,
            "window": self.window,
            "resamples": self.resamples,
            "level": self.level,
            "warnings": [asdict(warning) for warning in self.warnings],
            "skipped": self.skipped,
            "deviations": {name: asdict(deviation) for name, deviation in self.items()},
        }


@dataclass(frozen=True)
class _Comparison:
    """The two sets and how to resample them."""

    real: SpectrumStatistics
    fake: SpectrumStatistics
    options: Options
    grid: Grid = field(init=False)

    def __post_init__(self) -> None:
        grid = Grid(self.real.height, self.real.width, self.real.window != "none")
        object.__setattr__(self, "grid", grid)

    @property
    def resampled(self) -> bool:
        """Whether there are profiles of single images on both sides, and resamples are asked for."""
        return bool(self.options.resamples and self.real.profiles and self.fake.profiles)

    def missing(self, metric: DeviationMetric) -> str:
        """Why a metric cannot be had, or nothing."""
        for name in metric.needs:
            if name not in self.real.means or name not in self.fake.means:
                return f"needs the profile {name!r}: make the accumulators with conventions=({name!r}, ...)"
        if not metric.available(self.grid):
            return f"images of {self.grid.height}x{self.grid.width} have no such frequency"
        return ""


def _statistic(
    metrics: Collection[DeviationMetric], grid: Grid
) -> Callable[[dict[str, Tensor], dict[str, Tensor]], Tensor]:
    return lambda real, fake: torch.stack([m.function(real, fake, grid) for m in metrics], 1)


def _stack(one: SpectrumStatistics, names: Collection[str]) -> Stacked:
    picked = {name: one.profiles[name] for name in names}
    return Stacked(picked, one.means, one.count)


def _resample(pair: _Comparison, metrics: Collection[DeviationMetric]) -> dict[str, list[float]]:
    """Intervals, null control and p-values of all metrics at once."""
    options, names = pair.options, sorted({name for metric in metrics for name in metric.needs})
    statistic = _statistic(metrics, pair.grid)
    real, fake = _stack(pair.real, names), _stack(pair.fake, names)
    boot = bootstrap(real, fake, statistic, options.resamples, options.seed)
    null = null_draws(real, pair.fake.count, statistic, options.resamples, options.seed)
    both = {name: torch.cat((pair.real.profiles[name], pair.fake.profiles[name])).double() for name in names}
    dealt = permutations(Stacked(both), pair.real.sampled, statistic, options.resamples, options.seed)
    sample_means = [
        {name: s.profiles[name].double().mean(0, keepdim=True) for name in names}
        for s in (pair.real, pair.fake)
    ]
    low, high = interval(boot, options.level)
    null_low, null_high = interval(null, options.level)
    columns = {
        "low": low,
        "high": high,
        "null_low": null_low,
        "null_high": null_high,
        "null_mean": null.mean(0),
        "p_value": p_values(statistic(*sample_means)[0], dealt),
    }
    return {name: values.tolist() for name, values in columns.items()}


def _mean_deviations(pair: _Comparison, metrics: dict[str, DeviationMetric]) -> dict[str, Deviation]:
    if not metrics:
        return {}
    values = _statistic(metrics.values(), pair.grid)(pair.real.means, pair.fake.means)[0].tolist()
    columns = _resample(pair, metrics.values()) if pair.resampled else {}
    found = {}
    for i, (name, metric) in enumerate(metrics.items()):
        row: dict[str, Any] = {column: numbers[i] for column, numbers in columns.items()}
        if metric.single is not None:
            row["real"] = float(metric.single(pair.real.means, pair.grid))
            row["fake"] = float(metric.single(pair.fake.means, pair.grid))
        null = f"two draws with replacement from the real set, {pair.real.count} and {pair.fake.count} images"
        found[name] = Deviation(values[i], metric.unit, metric.summary, null=null if columns else "", **row)
    return found


def _set_deviation(result: SetResult, unit: str, summary: str, level: float, paired: bool) -> Deviation:
    row: dict[str, Any] = {}
    if result.boot is not None:
        row["low"], row["high"] = (float(end) for end in interval(result.boot[:, None], level))
    if result.null is not None:
        row["null_low"], row["null_high"] = (float(end) for end in interval(result.null[:, None], level))
        row["null_mean"] = float(result.null.mean())
    if result.permuted is not None:
        row["p_value"] = float(p_values(torch.tensor([result.value]), result.permuted[:, None]))
    return Deviation(result.value, unit, summary, paired=paired, null=result.how_null, **row)


def _warnings(
    real: SpectrumStatistics,
    fake: SpectrumStatistics,
    codecs: tuple[Collection[str], Collection[str]] | None,
    options: Options,
) -> list[SpectralWarning]:
    check_sizes((real.channels or 0, real.height, real.width), (real.channels or 0, fake.height, fake.width))
    if real.channels and fake.channels:
        check_sizes((real.channels, real.height, real.width), (fake.channels, fake.height, fake.width))
    if real.window != fake.window:
        raise GanlabError(f"real spectra have window {real.window!r}, fake ones {fake.window!r}: use one")
    found = []
    for one, what in ((real, "real"), (fake, "fake")):
        if one.minimum is not None and one.maximum is not None:
            found += range_warnings(one.minimum, one.maximum, what)
    found += codec_warnings(*codecs) if codecs else []
    found += enlarged_warnings(real.images, "real") if real.images is not None else []
    found += number_warnings(real.count, fake.count, options.resamples, options.level)
    if options.resamples and not (real.profiles and fake.profiles):
        text = "no profiles of single images were kept: no intervals, no null control, no test; "
        text += "make the accumulators with keep_profiles=True or reservoir=..."
        found.append(SpectralWarning("no_profiles", text))
    return found


@torch.no_grad()
def spectral_deviation(
    real: Images,
    fake: Images,
    *,
    window: str | None = None,
    metrics: Iterable[str] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    codecs: tuple[Collection[str], Collection[str]] | None = None,
    cloaking_epochs: int = 100,
) -> DeviationReport:
    """Named distances between the spectra of two sets, with intervals, tests and the null control beside.

    Distances are computed from mean profiles in the convention each names ("ganlab" luma power unless said
    otherwise; the zero frequency, brightness, is left out). Differences are fake minus real. Every set is
    resampled over images; the null control is the same distance between real and real at the same counts.

    Args:
        real: the reference: float ``(N, 1 or 3, H, W)`` in [-1, 1], batches of such, a
            ``SpectrumAccumulator`` or ``SpectrumStatistics``.
        fake: the other set, images of the same size; any number.
        window: as in ``power_spectrum``.
        metrics: names out of ``DEVIATIONS`` and ``SET_DEVIATIONS``; by default all that the sets admit.
        resamples: bootstrap draws, null draws and permutations each; 0 for values alone.
        level: of the intervals.
        seed: everything random follows from it.
        codecs: file formats that the real and the fake images came from, for the codec guard.
        cloaking_epochs: training length of the cloaking score as published.

    Returns:
        Name -> ``Deviation``; ``.warnings`` says what makes the comparison doubtful, ``.skipped`` what is
        missing and why.

    Raises:
        GanlabError: different sizes, channels or windows; no image; values that are no images in [-1, 1];
            unknown metric; fewer than two images with resamples asked for.
    """
    chosen = list(metrics) if metrics is not None else [*DEVIATIONS, *SET_DEVIATIONS]
    for name in chosen:
        lookup({**DEVIATIONS, **SET_DEVIATIONS}, name, "deviation")
    if resamples < 0:
        raise GanlabError(f"resamples is 0 or more; got {resamples}")
    options = Options(resamples, level, seed, cloaking_epochs)
    pair = _Comparison(profile_set(real, window), profile_set(fake, window), options)
    report = DeviationReport(
        warnings=_warnings(pair.real, pair.fake, codecs, options),
        reals=pair.real.count,
        fakes=pair.fake.count,
        window=pair.real.window,
        resamples=resamples if pair.resampled else 0,
        level=level,
    )
    _fill(report, pair, chosen)
    return report


def _fill(report: DeviationReport, pair: _Comparison, chosen: Collection[str]) -> None:
    possible: dict[str, DeviationMetric] = {}
    for name in chosen:
        if name in DEVIATIONS:
            reason = pair.missing(DEVIATIONS[name])
            report.skipped |= {name: reason} if reason else {}
            possible |= {} if reason else {name: DEVIATIONS[name]}
    report.update(_mean_deviations(pair, possible))
    for name in chosen:
        if name in SET_DEVIATIONS:
            metric = SET_DEVIATIONS[name]
            reason = metric.missing(pair.real, pair.fake)
            if reason:
                report.skipped[name] = reason
                continue
            result = metric.function(pair.real, pair.fake, pair.options)
            report[name] = _set_deviation(result, metric.unit, metric.summary, report.level, metric.paired)
