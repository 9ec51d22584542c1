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

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import gammaincc, gammaln, log_ndtr
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.spectra.lattice_sums import LatticeSums
from ganlab.spectra.resampling import generator

Floats = npt.NDArray[np.float64]

PERMUTATIONS = 999
LEAST = 20
"""Images a set must have."""
REACH = 3
"""Neighbours are looked for up to so many coefficients away."""
LOWEST = 3.5
"""Coefficients nearer to zero frequency than this are no candidates: natural spectra are a cusp there."""
PERIODS = (2, 4, 8, 16)
EVIDENCE = ("power", "phase", "texture")
ROUNDING = (2 / 255) ** 2 / 12
"""Power of 8-bit rounding in a coefficient, for images in [-1, 1]: nothing below it is a measurement."""
DECIBELS = 10 / math.log(10)


@dataclass(frozen=True)
class Line:
    """A frequency, or a lattice of them, that stands out in the fakes and not in the reals, or the reverse.

    Attributes:
        fy: vertical frequency in cycles per pixel, above -1/2 up to 1/2; of a set, its strongest member's.
        fx: horizontal frequency, 0 to 1/2.
        db: prominence over the neighbouring frequencies, fakes minus reals, in dB; of a set, the mean of its
            members. Positive: the fakes have a line; negative: they have a gap.
        low: lower end of its 95 % interval, and
        high: the upper end.
        p: family-wise adjusted p-value.
        members: all frequencies ``(fy, fx)`` of a set; of a single line, itself.
        family: "line", or "rows", "columns", "diagonals", "off axes", "lattice" for a set; "row seam" and
            "column seam" for all of an axis.
        period: of the pattern in pixels: members are multiples of 1/period. 0 at other frequencies.
        by: "power"; "phase" where only the part that is the same in every image tells the sets apart,
            "texture" where only the local roughness does.
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

    @property
    def words(self) -> str:
        """What it is, in a sentence fragment: ``a 2-pixel checkerboard, +31.0 dB at (1/2, 1/2)``."""
        return f"{_name(self)}, {self.db:+.1f} dB at ({_fraction(self.fy)}, {_fraction(self.fx)})" + (
            "" if self.by == "power" else f", in {self.by} only"
        )


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
        GanlabError: wrong type, shape or range of an argument, different sizes, too few images.
    """
    if not 0 < alpha < 1:
        raise GanlabError(f"alpha is a probability between 0 and 1; got {alpha}")
    if permutations < math.ceil(1 / alpha):
        raise GanlabError(
            f"{permutations} permutations cannot reach p = {alpha}; take {math.ceil(1 / alpha)}"
        )
    sums = [one if isinstance(one, LatticeSums) else LatticeSums.of(one) for one in (real, fake)]
    if sums[0].size != sums[1].size:
        shapes = " and ".join("x".join(map(str, one.size)) for one in sums)
        raise GanlabError(f"lattice lines compare images of one size; got {shapes}")
    for name, one in zip(("real", "fake"), sums, strict=True):
        if one.count < LEAST:
            raise GanlabError(f"lattice lines need at least {LEAST} images a set; {name} has {one.count}")
    return _Comparison(sums[0], sums[1], permutations, seed).lines(alpha)


@dataclass(frozen=True)
class _Sets:
    """Lattice sets of a grid: flat places of the half plane, a family and a period each.

    ``fine`` marks the coefficients that are candidates of their own, ``membership`` is ``(S, K)``.
    """

    fine: npt.NDArray[np.bool_]
    places: tuple[npt.NDArray[np.intp], ...]
    families: tuple[str, ...]
    periods: tuple[int, ...]
    membership: Floats


@dataclass(frozen=True)
class _Hit:
    """A significant candidate, with those of its places that nothing stronger had explained."""

    places: npt.NDArray[np.intp]
    family: str
    period: int
    by: str
    p: float


