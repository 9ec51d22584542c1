"""The cloaking score: can a linear classifier tell profiles apart? As published, and held out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.util.seeding import derive_seed


def score(accuracy: float) -> float:
    """``1 - |accuracy - 1/2| / (1/2)``: 1 cannot be told apart, 0 always (or never) told apart."""
    return 1 - abs(accuracy - 0.5) / 0.5


def held_out_score(accuracy: float) -> float:
    """The score of an accuracy on unseen images: below one half there is nothing learnt, so it is 1."""
    return score(max(accuracy, 0.5))


def _both(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or not len(real) or not len(fake):
        raise GanlabError(
            f"profiles are (N, K) of equal K, at least one of each; got {tuple(real.shape)} and "
            f"{tuple(fake.shape)}"
        )
    labels = torch.cat((torch.ones(len(real)), torch.zeros(len(fake)))).to(real.device)
    return torch.cat((real, fake)), labels


@torch.enable_grad()
def cloaking_score(real: Tensor, fake: Tensor, epochs: int = 100, seed: int = 0) -> float:
    """The score as Jung & Keuper publish it, on the classifier's own training data.

    One linear layer (torch's initialisation), binary cross-entropy summed over batches of 1000, Adam at 1e-3,
    ``epochs`` passes; accuracy on the training set at logit 0. After 100 epochs the classifier is far from
    converged, so that the score depends on the training budget and the seed as much as on the spectra:
    ``held_out_cloaking`` is the one to trust. As published, equally many profiles of each kind are taken.

    Args:
        real: ``(N, K)`` profiles, min-max ones ("jung2021") as published.
        fake: ``(M, K)``; the larger set is cut to the size of the smaller.
        epochs: 100 or 1000 in the released code's reports.
        seed: of initialisation and shuffling.

    Raises:
        GanlabError: profiles of different length, or none.

    Source: Jung & Keuper AAAI 2021, arXiv 2012.03110; steffen-jung/SpectralGAN 497cc04, DetectionScore.py.
    """
    count = min(len(real), len(fake))
    profiles, labels = _both(real[:count].float().cpu(), fake[:count].float().cpu())
    generator = torch.Generator().manual_seed(derive_seed(seed, "cloaking"))
    bound = profiles.shape[1] ** -0.5
    parameters = torch.empty(profiles.shape[1] + 1).uniform_(-bound, bound, generator=generator)
    weights = parameters.requires_grad_()
    optimizer = torch.optim.Adam([weights])
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(len(labels), generator=generator), 1000):
            optimizer.zero_grad()
            logits = profiles[chosen] @ weights[:-1] + weights[-1]
            loss = F.binary_cross_entropy_with_logits(logits, labels[chosen], reduction="sum")
            torch.autograd.backward(loss)
            optimizer.step()
    with torch.no_grad():
        right = ((profiles @ weights[:-1] + weights[-1] > 0) == (labels > 0)).float()
    return score(float(right.mean()))


@dataclass(frozen=True)
class HeldOut:
    """Which profiles a classifier trained on the others told right.

    Attributes:
        right_real: ``(N,)`` 0 or 1.
        right_fake: ``(M,)`` 0 or 1.
    """

    right_real: Tensor
    right_fake: Tensor

    @property
    def accuracy(self) -> float:
        """Mean of the accuracies on reals and on fakes."""
        return (float(self.right_real.mean()) + float(self.right_fake.mean())) / 2

    @property
    def score(self) -> float:
        """The cloaking score of ``accuracy``, where worse than chance counts as chance."""
        return held_out_score(self.accuracy)


def _fit_logistic(features: Tensor, labels: Tensor, ridge: float) -> Tensor:
    """Weights of ridge logistic regression by Newton's method; classes count equally. Last weight: bias."""
    share = torch.where(labels > 0, 0.5 / labels.mean(), 0.5 / (1 - labels.mean()))
    penalty = torch.full((features.shape[1],), ridge * len(labels), dtype=features.dtype)
    penalty[-1] = 0
    weights = features.new_zeros(features.shape[1])
    for _ in range(50):
        chance = torch.sigmoid(features @ weights)
        slope = features.T @ (share * (chance - labels)) + penalty * weights
        curve = (features * (share * chance * (1 - chance) + 1e-9)[:, None]).T @ features + penalty.diag()
        step = torch.linalg.solve(curve, slope)
        # A Newton step that runs away on separable data is shortened; the ridge makes the optimum finite.
        weights = weights - step * min(1.0, 10.0 / float(step.norm().clamp_min(1e-12)))
        if float(step.abs().max()) < 1e-8:
            break
    return weights


def held_out_cloaking(
    real: Tensor, fake: Tensor, folds: int = 5, ridge: float = 1e-4, seed: int = 0
) -> HeldOut:
    """Cross-validated, converged logistic regression on standardised profiles.

    Args:
        real: ``(N, K)`` profiles.
        fake: ``(M, K)``; need not be as many, both kinds count equally.
        folds: each profile is judged by a classifier trained on the other ``folds - 1`` parts.
        ridge: L2 penalty per example on the standardised weights.
        seed: of the split.

    Returns:
        Which profiles were told right; ``.score`` is the cloaking score.

    Raises:
        GanlabError: profiles of different length, or fewer than ``folds`` of a kind.
    """
    profiles, labels = _both(real.double().cpu(), fake.double().cpu())
    if min(len(real), len(fake)) < folds or folds < 2:
        raise GanlabError(
            f"{folds} folds need at least {folds} profiles of each kind, and there are two folds"
        )
    generator = torch.Generator().manual_seed(derive_seed(seed, "held-out cloaking"))
    fold = torch.cat([torch.randperm(n, generator=generator) % folds for n in (len(real), len(fake))])
    right = torch.zeros(len(labels), dtype=torch.float64)
    for k in range(folds):
        train, test = fold != k, fold == k
        mean, std = profiles[train].mean(0), profiles[train].std(0)
        scaled = (profiles - mean) / torch.where(std > 0, std, torch.ones_like(std))
        features = torch.cat((scaled, scaled.new_ones(len(scaled), 1)), 1)
        weights = _fit_logistic(features[train], labels[train].double(), ridge)
        right[test] = ((features[test] @ weights > 0) == (labels[test] > 0)).double()
    return HeldOut(right[: len(real)], right[len(real) :])
