"""Fréchet distance between Gaussian fits of log profiles."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

MAXIMUM_LENGTH = 64


def shorten(profiles: Tensor) -> Tensor:
    """Average neighbouring bins of ``(N, K)`` down to at most 64, so that covariances can be estimated."""
    length = profiles.shape[1]
    if length <= MAXIMUM_LENGTH:
        return profiles
    bounds = torch.linspace(0, length, MAXIMUM_LENGTH + 1).round().long().tolist()
    pairs = itertools.pairwise(bounds)
    return torch.stack([profiles[:, a:b].mean(1) for a, b in pairs], 1)


def gaussian(profiles: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean ``(R, K)`` and covariance ``(R, K, K)`` of ``(N, K)`` profiles under ``(R, N)`` weights.

    Covariances are divided by n - 1, n the sum of the weights.
    """
    totals = weights.sum(1)
    mean = weights @ profiles / totals[:, None]
    centred = profiles - profiles.mean(0)
    shift = mean - profiles.mean(0)
    second = torch.stack([(centred * row[:, None]).T @ centred for row in weights]) / totals[:, None, None]
    covariance = second - shift[:, :, None] * shift[:, None, :]
    return mean, covariance * (totals / (totals - 1).clamp_min(1))[:, None, None]


def _root(matrices: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrices)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()[:, None, :]) @ vectors.mT
    return root


def frechet_distance(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
    """Squared Fréchet (2-Wasserstein) distance of Gaussians, ``(R,)``.

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2)``, as FID has it (Heusel et al. 2017).

    Args:
        first: means ``(R, K)`` and covariances ``(R, K, K)``.
        second: likewise.
    """
    means = (first[0] - second[0]).square().sum(1)
    root = _root(first[1])
    cross = torch.linalg.eigvalsh(root @ second[1] @ root).clamp_min(0).sqrt().sum(1)
    traces = (first[1] + second[1]).diagonal(dim1=1, dim2=2).sum(1)
    distance: Tensor = means + traces - 2 * cross
    return distance.clamp_min(0)
