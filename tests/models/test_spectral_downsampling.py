"""Discriminators that halve by stride, by averaging or by blurring: same weights, less aliasing."""

from __future__ import annotations

import pytest
import torch

from ganlab.config.architecture import discriminator_downsampling
from ganlab.config.schema import ModelConfig
from ganlab.models import DISCRIMINATORS, build_discriminator, count_parameters
from ganlab.models.layers import HALVINGS

PUBLISHED = {"dcgan": "stride", "sndcgan": "stride", "sngan": "avg_pool"}


def model(architecture, how, side=32):
    return ModelConfig.model_validate(
        {
            "architecture": architecture, "image_size": side, "upsampling": "nearest",
            "discriminator": {"width": 8, "downsampling": how},
        }
    )  # fmt: skip


@pytest.mark.parametrize("how", HALVINGS)
@pytest.mark.parametrize("architecture", DISCRIMINATORS)
def test_the_weights_are_the_same_and_every_one_is_used(architecture, how):
    torch.manual_seed(0)
    plain = build_discriminator(model(architecture, "auto"))
    torch.manual_seed(0)
    other = build_discriminator(model(architecture, how))
    assert count_parameters(plain) == count_parameters(other)
    for ours, theirs in zip(plain.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    logits = other(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2,)
    logits.sum().backward()
    assert all(p.grad is not None for p in other.parameters())


@pytest.mark.parametrize("architecture", DISCRIMINATORS)
def test_auto_is_the_published_one(architecture):
    assert discriminator_downsampling(model(architecture, "auto")) == PUBLISHED[architecture]
    x = torch.randn(2, 3, 32, 32)
    logits = []
    for how in ("auto", PUBLISHED[architecture]):
        torch.manual_seed(0)
        logits.append(build_discriminator(model(architecture, how)).eval()(x))
    assert torch.equal(*logits)


@pytest.mark.parametrize("side", [16, 64, 128])
@pytest.mark.parametrize("how", HALVINGS)
def test_other_sizes(how, side):
    assert build_discriminator(model("dcgan", how, side))(torch.randn(1, 3, side, side)).shape == (1,)


@pytest.mark.parametrize(("how", "left"), [("stride", 1.0), ("avg_pool", 0.0), ("blur_pool", 0.0)])
def test_what_is_left_of_a_pattern_at_nyquist(how, left):
    """A checkerboard is invisible after averaging; a stride folds it onto the mean at full strength."""
    board = (-1.0) ** (torch.arange(8)[:, None] + torch.arange(8)[None, :]).float()
    halved = HALVINGS[how](board[None, None])
    assert halved.shape == (1, 1, 4, 4)
    assert halved.abs().max().item() == pytest.approx(left, abs=1e-6)


@pytest.mark.parametrize("how", HALVINGS)
def test_a_constant_stays(how):
    assert torch.allclose(HALVINGS[how](torch.full((1, 2, 6, 6), 0.7)), torch.full((1, 2, 3, 3), 0.7))


def test_a_dense_convolution_that_keeps_every_second_position_is_the_strided_one():
    """The same weights in dcgan: padding one before and two behind puts every output where it was."""
    from ganlab.models.layers import halving_conv

    strided = halving_conv(3, 5, "stride")[0]
    padding, dense, _ = halving_conv(3, 5, "avg_pool")
    dense.load_state_dict(strided.state_dict())
    x = torch.randn(2, 3, 8, 8)
    assert torch.allclose(HALVINGS["stride"](dense(padding(x))), strided(x), atol=1e-6)
