"""Every figure's numbers as CSV; each file names its convention and window in columns of its own."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from ganlab.experiments.spectra_maps import Maps
from ganlab.experiments.spectra_profiles import Profiles
from ganlab.experiments.spectra_rows import DeviationRow
from ganlab.util.atomic import write_text

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
