"""Checks that concern more than one key, or a registry: `problems` runs them all.

To add one, write a generator of problems in the file of its topic and give it a line in `CHECKS` with the
keys it reads: a check is left out when one of them is already known to be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ganlab.config.checks import network, sources, spectral, task
from ganlab.config.errors import KeyPath, Problem, key_path
from ganlab.config.schema import Config

Check = Callable[[Config], Iterator[Problem]]
_STAGES = ("model.architecture", "model.image_size", "model.upsampling", "model.encoder")

CHECKS: dict[Check, tuple[str, ...]] = {
    network.registered_names: (),
    task.architecture_of_task: ("task", "model.architecture"),
    task.depth: ("task", "data.scale", "model.architecture", "model.image_size", "model.encoder"),
    task.unpooling: ("task", "data.scale", *_STAGES, "model.encoder"),
    task.segmentation: ("task", "data", "model.num_classes", "model.upsampling", "loss.spectral"),
    task.losses_of_images: ("task", "loss", "model"),
    task.keys_of_other_tasks: ("task", "data", "loss", "model", "training", "optimizer"),
    network.architecture_pair: ("model.architecture",),
    network.image_size: ("model.architecture", "model.image_size"),
    network.odd_size: ("model.image_size",),
    network.stage_list: _STAGES,
    network.odd_kernels: ("model.upsampling",),
    network.widths_length: (
        *_STAGES[:2],
        "model.encoder",
        "model.generator.widths",
        "model.discriminator.widths",
    ),
    network.shuffle_channels: (*_STAGES, "model.generator"),
    network.loss_and_penalty: ("loss", "model.architecture", "model.discriminator.spectral_norm"),
    network.norm_and_penalty: ("loss.penalty", "model.discriminator.norm"),
    network.resnet_settings: ("model.architecture", "optimizer.betas", "training.n_dis"),
    network.schedule: ("optimizer", "training.steps", "training.ema_decay", "training.ema_start"),
    network.precision: ("training.precision", "training.device"),
    spectral.kind_options: ("loss.spectral",),
    spectral.term_values: ("loss.spectral",),
    spectral.term_names: ("loss.spectral",),
    spectral.term_weights: ("loss.spectral", "training.steps"),
    spectral.idle_measurement: (
        "loss.spectral",
        "model.spectral_discriminator",
        "logging.gradients_every",
    ),
    spectral.spectral_discriminator: ("model.spectral_discriminator", "loss"),
    network.batch_parts: ("training.batch_size", "training.generator_batch_size"),
    network.discriminator_batch_norm: ("loss.penalty", "model.architecture", "model.discriminator"),
    sources.path: ("data.source", "data.path"),
    sources.native_size: ("data.source", "model.image_size"),
    sources.classes: ("task", "data.source", "data.classes", "model.num_classes"),
    sources.glyphs: ("data.source", "data.classes", "data.flip", "model.image_size"),
    sources.idle_options: ("data",),
    network.loss_options: ("loss",),
    network.optimizer_options: ("optimizer", "training.ema_decay", "training.ema_start"),
    network.logging_intervals: ("logging", "training.steps"),
    network.widths: ("model.generator", "model.discriminator"),
    network.pixel_shuffle_options: ("model.upsampling",),
    network.upsampling_options: _STAGES,
}
"""Check -> the keys it reads."""


def problems(config: Config, ignore: Sequence[KeyPath] = ()) -> list[Problem]:
    """Findings of every check.

    Args:
        config: a schema-valid configuration.
        ignore: keys known to be wrong; checks that read them are left out.

    Returns:
        Errors and warnings, in the order of `CHECKS`.
    """
    chosen = [check for check, reads in CHECKS.items() if not _touches(reads, ignore)]
    findings = [problem for check in chosen for problem in check(config)]
    return [problem for problem in findings if not _touches((problem.key,), ignore)]


def _touches(reads: Sequence[str], wrong: Sequence[KeyPath]) -> bool:
    paths = [key_path(key) for key in reads]
    return any(path[: len(bad)] == bad or bad[: len(path)] == path for path in paths for bad in wrong)
