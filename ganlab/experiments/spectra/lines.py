"""Lattice lines of every set: found, put into words, written, and as maps of p-values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ganlab.errors import GanlabError
from ganlab.experiments.spectra.measure import NULL_NAME, Map, Maps, MeasuredSet
from ganlab.experiments.spectra.options import SpectraOptions
from ganlab.results.tables import write_csv
from ganlab.spectra import Line
from ganlab.spectra.lattice import LEAST, fraction, lattice_test
from ganlab.spectra.lattice_sums import SMALLEST, LatticeSums
from ganlab.spectra.rings import FloatArray
from ganlab.spectra.transforms import full_plane
from ganlab.util.hashing import derive_seed
from ganlab.util.progress import bar

ALPHA = 0.05
"""Probability of any line at all between two sets of one source."""
STRONGEST = "strongest line"
"""Title of the column of lattice lines."""
NAMED = 5
"""Lines of a set that the summary names; all are in the files."""


@dataclass(frozen=True)
class SetLines:
    """What was found of one set against the reals.

    Attributes:
        name: of the set.
        role: "fake", or "null" for one half of the reals against the other.
        count: number of images of the set.
        lines: significant ones, strongest first; None where none were looked for.
        p_values: adjusted, of every coefficient ``(H, W//2+1)``; None likewise.
        reason: why none were looked for.
    """

    name: str
    role: str
    count: int
    lines: tuple[Line, ...] | None
    p_values: FloatArray | None = field(default=None, repr=False)
    reason: str = ""


def fake_lines(real: MeasuredSet, fake: MeasuredSet, options: SpectraOptions) -> SetLines:
    """Lines of one set of fakes.

    Args:
        real: the reals, measured.
        fake: the fakes.
        options: the seed.
    """
    return _found(fake.name, "fake", fake.count, real.lattice, fake.lattice, options.seed)


def null_lines(real: MeasuredSet, options: SpectraOptions) -> SetLines:
    """The null control: lines of one half of the reals' blocks against the others; ``options`` as above."""
    sums, (_, (second, _)) = real.lattice, real.halves
    if sums is None or sums.count < 2 * LEAST:
        return _found(NULL_NAME, "null", second.count, None, None, options.seed)
    source = np.random.default_rng(derive_seed(options.seed, "lattice-halves"))
    halves = sums.halves(source.permutation(int((sums.counts > 0).sum())))
    return _found(NULL_NAME, "null", halves[1].count, *halves, options.seed)


def _found(
    name: str, role: str, count: int, base: LatticeSums | None, other: LatticeSums | None, seed: int
) -> SetLines:
    if base is None or other is None:
        reason = f"that takes {LEAST} images of {SMALLEST} pixels a side"
        return SetLines(name, role, count, None, reason=reason)
    with bar(total=1, desc=f"lattice lines of {name}", unit="set") as line:
        try:
            lines, p_values = lattice_test(base, other, ALPHA, seed=seed)
        except GanlabError as error:  # counts too unlike: the other comparisons go on
            return SetLines(name, role, count, None, reason=str(error))
        line.update()
    return SetLines(name, role, count, tuple(lines), p_values)


def strongest(lines: Sequence[Line] | None) -> str:
    """The cell of the column "strongest line": dB, place, p; empty where none were looked for."""
    if lines is None:
        return ""
    if not lines:
        return "none"
    line = lines[0]
    by = "" if line.by == "power" else f" by {line.by}"
    return f"{line.db:+.1f} dB at ({fraction(line.fy)}, {fraction(line.fx)}){by}, p {line.p:.3g}"


def line_words(found: Sequence[SetLines]) -> str:
    """A sentence a set."""
    sentences = []
    for entry in found:
        if entry.lines is None:
            text = f"no lattice lines looked for ({entry.reason})"
        elif not entry.lines:
            text = "no lattice line"
        else:
            text = "; ".join(f"{line.words}, p {line.p:.3g}" for line in entry.lines[:NAMED])
            more = len(entry.lines) - NAMED
            text += f"; and {more} more in lines.csv" if more > 0 else ""
        sentences.append(f"{entry.name}: {text}\n")
    return "".join(sentences)


def write_lines(path: Path, found: Sequence[SetLines]) -> None:
    """A row for every frequency of every line of every set."""
    header = (
        "set", "role", "images", "number", "words", "family", "period", "by", "of", "vertical_frequency",
        "horizontal_frequency", "db", "low", "high", "p", "member_vertical", "member_horizontal",
    )  # fmt: skip
    rows = (
        (entry.name, entry.role, entry.count, number, line.words, line.family, line.period, line.by, line.of,
         line.fy, line.fx, line.db, line.low, line.high, line.p, *member)
        for entry in found
        for number, line in enumerate(entry.lines or (), 1)
        for member in line.members
    )  # fmt: skip
    write_csv(path, header, rows)


def marks(lines: Sequence[Line] | None) -> tuple[tuple[float, float], ...]:
    """Frequencies to ring in a map: those of all lines, with their mirror images."""
    half = {member for line in lines or () for member in line.members}
    whole = half | {(-fy, -fx) for fy, fx in half}
    # A map of an even size is closed: Nyquist is drawn on both sides.
    whole |= {(-fy, fx) for fy, fx in whole if abs(fy) == 0.5} | {
        (fy, -fx) for fy, fx in whole if abs(fx) == 0.5
    }
    whole |= {(-fy, fx) for fy, fx in whole if abs(fy) == 0.5}
    return tuple(sorted(whole))


def p_value_maps(found: Sequence[SetLines]) -> Maps | None:
    """Maps of log10 of the adjusted p-values, the null control first; None where none were computed."""
    planes = [(entry, entry.p_values) for entry in found if entry.p_values is not None]
    if not planes:
        return None
    height, width = planes[0][1].shape[0], 2 * (planes[0][1].shape[1] - 1)
    panels = []
    for entry, p_values in sorted(planes, key=lambda plane: plane[0].role != "null"):
        level = full_plane(_symmetric(np.log10(p_values)), width)
        panels.append(Map(entry.name, entry.role, entry.count, level, marks(entry.lines)))
    vertical, horizontal = (np.fft.fftshift(np.fft.fftfreq(size)) for size in (height, width))
    return Maps("hann", vertical, horizontal, tuple(panels))


def _symmetric(half: FloatArray) -> FloatArray:
    """The half plane with the columns of zero and Nyquist filled below: only one half of them was asked."""
    filled = half.copy()
    for column in (0, -1):
        filled[1:, column] = np.minimum(half[1:, column], half[:0:-1, column])
    return filled
