"""Which ring every Fourier coefficient belongs to, worked out once per image size, and sums over rings."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganlab.errors import GanlabError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RingRule:
    """How the frequency plane is cut into rings.

    Attributes:
        plane: "full" counts every coefficient of the H x W plane once, "half" every coefficient that
            ``rfft2`` stores once, "odd" repeats the Nyquist row and column of even sizes at +N/2, so that the
            grid is centred.
        centre: "dc" measures radii from the zero frequency, "half_pixel" from the middle of the shifted array
            ((N-1)/2), which lies half a pixel beside the zero frequency when N is even.
        unit: "index" measures radii in array indices, "cycles" in cycles per pixel times min(H, W). The two
            agree for square images.
        rounding: a coefficient of radius r belongs to ring ``floor(r)`` or to the "nearest" integer (half to
            even).
        first: number of rings dropped at the centre.
        last: number of rings dropped at the corner.
        inscribed: keep only rings 0..min(H, W)//2, those that are complete circles.
    """

    plane: Literal["full", "half", "odd"] = "full"
    centre: Literal["dc", "half_pixel"] = "dc"
    unit: Literal["index", "cycles"] = "index"
    rounding: Literal["floor", "nearest"] = "floor"
    first: int = 0
    last: int = 0
    inscribed: bool = False


@dataclass(frozen=True)
class RingPlan:
    """Entries (cell of the rfft2 half plane, ring, weight) of one rule at one size, and the ring totals.

    Attributes:
        cells: flat index into ``(H, W//2+1)`` of each entry, or None when entry i is cell i.
        rings: ring of each entry; the number of rings kept stands for "not kept".
        weights: how often each entry counts.
        totals: sum of weights in each kept ring, ``(K,)``.
        frequencies: mean radius of the members of each kept ring, cycles per pixel, ``(K,)``.
        numbers: the integer radius of each kept ring, ``(K,)``.
    """

    cells: IntArray | None
    rings: IntArray
    weights: FloatArray
    totals: FloatArray
    frequencies: FloatArray
    numbers: IntArray


def _signed(size: int, plane: str, columns: bool) -> IntArray:
    if columns and plane == "half":
        return np.arange(size // 2 + 1)
    stop = size // 2 + 1 if plane == "odd" else (size + 1) // 2
    return np.arange(-(size // 2), stop)


def _radii(rows: IntArray, columns: IntArray, height: int, width: int, rule: RingRule) -> FloatArray:
    """Radii from integers only, so that whole and half radii are exact and ties round as stated."""
    middle = int(rule.centre == "half_pixel")
    y = 2 * rows + middle * (1 - height % 2)
    x = 2 * columns + middle * (1 - width % 2)
    scale = 2
    if rule.unit == "cycles":
        y, x, scale = y * width, x * height, 2 * max(height, width)
    radii: FloatArray = np.sqrt((y**2)[:, None] + (x**2)[None, :]) / scale
    return radii


def _cells(rows: IntArray, columns: IntArray, height: int, width: int) -> IntArray:
    """Flat half-plane index of every (row, column): itself, or the conjugate partner with the same power."""
    y, x = np.broadcast_arrays(rows[:, None] % height, columns[None, :] % width)
    mirrored = x > width // 2
    y, x = np.where(mirrored, -y % height, y), np.where(mirrored, width - x, x)
    cells: IntArray = y * (width // 2 + 1) + x
    return cells


def _kept(rings: IntArray, height: int, width: int, rule: RingRule) -> IntArray:
    """The integer radii that the rule keeps, empty ones left out."""
    numbers = np.unique(rings)
    if rule.inscribed:
        numbers = numbers[numbers <= min(height, width) // 2]
    kept = numbers[rule.first : len(numbers) - rule.last]
    if not len(kept):
        raise GanlabError(f"images of {height}x{width} are too small for this profile: it drops every ring")
    return kept


def _merge(cells: IntArray, rings: IntArray, size: int, count: int) -> tuple[IntArray, IntArray, FloatArray]:
    """Entries of equal cell and ring added up; returned in the order of cells."""
    pairs, repeats = np.unique(cells.ravel() * (count + 1) + rings.ravel(), return_counts=True)
    return pairs // (count + 1), pairs % (count + 1), repeats.astype(np.float64)


@functools.lru_cache(maxsize=128)
def ring_plan(height: int, width: int, rule: RingRule) -> RingPlan:
    """The entries of ``rule`` for ``height`` x ``width`` images, computed once and kept.

    Raises:
        GanlabError: the images are so small that the rule keeps no ring.
    """
    rows, columns = _signed(height, rule.plane, False), _signed(width, rule.plane, True)
    radii = _radii(rows, columns, height, width, rule)
    integer = (np.rint(radii) if rule.rounding == "nearest" else np.floor(radii)).astype(np.int64)
    numbers = _kept(integer, height, width, rule)
    lookup = np.full(integer.max() + 1, len(numbers), dtype=np.int64)
    lookup[numbers] = np.arange(len(numbers))
    rings = lookup[integer]
    half = height * (width // 2 + 1)
    cells, merged, weights = _merge(_cells(rows, columns, height, width), rings, half, len(numbers))
    cycles = np.hypot(rows[:, None] / height, columns[None, :] / width)
    counts = np.bincount(rings.ravel(), minlength=len(numbers) + 1)[:-1]
    sums = np.bincount(rings.ravel(), cycles.ravel(), minlength=len(numbers) + 1)[:-1]
    complete = len(cells) == half and bool((cells == np.arange(half)).all())
    return RingPlan(
        None if complete else cells, merged, weights, counts.astype(np.float64), sums / counts, numbers
    )


@functools.lru_cache(maxsize=128)
def _plan_tensors(
    height: int, width: int, rule: RingRule, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor | None, Tensor, Tensor, Tensor]:
    plan = ring_plan(height, width, rule)
    # A cached tensor made under inference_mode could never be used in a graph afterwards.
    with torch.inference_mode(False):
        cells = None if plan.cells is None else torch.from_numpy(plan.cells).to(device)
        rings = torch.from_numpy(plan.rings).to(device)
        weights = torch.from_numpy(plan.weights).to(device, dtype)
        totals = torch.from_numpy(plan.totals).to(device, dtype)
    return cells, rings, weights, totals


def ring_sums(values: Tensor, width: int, rule: RingRule) -> tuple[Tensor, Tensor]:
    """Sums over rings of a quantity given on the half plane.

    Args:
        values: ``(M, H, W//2+1)`` real, equal at conjugate frequencies.
        width: W; the half plane alone does not tell odd from even.
        rule: how rings are cut.

    Returns:
        ``(M, K)`` sums and ``(K,)`` totals of the weights; their quotient is the ring mean. Differentiable.
    """
    height = values.shape[1]
    cells, rings, weights, totals = _plan_tensors(height, width, rule, values.device, values.dtype)
    flat = values.flatten(1)
    entries = (flat if cells is None else flat[:, cells]) * weights
    sums = entries.new_zeros(len(flat), len(totals) + 1).index_add(1, rings, entries)
    return sums[:, :-1], totals
