"""The table of deviations: one plain row a fake set, and the null control."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ganlab.errors import lookup
from ganlab.experiments.spectra.measure import NULL_NAME, Maps, MeasuredSet, Pair
from ganlab.experiments.spectra.options import SpectraOptions
from ganlab.experiments.spectra.profiles import Profiles
from ganlab.spectra import DEVIATIONS, SET_DEVIATIONS, Deviation, spectral_deviation
from ganlab.spectra.statistics import PROFILES
from ganlab.util.atomic import write_text

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
    rows, doubts, real = [], [], measured[0]
    for one in measured[1:]:
        values, warnings = _compare(
            (real.whole, real.sample), (one.whole, one.sample), options, wanted(options)
        )
        rows.append(DeviationRow(one.name, "fake", one.count, values))
        doubts += [f"{one.name}: {warning}" for warning in warnings]
    first, second = real.halves
    # Classifiers bring a null control of their own, trained on halves as well.
    simple = [name for name in wanted(options) if not name.startswith("cloaking")]
    values, _ = _compare(first, second, options, simple)
    return (*rows, DeviationRow(NULL_NAME, "null", second[0].count, values)), doubts


def _compare(
    real: Pair, fake: Pair, options: SpectraOptions, metrics: Sequence[str]
) -> tuple[dict[str, Deviation], list[str]]:
    """Power metrics of all images, the others of the samples."""
    chosen: dict[str, Any] = {"resamples": options.bootstrap, "seed": options.seed}
    power = [name for name in metrics if name in DEVIATIONS and set(DEVIATIONS[name].needs) <= set(PROFILES)]
    others = [name for name in metrics if name not in power]
    reports = [spectral_deviation(real[0], fake[0], metrics=power, **chosen)]
    if others:
        reports.append(spectral_deviation(real[1], fake[1], metrics=others, **chosen))
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


FREQUENCY = "frequency_cycles_per_pixel"


def number(value: float | None, digits: int = 9) -> str:
    """Text of a number; empty for None."""
    return "" if value is None else f"{value:.{digits}g}"


def write_csv(path: Path, header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """A CSV file with a header line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    write_text(path, text.getvalue())


def write_profiles(path: Path, profiles: Profiles) -> None:
    """One line for every set and frequency."""
    header = (
        "set", "role", "images", FREQUENCY, "level", "band_low", "band_high", "difference_to_real",
        "unit", "convention", "window", "band",
    )  # fmt: skip

    def lines() -> Iterable[Sequence[object]]:
        for curve in (*profiles.curves, *profiles.theory):
            for k, frequency in enumerate(profiles.frequencies):
                band = [None if end is None else end[k] for end in (curve.low, curve.high)]
                numbers = (frequency, curve.level[k], *band, curve.difference[k])
                yield (
                    curve.name, curve.role, curve.count, *map(number, numbers),
                    profiles.unit, profiles.convention, profiles.window, profiles.band,
                )  # fmt: skip

    write_csv(path, header, lines())


def write_maps(path: Path, maps: Maps) -> None:
    """The half plane of every panel (the other half mirrors it): a line a vertical frequency, dB."""
    right = maps.horizontal >= 0
    # An even width has its Nyquist column at -1/2; it stands last, as +1/2.
    columns = [*right.nonzero()[0], *([0] if len(right) % 2 == 0 else [])]
    header = ["set", "role", "images", "window", "vertical_frequency"]
    header += [f"horizontal_{number(abs(maps.horizontal[k]), 6)}" for k in columns]

    def lines() -> Iterable[Sequence[object]]:
        for panel in maps.panels:
            for row, frequency in zip(panel.level, maps.vertical, strict=True):
                about = (panel.name, panel.role, panel.count, maps.window, number(frequency, 6))
                yield (*about, *(number(row[k], 6) for k in columns))

    write_csv(path, header, lines())


_COLUMNS = ("value", "low", "high", "p_value", "null_mean", "null_low", "null_high", "real", "fake")


def write_rows(path: Path, rows: Sequence[DeviationRow], window: str) -> None:
    """One line for every set and deviation."""
    header = ("set", "role", "images", "deviation", *_COLUMNS, "unit", "window", "meaning", "null_control")
    lines = [
        (
            row.name, row.role, row.count, name, *(number(getattr(one, column)) for column in _COLUMNS),
            one.unit, window, one.summary, one.null,
        )
        for row in rows
        for name, one in row.values.items()
    ]  # fmt: skip
    write_csv(path, header, lines)


SHOWN = ("mean_db", "high_excess_db", "nyquist_excess_db", "axis_nyquist_excess_db")


def plain_table(rows: Sequence[DeviationRow]) -> str:
    """The main deviations, a line a set, columns aligned with blanks."""
    head = ["set", "images", *(TITLES[name] for name in SHOWN)]
    return aligned([head, *([row.name, str(row.count), *_values(row, SHOWN)] for row in rows)])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns side by side, the first flush left, the others flush right."""
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]

    def padded(line: Sequence[str]) -> str:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        return "  ".join([line[0].ljust(widths[0]), *cells[1:]]).rstrip()

    return "\n".join(padded(line) for line in lines) + "\n"


def _values(row: DeviationRow, names: Sequence[str]) -> list[str]:
    return [text_of(row[name], sign=is_signed(name)) if name in row.values else "" for name in names]


def markdown_table(rows: Sequence[DeviationRow]) -> str:
    """Every deviation, a line a metric, a column a set."""
    names = dict.fromkeys(name for row in rows for name in row.values)
    head = ["deviation", "unit", *(f"{row.name} ({row.count})" for row in rows), "what it is"]
    lines = [head, ["---", "---", *["---:"] * len(rows), "---"]]
    for name in names:
        about = next(row.values[name] for row in rows if name in row.values)
        cells = [_precise(row, name) for row in rows]
        lines.append([f"`{name}`", about.unit, *cells, about.summary])
    return (
        "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        + "\n"
    )


def _precise(row: DeviationRow, name: str) -> str:
    """Two decimals of decibels, four of everything else."""
    if name not in row.values:
        return ""
    value = row.values[name]
    return text_of(value, 2 if value.unit == "dB" else 4, is_signed(name))


def meaning(rows: Sequence[DeviationRow], window: str, resamples: int, operators: Sequence[str] = ()) -> str:
    """Three lines on how to read the table, and one on the theory in the figures.

    Args:
        rows: the table.
        window: of the spectra.
        resamples: behind the intervals, 0 for none.
        operators: fixed operators whose prediction is drawn.
    """
    null = next(row for row in rows if row.role == "null")
    brackets = f" [95 % bootstrap interval over images, {resamples} resamples]" if resamples else ""
    return (
        f"dB between mean power spectra{brackets}; luma, convention ganlab, window {window}; Nyquist is 1/2 "
        "cycle per pixel.\n"
        "mean |dB| is over the radial profile; the others are fake minus real: above 0 the fakes have too "
        "much power there.\n"
        f"'{null.name}' is one random half of the reals against the other: so much difference means "
        "nothing.\n"
    ) + (
        f"'{operators[0]} alone (theory)' in the figures: the reals at half resolution, enlarged by that "
        "operator and by nothing else.\n"
        if operators
        else ""
    )
