"""Bootstrap, permutation and null draws: weights on images times profiles give the means of many resamples.

A resample of n images is a row of n counts. Its mean profile is the row times the profiles over the row's
sum, so that thousands of resamples are one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.util.hashing import derive_seed

CHUNK = 2**22
"""Weights held at a time."""

Profiles = Mapping[str, Tensor]
Statistic = Callable[[dict[str, Tensor], dict[str, Tensor]], Tensor]


def generator(seed: int, stream: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for one named stream of random numbers."""
    return torch.Generator(device).manual_seed(derive_seed(seed, f"spectra/{stream}"))


def bootstrap_counts(resamples: int, count: int, drawn: int, source: torch.Generator) -> Tensor:
    """``(resamples, count)`` float32: how often each of ``count`` images occurs among ``drawn`` draws."""
    chosen = torch.randint(count, (resamples, drawn), generator=source, device=source.device)
    counts = torch.zeros(resamples, count, device=source.device)
    return counts.scatter_add_(1, chosen, torch.ones((), device=source.device).expand_as(chosen))


def split_masks(resamples: int, count: int, taken: int, source: torch.Generator) -> Tensor:
    """``(resamples, count)`` float32: 1 for ``taken`` images drawn without replacement, else 0."""
    order = torch.rand(resamples, count, generator=source, device=source.device)
    mask = torch.zeros(resamples, count, device=source.device)
    return mask.scatter_(1, order.topk(taken, dim=1, sorted=False).indices, 1.0)


