"""Names against the registries of the rooms, and options of networks and training against each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from ganlab.config.architecture import (
    PUBLISHED,
    discriminator_norm,
    generator_widths,
    shape,
    stage_names,
    stage_sides,
    uses_spectral_norm,
)
from ganlab.config.errors import KeyPath, Problem, dotted, error, no_effect, warning
from ganlab.config.names import REGISTRIES, names
from ganlab.config.schema import Config, GeneratorConfig, LoggingConfig, UpsamplingConfig
from ganlab.config.tree import NAMED, OF_IMAGES, first_item
from ganlab.errors import nearest_name


def registered_names(config: Config) -> Iterator[Problem]:
    """Every name is in its registry."""
    for path, name in _texts(config.model_dump(), ()):
        # One of several names, model.upsampling.name[1], is of the same kind as one alone.
        kind = NAMED.get(dotted(first_item(path))) or NAMED.get(dotted(path[:-1]))
        valid = names(kind) if kind else ()
        more = names(OF_IMAGES[kind]) if kind in OF_IMAGES else ()
        if config.task != "gan" or name in more:
            # whether a known name fits the task is a check of its own, with better words
            valid += more
        if kind and valid and name not in valid:
            listed = f"{', '.join(valid)}{nearest_name(name, valid)}"
            yield error(dotted(path), f"unknown {REGISTRIES[kind].entry} {name!r}; expected one of {listed}")


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """(key path, text) of every text in a nest of dicts and tuples."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | tuple):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(item, (*path, key))


def architecture_pair(config: Config) -> Iterator[Problem]:
    """An architecture is a generator and a discriminator of the same name."""
    name = config.model.architecture
    valid = names("discriminators")
    if valid and name not in valid and name in names("generators"):
        text = f"{name!r} has a generator but no discriminator; expected one of {', '.join(valid)}"
        yield error("model.architecture", text)


def image_size(config: Config) -> Iterator[Problem]:
    """The architecture exists at this image size."""
    model = config.model
    sizes = PUBLISHED.get(model.architecture, {})
    if sizes and model.image_size not in sizes:
        nearest = min(sizes, key=lambda size: abs(size - model.image_size))
        listed = ", ".join(map(str, sizes))
        yield error(
            "model.image_size",
            f"got {model.image_size}; {model.architecture} reaches its size by doubling a small map stage by "
            f"stage; expected one of {listed}; the nearest is {nearest}",
        )


def odd_size(config: Config) -> Iterator[Problem]:
    """An odd side has no Nyquist bin, which every spectral figure here is about."""
    side = config.model.image_size
    if side % 2:
        yield warning(
            "model.image_size",
            f"{side} is odd: its spectrum ends at {side // 2}/{side} cycles per pixel and has no bin at "
            "Nyquist, so profiles and deviations at Nyquist cannot be compared with even sizes",
        )


def stage_list(config: Config) -> Iterator[Problem]:
    """One upsampler name, or exactly one per stage."""
    name, published = config.model.upsampling.name, shape(config.model)
    if isinstance(name, str):
        return
    if config.model.upsampling.last is not None:
        text = "stands beside a list with one name per stage; expected either the list or name and last"
        yield error("model.upsampling.last", text)
    if published is not None and len(name) != published.stages:
        sides = " -> ".join(map(str, stage_sides(config.model)))
        yield error(
            "model.upsampling.name",
            f"{len(name)} names for {published.stages} stages ({sides} px); expected one name or "
            f"{published.stages}",
        )


def odd_kernels(config: Config) -> Iterator[Problem]:
    """Kernels are odd, so that the map keeps its size and nothing moves by half a pixel."""
    upsampling = config.model.upsampling
    kernels = {"model.upsampling.kernel": upsampling.kernel}
    if upsampling.tail is not None:
        kernels["model.upsampling.tail.kernel"] = upsampling.tail.kernel
    for key, kernel in kernels.items():
        if kernel % 2 == 0:
            near = f"{kernel - 1} or {kernel + 1}" if kernel < 9 else "7 or 9"
            yield error(
                key, f"got {kernel}; expected an odd side such as {near}: even ones shift by half a pixel"
            )


