"""What the spectral losses compute, as pure functions of profiles and spectra."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError, lookup
from ganlab.spectra.rings import multiplicity

LOG_FLOOR = 1e-8
"""Added to a power before its logarithm: -80 dB, far below the rounding of 8-bit images, and the slope of the
logarithm with respect to a Fourier coefficient then stays below 1e4."""

BCE_MARGIN = 1e-3
"""Profiles are cut to [margin, 1 - margin] inside cross-entropy's logarithms, whose slope is unbounded at 0
and 1, where a min-max-normalised profile always has its lowest and highest ring."""


def min_max(profiles: Tensor) -> Tensor:
    """Each row of ``(N, K)`` to [0, 1]; a constant row becomes zero."""
    raised = profiles - profiles.amin(1, keepdim=True)
    span = raised.amax(1, keepdim=True)
    return raised / torch.where(span > 0, span, torch.ones_like(span))


def first_ring(profiles: Tensor) -> Tensor:
    """Each row of ``(N, K)`` divided by its first value; a zero there leaves the row as it is."""
    first = profiles[:, :1]
    return profiles / torch.where(first == 0, torch.ones_like(first), first)


def log_profile(profiles: Tensor) -> Tensor:
    """Natural logarithm of linear power, with `LOG_FLOOR`."""
    return (profiles + LOG_FLOOR).log()


def unchanged(profiles: Tensor) -> Tensor:
    """The profiles themselves."""
    return profiles


NORMALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": unchanged,
    "min_max": min_max,
    "first_ring": first_ring,
    "log": log_profile,
}


def cross_entropy(values: Tensor, target: Tensor) -> Tensor:
    """``-mean(t ln v + (1 - t) ln(1 - v))``, v cut by `BCE_MARGIN`; least where v equals the target.

    Args:
        values: ``(N, K)``, meant to lie in [0, 1]; what lies outside the margin gets no gradient.
        target: ``(N, K)`` or ``(K,)`` in [0, 1].
    """
    safe, goal = values.clamp(BCE_MARGIN, 1.0 - BCE_MARGIN), target.clamp(0.0, 1.0)
    return -(goal * safe.log() + (1.0 - goal) * torch.log1p(-safe)).mean()


def excess_cross_entropy(values: Tensor, target: Tensor) -> Tensor:
    """`cross_entropy` minus its floor, the target's own entropy: 0 where both are equal, never negative."""
    goal = target.clamp(0.0, 1.0).expand_as(values)
    return cross_entropy(values, target) - cross_entropy(goal, goal)


