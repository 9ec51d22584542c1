"""Confidence intervals that cover: bootstrap-t for signed numbers, test inversion for distances.

Noise alone makes a distance between two sets positive, and resampling adds noise once more: percentiles of a
resampled distance never reach zero and miss the truth where it is small. A test inversion asks instead which
true distances would give what was observed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ganlab.spectra.rings import FloatArray

BOOTSTRAP_T = "bootstrap-t"
INVERSION = "test inversion"
LEAST_SPREAD = 0.05
"""A resample's variance counts as this share of the sample's at least: with a handful of images a resample
may hold one image alone, whose variance is zero."""
SHARES = (*(0.1 * step for step in range(14)), 2.0, 4.0, 8.0, 16.0, 32.0)
"""Multiples of the observed difference that are tried as the true one."""
STEPS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0)
"""Further differences tried above the estimate, in standard deviations of the resampled distance."""

Apart = Callable[[Tensor, Tensor], Tensor]


def bootstrap_t(
    value: Tensor, variance: Tensor, drawn: Tensor, variances: Tensor, level: float
) -> tuple[Tensor, Tensor]:
    """Symmetric bootstrap-t interval, which always holds the value.

    The quantile of ``|drawn - value| / sqrt(variances)`` takes the place of Student's: a resample with a
    small deviation has a small standard error, as the sample may have.

    Args:
        value: of the sample, ``(M,)``.
        variance: of the value, estimated from the sample, ``(M,)``.
        drawn: values of the resamples, ``(R, M)``.
        variances: of each, estimated from the resample, ``(R, M)``.
        level: of the interval.

    Returns:
        Lower and upper ends, ``(M,)``.

    Source: Hall, Annals of Statistics 16 (1988), sections 2 and 3.
    """
    least = (LEAST_SPREAD * variance).clamp_min(torch.finfo(variance.dtype).tiny)
    ratios = (drawn - value).abs() / torch.maximum(variances, least).sqrt()
    reach = torch.quantile(ratios, level, dim=0) * variance.sqrt()
    return value - reach, value + reach


Tried = tuple[FloatArray, FloatArray]
"""Assumed true distances ``(T,)`` that do not fall, and the distances that resamples would show under each,
``(T, R)``."""


class Inversion:
    """Test inversion for a distance that cannot be negative.

    A truth is in the interval where the observed distance is no surprise: where neither the larger nor the
    smaller distances have a probability below half of 1 - level. The estimate is the truth under which half
    of the distances lie on either side of the observed one (median unbiased), so that it is always inside. An
    upper end whose probability is small already where nothing differs is measured against that probability: a
    distance that is small by luck gives no short interval.

    Args:
        observed: the distance of the two sets as given.
        tried: truths from none on, at ``SHARES`` of the observed difference.
        above: from that share which is the estimate, truths from there on.
        level: of the interval.

    Attributes:
        value: the estimate.
        low: lower end.
        high: upper end.
    """

    def __init__(self, observed: float, tried: Tried, above: Callable[[float], Tried], level: float) -> None:
        tail = (1 - level) / 2
        self._distances, shown = tried[0], np.sort(tried[1], axis=1)
        self._medians = _rising(shown, 0.5)
        self.value = float(self.estimates(np.array([observed]))[0])
        self.low = min(_crossing(_rising(shown, 1 - tail), self._distances, observed), self.value)
        # Below the smallest distance that noise alone gives there is nothing to invert.
        least = max(observed, float(shown[0, 0]))
        by_luck = float(np.searchsorted(shown[0], least, "right")) / shown.shape[1]
        distances, shown = above(_crossing(self._medians, np.asarray(SHARES), observed))
        end = _crossing(_rising(np.sort(shown, axis=1), tail * by_luck), distances, least)
        self.high = max(end, self.value)

    def estimates(self, distances: FloatArray) -> FloatArray:
        """The median-unbiased estimates that observed distances ``(N,)`` would have given."""
        medians = self._medians
        start = int(np.searchsorted(medians, medians[0], "right")) - 1
        found: FloatArray = np.interp(distances, medians[start:], self._distances[start:])
        return np.where(distances <= medians[0], 0.0, found)


def invert(
    apart: Apart, real: Tensor, fake: Tensor, real_drawn: Tensor, fake_drawn: Tensor, level: float
) -> Inversion:
    """Test inversion of a distance between mean profiles.

    Truths below the estimate are shares of the observed difference. Above it they go from the estimate along
    the direction in which noise most readily changes the distance (the least favourable one: the regression
    of the resampled differences on the resampled distances); larger shares of the observed difference would
    take its noise for a difference.

    Args:
        apart: the distance between coordinates ``(..., K)`` of two sets, ``(...,)``.
        real: coordinates of the real set, ``(1, K)``; in them two sets differ by a sum.
        fake: of the fake set.
        real_drawn: of resamples of the real set, ``(R, K)``.
        fake_drawn: of the fake set.
        level: of the interval.
    """
    step, noise = fake - real, fake_drawn - fake

    def tried(differences: Tensor) -> Tried:
        shown = torch.stack([apart(real_drawn, real + truth + noise) for truth in differences])
        return np.maximum.accumulate(apart(real, real + differences).numpy()), shown.numpy()

    drawn = apart(real_drawn, fake_drawn)
    scores = (drawn - drawn.mean()) / drawn.std(correction=0).clamp_min(torch.finfo(drawn.dtype).tiny)
    worst = ((fake_drawn - real_drawn - step) * scores[:, None]).mean(0)
    steps = step.new_tensor(STEPS)[:, None] * worst
    at_shares = tried(step.new_tensor(SHARES)[:, None] * step)
    return Inversion(float(apart(real, fake)), at_shares, lambda share: tried(share * step + steps), level)


def _rising(shown: FloatArray, share: float) -> FloatArray:
    """A quantile ``(T,)`` of sorted rows ``(T, R)``, made not to fall."""
    place = share * (shown.shape[1] - 1)
    below = int(place)
    above = min(below + 1, shown.shape[1] - 1)
    curve: FloatArray = shown[:, below] + (place - below) * (shown[:, above] - shown[:, below])
    return np.maximum.accumulate(curve)


def _crossing(curve: FloatArray, axis: FloatArray, value: float) -> float:
    """Where a curve that does not fall reaches a value; the axis's start where it begins above."""
    return float(axis[0] if value <= curve[0] else np.interp(value, curve, axis))
