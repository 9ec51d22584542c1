"""The statistics behind lattice lines: every candidate, however blocks of images are dealt to two sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincc, gammaln, log_ndtr

from ganlab.spectra.lattice_grid import (
    Indices,
    Mask,
    beside,
    candidates,
    explained,
    frequency,
    period_of,
    surroundings,
    weighted_neighbours,
)
from ganlab.spectra.lattice_sums import LatticeSums
from ganlab.spectra.resampling import generator, split_masks
from ganlab.spectra.rings import FloatArray
from ganlab.util.memory import release_memory

EVIDENCE = ("power", "phase", "texture")
ROUNDING = (2 / 255) ** 2 / 12
"""Power of 8-bit rounding in a coefficient, for images in [-1, 1]: nothing below it is a measurement."""
FEWEST = 3
"""Blocks of the larger set's size that the smaller set must fill."""
SHARED = 20
"""The sets' variances are drawn together by so many blocks of their common one: a few blocks alone would
make the errors, and with them the largest ratio by chance, too uncertain to find anything."""
ALONE = 3.0
"""A set must be more surprising than its strongest member by this (20 times in p), to be taken for it."""
AT_ONCE = 250_000
"""Coefficients of permutations whose sums are one matrix product."""
TOGETHER = 50_000
"""Of these, coefficients compared at a time: they take some twenty arrays, and fifty of windows on them."""


class Statistics(NamedTuple):
    """Of every coefficient under so many assignments, ``(R, K)`` each.

    ``prominence`` is fakes minus reals in nats, ``error`` its standard error; ``phase`` and ``texture`` are
    squared differences of mean complex values over their variance, of the images and of their roughness.
    """

    prominence: FloatArray
    error: FloatArray
    phase: FloatArray
    texture: FloatArray


@dataclass(frozen=True)
class Hit:
    """A significant candidate, with those of its coefficients that nothing stronger had explained."""

    members: Indices
    family: str
    period: int
    by: str
    p: float


class _Side(NamedTuple):
    """Means of one set: relative power with rounding added, complex values, and what they scatter by.

    ``squares`` are those of the logarithm's scatter over blocks, added up and weighted by images; ``freedom``
    is the number of blocks less one, ``images`` that of images, ``(R, 1)`` both. ``value`` is ``(R, 2, K)``;
    ``spread`` holds the variance of the mean value, of images and of roughness.
    """

    power: FloatArray
    squares: FloatArray
    freedom: FloatArray
    images: FloatArray
    value: npt.NDArray[np.complex128]
    spread: Sequence[FloatArray]


