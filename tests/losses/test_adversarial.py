"""Every registered loss and penalty: gradients, signs, and values against independent formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ganlab.errors import GanlabError
from ganlab.losses import ADVERSARIAL, PENALTIES


def logits(seed: int) -> torch.Tensor:
    return torch.randn(7, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_gradients(name):
    loss = ADVERSARIAL[name]
    real, fake = logits(1).requires_grad_(), logits(2).requires_grad_()
    assert torch.autograd.gradcheck(loss.discriminator, (real, fake))
    assert torch.autograd.gradcheck(loss.generator, (fake, real) if loss.paired else (fake,))


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_a_better_discriminator_has_a_lower_loss_and_a_fooled_one_pleases_the_generator(name):
    loss = ADVERSARIAL[name]
    good = loss.discriminator(
        torch.full((4,), 0.8), torch.full((4,), -0.8 if name != "least_squares" else 0.1)
    )
    bad = loss.discriminator(torch.full((4,), -0.8), torch.full((4,), 0.8))
    assert good < bad
    real = torch.zeros(4) if loss.paired else None
    assert loss.generator(torch.full((4,), 0.9), real) < loss.generator(torch.full((4,), -0.9), real)


def test_non_saturating_is_cross_entropy():
    real, fake = logits(1), logits(2)
    bce = F.binary_cross_entropy_with_logits
    expected = bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))
    loss = ADVERSARIAL["non_saturating"]
    assert torch.allclose(loss.discriminator(real, fake), expected)
    assert torch.allclose(loss.generator(fake), bce(fake, torch.ones_like(fake)))


def test_values_by_hand():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-2.0, 0.5])
    assert ADVERSARIAL["hinge"].discriminator(real, fake).item() == pytest.approx(0.25 + 0.75)
    assert ADVERSARIAL["least_squares"].discriminator(real, fake).item() == pytest.approx(0.3125 + 1.0625)
    assert ADVERSARIAL["wasserstein"].discriminator(real, fake).item() == pytest.approx(-0.75 - 1.25)


def test_relativistic_is_cross_entropy_of_the_pairs_difference():
    """R3GAN's form: softplus(-(D(x) - D(G(z)))) and softplus(-(D(G(z)) - D(x))), pair by pair."""
    real, fake = logits(1), logits(2)
    loss, bce = ADVERSARIAL["relativistic"], F.binary_cross_entropy_with_logits
    assert torch.allclose(loss.discriminator(real, fake), bce(real - fake, torch.ones_like(real)))
    assert torch.allclose(loss.generator(fake, real), bce(fake - real, torch.ones_like(real)))
    assert loss.discriminator(fake, fake).item() == pytest.approx(np.log(2))
    with pytest.raises(GanlabError, match="logits of as many reals"):
        loss.generator(fake)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_losses_are_means_over_the_batch(name):
    """Two processes with half a batch each must average to the whole batch."""
    loss, real, fake = ADVERSARIAL[name], logits(1)[:6], logits(2)[:6]
    halves = [loss.discriminator(real[part], fake[part]) for part in (slice(0, 3), slice(3, 6))]
    assert torch.allclose(sum(halves) / 2, loss.discriminator(real, fake))


class Quadratic(torch.nn.Module):
    """D(x) = a |x|^2 / 2: its gradient a x is known."""

    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 * self.a * x.flatten(1).square().sum(1)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    shape = (3, 2, 4, 4)
    return tuple(torch.randn(shape, dtype=torch.float64, generator=draw) for _ in range(2))


def uniform_from(seed: int):
    draw = torch.Generator().manual_seed(seed)
    return lambda shape: torch.rand(shape, dtype=torch.float64, generator=draw)


def test_penalties_equal_closed_forms():
    real, fake = batch()
    critic, norm = Quadratic(), lambda x: np.linalg.norm(x.reshape(len(x), -1), axis=1)
    u = uniform_from(5)((3, 1, 1, 1))
    between = (u * real + (1 - u) * fake).numpy()
    got = PENALTIES["wgan_gp"].penalty(critic, real, fake, uniform_from(5)).item()
    assert got == pytest.approx(((0.7 * norm(between) - 1) ** 2).mean(), rel=1e-9)
    got = PENALTIES["r1"].penalty(critic, real, fake, uniform_from(5)).item()
    assert got == pytest.approx((0.5 * (0.7 * norm(real.numpy())) ** 2).mean(), rel=1e-9)
    got = PENALTIES["r1_r2"].penalty(critic, real, fake, uniform_from(5)).item()
    halves = (0.7 * norm(real.numpy())) ** 2 + (0.7 * norm(fake.numpy())) ** 2
    assert got == pytest.approx(0.5 * halves.mean(), rel=1e-9)
    draw = uniform_from(5)
    noise, u = 0.5 * real.std() * draw(tuple(real.shape)), draw((3, 1, 1, 1))
    near = (real + (1 - u) * noise).numpy()
    got = PENALTIES["dragan"].penalty(critic, real, fake, uniform_from(5)).item()
    assert got == pytest.approx(((0.7 * norm(near) - 1) ** 2).mean(), rel=1e-9)


@pytest.mark.parametrize("name", [name for name in PENALTIES if name != "none"])
def test_penalty_reaches_the_discriminators_weights(name):
    """Second-order gradient against central differences in the one weight."""
    real, fake = batch()
    critic = Quadratic()
    PENALTIES[name].penalty(critic, real, fake, uniform_from(1)).backward()
    values = []
    for step in (1e-6, -1e-6):
        moved = Quadratic()
        with torch.no_grad():
            moved.a += step
        values.append(PENALTIES[name].penalty(moved, real, fake, uniform_from(1)).item())
    assert critic.a.grad.item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4)


def test_no_penalty_is_zero():
    real, fake = batch()
    assert PENALTIES["none"].penalty(Quadratic(), real, fake, uniform_from(1)).item() == 0.0
