"""What several test files name: the repository, a tiny run, how a command ended."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
"""The repository's folder."""

TINY = [
    "model.image_size=16", "model.generator.width=8", "model.discriminator.width=8",
    "model.generator.z_dim=8", "data.num_images=64", "training.batch_size=8", "training.steps=8",
    "training.threads=1", "training.device=cpu", "logging.log_every=1", "logging.samples_every=4",
    "logging.checkpoint_every=2",
]  # fmt: skip
"""Overrides of ``dcgan32`` for a run that trains in a second."""


SMALL_CODER = [
    *(text for text in TINY if "discriminator" not in text and "generator" not in text),
    "data.source=glyphs", "data.flip=false", "model.encoder.depth=2", "model.generator.width=4",
]  # fmt: skip
"""The same of ``autoencoder32``, ``superres32`` and ``segment32``, on glyphs."""


class Done(NamedTuple):
    """Exit status, standard output, standard error."""

    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both, standard output first."""
        return self.stdout + self.stderr
