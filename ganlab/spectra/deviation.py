"""How far two sets of images lie apart in spectrum: named distances with intervals and a null control."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ganlab.errors import GanlabError, lookup, names_of
from ganlab.spectra.deviation_metrics import DEVIATIONS, DeviationMetric, Grid, coordinates
from ganlab.spectra.guards import (
    SpectralWarning,
    check_sizes,
    codec_warnings,
    enlarged_warnings,
    number_warnings,
    range_warnings,
)
from ganlab.spectra.intervals import BOOTSTRAP_T, INVERSION, bootstrap_t, invert
from ganlab.spectra.resampling import (
    Stacked,
    draw,
    influences,
    interval,
    null_draws,
    null_parts,
    p_values,
    permutations,
)
from ganlab.spectra.set_metrics import SET_DEVIATIONS, Options, SetResult
from ganlab.spectra.statistics import HasStatistics, SpectrumStatistics
from ganlab.spectra.summary import profile_set
from ganlab.util.memory import release_memory

Images: TypeAlias = Tensor | Iterable[Tensor] | HasStatistics | SpectrumStatistics


@dataclass(frozen=True)
class Deviation:
    """One distance between a real and a fake set.

    Attributes:
        value: the estimate. For a distance that cannot be negative it is corrected for what noise alone adds
            (the median-unbiased point of the test inversion), so that it may be 0; else, and where nothing
            was resampled, the distance of the two sets as given.
        unit: "dB", "1", "nat", ...
        summary: one line that says what it is.
        low: lower end of the interval over images, None where there is none; never above ``value``.
        high: its upper end.
        method: of the interval: "bootstrap-t" of what has a sign or a mean, "test inversion" of distances
            that cannot be negative, "Clopper-Pearson" of a classifier's score; empty without one.
        observed: the distance of the two sets as given; the p-value is that of this number.
        p_value: permutation test of "the labels real and fake do not matter"; None where it does not apply.
        null_mean: the same estimate between real and real at the same counts, mean over splits.
        null_low: lower end of the range that holds ``level`` of them.
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
    method: str = ""
    observed: float | None = None
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


def _on_grid(
    apart: Callable[[Tensor, Tensor, Grid], Tensor], grid: Grid
) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda real, fake: apart(real, fake, grid)


def _stack(one: SpectrumStatistics, names: Collection[str]) -> Stacked:
    picked = {name: one.profiles[name] for name in names}
    return Stacked(picked, one.means, one.count)


def _resample(pair: _Comparison, metrics: Sequence[DeviationMetric]) -> list[dict[str, Any]]:
    """Estimate, interval, null control and p-value of every metric, from the same resamples."""
    options, names = pair.options, sorted({name for metric in metrics for name in metric.needs})
    statistic = _statistic(metrics, pair.grid)
    real, fake = _stack(pair.real, names), _stack(pair.fake, names)
    signed = [metric for metric in metrics if metric.apart is None]
    influence = influences(real, fake, _statistic(signed, pair.grid)) if signed else None
    draws = draw(real, fake, options.resamples, options.seed, influence)
    null = null_draws(real, pair.fake.count, statistic, options.resamples, options.seed)
    both = {name: torch.cat((pair.real.profiles[name], pair.fake.profiles[name])).double() for name in names}
    dealt = permutations(Stacked(both), pair.real.sampled, statistic, options.resamples, options.seed)
    sample_means = [
        {name: s.profiles[name].double().mean(0, keepdim=True) for name in names}
        for s in (pair.real, pair.fake)
    ]
    p_value = p_values(statistic(*sample_means)[0], dealt).tolist()
    rows: list[dict[str, Any]] = [{} for _ in metrics]
    if influence is not None and draws.variance is not None:
        variance = real.variance(influence[0])[0] + fake.variance(influence[1])[0]
        of_signed = _statistic(signed, pair.grid)
        values = of_signed(pair.real.means, pair.fake.means)[0]
        low, high = bootstrap_t(
            values, variance, of_signed(draws.real, draws.fake), draws.variance, options.level
        )
        ends = zip(low.tolist(), high.tolist(), strict=True)
        for row, metric in zip(rows, metrics, strict=True):
            if metric.apart is None:
                row["low"], row["high"] = next(ends)
                row["method"] = BOOTSTRAP_T
    for i, (row, metric) in enumerate(zip(rows, metrics, strict=True)):
        controls = null[:, i]
        if metric.apart is not None:
            profile = metric.needs[0]
            means = [coordinates(one.means, profile) for one in (pair.real, pair.fake)]
            drawn = [coordinates(one, profile) for one in (draws.real, draws.fake)]
            inverted = invert(
                _on_grid(metric.apart, pair.grid),
                means[0], means[1], drawn[0], drawn[1], options.level,
            )  # fmt: skip
            row |= {"value": inverted.value, "low": inverted.low, "high": inverted.high, "method": INVERSION}
            controls = torch.from_numpy(inverted.estimates(controls.numpy()))
        row["p_value"] = p_value[i]
        row |= _null_columns(controls, options.level)
    return rows


