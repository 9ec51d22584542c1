"""A run small enough to train in a second: 16-pixel dead leaves, a few channels."""

from __future__ import annotations

import pytest

from ganlab.config import load


@pytest.fixture()
def tiny(tmp_path, monkeypatch):
    """A function from overrides to a configuration."""
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))

    def make(*overrides: str):
        return load(
            "dcgan32",
            [
                "model.image_size=16", "model.generator.width=8", "model.discriminator.width=8",
                "model.generator.z_dim=8", "data.num_images=64", "training.batch_size=8", "training.steps=8",
                "training.threads=1", "training.device=cpu", "logging.log_every=1", "logging.samples_every=4",
                "logging.checkpoint_every=2", *overrides,
            ],
        )  # fmt: skip

    return make