def pieces(resamples: int, count: int) -> Iterator[int]:
    """Sizes of the parts in which ``resamples`` rows of ``count`` weights are drawn."""
    size = max(1, CHUNK // max(1, count))
    for start in range(0, resamples, size):
        yield min(size, resamples - start)


@dataclass(frozen=True)
class Draws:
    """Mean profiles of many bootstrap samples of two sets.

    Attributes:
        real: name -> ``(R, K)``.
        fake: name -> ``(R, K)``.
        variance: ``(R, M)``, of statistics as each sample estimates it; None where no influences were given.
    """

    real: dict[str, Tensor]
    fake: dict[str, Tensor]
    variance: Tensor | None = None


class Stacked:
    """Profiles of one set side by side in one float32 matrix, each column divided by its mean.

    Args:
        profiles: name -> ``(N, K)``, of all images or of a sample of them.
        means: name -> ``(1, K)`` means over all images, where ``profiles`` are a sample; resampled means are
            scaled so that they scatter about these.
        drawn: number of images that a resample stands for, by default N.
    """

    def __init__(self, profiles: Profiles, means: Profiles | None = None, drawn: int | None = None) -> None:
        self.lengths = {name: values.shape[1] for name, values in profiles.items()}
        exact = torch.cat([values.double() for values in profiles.values()], 1)
        centre = exact.mean(0)
        centre = torch.where(centre.abs() > 0, centre, torch.ones_like(centre))
        self.scale = centre if means is None else torch.cat([means[name][0] for name in profiles])
        self.matrix = (exact / centre).float()
        self.drawn = drawn or len(exact)

    def __len__(self) -> int:
        return len(self.matrix)

    def means(self, weights: Tensor) -> dict[str, Tensor]:
        """Mean profiles ``(R, K)`` float64 under weights ``(R, N)``."""
        sums = (weights @ self.matrix).double() * self.scale
        return self.split(sums / weights.sum(1, keepdim=True, dtype=torch.float64))

    def split(self, rows: Tensor) -> dict[str, Tensor]:
        """The profiles ``(R, K)`` that stand side by side in rows, by name."""
        return dict(zip(self.lengths, torch.split(rows, list(self.lengths.values()), 1), strict=True))

    def variance(self, influence: Tensor, weights: Tensor | None = None) -> Tensor:
        """Variance of the mean of influences ``(N, M)`` over ``drawn`` images, ``(R, M)`` under weights."""
        if weights is None:
            return influence.square().sum(0, keepdim=True) / (len(self) - 1) / self.drawn
        both = torch.cat((influence, influence.square()), 1).to(weights)
        mean, square = ((weights @ both).double() / self.drawn).chunk(2, 1)
        return (square - mean.square()).clamp_min(0) / (self.drawn - 1)


def influences(real: Stacked, fake: Stacked, statistic: Statistic) -> tuple[Tensor, Tensor]:
    """How much every image moves the statistics ``(N, M)``: the infinitesimal jackknife of each set.

    The gradient of a statistic by the mean profiles, times an image's profiles minus their mean.
    """
    # Inside an inference mode of the caller's there would be no gradient.
    with torch.inference_mode(False), torch.enable_grad():
        leaves = [one.scale.clone().requires_grad_() for one in (real, fake)]
        values = statistic(*(one.split(leaf[None]) for one, leaf in zip((real, fake), leaves, strict=True)))
        slopes = [torch.autograd.grad(value, leaves, retain_graph=True) for value in values[0]]
    moved = []
    for number, one in enumerate((real, fake)):
        slope = torch.stack([pair[number] for pair in slopes], 1) * one.scale[:, None]
        effect = one.matrix.double() @ slope
        moved.append(effect - effect.mean(0))
    return moved[0], moved[1]


def draw(
    real: Stacked,
    fake: Stacked,
    resamples: int,
    seed: int,
    influence: Sequence[Tensor] | None = None,
) -> Draws:
    """Mean profiles with both sets resampled with replacement, each for itself.

    Args:
        real: one set.
        fake: the other.
        resamples: R.
        seed: of the draws.
        influence: of the images of each set on M statistics, ``(N, M)``: gives their variance draw by draw.
    """
    source, sets = generator(seed, "bootstrap", real.matrix.device), (real, fake)
    parts: list[list[dict[str, Tensor]]] = [[], []]
    variances = []
    for rows in pieces(resamples, max(real.drawn, fake.drawn)):
        spread = torch.zeros(())
        for number, one in enumerate(sets):
            counts = bootstrap_counts(rows, len(one), one.drawn, source)
            parts[number].append(one.means(counts))
            if influence is not None:
                spread = spread + one.variance(influence[number], counts)
        variances.append(spread)
    first, second = ({name: torch.cat([part[name] for part in own]) for name in own[0]} for own in parts)
    return Draws(first, second, None if influence is None else torch.cat(variances))


def bootstrap(real: Stacked, fake: Stacked, statistic: Statistic, resamples: int, seed: int) -> Tensor:
    """Values of ``statistic`` ``(R, M)`` with both sets resampled with replacement, each for itself."""
    draws = draw(real, fake, resamples, seed)
    return statistic(draws.real, draws.fake)


def null_parts(sampled: int, reals: int, fakes: int) -> tuple[int, int, float]:
    """How real is held against real: two parts without a common image, and what their noise is shrunk by.

    Parts of a and b images differ by noise of variance ``s^2 (1/a + 1/b)``, sets of N and M by
    ``s^2 (1/N + 1/M)``: deviations of the parts from the mean of all are multiplied by the root of the ratio,
    which is 1 at most.

    Args:
        sampled: images at hand, at least two.
        reals: N of the comparison that the control stands beside.
        fakes: M.

    Returns:
        a, b and the factor.
    """
    second = max(1, min(fakes, sampled // 2))
    first = sampled - second
    return first, second, min(1.0, ((1 / reals + 1 / fakes) / (1 / first + 1 / second)) ** 0.5)


def null_draws(real: Stacked, fakes: int, statistic: Statistic, resamples: int, seed: int) -> Tensor:
    """Values between two parts of the real set, split at random, at the counts of the sets compared.

    See ``null_parts``. Nothing is drawn twice, as in the two sets that are compared.
    """
    source, values = generator(seed, "null", real.matrix.device), []
    first, second, factor = null_parts(len(real), real.drawn, fakes)
    total = real.matrix.sum(0, dtype=torch.float64)
    for rows in pieces(resamples, len(real)):
        part = (split_masks(rows, len(real), second, source) @ real.matrix).double()
        means = ((total - part) / first, part / second)
        shrunk = [(total / len(real)).lerp(mean, factor) * real.scale for mean in means]
        values.append(statistic(*map(real.split, shrunk)))
    return torch.cat(values)


def permutations(pooled: Stacked, reals: int, statistic: Statistic, resamples: int, seed: int) -> Tensor:
    """Values with the labels real and fake dealt out anew over both sets."""
    source, values = generator(seed, "permutation", pooled.matrix.device), []
    total = pooled.matrix.sum(0, dtype=torch.float64)
    for rows in pieces(resamples, len(pooled)):
        part = (split_masks(rows, len(pooled), reals, source) @ pooled.matrix).double()
        means = (part / reals, (total - part) / (len(pooled) - reals))
        values.append(statistic(*(pooled.split(mean * pooled.scale) for mean in means)))
    return torch.cat(values)


def interval(values: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Percentile interval over resamples ``(R, M)``: the lower and upper ends ``(M,)``."""
    tail = (1 - level) / 2
    ends = torch.quantile(values, torch.tensor([tail, 1 - tail], dtype=values.dtype), dim=0)
    return ends[0], ends[1]


def p_values(observed: Tensor, permuted: Tensor) -> Tensor:
    """Share of permutations as extreme in modulus as the observed values, the observed one counted in.

    Args:
        observed: ``(M,)``.
        permuted: ``(R, M)``.
    """
    # Sums in another order differ in the last digits; equal values must count as equal.
    margin = observed.abs() * (1 - 1e-6) - 1e-12
    extreme = (permuted.abs() >= margin).sum(0)
    return (extreme.double() + 1) / (len(permuted) + 1)
