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

LANES = 4
"""Sums kept per ring: neighbouring cells often share a ring, and one sum would wait for the other."""


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

    def __post_init__(self) -> None:
        if self.plane == "odd" and self.centre == "half_pixel":
            raise GanlabError("ring rule: the odd grid has its zero frequency in the middle; use centre='dc'")


@dataclass(frozen=True)
class RingPlan:
    """One rule at one image size: the ring of every cell, and what the kept rings are.

    A rule centred on the zero frequency gives the four coefficients (+-ky, +-kx) one ring, so that it works
    on their sums (``orbit_sums``). Around the half-pixel centre conjugate partners lie in different rings;
    then there are two passes over the half plane, one for the stored coefficients, one for their partners.

    Attributes:
        quarter: whether the cells are those of the quarter plane ``(H//2+1, W//2+1)`` of orbit sums, or those
            of the half plane ``(H, W//2+1)``.
        passes: ring of every cell, once or twice; K stands for "in no kept ring".
        weights: how often a cell's value counts, or None when always once.
        totals: number of coefficients that each kept ring counts, ``(K,)``.
        frequencies: mean radius of the members of each kept ring, cycles per pixel, ``(K,)``.
        numbers: the integer radius of each kept ring, ``(K,)``.
    """

    quarter: bool
    passes: tuple[IntArray, ...]
    weights: FloatArray | None
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


