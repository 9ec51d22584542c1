"""Lattice lines: single frequencies and lattices of frequencies at which two sets of images part.

Upsampling leaves lines at multiples of 1/2, 1/4, 1/8, ... cycles per pixel. A ring average spreads such a
line over its whole ring, so that a checkerboard 30 dB above its neighbours moves the mean profile by a few
hundredths of a decibel. Here every coefficient of the half plane is a candidate, and every set of
coefficients that a lattice or a seam in the pixels can occupy. Three things are asked of each:

- *power*: does it stand further above its neighbours in the fakes than in the reals? Differences that vary
  smoothly with frequency, which every trained generator has, cancel out of a prominence.
- *phase*: is its mean complex value, the part that is the same in every image, another one? A tile seam or a
  grid that only moved has the power of the reals and shows up here alone.
- *texture*: the same of the size of the differences between neighbouring pixels. A JPEG grid changes how
  rough an image is from place to place with no common sign: no mean spectrum has a line then.

Significance is by permutation of blocks of images between the two sets, with the maximum over all candidates
as the statistic (Westfall and Young 1993), each candidate divided by its own standard error in every
permutation (Chung and Romano 2013): the probability of *any* false line is at most ``alpha``.

A Hann window keeps the jumps between opposite borders out. It spreads a line over one coefficient on each
side, so neighbours begin two coefficients away, and a lattice must leave four from one member to the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.spectra.lattice_comparison import FEWEST, Comparison, Hit
from ganlab.spectra.lattice_grid import frequency, period_of
from ganlab.spectra.lattice_sums import LatticeSums
from ganlab.spectra.rings import FloatArray

PERMUTATIONS = 999
LEAST = 20
"""Images a set must have."""
DECIBELS = 10 / math.log(10)


@dataclass(frozen=True)
class Line:
    """A frequency, or a lattice of them, that stands out in the fakes and not in the reals, or the reverse.

    Attributes:
        fy: vertical frequency in cycles per pixel, above -1/2 up to 1/2; of a set, its strongest member's.
        fx: horizontal frequency, 0 to 1/2.
        db: prominence over the neighbouring frequencies, fakes minus reals, in dB; of a set, the mean of its
            members. Positive: the fakes have a line, or the reals a gap; negative: the reverse.
        low: lower end of its 95 % interval, and
        high: the upper end.
        p: family-wise adjusted p-value.
        members: all frequencies ``(fy, fx)`` of a set; of a single line, itself.
        family: "line", or "rows", "columns", "diagonals", "off axes", "lattice" for a set; "last row" and
            "last column" for all of a Nyquist frequency, "row seam" and "column seam" for all of an axis.
        period: of the pattern in pixels: members are multiples of 1/period. 0 at other frequencies.
        by: "power"; "phase" where only the part that is the same in every image tells the sets apart,
            "texture" where only the local roughness does.
        of: "fake" or "real": which set it is a line or a gap of, the other being smooth there.
    """

    fy: float
    fx: float
    db: float
    low: float
    high: float
    p: float
    members: tuple[tuple[float, float], ...] = ()
    family: str = "line"
    period: int = 0
    by: str = "power"
    of: str = "fake"

    @property
    def words(self) -> str:
        """What it is, in a sentence fragment: ``a 2-pixel checkerboard, +31.0 dB at (1/2, 1/2)``."""
        # A weak line is significant by its phase or texture: its power is no "-0.0".
        digits = 1 if abs(self.db) >= 0.05 else 2
        where = f"{self.db:+.{digits}f} dB at ({fraction(self.fy)}, {fraction(self.fx)})"
        whose = " of the reals" if self.of == "real" else ""
        return f"{self.name}{whose}, {where}" + ("" if self.by == "power" else f", in {self.by} only")

    @property
    def name(self) -> str:
        """What it is called without place and strength: ``replicas at multiples of 1/8 of the rows``."""
        if "seam" in self.family:
            return f"a {self.family.split()[0]} seam or border"
        is_gap = self.by == "power" and (self.db < 0) == (self.of == "fake")
        what = "gap" if is_gap else "grating"
        if self.family == "lattice" and not is_gap:
            return f"{sized(self.period, self.period)} lattice"
        if "last" in self.family:
            noun = "a gap" if is_gap else "a ridge"
            return (
                f"{noun} all along the {'vertical' if 'row' in self.family else 'horizontal'} frequency 1/2"
            )
        if self.family != "line":
            noun = "gaps" if is_gap else "replicas"
            places = {"rows": " of the rows", "columns": " of the columns", "diagonals": " on the diagonals"}
            return f"{noun} at multiples of 1/{self.period}{places.get(self.family, '')}"
        if (abs(self.fy), self.fx) == (0.5, 0.5):
            return "a gap" if is_gap else "a 2-pixel checkerboard"
        if self.fx == 0 or self.fy == 0:
            period = 1 / (abs(self.fy) or self.fx)
            return f"a {what} of {'rows' if self.fx == 0 else 'columns'} of period {period:.3g}"
        return f"a diagonal {what}" if abs(self.fy) == self.fx else f"a {what}"


def lattice_lines(
    real: Tensor | Iterable[Tensor] | LatticeSums,
    fake: Tensor | Iterable[Tensor] | LatticeSums,
    alpha: float = 0.05,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> list[Line]:
    """Single frequencies and lattices at which the fakes stand out from the reals; ``[]`` if there are none.

    Args:
        real: float images ``(N, 1 or 3, H, W)`` in [-1, 1], batches of such, or their `LatticeSums`.
        fake: the same; the counts may differ, the size may not. At least 20 images each.
        alpha: probability of reporting anything at all when the two sets come from one source.
        permutations: how many; the smallest possible p is 1 / (permutations + 1).
        seed: of the permutations.

    Returns:
        Significant lines only, sorted by p, then by how far they stand out. A lattice is reported once, not
        member by member, and nothing beside a stronger line that is explained by it.

    Raises:
        GanlabError: wrong type, shape or values of an argument, different sizes, too few images.
    """
    return lattice_test(real, fake, alpha, permutations, seed)[0]


def lattice_test(
    real: Tensor | Iterable[Tensor] | LatticeSums,
    fake: Tensor | Iterable[Tensor] | LatticeSums,
    alpha: float = 0.05,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> tuple[list[Line], FloatArray]:
    """The same as `lattice_lines`, and the map of p-values behind it.

    Returns:
        The lines, and the family-wise adjusted p-value of every single coefficient ``(H, W//2+1)`` before
        anything is explained by a stronger line, 1 where a coefficient is no candidate. The grid is that of
        `LatticeSums.size`.

    Raises:
        GanlabError: as `lattice_lines`.
    """
    if not 0 < alpha < 1:
        raise GanlabError(f"alpha is a probability between 0 and 1; got {alpha}")
    if permutations < math.ceil(1 / alpha):
        raise GanlabError(
            f"{permutations} permutations cannot reach p = {alpha}; take {math.ceil(1 / alpha)}"
        )
    sums = [part if isinstance(part, LatticeSums) else LatticeSums.of(part) for part in (real, fake)]
    if sums[0].size != sums[1].size:
        shapes = " and ".join("x".join(map(str, part.image_size)) for part in sums)
        raise GanlabError(f"lattice lines compare images of one size; got {shapes}")
    for name, part in zip(("real", "fake"), sums, strict=True):
        if part.count < LEAST:
            raise GanlabError(f"lattice lines need at least {LEAST} images a set; {name} has {part.count}")
    least = FEWEST * max(part.counts.sum() / min(part.count, len(part.counts)) for part in sums)
    tiles = sums[0].counts.sum() / sums[0].count
    if min(part.counts.sum() for part in sums) < least:
        raise GanlabError(
            f"{sums[0].count} real and {sums[1].count} fake images are too unlike in number for lattice "
            f"lines: the smaller set needs {math.ceil(least / tiles)} for that many others"
        )
    comparison = Comparison(sums[0], sums[1], permutations, seed)
    lines = [_line(comparison, hit) for hit in comparison.hits(alpha)]
    return sorted(lines, key=lambda line: (line.p, -abs(line.db))), comparison.p_values()


def _line(comparison: Comparison, hit: Hit) -> Line:
    """A hit in frequencies and decibels."""
    prominence, error, phase, texture = (values[0] for values in comparison.observed)
    strength = {"power": np.abs(prominence) / error, "phase": phase, "texture": texture}[hit.by]
    size = comparison.height, comparison.width
    fy, fx = frequency(int(hit.members[np.argmax(strength[hit.members])]), *size)
    level = DECIBELS * float(prominence[hit.members].mean())
    half = 1.96 * DECIBELS * math.sqrt(float((error[hit.members] ** 2).sum())) / len(hit.members)
    members = tuple(frequency(int(index), *size) for index in hit.members)
    # The set that stands higher has a line if it stands above its own surroundings, and not by the little
    # that natural spectra do; else the other has a gap.
    higher, lower = ("fake", "real") if level > 0 or hit.by != "power" else ("real", "fake")
    own = comparison.prominences[higher][hit.members].mean()
    is_line = hit.by != "power" or own > abs(level) / DECIBELS / 4
    shown = _unwindowed if is_line else float
    return Line(
        fy, fx, shown(level), shown(level - half), shown(level + half), hit.p, members,
        "line" if len(members) == 1 else hit.family,
        period_of(fy, fx) if len(members) == 1 else hit.period,
        hit.by, higher if is_line else lower,
    )  # fmt: skip


def _unwindowed(db: float) -> float:
    """A grating's prominence without the window, which lowers it, and nothing beside it, by 1.5 an axis.

    Not of a gap: the window fills that from both sides.
    """
    return math.copysign(10 * math.log10(1 + 2.25 * (10 ** (abs(db) / 10) - 1)), db)


def sized(height: int, width: int) -> str:
    """A size with its article: ``a 4x4``, ``an 8x8``."""
    vowel = height in (11, 18) or str(height).startswith("8")
    return f"{'an' if vowel else 'a'} {height}x{width}"


def fraction(frequency: float) -> str:
    """A frequency in words: ``1/8``, or decimals where the denominator is above 64."""
    exact = Fraction(frequency).limit_denominator(64)
    return str(exact) if abs(float(exact) - frequency) < 1e-9 else f"{frequency:.4f}"