class _Comparison:
    """Two sets' sums, and the statistic of every candidate under any assignment of blocks to sets."""

    def __init__(self, real: LatticeSums, fake: LatticeSums, permutations: int, seed: int) -> None:
        self.height, self.width = real.size
        self.permutations, self.seed = permutations, seed
        parts = [(one, one.counts > 0) for one in (real, fake)]
        counts = np.concatenate([one.counts[used] for one, used in parts])
        # Blocks of unequal counts weigh by their counts; means of blocks keep the sums of the same size.
        self.counts = counts
        self.power = np.concatenate([one.power[:, used] for one, used in parts], 1)
        self.value = np.concatenate([one.value[:, used] for one, used in parts], 1)
        self.first = int((parts[0][1]).sum())
        self.sets = lattice_sets(self.height, self.width)
        self.own = _self_conjugate(self.height, self.width)
        # Powers are divided by their overall mean: single precision then serves for every coefficient.
        self.scale = self.power[0].sum(0) / counts.sum() + ROUNDING
        self.relative = self.power[0] / self.scale
        self.per_block = self.relative / counts[:, None]

    def lines(self, alpha: float) -> list[Line]:
        """The significant ones, strongest first."""
        real = np.zeros(len(self.counts), bool)
        real[: self.first] = True
        statistics = [one[0] for one in self._statistics(real[None])]
        surprise = self._surprise([one[None] for one in statistics])[0]
        null = self._null()
        threshold = float(np.quantile(null, 1 - alpha, method="higher"))
        hits: list[_Hit] = []
        left = np.ones(self.height * (self.width // 2 + 1), bool)
        while surprise.max() > threshold:
            kind, index = divmod(int(np.argmax(surprise)), len(surprise) // len(EVIDENCE))
            places, family, period = self._candidate(index)
            places = places[left[places]]
            p = (1 + int((null >= surprise.max()).sum())) / (self.permutations + 1)
            # Power is named first wherever it alone would have been enough.
            by = EVIDENCE[kind if surprise[index] <= threshold else 0]
            hits.append(_Hit(places, family, period, by, p))
            # What is explained takes its neighbourhood along: a strong line lifts and lowers the prominences
            # of the coefficients around it.
            left[_around(places, self.height, self.width)] = False
            prominence, error, phase, texture = statistics
            masked = (prominence * left, error * left, phase * left, texture * left)
            surprise = self._surprise([one[None] for one in masked], left)[0]
        lines = [self._line(hit, statistics) for hit in self._joined(hits)]
        return sorted(lines, key=lambda line: (line.p, -abs(line.db)))

    def _candidate(self, index: int) -> tuple[npt.NDArray[np.intp], str, int]:
        """Places, family and period of a candidate: the coefficients come first, then the sets."""
        rank = index - len(self.sets.fine)
        if rank < 0:
            return np.array([index]), "line", 0
        return self.sets.places[rank], self.sets.families[rank], self.sets.periods[rank]

    def _null(self) -> Floats:
        """The largest surprise of each permutation of blocks between the sets."""
        source = generator(self.seed, "lattice")
        total, greatest = len(self.counts), []
        rows = max(1, min(100, 2_000_000 // self.power.shape[2]))
        for start in range(0, self.permutations, rows):
            size = min(rows, self.permutations - start)
            order = torch.rand(size, total, generator=source).argsort(1).numpy()
            greatest.append(self._surprise(self._statistics(order < self.first)).max(1))
        return np.concatenate(greatest)

    def _statistics(self, real: npt.NDArray[np.bool_]) -> tuple[Floats, Floats, Floats, Floats]:
        """Prominence difference (nats), its standard error, phase and texture statistic, ``(R, K)`` each.

        Args:
            real: ``(R, blocks)``: which blocks count as real.
        """
        logs, errors = [], []
        means: list[list[npt.NDArray[np.complex128]]] = [[], []]
        spreads: list[list[Floats]] = [[], []]
        for chosen in (~real, real):
            weights = chosen.astype(np.float64)
            images = weights @ self.counts
            power = weights @ self.relative / images[:, None]
            square = weights @ (self.per_block**2 * self.counts[:, None]) / images[:, None]
            # Variance between the means of blocks, over the number of blocks.
            variance = np.maximum(square - power**2, 1e-12 * power**2) / (weights.sum(1)[:, None] - 1)
            total = power + ROUNDING / self.scale
            logs.append(np.log(total))
            errors.append(variance / total**2)
            for index in (0, 1):
                mean = weights @ self.value[index] / images[:, None]
                mean_power = weights @ self.power[index] / images[:, None]
                means[index].append(mean)
                spreads[index].append(np.maximum(mean_power - np.abs(mean) ** 2, 0) / images[:, None])
        kernel = surroundings()
        difference = logs[0] - logs[1]
        prominence = difference - _filter(difference, kernel, self.height, self.width)
        error = np.sqrt(errors[0] + errors[1]) * math.sqrt(1 + float((kernel**2).sum()))
        least = ROUNDING / self.counts.sum()
        coherence = [
            np.abs(m[0] - m[1]) ** 2 / (s[0] + s[1] + least) for m, s in zip(means, spreads, strict=True)
        ]
        return prominence, error, *(self._sharpened(one) for one in coherence)

    def _sharpened(self, coherence: Floats) -> Floats:
        """Divided by the mean of the neighbours in other rows and columns, where they exceed chance.

        Mean images of trained generators differ smoothly; a line or a seam differs from what is beside it.
        """
        beside = np.ones((2 * REACH + 1, 2 * REACH + 1))
        near = slice(REACH - 1, REACH + 2)
        beside[near], beside[:, near] = 0, 0
        local = _filter(coherence, beside / beside.sum(), self.height, self.width)
        result: Floats = coherence / np.maximum(local, 1.0)
        return result

    def _surprise(self, statistics: Sequence[Floats], left: npt.NDArray[np.bool_] | None = None) -> Floats:
        """``-ln p`` of every candidate taken alone, ``(R, 3 C)``: by power, by phase, by texture.

        One scale for all three, so that one maximum serves them; ``left`` are the coefficients that count.
        """
        prominence, error, phase, texture = statistics
        counts = self.sets.fine if left is None else self.sets.fine & left
        member = (self.sets.membership * counts).T
        real = np.where(self.own, 0.5, 1.0)
        degrees = np.concatenate([real, real @ member])
        power = _with_sets(prominence, member) ** 2 / np.maximum(_with_sets(error**2, member), 1e-18)
        seams = [rank for rank, family in enumerate(self.sets.families) if "seam" in family]
        # A seam is flat along its axis: no prominence is asked of it.
        power[:, [len(real) + rank for rank in seams]] = 0
        by_power = -(math.log(2) + log_ndtr(-np.sqrt(power)))
        # Coherence is exponential at a complex coefficient, half a chi-square of 1 at a real one.
        coherent = []
        for one in (phase, texture):
            value = _with_sets(one * real, member)
            for rank in seams:
                # Capped: a single strong line on the axis is no seam.
                members = one[:, self.sets.places[rank]]
                cap = 4 * np.median(members, 1, keepdims=True)
                value[:, len(real) + rank] = np.minimum(members, cap) @ real[self.sets.places[rank]]
            coherent.append(_gamma_surprise(degrees, value))
        empty = np.concatenate([~counts, member.sum(0) == 0])
        return np.concatenate([np.where(empty, 0.0, part) for part in (by_power, *coherent)], 1)

    def _joined(self, hits: Sequence[_Hit]) -> list[_Hit]:
        """Hits on and off the axes at multiples of one 1/period are one lattice in the pixels.

        Roughness is not linear in the image, so that a line makes harmonics there: texture is reported only
        where neither power nor phase found anything.
        """
        if any(hit.by != "texture" for hit in hits):
            hits = [hit for hit in hits if hit.by != "texture"]
        columns = self.width // 2 + 1
        apart: list[_Hit] = []
        joint: list[_Hit] = []
        for hit in hits:
            fy, fx = zip(*(self._frequency(int(place)) for place in hit.places), strict=True)
            periods = [_period(y, x) for y, x in zip(fy, fx, strict=True)]
            period = 0 if "seam" in hit.family else max(periods)
            (joint if period else apart).append(replace(hit, period=period))
        rows = np.concatenate([hit.places for hit in joint]) if joint else np.zeros(0, np.intp)
        on_axis = (rows % columns == 0) | (rows // columns == 0)
        if len(joint) < 2 or on_axis.all() or not on_axis.any():
            return [*hits]
        strongest = min(joint, key=lambda hit: hit.p)
        by = next(name for name in EVIDENCE if any(hit.by == name for hit in joint))
        lattice = _Hit(rows, "lattice", max(hit.period for hit in joint), by, strongest.p)
        return [lattice, *apart]

    def _line(self, hit: _Hit, statistics: Sequence[Floats]) -> Line:
        prominence, error, phase, texture = statistics
        places = hit.places
        strength = {"power": np.abs(prominence) / error, "phase": phase, "texture": texture}[hit.by]
        strongest = int(places[np.argmax(strength[places])])
        level = DECIBELS * float(prominence[places].mean())
        half = 1.96 * DECIBELS * math.sqrt(float((error[places] ** 2).sum())) / len(places)
        db, low, high = (_unwindowed(value) for value in (level, level - half, level + half))
        members = tuple(self._frequency(int(place)) for place in places)
        fy, fx = self._frequency(strongest)
        family, period = hit.family, hit.period
        if len(places) == 1:
            family, period = "line", _period(fy, fx)
        return Line(fy, fx, db, low, high, hit.p, members, family, period, hit.by)

    def _frequency(self, place: int) -> tuple[float, float]:
        row, column = divmod(place, self.width // 2 + 1)
        fy = row / self.height
        return (fy if fy <= 0.5 else fy - 1, column / self.width)


def _unwindowed(db: float) -> float:
    """The prominence without the window, which lowers a line, and nothing beside it, by 1.5 an axis."""
    return 10 * math.log10(1 + 2.25 * (10 ** (db / 10) - 1)) if db > 0 else db


def _with_sets(values: Floats, member: Floats) -> Floats:
    """``(R, K)`` values of the coefficients, followed by their sums over the sets, ``(R, K + S)``."""
    result: Floats = np.concatenate([values, values @ member], 1)
    return result


def _gamma_surprise(degrees: Floats, value: Floats) -> Floats:
    """``-ln`` of a gamma variable's upper tail ``(R, C)``; by its asymptote where the tail underflows."""
    result: Floats = value.copy()  # exact where degrees == 1: an exponential variable
    other = (degrees != 1) & (degrees > 0)
    value, degrees = value[:, other], degrees[other]
    tail = gammaincc(degrees, value)
    large = np.maximum(value, 1.0)
    asymptote = large - (degrees - 1) * np.log(large) + gammaln(degrees)
    result[:, other] = np.where(tail > 1e-280, -np.log(np.maximum(tail, 1e-280)), asymptote)
    return result


@functools.lru_cache(maxsize=8)
def lattice_sets(height: int, width: int) -> _Sets:
    """The coefficients away from zero frequency, and every lattice set that fits the grid."""
    columns = width // 2 + 1
    row, column = np.divmod(np.arange(height * columns), columns)
    longest = max(height, width)
    vertical = np.minimum(row, height - row) * longest / height
    fine = np.hypot(vertical, column * longest / width) > LOWEST
    # A real image has its zero and Nyquist columns twice over: one half is enough.
    fine &= ~(((column == 0) | (2 * column == width)) & (2 * row > height))
    masks = [("row seam", 0, fine & (column == 0)), ("column seam", 0, fine & (row == 0))]
    for period in PERIODS:
        # Closer than four coefficients, a lattice has no neighbours to stand out from.
        if height % period or width % period or min(height, width) < 4 * period:
            continue
        on = fine & (row % (height // period) == 0) & (column % (width // period) == 0)
        y, x = row * period // height, column * period // width
        masks += [
            ("rows", period, on & (column == 0)),
            ("columns", period, on & (row == 0)),
            ("diagonals", period, on & ((y == x) | ((period - y) % period == x))),
            ("off axes", period, on & (row > 0) & (column > 0)),
            ("lattice", period, on),
        ]
    distinct: dict[bytes, tuple[str, int, npt.NDArray[np.bool_]]] = {}
    for family, period, mask in masks:
        if mask.sum() > 1:
            distinct.setdefault(mask.tobytes(), (family, period, mask))
    families, periods, chosen = zip(*distinct.values(), strict=True)
    places = tuple(np.flatnonzero(mask) for mask in chosen)
    return _Sets(fine, places, families, periods, np.array(chosen, float))


def _self_conjugate(height: int, width: int) -> npt.NDArray[np.bool_]:
    """Coefficients that are real in a real image: both frequencies are 0 or 1/2."""
    row, column = np.divmod(np.arange(height * (width // 2 + 1)), width // 2 + 1)
    result: npt.NDArray[np.bool_] = ((2 * row) % height == 0) & ((2 * column) % width == 0)
    return result


@functools.cache
def surroundings() -> Floats:
    """Weights ``(7, 7)`` that predict a coefficient's log power from its neighbours.

    Least squares of a quadratic surface over the neighbours that lie two coefficients away in at least one
    direction: a smooth slope or bend cancels exactly, and neither the line itself nor the other members of a
    lattice with four coefficients between them, nor what the window makes of either, is among the neighbours.
    """
    steps = range(-REACH, REACH + 1)
    offsets = [(dy, dx) for dy in steps for dx in steps if abs(dy) == 2 or abs(dx) == 2]
    design = np.array([(1, dy, dx, dy * dy, dy * dx, dx * dx) for dy, dx in offsets], float)
    weights = np.linalg.pinv(design)[0]
    kernel = np.zeros((2 * REACH + 1, 2 * REACH + 1))
    for (dy, dx), weight in zip(offsets, weights, strict=True):
        kernel[dy + REACH, dx + REACH] = weight
    return kernel


def _filter(half: Floats, kernel: Floats, height: int, width: int) -> Floats:
    """``(R, K)`` half planes -> weighted sums over each coefficient's neighbours in the full plane."""
    columns = width // 2 + 1
    planes = torch.from_numpy(half.reshape(-1, 1, height, columns).copy())
    # Zero frequency differs by the sets' brightness alone; its neighbours stand in for it.
    planes[:, 0, 0, 0] = (planes[:, 0, 0, 1] + planes[:, 0, 1, 0]) / 2
    mirrored = planes.roll(-1, 2).flip(2)
    left = mirrored[..., 1 : REACH + 1].flip(3)
    last = columns - 1 if width % 2 else columns - 2
    right = mirrored[..., last - REACH + 1 : last + 1].flip(3)
    wide = torch.cat([left, planes, right], 3)
    tall = torch.cat([wide[:, :, -REACH:], wide, wide[:, :, :REACH]], 2)
    summed = torch.nn.functional.conv2d(tall, torch.from_numpy(kernel)[None, None])
    result: Floats = summed.reshape(len(half), -1).numpy()
    return result


def _around(places: npt.NDArray[np.intp], height: int, width: int) -> npt.NDArray[np.intp]:
    """Flat places whose value or whose neighbours a line at ``places`` changes, mirror images included.

    Not the places four coefficients away on both axes or on one: they may be other members of a lattice.
    """
    columns = width // 2 + 1
    row, column = np.divmod(places, columns)
    steps = np.arange(-REACH - 1, REACH + 2)
    dy, dx = (step.ravel() for step in np.meshgrid(steps, steps, indexing="ij"))
    reached = ((dy % 4 > 0) | (dx % 4 > 0)) | ((dy == 0) & (dx == 0))
    rows = (row[:, None] + dy[reached]) % height
    across = (column[:, None] + dx[reached]) % width
    beyond = across >= columns
    rows = np.where(beyond, -rows % height, rows)
    across = np.where(beyond, width - across, across)
    twin = (across == 0) | (2 * across == width)
    flat = np.concatenate([(rows * columns + across).ravel(), (-rows % height * columns + across)[twin]])
    return np.unique(flat)


def _period(fy: float, fx: float) -> int:
    """Smallest period in pixels among `PERIODS` of which both frequencies are multiples; 0 if none."""
    return next((p for p in PERIODS if (fy * p).is_integer() and (fx * p).is_integer()), 0)


def _fraction(frequency: float) -> str:
    exact = Fraction(frequency).limit_denominator(64)
    return str(exact) if abs(float(exact) - frequency) < 1e-9 else f"{frequency:.4f}"


def _name(line: Line) -> str:
    if "seam" in line.family:
        return f"a {line.family.split()[0]} seam or border"
    what = "grating" if line.db > 0 or line.by != "power" else "gap"
    if line.family == "lattice":
        whole = f"a {line.period}x{line.period} lattice"
        return whole if what == "grating" else f"gaps at multiples of 1/{line.period}"
    if line.family != "line":
        noun = "replicas" if what == "grating" else "gaps"
        where = {"rows": " of the rows", "columns": " of the columns", "diagonals": " on the diagonals"}
        return f"{noun} at multiples of 1/{line.period}{where.get(line.family, '')}"
    if (abs(line.fy), line.fx) == (0.5, 0.5):
        return "a 2-pixel checkerboard" if what == "grating" else "a gap"
    if line.fx == 0 or line.fy == 0:
        period = 1 / (abs(line.fy) or line.fx)
        return f"a {what} of {'rows' if line.fx == 0 else 'columns'} of period {period:.3g}"
    return f"a diagonal {what}" if abs(line.fy) == line.fx else f"a {what}"
