"""The table of deviations: one plain row a fake set, and the null control; and the files of every number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ganlab.errors import lookup
from ganlab.experiments.spectra.floors import Pair, bound, floor_db, floored_pairs
from ganlab.experiments.spectra.lines import STRONGEST, strongest
from ganlab.experiments.spectra.measure import NULL_NAME, Maps, MeasuredSet
from ganlab.experiments.spectra.options import SpectraOptions
from ganlab.experiments.spectra.profiles import Profiles
from ganlab.results.tables import FREQUENCY, aligned, markdown, number, plain, with_interval, write_csv
from ganlab.spectra import DEVIATIONS, SET_DEVIATIONS, Deviation, Line, spectral_deviation
from ganlab.spectra.statistics import PROFILES
from ganlab.util.progress import bar

TITLES = {
    "mean_db": "mean |dB|",
    "high_db": "mean |dB| above 1/4",
    "high_excess_db": "dB above 1/4",
    "nyquist_excess_db": "dB at Nyquist",
    "axis_nyquist_excess_db": "dB at Nyquist, axes",
}
"""Short titles of the metrics that the printed table and the chart show."""
SPLITS = "range over splits"
"""What the brackets of the null control are."""
SHOWN = ("mean_db", "high_excess_db", "nyquist_excess_db", "axis_nyquist_excess_db")
"""Those that stand in the printed table and the chart."""


@dataclass(frozen=True)
class DeviationRow:
    """How one set differs from the reals.

    Attributes:
        name: of the set.
        role: "fake", or "null" for reals against reals at the counts of the comparison.
        count: number of images of the set.
        values: name in ``ganlab.spectra.DEVIATIONS`` or ``SET_DEVIATIONS`` -> value, interval, null control.
        lines: significant lattice lines, strongest first; None where none were looked for.
        bounds: name -> "<=" or ">=" where the value is only a bound, because a level lies below the floor of
            8-bit images (``floors``).
    """

    name: str
    role: str
    count: int
    values: Mapping[str, Deviation]
    lines: tuple[Line, ...] | None = None
    bounds: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, metric: str) -> Deviation:
        return lookup(self.values, metric, "deviation")

    def plain(self) -> dict[str, Any]:
        """As JSON values; NaN and infinity become None."""
        lines = None if self.lines is None else [{**plain(line), "words": line.words} for line in self.lines]
        return {
            "set": self.name, "role": self.role, "count": self.count, "values": plain(self.values),
            "bounds": dict(self.bounds), "lines": lines,
        }  # fmt: skip


def row_from_plain(row: Mapping[str, Any]) -> DeviationRow:
    """The row that ``DeviationRow.plain`` described."""
    values = {
        name: Deviation(**{**entry, "value": math.nan if entry["value"] is None else entry["value"]})
        for name, entry in row["values"].items()
    }
    lines = row.get("lines")
    if lines is not None:
        names = [field.name for field in fields(Line)]
        lines = tuple(
            Line(**{name: entry[name] for name in names if name != "members"},
                 members=tuple((fy, fx) for fy, fx in entry["members"]))
            for entry in lines
        )  # fmt: skip
    return DeviationRow(row["set"], row["role"], row["count"], values, lines, row.get("bounds", {}))


def deviation_rows(
    measured: Sequence[MeasuredSet], options: SpectraOptions
) -> tuple[tuple[DeviationRow, ...], list[str]]:
    """One row for every fake set and one for the null control; warnings of the comparison.

    Args:
        measured: the reals, then the fakes.
        options: which metrics, how many resamples, the seed.
    """
    real = measured[0]
    names = [name for name, metric in DEVIATIONS.items() if _of_power(name)]
    if options.metrics == "all":
        # Distances of pairs of images are left out: no set here is paired.
        names = [*DEVIATIONS, *(name for name, metric in SET_DEVIATIONS.items() if not metric.paired)]
    pairs = [(one.name, "fake", (real.whole, real.sample), (one.whole, one.sample)) for one in measured[1:]]
    if not options.bootstrap:
        # Nothing is resampled: one split is all there is. Classifiers would be trained on less.
        first_half, second_half = real.halves
        pairs.append((NULL_NAME, "null", first_half, second_half))
    rows, doubts = [], []
    with bar(total=len(pairs) * len(_groups(names)), desc="deviations", unit="step") as line:
        for name, role, first, second in pairs:
            simple = [one for one in names if role == "fake" or not one.startswith("cloaking")]
            values, bounds, warnings = _compare(first, second, options, simple, line, real.images.shape[2])
            rows.append(DeviationRow(name, role, second[0].count, values, bounds=bounds))
            doubts += [f"{name}: {warning}" for warning in warnings if role == "fake"]
    if options.bootstrap:
        # Of the smallest fake set: its control scatters most. Every row has that of its own counts beside it.
        smallest = min(rows, key=lambda row: row.count)
        controls = {
            name: replace(
                one, value=one.null_mean, low=one.null_low, high=one.null_high, method=SPLITS,
                observed=None, p_value=None, real=None, fake=None,
            )
            for name, one in smallest.values.items()
            if one.null_mean is not None and not name.startswith("cloaking")
        }  # fmt: skip
        rows.append(DeviationRow(NULL_NAME, "null", smallest.count, controls))
    return tuple(rows), doubts


def _of_power(name: str) -> bool:
    """Whether a deviation needs nothing but power profiles, whose means are over all images."""
    return name in DEVIATIONS and set(DEVIATIONS[name].needs) <= set(PROFILES)


def _groups(names: Sequence[str]) -> list[list[str]]:
    """What is computed in one go: distances of power, of other profiles, and every distance of whole sets."""
    groups = [
        [name for name in names if _of_power(name)],
        [name for name in names if name in DEVIATIONS and not _of_power(name)],
        *([name] for name in names if name in SET_DEVIATIONS),
    ]
    return [group for group in groups if group]


def _compare(
    real: Pair, fake: Pair, options: SpectraOptions, names: Sequence[str], line: Any, channels: int
) -> tuple[dict[str, Deviation], dict[str, str], list[str]]:
    """Power metrics of all images, the others of the samples; ``line`` is the bar."""
    found: dict[str, Deviation] = {}
    bounds: dict[str, str] = {}
    warnings: list[str] = []
    for group in _groups(names):
        place = 0 if _of_power(group[0]) else 1
        report = spectral_deviation(
            real[place], fake[place], metrics=group, resamples=options.bootstrap, seed=options.seed
        )
        found.update(report)
        raised = floored_pairs((real, fake), channels) if place == 0 else None
        if raised is not None:
            above = spectral_deviation(
                raised[0][0], raised[1][0], metrics=group, resamples=options.bootstrap, seed=options.seed
            )
            signs = {name: bound(report[name], above[name]) for name in report}
            bounds |= {name: sign for name, sign in signs.items() if sign}
            found.update({name: above[name] for name in bounds if name in above})
        warnings += [warning.message for warning in report.warnings]
        line.update()
    return {name: found[name] for name in names if name in found}, bounds, list(dict.fromkeys(warnings))


def write_profiles(path: Path, profiles: Profiles) -> None:
    """One line for every set and frequency."""
    header = (
        "set", "role", "images", FREQUENCY, "level", "band_low", "band_high", "difference_to_real",
        "unit", "convention", "window", "band", "floor",
    )  # fmt: skip

    def lines() -> Iterable[Sequence[object]]:
        for curve in (*profiles.curves, *profiles.theory):
            for k, frequency in enumerate(profiles.frequencies):
                band = [None if end is None else end[k] for end in (curve.low, curve.high)]
                yield (
                    curve.name, curve.role, curve.count,
                    frequency, curve.level[k], *band, curve.difference[k],
                    profiles.unit, profiles.convention, profiles.window, profiles.band, profiles.floor,
                )  # fmt: skip

    write_csv(path, header, lines())


def write_maps(path: Path, maps: Maps) -> None:
    """The half plane of every panel (the other half mirrors it): a line a vertical frequency, dB."""
    right = maps.horizontal >= 0
    # An even width has its Nyquist column at -1/2; it stands last, as +1/2.
    columns = [*right.nonzero()[0], *([0] if len(right) % 2 == 0 else [])]
    header = ["set", "role", "images", "window", "vertical_frequency"]
    header += [f"horizontal_{number(abs(maps.horizontal[k]), 6)}" for k in columns]
    lines = (
        (panel.name, panel.role, panel.count, maps.window, number(frequency, 6),
         *(number(row[k], 6) for k in columns))
        for panel in maps.panels
        for row, frequency in zip(panel.level, maps.vertical, strict=True)
    )  # fmt: skip
    write_csv(path, header, lines)


_COLUMNS = (
    "value",
    "low",
    "high",
    "method",
    "observed",
    "p_value",
    "null_mean",
    "null_low",
    "null_high",
    "real",
    "fake",
)


def write_rows(path: Path, rows: Sequence[DeviationRow], window: str) -> None:
    """One line for every set and deviation."""
    header = (
        "set",
        "role",
        "images",
        "deviation",
        "bound",
        *_COLUMNS,
        "unit",
        "window",
        "meaning",
        "null_control",
    )
    lines = [
        (
            row.name, row.role, row.count, name, row.bounds.get(name, ""),
            *(getattr(deviation, column) for column in _COLUMNS),
            deviation.unit, window, deviation.summary, deviation.null,
        )
        for row in rows
        for name, deviation in row.values.items()
    ]  # fmt: skip
    write_csv(path, header, lines)


def _text(row: DeviationRow, name: str, digits: int = 2) -> str:
    """``+1.23 [+1.10, +1.40]``, a sign where the deviation has one; ``<= -24.50`` where it is a bound."""
    if name not in row.values:
        return ""
    value, signed = row.values[name], name in DEVIATIONS and DEVIATIONS[name].signed
    if name in row.bounds:
        return f"{row.bounds[name]} {with_interval(value.value, digits=digits, sign=signed)}"
    return with_interval(value.value, value.low, value.high, digits, signed)


def plain_table(rows: Sequence[DeviationRow]) -> str:
    """The main deviations, a line a set, columns aligned with blanks."""
    head = ["set", "images", *(TITLES[name] for name in SHOWN), STRONGEST]
    lines = [
        [row.name, row.count, *(_text(row, name) for name in SHOWN), strongest(row.lines)] for row in rows
    ]
    return aligned([head, *lines])


def markdown_table(rows: Sequence[DeviationRow], window: str) -> str:
    """Every deviation, a line a metric, a column a set; dB to two decimals, everything else to four."""
    head = ["deviation", "unit", *(f"{row.name} ({row.count})" for row in rows), "what it is"]
    lines = []
    for name in dict.fromkeys(name for row in rows for name in row.values):
        known = next(row.values[name] for row in rows if name in row.values)
        cells = [_text(row, name, 2 if known.unit == "dB" else 4) for row in rows]
        lines.append([f"`{name}`", known.unit, *cells, known.summary])
    summary = "strongest of the lattice lines: prominence fakes minus reals, family-wise adjusted p"
    lines.append([STRONGEST, "dB", *(strongest(row.lines) for row in rows), summary])
    caption = f"\nConvention ganlab unless another is named; window {window}.\n"
    return markdown(head, lines, (0, 1, len(head) - 1)) + caption


def meaning(
    rows: Sequence[DeviationRow],
    window: str,
    resamples: int,
    operators: Sequence[str] = (),
    channels: int = 3,
) -> str:
    """Lines on how to read the table, and one on the theory in the figures.

    Args:
        rows: the table.
        window: of the spectra.
        resamples: behind the intervals, 0 for none.
        operators: fixed operators whose prediction is drawn.
        channels: of the images.
    """
    null = next(row for row in rows if row.role == "null")
    brackets = f" [95 % interval over images, {resamples} resamples]" if resamples else ""
    kinds, control = "", f"'{null.name}' is one random half of the reals against the other:"
    if resamples:
        kinds = (
            "A bootstrap-t interval where there is a sign; a distance that cannot be negative is corrected "
            "for what noise adds, and its interval is a test inversion.\n"
        )
        control = (
            f"'{null.name}' is the same estimate between parts of the reals, {resamples} random splits "
            f"[95 % of them], at the counts of the comparison with {null.count} fakes:"
        )
    return (
        f"dB between mean power spectra{brackets}; luma, convention ganlab, window {window}; Nyquist is 1/2 "
        "cycle per pixel.\n"
        "mean |dB| is over the ring averages; the others are fake minus real: above 0 the fakes have too "
        "much power there.\n"
        f"{kinds}{control} so much difference means nothing.\n"
        + (
            "<= and >=: beyond what 8-bit images can show; rounding alone leaves "
            f"{floor_db(channels):.1f} dB a coefficient.\n"
            if any(row.bounds for row in rows)
            else ""
        )
        + "strongest line: the frequency or lattice that stands out most, fakes minus reals in dB over its "
        "neighbours; p is adjusted for looking everywhere; of the reals, between two halves.\n"
    ) + (
        f"'{operators[0]} alone (theory)' in the figures: the reals at half resolution, enlarged by that "
        "operator and by nothing else.\n"
        if operators
        else ""
    )
