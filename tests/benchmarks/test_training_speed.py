"""Cost of a training step: ours beside a bare loop and beside a conventional implementation, in one run.

    pytest -m benchmark tests/benchmarks/test_training_speed.py -s

Ratios are medians over pairs that take turns, so that a noisy machine slows both sides alike.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ganlab.config import load
from ganlab.data import load_training_images
from ganlab.models import build_discriminator, build_generator
from ganlab.training.checkpoint import RunFolder
from ganlab.training.distributed import World, place
from ganlab.training.loop import Run, make_reader
from ganlab.training.monitor import Monitor
from ganlab.training.players import make_players
from ganlab.training.step import Trainer, frozen

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
    ours(), theirs()
    pairs = []
    for _ in range(ROUNDS):
        times = []
        for work in (ours, theirs):
            start = time.perf_counter()
            for _ in range(STEPS):
                work()
            times.append(time.perf_counter() - start)
        pairs.append(times[0] / times[1])
    return statistics.median(pairs)


def loop_step(config, folder: Path):
    """One whole step of the real loop, with its checks, average and logging."""
    placement, world = place(config.training), World()
    data = load_training_images(config.data, config.model.image_size)
    run = RunFolder(folder)
    run.lock()
    players = make_players(config, placement, world)
    runner = Run(config, run, placement, world, data, players, Monitor(run, config, 0))
    done = iter(range(10**9))
    return lambda: runner.step(next(done))


def bare_step(config):
    """The same nets, layout, batch and optimizer with nothing around them."""
    placement, world = place(config.training), World()
    data = load_training_images(config.data, config.model.image_size)
    players = make_players(config, placement, world)
    reader = make_reader(config, data, placement, world)
    losses = Trainer(config, players, reader, placement, world).adversarial
    count, z_dim = config.training.batch_size, config.model.generator.z_dim
    real = reader.batch(0).images.to(memory_format=placement.memory_format)

    def step():
        for _ in range(config.training.n_dis):
            with torch.no_grad():
                fake = players.generator(torch.randn(count, z_dim))
            if players.concatenate:
                on_real, on_fake = players.discriminator(torch.cat([real, fake])).chunk(2)
            else:
                on_real, on_fake = players.discriminator(real), players.discriminator(fake)
            players.discriminator_optimizer.zero_grad(set_to_none=True)
            losses.discriminator(on_real, on_fake).backward()
            players.discriminator_optimizer.step()
        with frozen(players.discriminator):
            loss = losses.generator(players.discriminator(players.generator(torch.randn(count, z_dim))))
            players.generator_optimizer.zero_grad(set_to_none=True)
            loss.backward()
            players.generator_optimizer.step()

    return step


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
    value = ratio(loop_step(config, tmp_path / "run"), bare_step(config))
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
