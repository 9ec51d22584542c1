"""Cost of a training step: ours beside a bare loop and beside a conventional implementation, in one run.

    pytest -m benchmark tests/benchmarks/test_training_speed.py -s

Ratios are medians over pairs that take turns, so that a noisy machine slows both sides alike.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ganlab.config import load
from ganlab.data import load_training_images
from ganlab.experiments.bench.measure import bare_step, loop_step, turns
from ganlab.models import build_discriminator, build_generator
from ganlab.training.distributed import World, place
from ganlab.training.players import make_players

CASES = {
    "dcgan32": ["data.num_images=2000"],
    "sngan32 narrow": [
        "data.num_images=2000", "model.architecture=sngan", "loss.adversarial=hinge", "training.n_dis=2",
        "optimizer.betas=[0.0,0.9]", "model.upsampling=nearest",
    ],
}  # fmt: skip
ROUNDS, STEPS = 7, 4


def ratio(ours, theirs):
    """Median over rounds of (our time / their time), the two taking turns."""
    several = [lambda work=work: [work() for _ in range(STEPS)] for work in (ours, theirs)]
    seconds = turns(several, ROUNDS, budget=600.0)
    return float(np.median(seconds[:, 0] / seconds[:, 1]))


class SingleImages(Dataset):
    """A data set as tutorials write it: one image at a time, through Python."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        pixels = torch.from_numpy(np.ascontiguousarray(self.images[index]))
        image = pixels.permute(2, 0, 1).float() / 127.5 - 1
        return image.flip(-1) if torch.rand(()) < 0.5 else image


def conventional_step(config):
    """Separate passes, NCHW, Adam's for-loop, single images, gradients everywhere."""
    data = load_training_images(config.data, config.model.image_size)
    generator, discriminator = build_generator(config), build_discriminator(config)
    options = {"lr": config.optimizer.lr, "betas": config.optimizer.betas, "foreach": False, "fused": False}
    g_optimizer = torch.optim.Adam(generator.parameters(), **options)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), **options)
    loader = DataLoader(SingleImages(data.images), config.training.batch_size, shuffle=True, drop_last=True)

    def endless():
        while True:
            yield from loader

    batches, count, z_dim = endless(), config.training.batch_size, config.model.generator.z_dim
    hinge = config.loss.adversarial == "hinge"

    def d_loss(logits, sign):
        return (F.relu(1 - sign * logits) if hinge else F.softplus(-sign * logits)).mean()

    def step():
        for _ in range(config.training.n_dis):
            real = next(batches)
            discriminator.zero_grad()
            fake = generator(torch.randn(count, z_dim)).detach()
            loss = d_loss(discriminator(real), 1) + d_loss(discriminator(fake), -1)
            loss.backward()
            d_optimizer.step()
        generator.zero_grad()
        logits = discriminator(generator(torch.randn(count, z_dim)))
        loss = -logits.mean() if hinge else F.softplus(-logits).mean()
        loss.backward()
        g_optimizer.step()

    return step


@pytest.mark.benchmark
@pytest.mark.parametrize("case", CASES)
def test_the_loop_adds_little_to_a_bare_loop(case, tmp_path):
    config = load("dcgan32", CASES[case])
    data = load_training_images(config.data, config.model.image_size)
    value = ratio(loop_step(config, data, tmp_path / "run"), bare_step(config, data))
    print(f"\n{case}: loop / bare loop = {value:.3f}")
    assert value <= 1.05


@pytest.mark.benchmark
@pytest.mark.parametrize("case", CASES)
def test_faster_than_a_conventional_implementation(case, tmp_path):
    config = load("dcgan32", CASES[case])
    value = ratio(loop_step(config, tmp_path / "run"), conventional_step(config))
    print(f"\n{case}: ours / conventional = {value:.3f}")
    assert value <= 0.75


def test_the_conventional_nets_are_the_same_nets():
    """The comparison is only fair if both sides compute the same function."""
    config = load("dcgan32", CASES["dcgan32"])
    players = make_players(config, place(config.training), World())
    generator = build_generator(config)
    generator.load_state_dict(players.generator.state_dict())
    z = torch.randn(4, config.model.generator.z_dim)
    assert isinstance(generator, nn.Module)
    assert torch.allclose(generator.eval()(z), players.generator.eval()(z), atol=1e-5)