def _kept(rings: IntArray, height: int, width: int, rule: RingRule) -> IntArray:
    """The integer radii that the rule keeps, empty ones left out."""
    numbers = np.unique(rings)
    if rule.inscribed:
        numbers = numbers[numbers <= min(height, width) // 2]
    kept = numbers[rule.first : len(numbers) - rule.last]
    if not len(kept):
        raise GanlabError(f"images of {height}x{width} are too small for this profile: it drops every ring")
    return kept


def multiplicity(size: int) -> FloatArray:
    """How many of the frequencies -k and k differ on a grid of ``size`` points: 2, but 1 at 0 and Nyquist."""
    counts = np.full(size // 2 + 1, 2.0)
    counts[0] = 1.0
    if size % 2 == 0:
        counts[-1] = 1.0
    return counts


def _quarter_pass(
    rows: IntArray, columns: IntArray, rings: IntArray, height: int, width: int
) -> tuple[tuple[IntArray, ...], FloatArray | None]:
    stride = width // 2 + 1
    cells = np.abs(rows)[:, None] * stride + np.abs(columns)[None, :]
    ring_of = np.zeros((height // 2 + 1) * stride, dtype=np.int64)
    ring_of[cells] = rings
    orbits = np.outer(multiplicity(height), multiplicity(width)).ravel()
    weights = np.bincount(cells.ravel(), minlength=len(orbits)) / orbits
    return (ring_of,), None if bool((weights == 1).all()) else weights


def half_passes(
    rows: IntArray, columns: IntArray, rings: IntArray, size: tuple[int, int], none: int
) -> tuple[IntArray, ...]:
    """Labels of the full plane as two label maps of the half plane: its own cells', and their partners'.

    Args:
        rows: signed row frequencies, H of them.
        columns: signed column frequencies, W of them (for the half plane alone W//2+1).
        rings: label of every (row, column).
        size: (H, W).
        none: the label of cells without a partner.
    """
    height, width = size
    y, x = np.broadcast_arrays(rows[:, None] % height, columns[None, :] % width)
    partner = x > width // 2
    cells = np.where(partner, -y % height, y) * (width // 2 + 1) + np.where(partner, width - x, x)
    passes = []
    for chosen in (~partner, partner):
        ring_of = np.full(height * (width // 2 + 1), none, dtype=np.int64)
        ring_of[cells[chosen]] = rings[chosen]
        passes.append(ring_of)
    return tuple(passes)


@functools.lru_cache(maxsize=128)
def ring_plan(height: int, width: int, rule: RingRule) -> RingPlan:
    """The plan of ``rule`` for ``height`` x ``width`` images, computed once and kept.

    Raises:
        GanlabError: the images are so small that the rule keeps no ring.
    """
    rows, columns = _signed(height, rule.plane, False), _signed(width, rule.plane, True)
    radii = _radii(rows, columns, height, width, rule)
    integer = (np.rint(radii) if rule.rounding == "nearest" else np.floor(radii)).astype(np.int64)
    numbers = _kept(integer, height, width, rule)
    new_number = np.full(integer.max() + 1, len(numbers), dtype=np.int64)
    new_number[numbers] = np.arange(len(numbers))
    rings = new_number[integer]
    cycles = np.hypot(rows[:, None] / height, columns[None, :] / width)
    totals = np.bincount(rings.ravel(), minlength=len(numbers) + 1)[:-1].astype(np.float64)
    means = np.bincount(rings.ravel(), cycles.ravel(), minlength=len(numbers) + 1)[:-1] / totals
    if rule.centre == "dc":
        passes, weights = _quarter_pass(rows, columns, rings, height, width)
        return RingPlan(True, passes, weights, totals, means, numbers)
    passes = half_passes(rows, columns, rings, (height, width), len(numbers))
    return RingPlan(False, passes, None, totals, means, numbers)


@functools.lru_cache(maxsize=128)
def _plan_tensors(
    height: int, width: int, rule: RingRule, device: torch.device, dtype: torch.dtype
) -> tuple[tuple[Tensor, ...], Tensor | None, Tensor]:
    plan = ring_plan(height, width, rule)
    # A cached tensor made under inference_mode could never be used in a graph afterwards.
    with torch.inference_mode(False):
        lanes = np.arange(len(plan.passes[0])) % LANES * (len(plan.totals) + 1)
        passes = tuple(torch.from_numpy(rings + lanes).to(device) for rings in plan.passes)
        weights = None if plan.weights is None else torch.from_numpy(plan.weights).to(device, dtype)
        return passes, weights, torch.from_numpy(plan.totals).to(device, dtype)


@functools.lru_cache(maxsize=64)
def _mirrored_rows(height: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.arange(height - 1, height // 2, -1, device=device)


def orbit_sums(half: Tensor, width: int) -> Tensor:
    """Sums over the coefficients (+-ky, +-kx) of a quantity that is equal at conjugate frequencies.

    Args:
        half: ``(M, H, W//2+1)``, the half plane of ``rfft2``.
        width: W; the half plane alone does not tell odd from even.

    Returns:
        ``(M, H//2+1, W//2+1)``; the sum of all its cells is the sum over the full plane. Differentiable.
    """
    height = half.shape[1]
    keep, pairs = height // 2 + 1, (height - 1) // 2
    quarter = half[:, :keep].clone(memory_format=torch.contiguous_format)
    # index_select reverses rows at half the cost of flip.
    quarter[:, 1 : 1 + pairs] += half.index_select(1, _mirrored_rows(height, half.device))
    quarter[..., 1 : 1 + (width - 1) // 2] *= 2
    return quarter


def _add_up(cells: Tensor, passes: tuple[Tensor, ...], weights: Tensor | None, count: int) -> Tensor:
    cells = cells if weights is None else cells * weights
    sums = cells.new_zeros(len(cells), LANES * (count + 1))
    for rings in passes:
        sums = sums.index_add(1, rings, cells)
    return sums.view(len(cells), LANES, count + 1).sum(1)[:, :count]


def ring_sums_of_orbits(quarter: Tensor, height: int, width: int, rule: RingRule) -> tuple[Tensor, Tensor]:
    """As ``ring_sums``, from ``orbit_sums(half, width)``; for rules centred on the zero frequency only."""
    passes, weights, totals = _plan_tensors(height, width, rule, quarter.device, quarter.dtype)
    return _add_up(quarter.flatten(1), passes, weights, len(totals)), totals


def ring_sums(half: Tensor, width: int, rule: RingRule) -> tuple[Tensor, Tensor]:
    """Sums over rings of a quantity that is equal at conjugate frequencies.

    Args:
        half: ``(M, H, W//2+1)`` real, the half plane of ``rfft2``.
        width: W; the half plane alone does not tell odd from even.
        rule: how rings are cut.

    Returns:
        ``(M, K)`` sums and ``(K,)`` numbers of members; the quotient is the ring mean. Differentiable.
    """
    height = half.shape[1]
    if rule.centre == "dc":
        return ring_sums_of_orbits(orbit_sums(half, width), height, width, rule)
    passes, weights, totals = _plan_tensors(height, width, rule, half.device, half.dtype)
    return _add_up(half.flatten(1), passes, weights, len(totals)), totals
