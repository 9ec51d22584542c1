"""The spectral discriminator: inputs against the published profiles, gradients to the pixels, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganlab.config import load
from ganlab.errors import GanlabError
from ganlab.models import (
    SPECTRAL_INPUTS,
    SpectralDiscriminator,
    build_spectral_discriminator,
    count_parameters,
)
from ganlab.spectra import CONVENTIONS, radial_profile

SIDE = 8
DIFFERENTIABLE = [name for name, rule in CONVENTIONS.items() if not rule.integer_luma]


def images(count=3, side=SIDE, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return 0.5 * torch.randn(count, 3, side, side, dtype=torch.float64, generator=draw)


@pytest.mark.parametrize("convention", ["jung2021", "durall2020", "ssdgan2021"])
def test_radial_input_is_the_published_profile(convention):
    found = SPECTRAL_INPUTS["radial"](32, convention)(images(4, 32))
    assert torch.allclose(found, radial_profile(images(4, 32), convention), atol=1e-12)


def test_jungs_heads():
    """At 64 pixels the profile has 46 rings: one layer 46 -> 1, or 46 -> 46 -> 1."""
    assert count_parameters(SpectralDiscriminator(64)) == 46 + 1
    assert count_parameters(SpectralDiscriminator(64, head="nonlinear")) == 46 * 46 + 46 + 46 + 1
    assert count_parameters(SpectralDiscriminator(64, head="nonlinear", hidden=8)) == 46 * 8 + 8 + 8 + 1
    assert SpectralDiscriminator(128, "plane", head="nonlinear").head[0].out_features == 512


@pytest.mark.parametrize("convention", DIFFERENTIABLE)
def test_radial_input_lies_in_the_unit_interval(convention):
    found = SPECTRAL_INPUTS["radial"](16, convention)(images(5, 16))
    assert (found.amin(1) == 0).all()
    assert torch.allclose(found.amax(1), torch.ones(5, dtype=torch.float64))


def test_plane_and_axis_inputs():
    batch = images(4)
    logs = np.log(
        np.abs(np.fft.rfft2(np.einsum("nchw,c->nhw", batch, [0.299, 0.587, 0.114]))) ** 2 / 64 + 1e-8
    )
    flat = logs.reshape(4, -1)
    expected = (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
    assert np.allclose(SPECTRAL_INPUTS["plane"](SIDE, "")(batch).numpy(), expected, atol=1e-9)
    axis = SPECTRAL_INPUTS["axis"](SIDE, "")
    turned = torch.cat(axis(batch.transpose(2, 3)).chunk(2, 1)[::-1], 1)
    assert torch.allclose(axis(batch), turned, atol=1e-12)


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("head", ["linear", "nonlinear"])
@pytest.mark.parametrize("name", SPECTRAL_INPUTS)
def test_gradient_to_the_pixels_and_its_gradient(name, head, spectral):
    torch.manual_seed(0)
    network = SpectralDiscriminator(SIDE, name, head=head, spectral_norm=spectral).double().eval()
    batch = images().requires_grad_()
    assert torch.autograd.gradcheck(network, (batch,), eps=1e-7, atol=1e-5, rtol=2e-3)
    (gradient,) = torch.autograd.grad(network(batch).sum(), batch, create_graph=True)
    gradient.square().sum().backward()  # what a gradient penalty does
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    weights = [p for name, p in network.named_parameters() if "bias" not in name]
    assert all(weight.grad.abs().sum() > 0 for weight in weights)


@pytest.mark.parametrize("name", SPECTRAL_INPUTS)
def test_images_do_not_see_each_other_and_black_ones_are_harmless(name):
    network = SpectralDiscriminator(SIDE, name, head="nonlinear")
    batch = images(4).float()
    assert torch.allclose(network(batch)[:2], network(batch[:2]), atol=1e-6)
    black = torch.zeros(2, 3, SIDE, SIDE, requires_grad=True)
    network(black).sum().backward()
    assert torch.isfinite(black.grad).all()


@pytest.mark.parametrize("name", SPECTRAL_INPUTS)
def test_it_learns_to_tell_white_from_smooth(name):
    torch.manual_seed(0)
    network = SpectralDiscriminator(16, name)
    white = images(64, 16).float()
    smooth = torch.nn.functional.avg_pool2d(white, 3, 1, 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.softplus(-network(smooth)).mean()
        (loss + torch.nn.functional.softplus(network(white)).mean()).backward()
        optimizer.step()
    assert (network(smooth) > 0).float().mean() > 0.95
    assert (network(white) < 0).float().mean() > 0.95


def test_from_configuration():
    assert build_spectral_discriminator(load("dcgan32")) is None
    config = load("dcgan32", ["model.spectral_discriminator={input: axis, head: nonlinear, hidden: 5}"])
    assert build_spectral_discriminator(config).head[0].out_features == 5
    normalised = build_spectral_discriminator(
        load("dcgan32", ["model.spectral_discriminator={spectral_norm: true}"])
    )
    normalised(images(2, 32).float())
    assert torch.linalg.matrix_norm(normalised.head[0].weight, 2).item() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"input": "angular"}, "unknown input of the spectral discriminator 'angular'"),
        ({"head": "deep"}, "expected linear or nonlinear"),
        ({"convention": "durall2019"}, "no gradient passes"),
        ({"convention": "jung2020"}, "did you mean 'jung2021'"),
    ],
)
def test_refusals(options, text):
    with pytest.raises(GanlabError, match=text):
        SpectralDiscriminator(32, **options)


def test_other_sizes_are_refused():
    with pytest.raises(GanlabError, match=r"takes \(N, 3, 32, 32\); got \(2, 3, 8, 8\)"):
        SpectralDiscriminator(32)(images(2))
    with pytest.raises(GanlabError, match="smaller than the profile"):
        SpectralDiscriminator(4, convention="durall2020")
