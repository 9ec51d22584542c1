"""Intervals of shares and of the area under the ROC curve that stay honest at 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def wilson(hits: float, total: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share: 40 of 40 gives 0.912 to 1.

    Args:
        hits: how many of ``total``; need not be whole.
        total: above 0.
        level: of the interval.

    Source: Wilson, JASA 22 (1927).
    """
    z, share = _z(level), hits / total
    centre = share + z**2 / (2 * total)
    reach = z * (share * (1 - share) / total + z**2 / (4 * total**2)) ** 0.5
    low, high = ((centre + sign * reach) / (1 + z**2 / total) for sign in (-1, 1))
    # At 0 and 1 the ends meet the share but for rounding.
    return min(max(low, 0.0), share), max(min(high, 1.0), share)


def mean_of_rates(hits: Sequence[float], totals: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Interval of the mean of independent shares, such as a balanced accuracy.

    Distances of every share to the ends of its Wilson interval are squared and added.

    Args:
        hits: of every share.
        totals: out of how many.
        level: of the interval.

    Source: Newcombe, Statistics in Medicine 17 (1998) 873, method 10.
    """
    shares = [hit / total for hit, total in zip(hits, totals, strict=True)]
    ends = [wilson(hit, total, level) for hit, total in zip(hits, totals, strict=True)]
    mean, count = sum(shares) / len(shares), len(shares)
    below = sum((share - low) ** 2 for share, (low, _) in zip(shares, ends, strict=True)) ** 0.5 / count
    above = sum((high - share) ** 2 for share, (_, high) in zip(shares, ends, strict=True)) ** 0.5 / count
    return max(mean - below, 0.0), min(mean + above, 1.0)


def auc_variance(area: float, reals: int, fakes: int) -> float:
    """Variance of an estimated area under the ROC curve whose true value is ``area``.

    Hanley and McNeil's for exponential scores, with the mean of both counts in place of each.

    Args:
        area: 0 to 1.
        reals: number of scores of one class, at least 1.
        fakes: of the other.

    Source: Newcombe, Statistics in Medicine 25 (2006) 559, method 5.
    """
    mean = (reals + fakes) / 2
    inner = 2 * mean - 1 - (3 * mean - 3) / ((2 - area) * (1 + area))
    return area * (1 - area) * inner / (reals * fakes)


def auc_interval(area: float, reals: int, fakes: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of an area under the ROC curve, of some width also at 0 and 1.

    The areas whose ``auc_variance`` makes the observed one no surprise; found by halving.

    Args:
        area: observed, 0 to 1.
        reals: number of scores of one class, at least 1.
        fakes: of the other.
        level: of the interval.

    Source: Newcombe, Statistics in Medicine 25 (2006) 559, method 5.
    """
    z = _z(level)

    def end(inside: float, outside: float) -> float:
        if area == outside:
            return outside
        for _ in range(60):
            middle = (inside + outside) / 2
            if (area - middle) ** 2 <= z**2 * auc_variance(middle, reals, fakes):
                inside = middle
            else:
                outside = middle
        return inside

    return end(area, 0.0), end(area, 1.0)
