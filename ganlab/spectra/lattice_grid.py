"""The grid of coefficients that lattice lines are looked for on: candidates, neighbours, periods.

Coefficients are numbered as `rfft2` stores them, row by row: *flat indices* of ``(H, W//2+1)`` half planes of
even sizes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ganlab.spectra.lattice_sums import PERIODS
from ganlab.spectra.rings import FloatArray

Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

REACH = 3
"""Neighbours are looked for up to so many coefficients away."""
LOWEST = 3.5
"""Coefficients nearer to zero frequency than this are no candidates: natural spectra are a cusp there."""


@dataclass(frozen=True)
class Candidates:
    """What may be a line: single coefficients, then sets of them, each a family and a period.

    Attributes:
        single: the coefficients that are candidates of their own, ``(K,)``.
        real: coefficients that are real numbers in real images: both frequencies are 0 or 1/2.
        members: flat indices of each set.
        quiet: of each seam, by its number among the sets, the members that no lattice of up to 8 pixels
            touches, nor what the window makes of one.
        families: "rows", "columns", "diagonals", "off axes", "lattice", "last row", "last column" (all of a
            Nyquist frequency), "row seam", "column seam" (all of an axis).
        periods: in pixels; 0 of seams.
        membership: 1 where a coefficient belongs to a set, ``(S, K)``.
    """

    single: Mask
    real: Mask
    members: tuple[Indices, ...]
    quiet: dict[int, Indices]
    families: tuple[str, ...]
    periods: tuple[int, ...]
    membership: FloatArray

    def __getitem__(self, number: int) -> tuple[Indices, str, int]:
        """Flat indices, family and period of a candidate: the coefficients come first, then the sets."""
        rank = number - len(self.single)
        if rank < 0:
            return np.array([number]), "line", 0
        return self.members[rank], self.families[rank], self.periods[rank]


@functools.lru_cache(maxsize=8)
def candidates(height: int, width: int) -> Candidates:
    """The coefficients away from zero frequency, and every lattice set that fits the grid."""
    columns = width // 2 + 1
    row, column = np.divmod(np.arange(height * columns), columns)
    longest = max(height, width)
    vertical = np.minimum(row, height - row) * longest / height
    single = np.hypot(vertical, column * longest / width) > LOWEST
    # A real image has its zero and Nyquist columns twice over: one half is enough.
    single &= ~(((column == 0) | (2 * column == width)) & (2 * row > height))
    masks = [
        ("row seam", 0, single & (column == 0)),
        ("column seam", 0, single & (row == 0)),
        ("last row", 2, single & (2 * row == height)),
        ("last column", 2, single & (2 * column == width)),
    ]
    for period in PERIODS:
        # Closer than four coefficients, a lattice has no neighbours to stand out from.
        if height % period or width % period or min(height, width) < 4 * period:
            continue
        on = single & (row % (height // period) == 0) & (column % (width // period) == 0)
        y, x = row * period // height, column * period // width
        masks += [
            ("rows", period, on & (column == 0)),
            ("columns", period, on & (row == 0)),
            ("diagonals", period, on & ((y == x) | ((period - y) % period == x))),
            ("off axes", period, on & (row > 0) & (column > 0)),
            ("lattice", period, on),
        ]
    distinct: dict[bytes, tuple[str, int, Mask]] = {}
    for family, period, mask in masks:
        if mask.sum() > 1:
            distinct.setdefault(mask.tobytes(), (family, period, mask))
    families, periods, chosen = zip(*distinct.values(), strict=True)
    real = ((2 * row) % height == 0) & ((2 * column) % width == 0)
    members = tuple(np.flatnonzero(mask) for mask in chosen)
    quiet = {}
    for rank, (family, indices) in enumerate(zip(families, members, strict=True)):
        if "seam" in family:
            side, steps = (height, row[indices]) if family == "row seam" else (width, column[indices])
            spacing = next((side // p for p in (8, 4, 2) if side % p == 0 and side // p > 3), side)
            apart = np.minimum(steps % spacing, -steps % spacing)
            quiet[rank] = indices[apart > 1]
    return Candidates(single, real, members, quiet, families, periods, np.array(chosen, float))


@functools.cache
def surroundings() -> FloatArray:
    """Weights ``(7, 7)`` that predict a coefficient's log power from its neighbours.

    Least squares of a quadratic surface over the neighbours that lie two coefficients away in at least one
    direction: a smooth slope or bend cancels exactly, and neither the line itself nor the other members of a
    lattice with four coefficients between them, nor what the window makes of either, is among the neighbours.
    """
    steps = range(-REACH, REACH + 1)
    offsets = [(dy, dx) for dy in steps for dx in steps if abs(dy) == 2 or abs(dx) == 2]
    design = np.array([(1, dy, dx, dy * dy, dy * dx, dx * dx) for dy, dx in offsets], float)
    kernel = np.zeros((2 * REACH + 1, 2 * REACH + 1))
    for (dy, dx), weight in zip(offsets, np.linalg.pinv(design)[0], strict=True):
        kernel[dy + REACH, dx + REACH] = weight
    return kernel


@functools.cache
def beside() -> FloatArray:
    """Equal weights ``(7, 7)`` of the neighbours in other rows and other columns, which no seam shares."""
    kernel = np.ones((2 * REACH + 1, 2 * REACH + 1))
    near = slice(REACH - 1, REACH + 2)
    kernel[near], kernel[:, near] = 0, 0
    weights: FloatArray = kernel / kernel.sum()
    return weights


def weighted_neighbours(half: FloatArray, kernel: FloatArray, height: int, width: int) -> FloatArray:
    """``(R, K)`` half planes -> weighted sums over each coefficient's neighbours in the full plane."""
    columns = width // 2 + 1
    planes = torch.from_numpy(half.reshape(-1, 1, height, columns).copy())
    # Zero frequency differs by the sets' brightness alone; its neighbours stand in for it.
    planes[:, 0, 0, 0] = (planes[:, 0, 0, 1] + planes[:, 0, 1, 0]) / 2
    mirrored = planes.roll(-1, 2).flip(2)
    left = mirrored[..., 1 : REACH + 1].flip(3)
    right = mirrored[..., columns - 1 - REACH : columns - 1].flip(3)
    wide = torch.cat([left, planes, right], 3)
    tall = torch.cat([wide[:, :, -REACH:], wide, wide[:, :, :REACH]], 2)
    summed = torch.nn.functional.conv2d(tall, torch.from_numpy(kernel)[None, None])
    result: FloatArray = summed.reshape(len(half), -1).numpy()
    return result


def explained(indices: Indices, height: int, width: int) -> Indices:
    """Flat indices whose value or whose neighbours a line at ``indices`` changes, mirror images included.

    Not those four coefficients away on both axes or on one: they may be other members of a lattice.
    """
    columns = width // 2 + 1
    row, column = np.divmod(indices, columns)
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


def frequency(index: int, height: int, width: int) -> tuple[float, float]:
    """``(fy, fx)`` of a flat index in cycles per pixel, fy above -1/2 up to 1/2."""
    row, column = divmod(index, width // 2 + 1)
    fy = row / height
    return (fy if fy <= 0.5 else fy - 1, column / width)


def period_of(fy: float, fx: float) -> int:
    """Smallest period in pixels among `PERIODS` of which both frequencies are multiples; 0 if none."""
    return next((p for p in PERIODS if (fy * p).is_integer() and (fx * p).is_integer()), 0)
