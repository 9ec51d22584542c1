"""Runs small enough to train in a second: 16-pixel dead leaves, a few channels, one thread."""

from __future__ import annotations

import pytest

TINY = [
    "model.image_size=16", "model.generator.width=8", "model.discriminator.width=8",
    "model.generator.z_dim=8", "data.num_images=64", "training.batch_size=8", "training.steps=8",
    "training.threads=1", "training.device=cpu", "logging.log_every=1", "logging.samples_every=4",
    "logging.checkpoint_every=2",
]  # fmt: skip


@pytest.fixture
def ganlab_command():
    """Run ``ganlab ARGUMENTS`` in this process: importing torch anew costs more than most commands."""
    from typer.testing import CliRunner

    from ganlab.cli import app

    return lambda *arguments: CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory):
    """One cache of packs for the whole session; never the user's own."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(cache_folder, monkeypatch):
    monkeypatch.setenv("GANLAB_CACHE", str(cache_folder))


@pytest.fixture
def tiny():
    """A function from overrides to a configuration."""
    from ganlab.config import load

    return lambda *overrides: load("dcgan32", [*TINY, *overrides])


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory, cache_folder):
    """Two finished runs that differ in their upsampling; read them only."""
    from ganlab.config import load
    from ganlab.training import train

    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANLAB_CACHE", str(cache_folder))
        for name in ("nearest", "transposed"):
            train(load("dcgan32", [*TINY, f"model.upsampling={name}"]), folder / name)
    return folder / "nearest", folder / "transposed"
