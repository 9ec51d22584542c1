"""The adversarial losses of both players, and the penalties on the discriminator's gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError

Critic = Callable[[Tensor], Tensor]
"""Images ``(N, C, H, W)`` -> logits ``(N,)``."""
Uniform = Callable[[tuple[int, ...]], Tensor]
"""A shape -> random numbers in [0, 1)."""


class AdversarialLoss(ABC):
    """A pair of scalar losses of logits ``(N,)``; both are means over the batch, so processes may average.

    Attributes:
        paired: whether fake i is held against real i in both losses. The generator's then asks for logits of
            reals too, and under classes both of a pair are of one class.
    """

    paired: ClassVar[bool] = False

    @staticmethod
    @abstractmethod
    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss from its logits of reals and of fakes."""

    @staticmethod
    @abstractmethod
    def generator(fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The generator's loss from the logits of fakes, and of as many reals if ``paired``."""


class Hinge(AdversarialLoss):
    """Margins of one; the generator raises the logit (Lim and Ye 2017; Miyato et al. 2018)."""

    @staticmethod
    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        """``E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))``."""
        return F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()

    @staticmethod
    def generator(fake: Tensor, real: Tensor | None = None) -> Tensor:
        """``-E D(G(z))``."""
        return -fake.mean()


class NonSaturating(AdversarialLoss):
    """Cross-entropy with the generator's target turned round (Goodfellow et al. 2014)."""

    @staticmethod
    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        """``E softplus(-D(x)) + E softplus(D(G(z)))``, which is binary cross-entropy with logits."""
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    @staticmethod
    def generator(fake: Tensor, real: Tensor | None = None) -> Tensor:
        """``E softplus(-D(G(z)))``."""
        return F.softplus(-fake).mean()


class LeastSquares(AdversarialLoss):
    """Squared distance to the targets 1 and 0, each with a factor 1/2 (Mao et al. 2017)."""

    @staticmethod
    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        """``E (D(x) - 1)^2 / 2 + E D(G(z))^2 / 2``."""
        return 0.5 * (real - 1.0).square().mean() + 0.5 * fake.square().mean()

    @staticmethod
    def generator(fake: Tensor, real: Tensor | None = None) -> Tensor:
        """``E (D(G(z)) - 1)^2 / 2``."""
        return 0.5 * (fake - 1.0).square().mean()


class Wasserstein(AdversarialLoss):
    """The critic's difference of means (Arjovsky et al. 2017); it needs a Lipschitz constraint."""

    @staticmethod
    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        """``E D(G(z)) - E D(x)``."""
        return fake.mean() - real.mean()

    @staticmethod
    def generator(fake: Tensor, real: Tensor | None = None) -> Tensor:
        """``-E D(G(z))``."""
        return -fake.mean()


class Relativistic(AdversarialLoss):
    """Each fake against a real: softplus of the logits' difference (R3GAN, Huang et al. 2024); with r1_r2."""

    paired = True

    @staticmethod
    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        """``E softplus(-(D(x) - D(G(z))))`` over pairs."""
        return F.softplus(fake - real).mean()

    @staticmethod
    def generator(fake: Tensor, real: Tensor | None = None) -> Tensor:
        """``E softplus(-(D(G(z)) - D(x)))`` over pairs.

        Raises:
            GanlabError: no logits of reals.
        """
        if real is None:
            raise GanlabError("the relativistic loss of the generator needs the logits of as many reals")
        return F.softplus(real - fake).mean()


def gradient_at(critic: Critic, images: Tensor) -> Tensor:
    """Gradient of each image's logit with respect to that image, ``(N, C, H, W)``, kept in the graph.

    It is per-sample only if the critic treats the images of a batch independently, which is why batch norm in
    the discriminator is refused together with a penalty.
    """
    leaf = images.detach().requires_grad_(True)
    with torch.enable_grad():
        logits = critic(leaf)
        (gradient,) = torch.autograd.grad(logits.sum(), leaf, create_graph=True)
    return gradient


def distance_from_unit_norm(gradient: Tensor) -> Tensor:
    """``E (|g| - 1)^2`` over the batch, |g| the Euclidean norm over channels and pixels."""
    norm = gradient.flatten(1).square().sum(1).add(1e-12).sqrt()
    return (norm - 1.0).square().mean()


class Penalty(ABC):
    """A scalar from the critic and one batch; a mean over the batch, to be multiplied by its weight.

    Attributes:
        needs_spread: whether it asks for the standard deviation of the whole batch's reals.
    """

    needs_spread: ClassVar[bool] = False

    @staticmethod
    @abstractmethod
    def penalty(
        critic: Critic, real: Tensor, fake: Tensor, uniform: Uniform, spread: Tensor | None = None
    ) -> Tensor:
        """The penalty of these images.

        Args:
            critic: images ``(N, C, H, W)`` -> logits ``(N,)``.
            real: reals ``(N, C, H, W)``.
            fake: fakes, as many.
            uniform: ``uniform(shape)`` draws the random numbers in [0, 1).
            spread: standard deviation of the whole batch's reals where ``real`` is one process's part of it.
        """


class NoPenalty(Penalty):
    """No gradient penalty."""

    @staticmethod
    def penalty(
        critic: Critic, real: Tensor, fake: Tensor, uniform: Uniform, spread: Tensor | None = None
    ) -> Tensor:
        """Zero."""
        return real.new_zeros(())


class WganGp(Penalty):
    """Unit gradient norm on lines between reals and fakes (Gulrajani et al. 2017, WGAN-GP)."""

    @staticmethod
    def penalty(
        critic: Critic, real: Tensor, fake: Tensor, uniform: Uniform, spread: Tensor | None = None
    ) -> Tensor:
        """One random point between each real and a fake."""
        mix = uniform((len(real), 1, 1, 1))
        return distance_from_unit_norm(gradient_at(critic, mix * real + (1.0 - mix) * fake.detach()))


class Dragan(Penalty):
    """Unit gradient norm around the reals (Kodali et al. 2017, DRAGAN)."""

    needs_spread = True

    @staticmethod
    def penalty(
        critic: Critic, real: Tensor, fake: Tensor, uniform: Uniform, spread: Tensor | None = None
    ) -> Tensor:
        """One random point between each real and itself plus uniform noise of half the batch's deviation."""
        noise = 0.5 * (real.std() if spread is None else spread) * uniform(tuple(real.shape))
        mix = uniform((len(real), 1, 1, 1))
        return distance_from_unit_norm(gradient_at(critic, real + (1.0 - mix) * noise))


class R1(Penalty):
    """Half the squared gradient norm at the reals (Mescheder et al. 2018, R1)."""

    @staticmethod
    def penalty(
        critic: Critic, real: Tensor, fake: Tensor, uniform: Uniform, spread: Tensor | None = None
    ) -> Tensor:
        """``E |g|^2 / 2``, so that the weight is the paper's gamma."""
        return 0.5 * gradient_at(critic, real).flatten(1).square().sum(1).mean()


class R1R2(Penalty):
    """Half the squared gradient norm at the reals and at the fakes (R1 and R2; R3GAN, Huang et al. 2024)."""

    @staticmethod
    def penalty(
        critic: Critic, real: Tensor, fake: Tensor, uniform: Uniform, spread: Tensor | None = None
    ) -> Tensor:
        """``E |g(x)|^2 / 2 + E |g(G(z))|^2 / 2``, so that the weight is the paper's gamma."""
        return sum(
            (0.5 * gradient_at(critic, images).flatten(1).square().sum(1).mean() for images in (real, fake)),
            start=real.new_zeros(()),
        )
