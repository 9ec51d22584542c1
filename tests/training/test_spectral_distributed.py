"""Two processes (gloo) with spectral losses and the second discriminator: the gradients of one process."""

from __future__ import annotations

import pytest
import torch
from test_distributed import torchrun

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
logged = trainer.generator_step(0)
modules = [m for m in (players.generator, players.discriminator, players.spectral_discriminator) if m]
torch.save({"gradients": [p.grad for m in modules for p in m.parameters()],
            "losses": {k: v for k, v in logged.items() if "spectral" in k},
            "references": [b for b in players.spectral_losses.buffers()] if players.spectral_losses else []},
           f"{sys.argv[2]}-{world.rank}.pt")
world.barrier()
leave_world(world)
"""
TERMS = (
    "loss.spectral=[{kind: radial_profile}, {kind: axis_profiles, name: mean, compare: mean}, "
    "{kind: log_power}, {kind: focal_frequency, reference: batch}, {kind: sliced, projections: 8}, "
    "{kind: axis_profiles, reference: batch, distance: l2}, "
    "{kind: frechet, convention: ganlab, normalisation: log, weight: 0.01}]"
)
VARIANTS = {
    "losses, half as many reals as fakes": [TERMS, "training.generator_batch_size=16"],
    "a loss, a mixed head, a penalty": [
        "loss.spectral=[{kind: sliced}]", "loss.penalty=wgan_gp",
        "model.spectral_discriminator={head: nonlinear, combine: mixed, spectral_norm: true}",
    ],
}  # fmt: skip


def alone(config):
    placement, world = place(config.training), World()
    data = load_training_images(config.data, config.model.image_size)
    players = make_players(config, placement, world)
    trainer = Trainer(config, players, make_reader(config, data, placement, world), placement, world)
    trainer.discriminator_step(0)
    return players, trainer.generator_step(0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_processes_have_the_gradients_of_one(tiny, tmp_path, variant):
    config = tiny(*VARIANTS[variant], "logging.gradients_every=1")
    (tmp_path / "config.yaml").write_text(dump(config))
    (tmp_path / "gradients.py").write_text(GRADIENTS)
    done = torchrun(tmp_path / "gradients.py", tmp_path / "config.yaml", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"two-{rank}.pt", weights_only=True) for rank in (0, 1))
    players, losses = alone(config)
    modules = [players.generator, players.discriminator, players.spectral_discriminator]
    expected = [p.grad for m in modules if m is not None for p in m.parameters()]
    largest = max(gradient.abs().max().item() for gradient in expected)
    for ours, theirs, one in zip(first["gradients"], second["gradients"], expected, strict=True):
        assert torch.equal(ours, theirs)
        assert torch.allclose(ours, one, rtol=2e-3, atol=2e-5 * largest)
    if players.spectral_losses is not None:
        references = [*players.spectral_losses.buffers()]
        for ours, theirs, one in zip(first["references"], second["references"], references, strict=True):
            assert torch.equal(ours, theirs)
            assert torch.allclose(ours, one, rtol=1e-4, atol=1e-6)
    for name, value in losses.items():
        shared = name.startswith(("spectral/", "generator/spectral")) or name.endswith("ratio")
        if shared:
            assert first["losses"][name].item() == pytest.approx(value.item(), rel=1e-3, abs=1e-7), name


@pytest.mark.slow  # Three starts of two processes; test_distributed.py resumes the plain players by default.
def test_train_under_torchrun_and_resume(tiny, tmp_path):
    config = tiny(
        "loss.spectral=[{kind: axis_profiles, reference: dataset}, {kind: frechet}]",
        "model.spectral_discriminator={head: nonlinear}", "training.steps=4",
    )  # fmt: skip
    (tmp_path / "config.yaml").write_text(dump(config))
    for name, stops in (("run", ["2", "4"]), ("whole", ["4"])):
        for stop in stops:
            done = torchrun(
                "-m",
                "ganlab.cli",
                "train",
                tmp_path / "config.yaml",
                f"out={tmp_path / name}",
                "--stop-at",
                stop,
            )
            assert done.returncode == 0, done.stderr
    states = [
        load_checkpoint(checkpoint_path(tmp_path / name / "checkpoints", 4), torch.device("cpu"))
        for name in ("run", "whole")
    ]
    for part in ("generator", "spectral_discriminator", "spectral_losses"):
        for key, value in states[0][part].items():
            other = states[1][part][key]
            assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other
