"""Bootstrap, permutation and null draws: weights on images times profiles give the means of many resamples.

A resample of n images is a row of n counts. Its mean profile is the row times the profiles over the row's
sum, so that thousands of resamples are one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

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
        values = sums / weights.sum(1, keepdim=True, dtype=torch.float64)
        return dict(zip(self.lengths, torch.split(values, list(self.lengths.values()), 1), strict=True))


def bootstrap(real: Stacked, fake: Stacked, statistic: Statistic, resamples: int, seed: int) -> Tensor:
    """Values of ``statistic`` ``(R, M)`` with both sets resampled with replacement, each for itself."""
    source, values = generator(seed, "bootstrap", real.matrix.device), []
    for rows in pieces(resamples, max(real.drawn, fake.drawn)):
        first = real.means(bootstrap_counts(rows, len(real), real.drawn, source))
        second = fake.means(bootstrap_counts(rows, len(fake), fake.drawn, source))
        values.append(statistic(first, second))
    return torch.cat(values)


def null_draws(real: Stacked, fakes: int, statistic: Statistic, resamples: int, seed: int) -> Tensor:
    """Values between two samples of the real set, drawn with replacement, as large as the sets compared."""
    source, values = generator(seed, "null", real.matrix.device), []
    for rows in pieces(resamples, max(real.drawn, fakes)):
        first = real.means(bootstrap_counts(rows, len(real), real.drawn, source))
        second = real.means(bootstrap_counts(rows, len(real), fakes, source))
        values.append(statistic(first, second))
    return torch.cat(values)


def permutations(pooled: Stacked, reals: int, statistic: Statistic, resamples: int, seed: int) -> Tensor:
    """Values with the labels real and fake dealt out anew over both sets."""
    source, values = generator(seed, "permutation", pooled.matrix.device), []
    for rows in pieces(resamples, len(pooled)):
        mask = split_masks(rows, len(pooled), reals, source)
        values.append(statistic(pooled.means(mask), pooled.means(1 - mask)))
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
