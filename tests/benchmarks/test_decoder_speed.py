"""Cost of a training step of the networks that take images: ours beside a bare loop, in one run.

pytest -m benchmark tests/benchmarks/test_decoder_speed.py -s
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ganlab.config import load
from ganlab.data import load_training_images
from ganlab.experiments.bench.measure import turns
from ganlab.training.checkpoint import RunFolder
from ganlab.training.decoding import make_decoder
from ganlab.training.distributed import World, place
from ganlab.training.loop import Run, make_reader
from ganlab.training.monitor import Monitor

CASES = {
    "encoder-decoder": ("autoencoder32", []),
    "unet, autoencoder": ("superres32", ["task=autoencoder", "model.generator.width=16"]),
    "unet, superres": ("superres32", ["model.generator.width=16"]),
}


def loop_step(config, folder):
    """One whole step of the real loop: reading, reducing, checks, average and logging."""
    placement, world = place(config.training), World()
    data = load_training_images(config.data, config.model.image_size)
    run = RunFolder(folder)
    run.lock()
    coder = make_decoder(config, placement, world)
    runner = Run(config, run, placement, world, data, coder, Monitor(run, config, 0))
    done = iter(range(10**9))
    return lambda: runner.step(next(done))


def bare_step(config):
    """The same network, layout, batch and optimizer with nothing around them, always on one batch."""
    placement, world = place(config.training), World()
    data = load_training_images(config.data, config.model.image_size)
    coder = make_decoder(config, placement, world)
    target = make_reader(config, data, placement, world).batch(0).images
    side = coder.generator.input_size
    given = F.interpolate(target, size=(side, side)).to(memory_format=placement.memory_format)

    def step():
        loss = F.l1_loss(coder.generator(given)[0], target)
        coder.generator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        coder.generator_optimizer.step()

    return step


@pytest.mark.benchmark
@pytest.mark.parametrize("case", CASES)
def test_the_loop_adds_little_to_a_bare_loop(case, tmp_path):
    preset, overrides = CASES[case]
    config = load(preset, [*overrides, "data.num_images=2000", "training.threads=1"])
    torch.set_num_threads(1)
    # Time of this thread: on a machine with other work the ratio then is of what each of the two computes.
    seconds = turns(
        [loop_step(config, tmp_path / "run"), bare_step(config)], 28, "cpu", time.thread_time, 120.0
    )
    value = float(np.median(seconds[:, 0] / seconds[:, 1]))
    print(f"\n{case}: loop / bare loop = {value:.3f}")
    assert value <= 1.05
