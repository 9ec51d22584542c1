"""Image size, stages, widths and kernels: whatever the networks' shapes demand."""

from __future__ import annotations

from collections.abc import Iterator

from ganlab.config.architecture import PUBLISHED, generator_widths, shape, stage_names, stage_sides
from ganlab.config.checks.problem import Problem, error, warning
from ganlab.config.schema import Config


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
    name, found = config.model.upsampling.name, shape(config.model)
    if isinstance(name, str):
        return
    if config.model.upsampling.last is not None:
        text = "stands beside a list with one name per stage; expected either the list or name and last"
        yield error("model.upsampling.last", text)
    if found is not None and len(name) != found.stages:
        sides = " -> ".join(map(str, stage_sides(config.model)))
        yield error(
            "model.upsampling.name",
            f"{len(name)} names for {found.stages} stages ({sides} px); expected one name or {found.stages}",
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
    found = shape(config.model)
    if found is None:
        return
    for side, wanted in (("generator", found.generator), ("discriminator", found.discriminator)):
        widths = getattr(config.model, side).widths
        if widths is not None and len(widths) != len(wanted):
            what = f"{config.model.architecture} at {config.model.image_size} px"
            text = (
                f"{len(widths)} widths; {what} has {len(wanted)} feature maps, expected {len(wanted)} widths"
            )
            yield error(f"model.{side}.widths", text)


def shuffle_channels(config: Config) -> Iterator[Problem]:
    """Shuffling first turns C channels into C/4, so C is divisible by 4."""
    model, found = config.model, shape(config.model)
    if found is None or not model.upsampling.shuffle_first:
        return
    for stage, (name, width) in enumerate(zip(stage_names(model), generator_widths(model), strict=False)):
        if name == "pixel_shuffle" and width % 4:
            yield error(
                "model.upsampling.shuffle_first",
                f"stage {stage + 1} gets {width} channels; pixel shuffle before the convolution needs a "
                f"multiple of 4, for example {-(-width // 4) * 4}",
            )
