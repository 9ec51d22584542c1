"""Whole updates and runs on the device: against the CPU, in bf16, compiled, resumed; a fake set's bytes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ganlab.data import BatchReader, load_training_images
from ganlab.generation.sampling import generate_images
from ganlab.models import load_generator
from ganlab.training import train
from ganlab.training.distributed import World, place
from ganlab.training.loop import make_reader
from ganlab.training.players import make_players
from ganlab.training.step import Trainer

pytestmark = pytest.mark.gpu
EXACT = ["training.tf32=false", "training.deterministic=true"]
GAMES = {
    "dcgan, augmented": ["training.augment=[color, translation]"],
    "sngan": [
        "model.architecture=sngan", "model.image_size=32", "training.n_dis=2", "loss.adversarial=hinge",
        "optimizer.betas=[0.0, 0.9]", "training.generator_batch_size=16",
    ],
    "wgan-gp": ["loss.adversarial=wasserstein", "loss.penalty=wgan_gp"],
    "relativistic, conditional": [
        "loss.adversarial=relativistic", "loss.penalty=r1_r2", "data.source=glyphs", "model.num_classes=10",
    ],
    "spectral": [
        "model.spectral_discriminator={input: radial}", "loss.spectral=[{kind: axis_profiles}]",
        "logging.gradients_every=1",
    ],
}  # fmt: skip


def steps(config, device, count=2, bf16=False):
    """Losses of the first updates on the device, by name and step, and the players."""
    training = config.training.model_copy(update={"device": device.type})
    config = config.model_copy(update={"training": training})
    placement, world = replace(place(config.training), bf16=bf16), World()
    data = load_training_images(config.data, config.model.image_size)
    players = make_players(config, placement, world)
    trainer = Trainer(config, players, make_reader(config, data, placement, world), placement, world)
    values, n_dis = {}, config.training.n_dis
    for step in range(count):
        for update in range(n_dis):
            losses = trainer.discriminator_step(step * n_dis + update)
            values |= {f"{name} {step}.{update}": value.item() for name, value in losses.items()}
        losses = trainer.generator_step(step)
        values |= {f"{name} {step}": value.item() for name, value in losses.items()}
    return values, players


def near(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=tolerance, abs=tolerance), name


@pytest.mark.parametrize("game", GAMES)
def test_updates_are_those_of_the_cpu(tiny, device, game):
    config = tiny(*GAMES[game], *EXACT)
    near(steps(config, device)[0], steps(config, torch.device("cpu"))[0], 2e-3)


@pytest.mark.parametrize("game", ["dcgan, augmented", "sngan", "spectral"])
def test_bf16_is_near_float32_and_weights_stay_float32(tiny, device, game):
    config = tiny(*GAMES[game])
    found, players = steps(config, device, count=1, bf16=True)
    expected, _ = steps(config, device, count=1)
    # Ratios of gradients are of small numbers, which half precision knows to a few percent only.
    for values in (found, expected):
        for name in [name for name in values if "gradient_ratio" in name]:
            assert values.pop(name) > 0
    near(found, expected, 0.1)
    parts = [*players.generator.parameters(), *players.discriminator.parameters()]
    assert {part.dtype for part in parts} == {torch.float32}


@pytest.mark.parametrize(("mode", "game"), [("default", "sngan"), ("reduce-overhead", "spectral")])
def test_compiled_networks_give_the_same_losses(tiny, device, mode, game):
    """Six steps: CUDA graphs are replayed from the third call on."""
    config = tiny(*GAMES[game], *EXACT)
    training = config.training.model_copy(update={"compile": True, "compile_mode": mode})
    compiled = config.model_copy(update={"training": training})
    near(steps(compiled, device, 6)[0], steps(config, device, 6)[0], 2e-2)


def test_a_resumed_run_is_the_uninterrupted_one(tiny, device, tmp_path):
    """deterministic: to the last bit, on CUDA as on the CPU."""
    config = tiny(f"training.device={device.type}", "data.dequantize=true", *EXACT)
    train(config, tmp_path / "whole")
    for stop_at in (3, None):
        train(config, tmp_path / "parts", stop_at)
    whole, parts = (load_file(tmp_path / name / "generator.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    metrics = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "parts")]
    assert metrics[0] == metrics[1]
    values = [value for line in metrics[0].splitlines() for value in json.loads(line).values()]
    assert np.isfinite(values).all()


def test_the_command_in_half_precision(ganlab, tiny_yaml, device, tmp_path):
    """bf16 is for CUDA; on the CPU the same command trains in float32."""
    precision = "bf16" if device.type == "cuda" else "fp32"
    code, out, err = ganlab(
        "train", tiny_yaml, f"out={tmp_path / 'run'}", f"training.device={device.type}",
        f"training.precision={precision}",
    )  # fmt: skip
    assert code == 0, err
    assert "8 of 8 steps, finished" in out
    assert f"device     {device.type}" in out
    assert not load_generator(tmp_path / "run").training


@pytest.fixture
def tiny_yaml(tiny, tmp_path):
    from ganlab.config import dump

    (tmp_path / "tiny.yaml").write_text(dump(tiny()))
    return tmp_path / "tiny.yaml"


def test_bytes_of_a_fake_set_do_not_hang_on_where_it_begins(device):
    generator = load_generator("zoo:dcgan-transposed-s0").to(device)
    whole = generate_images(generator, 3, 0, 200)
    assert whole.std() > 20
    assert (generate_images(generator, 3, 0, 200) == whole).all(), "the same twice"
    assert (generate_images(generator, 3, 70, 100) == whole[70:170]).all()
    here = generate_images(generator.cpu(), 3, 0, 200)
    difference = np.abs(whole.astype(int) - here.astype(int))
    assert difference.max() <= 1, "another device rounds a few pixels the other way"
    assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize("limit", [0, 2**32], ids=["each batch travels", "all images live there"])
def test_batches_are_those_of_the_cpu(device, monkeypatch, limit):
    from ganlab.data import batches

    monkeypatch.setattr(batches, "RESIDENT_BYTES", limit)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), dtype=np.uint8)
    options = {"flip": True, "labels": np.arange(50) % 4}
    there, here = (
        BatchReader(pixels, np.arange(5, 50), 12, 7, device=where, **options) for where in (device, "cpu")
    )
    there._here = False
    for step in (0, 1, 9):
        assert torch.equal(there.batch(step).images.cpu(), here.batch(step).images)
        assert torch.equal(there.batch(step).labels.cpu(), here.batch(step).labels)


def test_the_bench_runs_there(ganlab, device, tmp_path):
    code, out, err = ganlab("bench", "--device", device.type, "--quick", "--json", tmp_path / "bench.json")
    assert code == 0, err
    rows = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert all(row["median"] > 0 for row in rows)
    assert "training step, small32" in out
