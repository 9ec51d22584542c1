"""CUDA computes what the CPU computes: every upsampler, network, loss, penalty, augmentation and spectrum."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ganlab.images import to_float, to_uint8
from ganlab.losses import ADVERSARIAL, AUGMENTATIONS, PENALTIES, SPECTRAL, augment, numbers_needed
from ganlab.models import (
    DISCRIMINATORS,
    GENERATORS,
    SPECTRAL_INPUTS,
    SpectralDiscriminator,
    build_discriminator,
    build_generator,
)
from ganlab.spectra import CONVENTIONS, SpectrumAccumulator, axis_profiles, power_spectrum, radial_profile
from ganlab.upsampling import KERNELS, UPSAMPLERS, interpolate2x, make_upsampler

pytestmark = pytest.mark.gpu
TOLERANCE = 2e-4
"""Norm of the difference over norm of the CPU's: float32 sums in another order stay far below it."""


def drawn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def images(seed, count=6, side=16):
    return drawn(seed, count, 3, side, side).tanh()


def agree(there, here, tolerance=TOLERANCE):
    """The device's tensors against the CPU's; a NaN agrees with nothing."""
    for ours, reference in zip(there, here, strict=True):
        assert ours.shape == reference.shape
        ours, reference = ours.detach().double().cpu(), reference.detach().double()
        assert (
            torch.linalg.vector_norm(ours - reference)
            <= tolerance * torch.linalg.vector_norm(reference) + 1e-7
        )


def on_both(module, device, work):
    """What ``work(module, device)`` gives with the same weights there and here, their gradients with it."""
    results = []
    for place, part in ((device, copy.deepcopy(module).to(device)), (torch.device("cpu"), module)):
        found = [*work(part, place)]
        found += [p.grad for p in part.parameters() if p.grad is not None]
        results.append(found)
    agree(*results)


def through(*inputs):
    """Forward, then backward from a fixed mixture of the outputs; the gradients at float inputs too."""

    def work(module, place):
        given = [x.to(place).requires_grad_(x.is_floating_point()) for x in inputs]
        out = module(*given)
        (out * drawn(9, *out.shape).to(place)).sum().backward()
        return [out, *(x.grad for x in given if x.grad is not None)]

    return work


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_upsamplers(name, device):
    torch.manual_seed(0)
    on_both(make_upsampler(name, 6, 4), device, through(drawn(1, 3, 6, 8, 8)))


@pytest.mark.parametrize("name", KERNELS)
def test_bare_operators(name, device):
    x = drawn(1, 2, 3, 8, 8)
    agree([interpolate2x(x.to(device), name)], [interpolate2x(x, name)])


@pytest.mark.parametrize("classes", [0, 5])
@pytest.mark.parametrize("name", GENERATORS)
def test_generators(name, classes, device):
    torch.manual_seed(0)
    network = build_generator({
        "architecture": name, "image_size": 32, "upsampling": "bilinear", "num_classes": classes,
        "generator": {"width": 8, "z_dim": 8},
    })  # fmt: skip
    labels = [torch.arange(4) % classes] if classes else []
    on_both(network, device, through(drawn(1, 4, 8), *labels))


@pytest.mark.parametrize("classes", [0, 5])
@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminators(name, classes, device):
    torch.manual_seed(0)
    network = build_discriminator({
        "architecture": name, "image_size": 32, "upsampling": "bilinear", "num_classes": classes,
        "discriminator": {"width": 8},
    })  # fmt: skip
    labels = [torch.arange(4) % classes] if classes else []
    on_both(network, device, through(images(1, 4, 32), *labels))


@pytest.mark.parametrize("name", SPECTRAL_INPUTS)
def test_spectral_discriminators(name, device):
    torch.manual_seed(0)
    on_both(SpectralDiscriminator(16, input=name, head="nonlinear"), device, through(images(1)))


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_losses(name, device):
    loss, results = ADVERSARIAL[name], []
    for place in (device, torch.device("cpu")):
        real, fake = (drawn(seed, 7).to(place).requires_grad_() for seed in (1, 2))
        values = [loss.discriminator(real, fake), loss.generator(fake, real if loss.paired else None)]
        sum(values).backward()
        results.append([*values, real.grad, fake.grad])
    agree(*results)


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties(name, device):
    """The gradient of a gradient, at the weights."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.Softplus(), nn.Flatten(), nn.Linear(8 * 64, 1))

    def work(module, place):
        def uniform(shape):
            return torch.rand(shape, generator=torch.Generator().manual_seed(3)).to(place)

        real, fake = images(1).to(place), images(2).to(place)
        value = PENALTIES[name].penalty(lambda x: module(x)[:, 0], real, fake, uniform)
        if value.requires_grad:
            value.backward()
        return [value]

    on_both(critic, device, work)


@pytest.mark.parametrize("kind", SPECTRAL)
def test_spectral_losses(kind, device):
    results = []
    for place in (device, torch.device("cpu")):
        loss, fake = SPECTRAL[kind](16).to(place), images(2).to(place).requires_grad_()
        values = [loss(fake, images(seed).to(place), torch.ones((), device=place)) for seed in (1, 3)]
        values[-1].backward()
        results.append([*(value.reshape(1) for value in values), fake.grad])
    agree(*results, tolerance=2e-3)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations(name, device):
    numbers = torch.rand(6, numbers_needed([name]), generator=torch.Generator().manual_seed(1))
    x = images(1)
    agree([augment(x.to(device), [name], numbers.to(device))], [augment(x, [name], numbers)])


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_profiles(convention, device):
    x = images(1)
    agree([radial_profile(x.to(device), convention)], [radial_profile(x, convention)], 1e-3)


def test_spectra_and_pixels(device):
    x = images(1)
    there = x.to(device)
    agree([power_spectrum(there), *axis_profiles(there)], [power_spectrum(x), *axis_profiles(x)])
    results = []
    for part in (there, x):
        accumulator = SpectrumAccumulator().to(part.device)
        accumulator.update(part)
        results.append([torch.as_tensor(accumulator.result().mean("radial"))])
    agree(*results)
    pixels = to_uint8(x)
    assert (to_uint8(to_float(pixels, device)) == pixels).all(), "every byte survives the way there and back"