def l1(values: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (values - target).abs().mean()


def l2(values: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference."""
    return (values - target).square().mean()


def log_l1(values: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of logarithms of linear power."""
    return l1(log_profile(values), log_profile(target))


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "bce": cross_entropy,
    "l1": l1,
    "l2": l2,
    "log_l1": log_l1,
}


def released_cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """The number in UpConv's code: cross-entropy with the real profile as prediction, the fake one as target.

    torch's own function, whose logarithms end at -100. Source: Durall et al. 2020, cc-hpc-itwm/UpConv.
    """
    return F.binary_cross_entropy(real, fake)


def partners(rows: Tensor, count: int) -> Tensor:
    """One of the M ``rows`` for each of ``count``, in order: row ``floor(j M / count)`` for number j.

    The choice is the same whether one process holds all rows or several hold consecutive parts of them.
    """
    chosen = torch.arange(count, device=rows.device) * len(rows) // count
    return rows[chosen]


def plane_mean(values: Tensor, width: int) -> Tensor:
    """Mean over the full frequency plane of what is given on ``rfft2``'s half plane ``(..., H, W//2+1)``."""
    weights = torch.as_tensor(multiplicity(width), dtype=values.dtype, device=values.device)
    return (values * weights).sum() / (weights.sum() * (values.numel() // len(weights)))


def focal_frequency_distance(
    fake: Tensor, real: Tensor, width: int, alpha: float = 1.0, log_weight: bool = False
) -> Tensor:
    """Focal frequency loss between two spectra (Jiang et al. 2021, arXiv 2012.12821).

    The squared distance of each coefficient is weighted by its own distance to the power ``alpha`` (and
    ``ln(1 + .)`` of that), divided by the largest of its channel, as a constant.

    Args:
        fake: ``(C, H, W//2+1, P)``, coefficients with P components (2: real and imaginary part, 1: modulus);
            of several images ``(N, C, ...)``, each with weights of its own.
        real: the same of the reals.
        width: W of the images.
        alpha: focal exponent; 0 weighs all coefficients alike.
        log_weight: whether weights pass through ``ln(1 + w)``.
    """
    squared = (fake - real).square().sum(-1)
    weights = squared.detach().pow(alpha / 2)
    weights = weights.log1p() if log_weight else weights
    weights = (weights / weights.amax((-2, -1), keepdim=True)).nan_to_num(0.0).clamp(0.0, 1.0)
    return plane_mean(weights * squared, width)


def sliced_distance(fake: Tensor, real: Tensor, directions: Tensor) -> Tensor:
    """Mean squared sliced Wasserstein-2 distance of two sets of profiles along given directions.

    Args:
        fake: ``(N, K)``.
        real: ``(M, K)``; where M differs from N, quantiles are matched by nearest rank.
        directions: ``(K, P)``, columns of norm 1.
    """
    a = (fake @ directions).sort(0).values
    b = partners((real @ directions).sort(0).values, len(a))
    return l2(a, b)


def moments(profiles: Tensor) -> Tensor:
    """Mean and second moment of ``(N, K)`` in one ``(K + 1, K)``: first row the mean, below ``E p p^T``."""
    return torch.cat((profiles.mean(0, keepdim=True), profiles.T @ profiles / len(profiles)))


def covariance(moments: Tensor) -> Tensor:
    """Covariance ``(K, K)`` from what `moments` returns, ``(K + 1, K)``."""
    return moments[1:] - torch.outer(moments[0], moments[0])


def frechet_distance(fake: Tensor, real: Tensor, ridge: float = 1e-6) -> Tensor:
    """Squared Frechet distance between two Gaussians given by their `moments`.

    ``|m_f - m_r|^2 + tr(C_f + C_r - 2 (C_r^1/2 C_f C_r^1/2)^1/2)``. A batch of N < K profiles has a singular
    covariance; ``ridge`` times the mean real variance is added to the diagonals of both, which keeps the root
    differentiable and cancels where both are equal.

    Args:
        fake: ``(K + 1, K)``; gradients pass.
        real: ``(K + 1, K)``, taken as constant.
        ridge: relative to the mean variance of the reals' rings.
    """
    ours, theirs = covariance(fake), covariance(real.detach())
    variance = theirs.diagonal().mean().clamp_min(1e-12)
    added = ridge * variance * torch.eye(len(theirs), dtype=real.dtype, device=real.device)
    ours, theirs = ours + added, theirs + added
    values, vectors = torch.linalg.eigh(theirs)
    root = (vectors * values.clamp_min(0.0).sqrt()) @ vectors.T
    # Of the fakes only eigenvalues enter, so that equal ones do no harm to the gradient.
    product = torch.linalg.eigvalsh(root @ ours @ root).clamp_min(1e-30).sqrt().sum()
    means = (fake[0] - real[0].detach()).square().sum()
    total: Tensor = means + ours.diagonal().sum() + theirs.diagonal().sum() - 2.0 * product
    return total


def distance_named(name: str, allowed: tuple[str, ...]) -> Callable[[Tensor, Tensor], Tensor]:
    """The distance called ``name``, if it is among ``allowed``.

    Raises:
        GanlabError: unknown, or not defined for these values.
    """
    function = lookup(DISTANCES, name, "distance")
    if name not in allowed:
        raise GanlabError(f"distance {name!r} is not defined here: expected one of {', '.join(allowed)}")
    return function
