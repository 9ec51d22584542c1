"""What holds only under torchrun: the number of processes is in the environment variable WORLD_SIZE."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ganlab.config.architecture import discriminator_norm
from ganlab.config.checks.problem import Problem, error, warning
from ganlab.config.schema import Config


def world_size() -> int:
    """Number of processes that torchrun started; 1 without it."""
    text = os.environ.get("WORLD_SIZE", "1")
    return int(text) if text.isdecimal() and int(text) > 0 else 1


def batch_parts(config: Config) -> Iterator[Problem]:
    """Both batch sizes are over all processes and must divide evenly."""
    processes = world_size()
    sizes = {
        "training.batch_size": config.training.batch_size,
        "training.generator_batch_size": config.training.generator_batch_size,
    }
    for key, size in sizes.items():
        if size is not None and size % processes:
            near = -(-size // processes) * processes
            yield error(key, f"{size} images over {processes} processes; expected a multiple, such as {near}")


def discriminator_batch_norm(config: Config) -> Iterator[Problem]:
    """Batch norm over several processes has to exchange its statistics."""
    processes = world_size()
    if processes > 1 and discriminator_norm(config.model, config.loss) == "batch":
        yield warning(
            "model.discriminator.norm",
            f"batch norm in the discriminator under {processes} processes: every layer waits for the others' "
            "statistics in every pass (the result is one process's); layer or spectral norm wait for nothing",
        )
