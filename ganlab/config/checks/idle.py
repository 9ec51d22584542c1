"""A warning for every option that changes nothing, because something else in the configuration says so."""

from __future__ import annotations

from collections.abc import Iterator

from ganlab.config.architecture import shape, stage_names
from ganlab.config.checks.problem import Problem, no_effect, warning
from ganlab.config.schema import Config, GeneratorConfig, LoggingConfig, UpsamplingConfig


def loss_options(config: Config) -> Iterator[Problem]:
    """A weight without a penalty."""
    if config.loss.penalty == "none" and config.loss.penalty_weight is not None:
        yield no_effect("loss.penalty_weight", "loss.penalty is none")


def optimizer_options(config: Config) -> Iterator[Problem]:
    """A second learning rate equal to the first; a decay start without decay; an average that is off."""
    optimizer, training = config.optimizer, config.training
    if optimizer.lr_discriminator == optimizer.lr:
        yield no_effect(
            "optimizer.lr_discriminator", "it equals optimizer.lr, which the discriminator has anyway"
        )
    if optimizer.schedule == "constant" and optimizer.decay_start > 0:
        yield no_effect("optimizer.decay_start", "optimizer.schedule is constant")
    if training.ema_decay == 0 and training.ema_start > 0:
        yield no_effect("training.ema_start", "training.ema_decay is 0, so there is no average")


def logging_intervals(config: Config) -> Iterator[Problem]:
    """An interval longer than the run, where somebody chose it."""
    steps = config.training.steps
    for name in ("log_every", "samples_every", "checkpoint_every", "milestone_every", "gradients_every"):
        value = getattr(config.logging, name)
        if value != LoggingConfig.model_fields[name].default and value is not None and value > steps:
            yield no_effect(f"logging.{name}", f"{value} is more than the {steps} steps of training.steps")


def widths(config: Config) -> Iterator[Problem]:
    """A base width or a cap beside a list that says every width."""
    for side in ("generator", "discriminator"):
        options = getattr(config.model, side)
        if options.widths is None:
            continue
        if options.width is not None:
            yield no_effect(f"model.{side}.width", f"model.{side}.widths says every width")
        if options.max_width != GeneratorConfig.model_fields["max_width"].default:
            yield no_effect(f"model.{side}.max_width", f"model.{side}.widths says every width")


def pixel_shuffle_options(config: Config) -> Iterator[Problem]:
    """ICNR and shuffle order are for pixel shuffle."""
    upsampling = config.model.upsampling
    shuffles = "pixel_shuffle" in _names(upsampling)
    for name in ("icnr", "shuffle_first"):
        if getattr(upsampling, name) and not shuffles:
            yield no_effect(f"model.upsampling.{name}", "no stage is pixel_shuffle")
    if shuffles and upsampling.icnr and upsampling.shuffle_first:
        text = "ICNR initialises the convolution before the shuffle, and shuffle_first has none there"
        yield no_effect("model.upsampling.icnr", text)


def upsampling_options(config: Config) -> Iterator[Problem]:
    """A last stage like the others; a border never seen; an activation between nothing."""
    upsampling = config.model.upsampling
    if upsampling.last is not None and upsampling.last == upsampling.name:
        yield no_effect("model.upsampling.last", "it names the same upsampler as the other stages")
    if upsampling.border != "torch" and _only_align_corners(config):
        yield warning(
            "model.upsampling.border",
            "has no effect on bilinear_align_corners itself, which never looks outside the image; only the "
            "convolution beside it takes it",
        )
    if upsampling.tail is not None and upsampling.tail.convs == 1 and upsampling.tail.activation != "none":
        text = "the tail is a single convolution, there is nothing between"
        yield no_effect("model.upsampling.tail.activation", text)


def _names(upsampling: UpsamplingConfig) -> tuple[str, ...]:
    names = (upsampling.name,) if isinstance(upsampling.name, str) else upsampling.name
    return names if upsampling.last is None else (*names, upsampling.last)


def _only_align_corners(config: Config) -> bool:
    used = stage_names(config.model) if shape(config.model) else _names(config.model.upsampling)
    return set(used) == {"bilinear_align_corners"}
