"""Two processes under torchrun (gloo): the gradients of one process, exact resume, the command itself.

Starting two processes that import torch costs more than what they compute: one start does everything but the
command.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest
import torch
from shared import TINY

from ganlab.config import dump, load
from ganlab.data import load_training_images
from ganlab.training.checkpoint import checkpoint_path, load_checkpoint
from ganlab.training.distributed import World, place
from ganlab.training.loop import TASKS, make_reader

SCRIPT = """
import json, sys, torch
from pathlib import Path
from ganlab.config import load
from ganlab.data import load_training_images
from ganlab.training import loop
from ganlab.training.distributed import join_world, leave_world, place

folder = Path(sys.argv[1])
world = join_world(False)
for path in sorted(folder.glob("gradients-*.yaml")):
    config = load(path)
    placement = place(config.training)
    data = load_training_images(config.data, config.model.image_size)
    players = loop.TASKS[config.task].players(config, placement, world)
    reader = loop.make_reader(config, data, placement, world)
    trainer = loop.TASKS[config.task].trainer(config, players, reader, placement, world)
    trainer.discriminator_step(0)
    logged = trainer.generator_step(0)
    second = getattr(players, "spectral_discriminator", None)
    modules = [m for m in (players.generator, players.discriminator, second) if m]
    torch.save({"gradients": [p.grad for m in modules for p in m.parameters()],
                "losses": {name: logged[name] for name in logged if "spectral" in name or "ratio" in name},
                "references": [*players.spectral_losses.buffers()] if players.spectral_losses else []},
               path.with_suffix(f".{world.rank}"))
loop.leave_world = lambda world: None  # the processes meet once, for all runs
for path in sorted(folder.glob("run-*.yaml")):
    for name, stops in (("parts", (2, None)), ("whole", (None,))):
        for stop in stops:
            loop.train(load(path), folder / f"{path.stem}-{name}", stop)
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
    "batch norm in D": [],
    "spectral norm, concatenated": [
        "model.architecture=sngan", "model.image_size=32", "optimizer.betas=[0.0,0.9]", "training.n_dis=2",
    ],
    "gradient penalty": ["loss.penalty=wgan_gp"],
    "noise as large as the batch's deviation": ["loss.penalty=dragan"],
    "spectral losses, half as many reals as fakes": [TERMS, "training.generator_batch_size=16"],
    "a spectral loss, a mixed head, a penalty": [
        "loss.spectral=[{kind: sliced}]", "loss.penalty=wgan_gp",
        "model.spectral_discriminator={head: nonlinear, combine: mixed, spectral_norm: true}",
    ],
    "an autoencoder's code, spectral losses of pairs, a discriminator": [
        "task=autoencoder", "model.architecture=encoder_decoder", "model.encoder.depth=2",
        "loss.kl_weight=0.1", "loss.adversarial_weight=0.1", "loss.penalty=wgan_gp",
        "loss.spectral=[{kind: focal_frequency, average: none}]",
    ],
}  # fmt: skip
RUNS = {
    "plain": ["training.steps=4"],
    "spectral": [
        "loss.spectral=[{kind: axis_profiles, reference: dataset}, {kind: frechet}]",
        "model.spectral_discriminator={head: nonlinear}", "training.steps=4",
    ],
    "superres": ["task=superres", "model.architecture=unet", "model.encoder.depth=2", "training.steps=4"],
}  # fmt: skip


def torchrun(*arguments):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-addr=127.0.0.1",
        f"--master-port={port}", *map(str, arguments),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def config_of(options):
    return load("dcgan32", [*TINY, *options, "logging.gradients_every=1", "logging.tensorboard=false"])


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """The folder in which two processes left the gradients of `VARIANTS` and the `RUNS`."""
    folder = tmp_path_factory.mktemp("two")
    for number, options in enumerate(VARIANTS.values()):
        (folder / f"gradients-{number}.yaml").write_text(dump(config_of(options)))
    for name, options in RUNS.items():
        (folder / f"run-{name}.yaml").write_text(dump(config_of(options)))
    (folder / "script.py").write_text(SCRIPT)
    done = torchrun(folder / "script.py", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_global_batch_gives_the_same_first_gradients(two_processes, variant):
    config, number = config_of(VARIANTS[variant]), [*VARIANTS].index(variant)
    first, second = (
        torch.load(two_processes / f"gradients-{number}.{rank}", weights_only=True) for rank in (0, 1)
    )
    placement, world = place(config.training), World()
    data = load_training_images(config.data, config.model.image_size)
    players = TASKS[config.task].players(config, placement, world)
    reader = make_reader(config, data, placement, world)
    trainer = TASKS[config.task].trainer(config, players, reader, placement, world)
    trainer.discriminator_step(0)
    losses = trainer.generator_step(0)
    third = getattr(players, "spectral_discriminator", None)
    modules = [players.generator, players.discriminator, third]
    alone = [p.grad for m in modules if m is not None for p in m.parameters()]
    largest = max(gradient.abs().max().item() for gradient in alone)
    # A spectrum's logarithm enlarges what rounding does to small coefficients.
    rtol, atol = (2e-3, 2e-5) if "spectral l" in variant else (1e-3, 1e-5)
    for ours, theirs, expected in zip(first["gradients"], second["gradients"], alone, strict=True):
        assert torch.equal(ours, theirs)
        # A bias before a batch norm has no gradient but rounding: measured against the largest one.
        assert torch.allclose(ours, expected, rtol=rtol, atol=atol * largest)
    references = [*players.spectral_losses.buffers()] if players.spectral_losses is not None else []
    for ours, theirs, expected in zip(first["references"], second["references"], references, strict=True):
        assert torch.equal(ours, theirs)
        assert torch.allclose(ours, expected, rtol=1e-4, atol=1e-6)
    for name, value in losses.items():
        if name.startswith(("spectral/", "generator/spectral")) or name.endswith("ratio"):
            assert first["losses"][name].item() == pytest.approx(value.item(), rel=1e-3, abs=1e-7), name


def state(folder):
    return load_checkpoint(checkpoint_path(folder / "checkpoints", 4), torch.device("cpu"))


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(value, other[key]) if isinstance(value, torch.Tensor) else value == other[key]
        for key, value in one.items()
    )


@pytest.mark.parametrize("run", RUNS)
def test_an_interrupted_run_equals_an_uninterrupted_one(two_processes, run):
    """Both ranks hold the same parameters after some steps: rank 0's checkpoint resumes on both."""
    parts, whole = (state(two_processes / f"run-{run}-{name}") for name in ("parts", "whole"))
    names = {"generator", "discriminator", "average", "spectral_discriminator", "spectral_losses"}
    assert {"generator", "average"} <= parts.keys() == whole.keys()
    for name in names & parts.keys():
        assert same(parts[name], whole[name]), name


def test_the_command_under_torchrun(tmp_path, two_processes):
    """One voice, no warning, and the numbers of the same run above."""
    path = tmp_path / "config.yaml"
    path.write_text(dump(config_of(RUNS["plain"])))
    done = torchrun("-m", "ganlab", "train", path, f"out={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert "processes 2" in done.stdout
    assert done.stdout.count("4 of 4 steps, finished") == 1
    assert "Warning" not in done.stderr
    assert same(state(tmp_path / "run")["generator"], state(two_processes / "run-plain-whole")["generator"])
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
