"""Two processes under torchrun (gloo): equal parameters, and the gradients of one process."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
import torch

from ganlab.config import dump
from ganlab.data import load_training_images
from ganlab.training.checkpoint import checkpoint_path, load_checkpoint
from ganlab.training.distributed import World, place
from ganlab.training.loop import make_reader
from ganlab.training.players import make_players
from ganlab.training.step import Trainer

GRADIENTS = """
import sys, torch
from ganlab.config import load
from ganlab.data import load_training_images
from ganlab.training.distributed import place
from ganlab.training.distributed import join_world, leave_world
from ganlab.training.loop import make_reader
from ganlab.training.players import make_players
from ganlab.training.step import Trainer

config = load(sys.argv[1])
world, placement = join_world(False), place(config.training)
data = load_training_images(config.data, config.model.image_size)
players = make_players(config, placement, world)
trainer = Trainer(config, players, make_reader(config, data, placement, world), placement, world)
trainer.discriminator_step(0)
trainer.generator_step(0)
torch.save([p.grad for m in (players.generator, players.discriminator) for p in m.parameters()],
           f"{sys.argv[2]}-{world.rank}.pt")
world.barrier()
leave_world(world)
"""


def torchrun(*arguments):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-addr=127.0.0.1",
        f"--master-port={port}", *map(str, arguments),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


VARIANTS = {
    "batch norm in D": [],
    "spectral norm, concatenated": [
        "model.architecture=sngan", "model.image_size=32", "optimizer.betas=[0.0,0.9]", "training.n_dis=2",
    ],
    "gradient penalty": ["loss.penalty=wgan_gp"],
    "noise as large as the batch's deviation": ["loss.penalty=dragan"],
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_global_batch_gives_the_same_first_gradients(tiny, tmp_path, variant):
    config = tiny(*VARIANTS[variant])
    (tmp_path / "config.yaml").write_text(dump(config))
    (tmp_path / "gradients.py").write_text(GRADIENTS)
    done = torchrun(tmp_path / "gradients.py", tmp_path / "config.yaml", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"two-{rank}.pt", weights_only=True) for rank in (0, 1))
    placement, world = place(config.training), World()
    data = load_training_images(config.data, config.model.image_size)
    players = make_players(config, placement, world)
    trainer = Trainer(config, players, make_reader(config, data, placement, world), placement, world)
    trainer.discriminator_step(0)
    trainer.generator_step(0)
    alone = [p.grad for m in (players.generator, players.discriminator) for p in m.parameters()]
    largest = max(gradient.abs().max() for gradient in alone)
    for ours, theirs, expected in zip(first, second, alone, strict=True):
        assert torch.equal(ours, theirs)
        # A bias before a batch norm has no gradient but rounding: measured against the largest one.
        assert torch.allclose(ours, expected, rtol=1e-3, atol=1e-5 * largest.item())


def test_train_under_torchrun_and_resume(tiny, tmp_path):
    """Both ranks hold the same parameters after some steps: rank 0's checkpoint resumes on both."""
    config = tiny("training.steps=4")
    (tmp_path / "config.yaml").write_text(dump(config))
    arguments = ["-m", "ganlab.cli", "train", tmp_path / "config.yaml", f"out={tmp_path / 'run'}"]
    done = torchrun(*arguments, "--stop-at", "2")
    assert done.returncode == 0, done.stderr
    assert "processes 2" in done.stdout
    done = torchrun(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("4 of 4 steps, finished") == 1
    whole = torchrun("-m", "ganlab.cli", "train", tmp_path / "config.yaml", f"out={tmp_path / 'whole'}")
    assert whole.returncode == 0, whole.stderr
    states = [
        load_checkpoint(checkpoint_path(tmp_path / name / "checkpoints", 4), torch.device("cpu"))["generator"]
        for name in ("run", "whole")
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