class Comparison:
    """Two sets' sums, the permutation null of the largest statistic, and what exceeds it.

    Args:
        real: sums of the reals.
        fake: sums of the fakes, of the same size.
        permutations: of blocks between the sets.
        seed: of the permutations.
    """

    def __init__(self, real: LatticeSums, fake: LatticeSums, permutations: int, seed: int) -> None:
        self.height, self.width = real.size
        self.candidates = candidates(self.height, self.width)
        # Blocks change places in the permutations, so they must be alike: about as many images in each.
        each = max(float(one.counts[one.counts > 0].mean()) for one in (real, fake))
        blocks = [min(round(one.counts.sum() / each), int((one.counts > 0).sum())) for one in (real, fake)]
        self.real_blocks = blocks[0]
        # Side by side, so that the sums of many permutations are one matrix product: power, its squares, the
        # roughness's power, complex sums as pairs of numbers. Filled set after set: this is the largest array
        # of an analysis, 170 MB at 256 px, and there is no room for more copies of what goes in.
        size = real.power.shape[2]
        self.columns = np.empty((sum(blocks), 7 * size))
        counts = []
        for one, rows in ((real, self.columns[: blocks[0]]), (fake, self.columns[blocks[0] :])):
            merged = one.merged(len(rows))
            counts.append(merged.counts)
            rows[:, :size], rows[:, 2 * size : 3 * size] = merged.power
            rows[:, 3 * size : 5 * size], rows[:, 5 * size :] = merged.value.view(np.float64)
            del merged  # 80 MB at 256 px: not beside the next one's, nor during the permutations
        release_memory()
        self.counts = np.concatenate(counts)
        power, squares = self.columns[:, :size], self.columns[:, size : 2 * size]
        # Powers are divided by their overall mean, so that logarithms and squares are of numbers about 1.
        self.scale = power.sum(0) / self.counts.sum() + ROUNDING
        power /= self.scale
        np.square(power, out=squares)
        squares /= self.counts[:, None]
        self.total = self.columns.sum(0)
        assigned = np.zeros(len(self.counts))
        assigned[: self.real_blocks] = 1.0
        # Own sums: what is left of a total has the total's rounding, beside which a constant set is nothing.
        observed = [self._side(*self._sums(part[None])) for part in (1 - assigned, assigned)]
        self.observed = self._statistics(*observed)
        self.prominences = {
            name: self._prominence(np.log(side.power * self.scale))[0]
            for name, side in zip(("fake", "real"), observed, strict=True)
        }
        self.null = self._null(permutations, seed)

    def adjusted_p(self, surprise: FloatArray | float) -> FloatArray:
        """Family-wise adjusted p-values: how often a permutation's largest surprise reaches these."""
        above = len(self.null) - np.searchsorted(self.null, surprise)
        adjusted: FloatArray = (1.0 + above) / (len(self.null) + 1)
        return adjusted

    def p_values(self) -> FloatArray:
        """Adjusted p-values of the single coefficients by whatever evidence is strongest, ``(H, W//2+1)``."""
        surprise = self._surprise(self.observed).reshape(len(EVIDENCE), -1)
        single = surprise[:, : len(self.candidates.single)].max(0)
        return self.adjusted_p(single).reshape(self.height, self.width // 2 + 1)

    def hits(self, alpha: float) -> list[Hit]:
        """What exceeds the null, strongest first, lattices joined; nothing that a stronger one explains."""
        hits: list[Hit] = []
        left = np.ones(len(self.candidates.single), bool)
        surprise = self._surprise(self.observed)[0]
        while (p := float(self.adjusted_p(surprise.max()))) <= alpha:
            by, number = divmod(int(np.argmax(surprise)), len(surprise) // len(EVIDENCE))
            # Power is named first wherever it alone would have been enough.
            if self.adjusted_p(surprise[number]) <= alpha:
                by = 0
            number = self._settled(number, surprise[by * len(surprise) // len(EVIDENCE) :], left, alpha)
            members, family, period = self.candidates[number]
            members = members[left[members]]
            hits.append(Hit(members, family, period, EVIDENCE[by], p))
            # What is explained takes its neighbourhood along: a strong line lifts and lowers the prominences
            # of the coefficients around it.
            left[explained(members, self.height, self.width)] = False
            surprise = self._surprise(self.observed, left)[0]
        return self._joined(hits)

    def _settled(self, number: int, surprise: FloatArray, left: Mask, alpha: float) -> int:
        """The candidate itself, or the simpler one that explains it as well.

        Of a set that is one member's doing, that member. Of a single coefficient, the lattice frequency
        beside it that it is the window's image of: coefficients at 0 and 1/2 are real numbers, so that chance
        alone can make a neighbour, which is complex, look more surprising than the line itself.
        """
        columns = self.width // 2 + 1
        if number >= len(self.candidates.single):
            members = self.candidates[number][0]
            members = members[left[members]]
            best = int(members[np.argmax(surprise[members])])
            alone = surprise[best] > surprise[number] - ALONE and self.adjusted_p(surprise[best]) <= alpha
            return best if alone else number
        if period_of(*frequency(number, self.height, self.width)):
            return number
        row, column = divmod(number, columns)
        near = [
            (row + dy) % self.height * columns + column + dx
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
            if 0 <= column + dx < columns
        ]
        on = [index for index in near if period_of(*frequency(index, self.height, self.width))]
        best = max(on, key=lambda index: float(surprise[index]), default=number)
        return best if surprise[best] > surprise[number] / 4 else number

    def _joined(self, hits: Sequence[Hit]) -> list[Hit]:
        """Hits on and off the axes at multiples of one 1/period are one lattice in the pixels."""
        # Roughness is not linear in the image: a line makes harmonics there, which say nothing new.
        if any(hit.by != "texture" for hit in hits):
            hits = [hit for hit in hits if hit.by != "texture"]
        apart: list[Hit] = []
        joint: list[Hit] = []
        for hit in hits:
            places = (frequency(int(index), self.height, self.width) for index in hit.members)
            if "seam" in hit.family or "last" in hit.family:
                apart.append(hit)
            else:
                period = max(period_of(*place) for place in places)
                (joint if period else apart).append(replace(hit, period=period))
        members = np.concatenate([hit.members for hit in joint]) if joint else np.zeros(0, np.intp)
        row, column = np.divmod(members, self.width // 2 + 1)
        on_axis = (row == 0) | (column == 0)
        if len(joint) < 2 or on_axis.all() or not on_axis.any():
            return [*joint, *apart]
        by = next(name for name in EVIDENCE if any(hit.by == name for hit in joint))
        period, p = max(hit.period for hit in joint), min(hit.p for hit in joint)
        return [Hit(members, "lattice", period, by, p), *apart]

    def _null(self, permutations: int, seed: int) -> FloatArray:
        """The largest surprise of each permutation of blocks between the sets, rising."""
        source = generator(seed, "lattice")
        rows, few = (max(1, min(100, most // len(self.scale))) for most in (AT_ONCE, TOGETHER))
        # One array for all: what is kept of a block among its large arrays would leave gaps behind them.
        greatest = np.empty(permutations)
        for start in range(0, permutations, rows):
            size = min(rows, permutations - start)
            assigned = split_masks(size, len(self.counts), self.real_blocks, source).double().numpy()
            sums = self._sums(assigned)
            for first in range(0, size, few):
                sides = self._sides(*(part[first : first + few] for part in sums))
                surprise = self._surprise(self._statistics(*sides)).max(1)
                greatest[start + first : start + first + len(surprise)] = surprise
            release_memory()
        return np.sort(greatest)

    def _sums(self, assigned: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sums, images and blocks of the reals; ``assigned`` is 1 for blocks of reals."""
        return assigned @ self.columns, assigned @ self.counts, assigned.sum(1)

    def _sides(self, sums: FloatArray, images: FloatArray, blocks: FloatArray) -> tuple[_Side, _Side]:
        """What `_statistics` needs of the fakes and of the reals."""
        fakes = (self.total - sums, self.counts.sum() - images, len(self.counts) - blocks)
        return self._side(*fakes), self._side(sums, images, blocks)

    def _side(self, sums: FloatArray, images: FloatArray, blocks: FloatArray) -> _Side:
        images = images[:, None]
        size = len(self.scale)
        power, squares, texture = (sums[:, k * size : (k + 1) * size] / images for k in range(3))
        values = (sums[:, 3 * size :] / images).view(np.complex128).reshape(len(sums), 2, size)
        total = power + ROUNDING / self.scale
        # The squares are those of blocks' means, weighted by their images. Images that are all equal scatter
        # nowhere: then every coefficient has the same error, and the highest is the line.
        scatter = images * np.maximum(squares - power**2, 1e-12 * total**2)
        spreads = [
            np.maximum(mean_power - np.abs(values[:, index]) ** 2, 0) / images
            for index, mean_power in enumerate((power * self.scale, texture))
        ]
        return _Side(total, scatter / total**2, blocks[:, None] - 1, images, values, spreads)

    def _prominence(self, logarithm: FloatArray) -> FloatArray:
        return logarithm - weighted_neighbours(logarithm, surroundings(), self.height, self.width)

    def _statistics(self, fake: _Side, real: _Side) -> Statistics:
        prominence = self._prominence(np.log(fake.power) - np.log(real.power))
        common = (fake.squares + real.squares) / (fake.freedom + real.freedom)
        variance = sum(
            (side.squares + SHARED * common) / (side.freedom + SHARED) / side.images for side in (fake, real)
        )
        error = np.sqrt(variance) * math.sqrt(1 + float((surroundings() ** 2).sum()))
        # Not of exactly equal images alone: a difference needs more than rounding to be one.
        least = ROUNDING / self.counts.sum()
        coherence = []
        for index in (0, 1):
            difference = np.abs(fake.value[:, index] - real.value[:, index]) ** 2
            ratio = difference / (fake.spread[index] + real.spread[index] + least)
            # Mean images of trained generators differ smoothly; a line or a seam differs from what is beside
            # it. Where the neighbours are within chance, dividing by them would only add noise.
            local = weighted_neighbours(ratio, beside(), self.height, self.width)
            coherence.append(ratio / np.maximum(local, 1.0))
        return Statistics(prominence, error, coherence[0], coherence[1])

    def _surprise(self, statistics: Statistics, left: Mask | None = None) -> FloatArray:
        """``-ln p`` of every candidate taken alone, ``(R, 3 C)``: by power, by phase, by texture.

        One scale for all three, so that one maximum serves them; ``left`` are the coefficients that count.
        """
        counted = self.candidates.single if left is None else self.candidates.single & left
        member = (self.candidates.membership * counted).T
        # Half a degree where a coefficient is a real number.
        degree = np.where(self.candidates.real, 0.5, 1.0)
        degrees = np.concatenate([degree, degree @ member])
        squared_error = np.maximum(_with_sets(statistics.error**2, member), 1e-18)
        total = _with_sets(statistics.prominence, member)
        borders = [rank for rank, family in enumerate(self.candidates.families) if "last" in family]
        for rank in borders:
            members = self.candidates.members[rank]
            values = statistics.prominence[:, members[counted[members]]]
            if values.size:
                # Capped, as the seams below: a single line among them is no change of all.
                cap = 3 * np.abs(np.median(values, 1, keepdims=True))
                total[:, len(degree) + rank] = np.clip(values, -cap, cap).sum(1)
        power = total**2 / squared_error
        # A seam is flat along its axis: no prominence is asked of it.
        power[:, [len(degree) + rank for rank in self.candidates.quiet]] = 0
        surprises = [-(math.log(2) + log_ndtr(-np.sqrt(power)))]
        # Coherence is exponential at a complex coefficient, half a chi-square of 1 at a real one.
        for coherence in (statistics.phase, statistics.texture):
            value = _with_sets(coherence * degree, member)
            for rank, quiet in self.candidates.quiet.items():
                seam, quiet = (part[counted[part]] for part in (self.candidates.members[rank], quiet))
                # Capped: a line or a lattice on the axis is no seam, whatever its strength. (The median of an
                # exponential variable is 0.69 of its mean.)
                typical = np.median(coherence[:, quiet], 1, keepdims=True) if len(quiet) else np.zeros(1)
                value[:, len(degree) + rank] = np.minimum(coherence[:, seam], 3 * typical) @ degree[seam]
            # Enlargement empties or fills the Nyquist frequencies with no phase of its own.
            value[:, [len(degree) + rank for rank in borders]] = 0
            surprises.append(_gamma_surprise(degrees, value))
        empty = np.concatenate([~counted, member.sum(0) == 0])
        return np.concatenate([np.where(empty, 0.0, part) for part in surprises], 1)


def _with_sets(values: FloatArray, member: FloatArray) -> FloatArray:
    """``(R, K)`` values of the coefficients, followed by their sums over the sets, ``(R, K + S)``."""
    result: FloatArray = np.concatenate([values, values @ member], 1)
    return result


def _gamma_surprise(degrees: FloatArray, value: FloatArray) -> FloatArray:
    """``-ln`` of a gamma variable's upper tail ``(R, C)``; by its asymptote where the tail underflows."""
    result: FloatArray = value.copy()  # exact where degrees == 1: an exponential variable
    other = (degrees != 1) & (degrees > 0)
    value, degrees = value[:, other], degrees[other]
    tail = gammaincc(degrees, value)
    large = np.maximum(value, 1.0)
    asymptote = large - (degrees - 1) * np.log(large) + gammaln(degrees)
    result[:, other] = np.where(tail > 1e-280, -np.log(np.maximum(tail, 1e-280)), asymptote)
    return result
