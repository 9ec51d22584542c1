"""Intervals of shares and of the area under the ROC curve that stay honest at 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np


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


def clopper_pearson(hits: float, total: float, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share, which covers at least as often as it says.

    Args:
        hits: how many of ``total``.
        total: above 0.
        level: of the interval.

    Source: Clopper and Pearson, Biometrika 26 (1934).
    """
    from scipy.special import betaincinv  # takes longer to load than all else here

    tail = (1 - level) / 2
    low = float(betaincinv(hits, total - hits + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, total - hits, 1 - tail)) if hits < total else 1.0
    return low, high


def mean_of_rates(hits: Sequence[float], totals: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Interval of the mean of independent shares, such as a balanced accuracy.

    Distances of every share to the ends of its own interval are squared and added. The own interval is
    Clopper and Pearson's: with Wilson's the mean of shares near 1 was missed too often (in 11 % at 0.97, 40
    images of each kind).

    Args:
        hits: of every share.
        totals: out of how many.
        level: of the interval.

    Source: Newcombe, Statistics in Medicine 17 (1998) 873, method 10, with other intervals.
    """
    shares = np.array(hits) / np.array(totals)
    ends = np.array([clopper_pearson(hit, total, level) for hit, total in zip(hits, totals, strict=True)])
    below, above = np.sqrt(((ends - shares[:, None]) ** 2).sum(0)) / len(shares)
    return max(float(shares.mean() - below), 0.0), min(float(shares.mean() + above), 1.0)


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
