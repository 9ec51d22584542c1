"""Do the numbers or names of two sets differ by more than chance, and how well do they tell the sets apart?

All tests are exact or conservative where the images of both sets are exchangeable: ranks, counts beyond a
pooled quantile, counts of one name. What learns from the images (`learned_scores`) is only asked about
images that it did not learn from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import hypergeom, norm, rankdata

Floats = npt.NDArray[np.float64]

TAILS = (0.02, 0.05, 0.1, 0.2)
"""Shares of the pooled images, at both ends, whose counts in the two sets are compared: a fault in a few
images moves no mean."""
ROUNDS = 4
"""Random halvings over which learned scores are averaged."""
RIDGE = 1e-3
"""Of the mean variance, added to every variance before a covariance is inverted."""


@dataclass(frozen=True)
class Separation:
    """How well one score tells two sets apart.

    Attributes:
        p: of the sets being samples of one population; already corrected for the several looks at the score.
        auc: of a detector that sees only this score, in the better direction, 0.5 to 1.
        low: lower end of its 95 % interval.
        high: upper end.
        fakes_higher: whether the fakes have the higher scores.
    """

    p: float
    auc: float
    low: float
    high: float
    fakes_higher: bool


def auc_interval(auc: float, reals: int, fakes: int, level: float = 0.95) -> tuple[float, float]:
    """Newcombe's interval for an area under the curve (2006, method 5), finite and not empty at 0 and 1.

    Args:
        auc: the area.
        reals: images of one class.
        fakes: of the other.
        level: of confidence.
    """
    z, half = float(norm.ppf((1 + level) / 2)), (reals + fakes) / 2 - 1

    def excess(truth: float) -> float:
        spread = 1 + half * ((1 - truth) / (2 - truth) + truth / (1 + truth))
        return abs(auc - truth) - z * float(np.sqrt(truth * (1 - truth) * spread / (reals * fakes)))

    ends = []
    for end in (0.0, 1.0):
        inside, outside = auc, end
        for _ in range(50):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if excess(middle) <= 0 else (inside, middle)
        ends.append(inside)
    return ends[0], ends[1]


def separation(
    reals: npt.ArrayLike, fakes: npt.ArrayLike, looks: int = 1, tails: bool = True, directed: bool = False
) -> Separation:
    """Test one score of every image.

    Args:
        reals: scores ``(R,)``.
        fakes: scores ``(F,)``.
        looks: how many such scores are looked at for one answer (Bonferroni).
        tails: also compare the counts at both ends, `TAILS`.
        directed: fakes can only be higher, as after learning.
    """
    first, second = np.asarray(reals, np.float64), np.asarray(fakes, np.float64)
    pooled = np.concatenate([first, second])
    number, count = len(second), len(pooled)
    ranks = rankdata(pooled)
    area = (ranks[len(first) :].sum() - number * (number + 1) / 2) / (len(first) * number)
    _, ties = np.unique(pooled, return_counts=True)
    tied = (ties**3 - ties).sum() / (count * (count - 1)) if count > 1 else 0.0
    spread = np.sqrt((count + 1 - tied) / (12 * len(first) * number))
    z = (area - 0.5) / spread if spread > 0 else 0.0
    # a learned score has its best direction already; with few, overlapping halves its area scatters more
    ps = [float(norm.sf(z) if directed else 2 * norm.sf(abs(z)))]
    if tails:
        ps += [p for share in TAILS for p in _tail(ranks, number, share)]
    best = max(area, 1 - area)
    low, high = auc_interval(best, len(first), number)
    return Separation(min(1.0, min(ps) * len(ps) * looks), float(best), low, high, bool(area >= 0.5))


def _tail(ranks: Floats, fakes: int, share: float) -> Iterable[float]:
    """P-values of the number of fakes among the highest and the lowest part; ties stay together."""
    count = len(ranks)
    for values in (ranks, -ranks):
        beyond = values >= np.quantile(values, 1 - share)
        if beyond.sum() <= count / 2:
            yield share_p(int(beyond[count - fakes :].sum()), fakes, int(beyond.sum()), count)
        else:
            yield 1.0


def share_p(of_fakes: int, fakes: int, of_all: int, images: int) -> float:
    """Two-sided p-value of so many fakes among so many marked images (hypergeometric)."""
    law = hypergeom(images, of_all, fakes)
    return float(min(1.0, 2 * min(law.cdf(of_fakes), law.sf(of_fakes - 1))))


def named_separation(reals: Sequence[Any], fakes: Sequence[Any], looks: int = 1) -> Separation:
    """Test a name of every image (its codec, say): the count of each name, corrected for their number.

    The score of the detector is the share of fakes among the other half's images of that name.
    """
    names, number = np.unique([repr(name) for name in (*reals, *fakes)], return_inverse=True)
    first, second = number[: len(reals)], number[len(reals) :]
    counts = np.stack([np.bincount(part, minlength=len(names)) for part in (first, second)])
    common = np.flatnonzero(counts.sum(0) > 1)
    ps = [share_p(int(counts[1, k]), len(fakes), int(counts[:, k].sum()), len(number)) for k in common]
    # names that occur once each (serial numbers) say something only together
    alone = counts[:, counts.sum(0) == 1].sum(1)
    if alone.sum() > 1:
        ps.append(share_p(int(alone[1]), len(fakes), int(alone.sum()), len(number)))
    if not ps or len(names) == 1:
        return Separation(1.0, 0.5, *auc_interval(0.5, len(reals), len(fakes)), True)
    rates = counts / counts.sum(1, keepdims=True)
    # seen once: the same score for all, or every unique name would be recognised
    once = counts.sum(0) == 1
    if once.any():
        rates[:, once] = (alone / counts.sum(1))[:, None]
    scores = rates[1] / (rates.sum(0) + 1e-12)
    measured = separation(scores[first], scores[second], tails=False)
    return Separation(
        min(1.0, min(ps) * len(ps) * looks), measured.auc, measured.low, measured.high, measured.fakes_higher
    )


def learned_scores(reals: Floats, fakes: Floats, seed: int = 0) -> tuple[Floats, Floats]:
    """Scores of Fisher's linear discriminant, learned on one half of the images and given to the other.

    Args:
        reals: features ``(R, K)``.
        fakes: ``(F, K)``.
        seed: of the halves; `ROUNDS` of them are averaged.
    """
    source = np.random.default_rng(seed)
    sums = [np.zeros(len(reals)), np.zeros(len(fakes))]
    pooled = np.concatenate([reals - reals.mean(0), fakes - fakes.mean(0)])
    scale = pooled.std(0)
    scale[scale == 0] = 1.0
    sets = [reals / scale, fakes / scale]
    for _ in range(ROUNDS):
        halves = [np.array_split(source.permutation(len(part)), 2) for part in sets]
        for side in (0, 1):
            train = [part[half[side]] for part, half in zip(sets, halves, strict=True)]
            means = [part.mean(0) for part in train]
            inner = np.concatenate([part - mean for part, mean in zip(train, means, strict=True)])
            covariance = inner.T @ inner / max(1, len(inner) - 2)
            covariance += RIDGE * np.eye(len(covariance))
            weights = np.linalg.solve(covariance, means[1] - means[0])
            weights /= np.linalg.norm(weights) + 1e-300
            for total, part, half in zip(sums, sets, halves, strict=True):
                other = half[1 - side]
                # centred between the classes, so that the two halves' scores are on one scale
                total[other] += (part[other] - (means[0] + means[1]) / 2) @ weights
    return sums[0], sums[1]
