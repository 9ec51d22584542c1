"""The adversarial losses: what each side minimises, from the discriminator's logits."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor


class AdversarialLoss(ABC):
    """A pair of scalar losses of logits ``(N,)``; both are means over the batch, so processes may average."""

    @staticmethod
    @abstractmethod
    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss from its logits of reals and of fakes."""

    @staticmethod
    @abstractmethod
    def generator(fake: Tensor) -> Tensor:
        """The generator's loss from the discriminator's logits of fakes."""


class Hinge(AdversarialLoss):
    """Margins of one; the generator raises the logit (Lim and Ye 2017; Miyato et al. 2018)."""

    @staticmethod
    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        """``E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))``."""
        return F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()

    @staticmethod
    def generator(fake: Tensor) -> Tensor:
        """``-E D(G(z))``."""
        return -fake.mean()


class NonSaturating(AdversarialLoss):
    """Cross-entropy with the generator's target turned round (Goodfellow et al. 2014)."""

    @staticmethod
    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        """``E softplus(-D(x)) + E softplus(D(G(z)))``, which is binary cross-entropy with logits."""
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    @staticmethod
    def generator(fake: Tensor) -> Tensor:
        """``E softplus(-D(G(z)))``."""
        return F.softplus(-fake).mean()


class LeastSquares(AdversarialLoss):
    """Squared distance to the targets 1 and 0, each with a factor 1/2 (Mao et al. 2017)."""

    @staticmethod
    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        """``E (D(x) - 1)^2 / 2 + E D(G(z))^2 / 2``."""
        return 0.5 * (real - 1.0).square().mean() + 0.5 * fake.square().mean()

    @staticmethod
    def generator(fake: Tensor) -> Tensor:
        """``E (D(G(z)) - 1)^2 / 2``."""
        return 0.5 * (fake - 1.0).square().mean()


class Wasserstein(AdversarialLoss):
    """The critic's difference of means (Arjovsky et al. 2017); it needs a Lipschitz constraint."""

    @staticmethod
    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        """``E D(G(z)) - E D(x)``."""
        return fake.mean() - real.mean()

    @staticmethod
    def generator(fake: Tensor) -> Tensor:
        """``-E D(G(z))``."""
        return -fake.mean()