def _null_columns(values: Tensor, level: float) -> dict[str, float]:
    """The control's columns of a report from its values ``(R,)``."""
    low, high = interval(values[:, None], level)
    return {"null_mean": float(values.mean()), "null_low": float(low), "null_high": float(high)}


def _mean_deviations(pair: _Comparison, metrics: dict[str, DeviationMetric]) -> dict[str, Deviation]:
    if not metrics:
        return {}
    values = _statistic(metrics.values(), pair.grid)(pair.real.means, pair.fake.means)[0].tolist()
    rows: list[dict[str, Any]] = [{} for _ in metrics]
    null = ""
    if pair.resampled:
        rows = _resample(pair, list(metrics.values()))
        first, second, factor = null_parts(pair.real.sampled, pair.real.count, pair.fake.count)
        null = (
            f"{pair.options.resamples} random splits of the real set into {first} and {second} images, their "
            f"deviations from the mean times {factor:.2f}: as for {pair.real.count} and {pair.fake.count}"
        )
    found = {}
    for row, value, (name, metric) in zip(rows, values, metrics.items(), strict=True):
        if metric.single is not None:
            row["real"] = float(metric.single(pair.real.means, pair.grid))
            row["fake"] = float(metric.single(pair.fake.means, pair.grid))
        row = {"value": value, "observed": value, "null": null, **row}
        found[name] = Deviation(unit=metric.unit, summary=metric.summary, **row)
    return found


def _set_deviation(result: SetResult, unit: str, summary: str, level: float, paired: bool) -> Deviation:
    row: dict[str, Any] = {"low": result.low, "high": result.high, "method": result.method}
    if result.null is not None:
        row |= _null_columns(result.null, level)
    if result.permuted is not None:
        row["p_value"] = float(p_values(torch.tensor([result.observed]), result.permuted[:, None]))
    value = result.observed if result.value is None else result.value
    return Deviation(
        value, unit, summary, observed=result.observed, paired=paired, null=result.how_null, **row
    )


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
    resamples: int = 1000,
    *,
    window: str | None = None,
    metrics: str | Iterable[str] | None = None,
    level: float = 0.95,
    seed: int = 0,
    codecs: tuple[Collection[str], Collection[str]] | None = None,
    cloaking_epochs: int = 100,
) -> DeviationReport:
    """Named distances between the spectra of two sets, with intervals, tests and the null control beside.

    Distances are computed from mean profiles in the convention each names ("ganlab" luma power unless said
    otherwise; the zero frequency, brightness, is left out). Differences are fake minus real. Every set is
    resampled over images; ``Deviation.method`` says how the interval was made. The null control is the same
    estimate between parts of the real set, at the counts of the two sets.

    Args:
        real: the reference: float ``(N, 1 or 3, H, W)`` in [-1, 1], batches of such, a
            ``SpectrumAccumulator`` or ``SpectrumStatistics``.
        fake: the other set, images of the same size; any number.
        resamples: bootstrap draws, null draws and permutations each; 0 for values alone.
        window: as in ``power_spectrum``.
        metrics: names out of ``DEVIATIONS`` and ``SET_DEVIATIONS``, or one; by default all that are possible.
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
    chosen = [*DEVIATIONS, *SET_DEVIATIONS] if metrics is None else list(names_of(metrics))
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
            release_memory()  # of thousands of resamples of thousands of images
            metric = SET_DEVIATIONS[name]
            reason = metric.missing(pair.real, pair.fake)
            if reason:
                report.skipped[name] = reason
                continue
            result = metric.function(pair.real, pair.fake, pair.options)
            report[name] = _set_deviation(result, metric.unit, metric.summary, report.level, metric.paired)
