"""How well scores separate two classes, with intervals that keep some width where nothing was missed.

Label 1 is fake, and the score is the probability of fake. Every metric is a function of weighted counts, so
one bootstrap resample is one vector of weights and a thousand of them are one matrix. A bootstrap of a
perfect detector shows perfect detectors only: rates and areas have intervals from theory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from ganlab.errors import GanlabError
from ganlab.util.rates import auc_interval, mean_of_rates, wilson

Floats = npt.NDArray[np.float64]

METRICS = ("balanced_accuracy", "roc_auc", "average_precision", "tpr_at_1", "tpr_at_5", "ece", "brier")
"""In the order of tables. ``tpr_at_1``: true-positive rate where at most 1 % of the reals are called fake."""

CHANCE = {"balanced_accuracy": 0.5, "roc_auc": 0.5, "average_precision": 0.5}
"""Value of a detector that knows nothing, for equally many reals and fakes."""

CALIBRATION_BINS = 10
CELLS_AT_ONCE = 2**22
"""Resamples times images held at once (32 MiB of float64 for each intermediate)."""


@dataclass(frozen=True)
class Interval:
    """A measured value and its interval."""

    value: float
    low: float
    high: float

    def contains(self, value: float) -> bool:
        """Whether ``value`` lies in the interval, ends included."""
        return self.low <= value <= self.high

    def as_list(self) -> list[float]:
        """[value, low, high] for JSON."""
        return [self.value, self.low, self.high]


def evaluate(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    ranking: npt.ArrayLike | None = None,
) -> dict[str, Interval]:
    """All of `METRICS` with intervals over images.

    The balanced accuracy is a mean of two rates (Clopper and Pearson, Newcombe), the area under the ROC
    curve has Newcombe's method 5. Average precision and true-positive rates have a bootstrap interval (reals
    and fakes resampled each for themselves, which keeps the class balance), at least as wide as Wilson's for
    such a share of the fakes: that of the average precision is Boyd et al.'s binomial one. Calibration error
    and Brier score have the bootstrap's alone.

    Args:
        labels: ``(N,)``, 1 fake, 0 real; both occur.
        scores: ``(N,)`` probabilities of fake in [0, 1].
        resamples: bootstrap draws; with 0 there are Wilson's and Newcombe's intervals, and none of the last
            two.
        level: of the interval.
        seed: of the draws.
        ranking: ``(N,)`` what ranks the images where probabilities would round to 0 or 1, such as log-odds:
            the areas and the true-positive rates come from it.

    Sources: Newcombe, Statistics in Medicine 17 (1998) 873 and 25 (2006) 559; Boyd, Eng and Page, ECML 2013.

    Raises:
        GanlabError: one class only, different lengths, or scores that are no probabilities.
    """
    given, probability = np.asarray(labels), np.asarray(scores, np.float64)
    if given.ndim != 1 or given.shape != probability.shape:
        raise GanlabError(f"labels {given.shape} and scores {probability.shape} must be two equal vectors")
    if set(np.unique(given)) != {0, 1}:
        raise GanlabError("metrics need both classes: labels 0 (real) and 1 (fake)")
    if not (np.isfinite(probability).all() and probability.min() >= 0 and probability.max() <= 1):
        raise GanlabError("scores are probabilities of fake: finite and in [0, 1]")
    rank = probability if ranking is None else np.asarray(ranking, np.float64)
    if rank.shape != given.shape or not np.isfinite(rank).all():
        raise GanlabError(f"a ranking is a finite number for each of {len(given)} images")
    order = np.argsort(-rank, kind="stable")
    truth, probability, rank = given.astype(bool)[order], probability[order], rank[order]
    value = _metrics(truth, probability, rank, np.ones((1, len(truth))))
    fakes, reals = int(truth.sum()), int((~truth).sum())
    called = probability >= 0.5
    right = [int((called & truth).sum()), int((~called & ~truth).sum())]
    ends = {
        "balanced_accuracy": mean_of_rates(right, [fakes, reals], level),
        "roc_auc": auc_interval(float(value["roc_auc"][0]), reals, fakes, level),
    }
    rates = ("average_precision", "tpr_at_1", "tpr_at_5")
    ends |= {name: wilson(float(value[name][0]) * fakes, fakes, level) for name in rates}
    if resamples:
        drawn = [_metrics(truth, probability, rank, w) for w in _resample_weights(truth, resamples, seed)]
        tail = 100 * (1 - level) / 2
        for name in (*rates, "ece", "brier"):
            own = np.percentile(np.concatenate([part[name] for part in drawn]), [tail, 100 - tail])
            low, high = ends.get(name, own)
            ends[name] = (min(low, float(own[0])), max(high, float(own[1])))
    measured = {name: float(value[name][0]) for name in METRICS}
    return {name: Interval(one, *map(float, ends.get(name, (one, one)))) for name, one in measured.items()}


def _resample_weights(truth: npt.NDArray[np.bool_], resamples: int, seed: int) -> Iterator[Floats]:
    """Blocks of ``(R, N)`` multiplicities; each class keeps its total."""
    rng = np.random.default_rng(seed)
    block = max(1, CELLS_AT_ONCE // len(truth))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        weights = np.zeros((rows, len(truth)))
        for members in (np.flatnonzero(truth), np.flatnonzero(~truth)):
            drawn = rng.integers(len(members), size=(rows, len(members)))
            flat = drawn + len(members) * np.arange(rows)[:, None]
            counts = np.bincount(flat.ravel(), minlength=rows * len(members))
            weights[:, members] = counts.reshape(rows, -1)
        yield weights


def _metrics(
    truth: npt.NDArray[np.bool_], scores: Floats, ranking: Floats, weights: Floats
) -> dict[str, Floats]:
    """Every metric for every row of weights ``(R, N)``; the ranking descends."""
    fakes, reals = np.where(truth, weights, 0.0), np.where(truth, 0.0, weights)
    ends = np.flatnonzero(np.append(np.diff(ranking) != 0, True))  # equal ranks are one step of the curve
    true, false = np.cumsum(fakes, 1)[:, ends], np.cumsum(reals, 1)[:, ends]
    total_true, total_false = true[:, -1:], false[:, -1:]
    recall, alarm = true / total_true, false / total_false
    accepted = scores >= 0.5
    right = fakes[:, accepted].sum(1) / total_true[:, 0] + reals[:, ~accepted].sum(1) / total_false[:, 0]
    # a resample may hold none of the best scores; precision where nothing is called fake counts as 1
    called = true + false
    precision = np.divide(true, called, out=np.ones_like(true), where=called > 0)
    # calibration: distance between predicted probability and share of fakes, over equal-width bins
    bins = np.minimum((scores * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    member = (bins[:, None] == np.arange(CALIBRATION_BINS)).astype(np.float64)
    excess = weights @ (member * (scores - truth)[:, None])
    return {
        "balanced_accuracy": right / 2,
        "roc_auc": np.asarray(np.trapezoid(_from_zero(recall), _from_zero(alarm), axis=1)),
        "average_precision": (np.diff(_from_zero(recall), axis=1) * precision).sum(axis=1),
        "tpr_at_1": np.where(alarm <= 0.01, recall, 0.0).max(axis=1),
        "tpr_at_5": np.where(alarm <= 0.05, recall, 0.0).max(axis=1),
        "ece": np.abs(excess).sum(1) / weights.sum(1),
        "brier": (weights * (scores - truth) ** 2).sum(1) / weights.sum(1),
    }


def _from_zero(values: Floats) -> Floats:
    """The curve with its first point, where nothing is called fake."""
    return np.concatenate([np.zeros((len(values), 1)), values], axis=1)


def highest_area_test(
    splits: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]], permutations: int = 2000, seed: int = 0
) -> tuple[list[Floats], list[Floats]]:
    """Whether any of several detectors ranks the images of class 1 above those of class 0: one maximum test.

    The labels of a split's images are dealt anew, the same way for all its detectors, and the highest
    standardised area over all splits and detectors is kept (Westfall and Young): detectors that look at the
    same images are not independent, and of twenty the best is above chance by luck. Areas below one half are
    no evidence of anything learned and never count.

    Args:
        splits: of each the labels ``(N,)``, 0 or 1, and the scores of its detectors ``(S, N)``.
        permutations: how often labels are dealt.
        seed: of the permutations.

    Returns:
        For every split the areas ``(S,)`` and their p-values ``(S,)``, adjusted for taking the highest.

    Raises:
        GanlabError: one class only, another number of scores than of labels, or scores that are not finite.
    """
    rng = np.random.default_rng(seed)
    areas, standardised, highest = [], [], np.full(permutations, -np.inf)
    for given, scores in splits:
        labels, rows = np.asarray(given, np.float64), np.atleast_2d(np.asarray(scores, np.float64))
        if set(np.unique(labels)) != {0, 1} or labels.ndim != 1 or rows.shape[1] != len(labels):
            shapes = f"{labels.shape} and {rows.shape}"
            raise GanlabError(f"expected labels 0 and 1 (N,) and scores (S, N); got {shapes}")
        if not np.isfinite(rows).all():  # they would count as the highest
            raise GanlabError("scores hold NaN or infinite values: they rank nothing")
        ranks = np.asarray(rankdata(rows, axis=1))
        count, ones = len(labels), labels.sum()
        pairs = ones * (count - ones)
        spread = np.sqrt(pairs / (count * (count - 1)) * ((ranks - ranks.mean(1, keepdims=True)) ** 2).sum(1))
        spread = np.where(spread > 0, spread, np.inf)  # equal scores rank nothing
        excess = (ranks - (count + 1) / 2) @ labels
        dealt = rng.permuted(np.tile(labels, (permutations, 1)), axis=1)
        highest = np.maximum(highest, ((dealt @ (ranks.T - (count + 1) / 2)) / spread).max(1))
        areas.append(0.5 + excess / pairs)
        standardised.append(excess / spread)
    # Sums in another order differ in the last digits; equal values must count as equal.
    return areas, [(1 + (highest[:, None] >= one - 1e-9).sum(0)) / (permutations + 1) for one in standardised]


def summarise(repetitions: list[dict[str, Interval]]) -> dict[str, dict[str, float]]:
    """Mean, standard deviation and extremes of the values over several seeds.

    Raises:
        GanlabError: nothing to summarise.
    """
    if not repetitions:
        raise GanlabError("no repetition to summarise")
    table: dict[str, Any] = {}
    for name in repetitions[0]:
        values = np.array([metrics[name].value for metrics in repetitions])
        table[name] = {
            "mean": float(values.mean()),
            "std": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
            "low": min(metrics[name].low for metrics in repetitions),
            "high": max(metrics[name].high for metrics in repetitions),
        }
    return table