def widths_length(config: Config) -> Iterator[Problem]:
    """A list of widths has one entry per feature map."""
    published = shape(config.model)
    if published is None:
        return
    for side, multiples in (("generator", published.generator), ("discriminator", published.discriminator)):
        widths = getattr(config.model, side).widths
        if widths is not None and len(widths) != len(multiples):
            what = f"{config.model.architecture} at {config.model.image_size} px"
            number = len(multiples)
            text = f"{len(widths)} widths; {what} has {number} feature maps, expected {number} widths"
            yield error(f"model.{side}.widths", text)


def shuffle_channels(config: Config) -> Iterator[Problem]:
    """Shuffling first turns C channels into C/4, so C is divisible by 4."""
    model, published = config.model, shape(config.model)
    if published is None or not model.upsampling.shuffle_first:
        return
    for stage, (name, width) in enumerate(zip(stage_names(model), generator_widths(model), strict=False)):
        if name == "pixel_shuffle" and width % 4:
            yield error(
                "model.upsampling.shuffle_first",
                f"stage {stage + 1} gets {width} channels; pixel shuffle before the convolution needs a "
                f"multiple of 4, for example {-(-width // 4) * 4}",
            )


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


def loss_and_penalty(config: Config) -> Iterator[Problem]:
    """Wasserstein needs a Lipschitz critic, relativistic a gradient penalty; the others take any."""
    loss = config.loss
    alone = loss.penalty == "none" and not uses_spectral_norm(config.model)
    if loss.adversarial == "relativistic" and alone:
        text = "relativistic alone need not converge (Huang et al. 2024); published with loss.penalty: r1_r2"
        yield warning("loss.adversarial", text)
    if loss.adversarial != "wasserstein":
        return
    if loss.penalty in ("dragan", "r1", "r1_r2"):
        yield error(
            "loss.penalty",
            f"{loss.penalty} does not bound the critic's slope between real and fake images, which "
            "wasserstein needs; expected wgan_gp, or none with a spectrally normalised discriminator",
        )
    if alone:
        yield error(
            "loss.adversarial",
            "wasserstein needs a Lipschitz critic; expected loss.penalty: wgan_gp or "
            "model.discriminator.spectral_norm: true",
        )


def norm_and_penalty(config: Config) -> Iterator[Problem]:
    """A gradient penalty is about one image's gradient; batch norm makes it depend on the whole batch."""
    if config.model.discriminator.norm == "batch" and config.loss.penalty != "none":
        yield error(
            "model.discriminator.norm",
            f"batch norm mixes the images of a batch, so the gradient that {config.loss.penalty} penalises "
            "is no image's own (Gulrajani et al. 2017, section 4); expected layer, none or auto",
        )


def resnet_settings(config: Config) -> Iterator[Problem]:
    """SNGAN's ResNet with DCGAN's optimizer settings (pfnet-research/sngan_projection issue 40)."""
    betas, n_dis = config.optimizer.betas, config.training.n_dis
    if config.model.architecture == "sngan" and n_dis == 1 and betas == (0.5, 0.999):
        yield warning(
            "optimizer.betas",
            "the sngan ResNet with betas 0.5/0.999 and training.n_dis 1 is known to collapse in quality (a "
            "user got an inception score of 4.3 to 4.6 on CIFAR-10 where the paper has 8.22); published: "
            "betas 0/0.9 and n_dis 5",
        )


def schedule(config: Config) -> Iterator[Problem]:
    """Starting points lie inside the run."""
    steps = config.training.steps
    if config.optimizer.schedule == "linear" and config.optimizer.decay_start >= steps:
        start = config.optimizer.decay_start
        text = f"the decay would start at step {start} of {steps}; expected less than training.steps"
        yield error("optimizer.decay_start", text)
    if config.training.ema_decay > 0 and config.training.ema_start >= steps:
        start = config.training.ema_start
        text = f"the average would start at step {start} of {steps}; expected less than training.steps"
        yield error("training.ema_start", text)


def precision(config: Config) -> Iterator[Problem]:
    """bf16 is mixed precision on CUDA."""
    device = config.training.device
    if config.training.precision == "bf16" and device in ("cpu", "mps"):
        yield error(
            "training.precision", f"bf16 runs on CUDA, not on {device}; expected fp32, or device: cuda"
        )


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
    used = stage_names(config.model) if shape(config.model) else _names(upsampling)
    if upsampling.border != "torch" and set(used) == {"bilinear_align_corners"}:
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
