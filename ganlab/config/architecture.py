"""The shape of the published networks: stages, widths, feature-map sides. No torch.

Sources (field-notes A2 to A4): SNGAN ResNets of pfnet-research/sngan_projection and kwotsin/mimicry (32, 48,
64, 128 px); the SN-DCGAN of pfnet-research/chainer-gan-lib (32 px); DCGAN of Radford et al. 2016 as in
pytorch/examples, extended to every power of two by its own rule. The networks in ``ganlab.models`` are built
from these tables, and the configuration is checked against them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

from ganlab.config.schema import LossConfig, ModelConfig


@dataclass(frozen=True)
class Shape:
    """One architecture at one image size.

    Attributes:
        base: side of the generator's first feature map in pixels.
        stages: x2 upsampling stages from ``base`` to the image.
        generator: multiples of the generator's width, from the first feature map to the finest one.
        generator_width: the published width that they multiply.
        discriminator: multiples of the discriminator's width, from the finest feature map to the coarsest.
        discriminator_width: the published width that they multiply.
        downsamples: for each discriminator width, whether that block halves the resolution.
    """

    base: int
    stages: int
    generator: tuple[int, ...]
    generator_width: int
    discriminator: tuple[int, ...]
    discriminator_width: int
    downsamples: tuple[bool, ...]


_SNGAN = {
    32: Shape(4, 3, (1, 1, 1, 1), 256, (1, 1, 1, 1), 128, (True, True, False, False)),
    48: Shape(6, 3, (8, 4, 2, 1), 64, (1, 2, 4, 8, 16), 64, (True, True, True, True, False)),
    64: Shape(4, 4, (16, 8, 4, 2, 1), 64, (1, 2, 4, 8, 16), 64, (True,) * 5),
    128: Shape(4, 5, (16, 16, 8, 4, 2, 1), 64, (1, 2, 4, 8, 16, 16), 64, (True,) * 5 + (False,)),
}
_SNDCGAN = {32: Shape(4, 3, (8, 4, 2, 1), 64, (1, 2, 4, 8), 64, (True, True, True, False))}
_DCGAN_SIDES = (16, 32, 64, 128, 256)
DECODERS = ("encoder_decoder", "unet")
"""Architectures that take an image; any size that can be halved as often as their depth asks."""
DECODER_WIDTH = 32
SMALLEST_BASE = 2
"""Side of the coarsest map; below it there is nothing left to double."""


def _dcgan(size: int) -> Shape:
    """DCGAN: widths double from the map at half the image size down to 4x4; the last stage goes to RGB."""
    stages = int(log2(size)) - 2
    doubling = tuple(2**power for power in range(stages))
    return Shape(4, stages, doubling[::-1], 64, doubling, 64, (True,) * stages)


PUBLISHED: dict[str, dict[int, Shape]] = {
    "dcgan": {size: _dcgan(size) for size in _DCGAN_SIDES},
    "sndcgan": _SNDCGAN,
    "sngan": _SNGAN,
}
"""Architecture -> image size -> shape."""


def shape(model: ModelConfig) -> Shape | None:
    """The shape for the architecture and image size, or None where there is none."""
    if model.architecture in DECODERS:
        return _decoder(model)
    return PUBLISHED.get(model.architecture, {}).get(model.image_size)


def _decoder(model: ModelConfig) -> Shape | None:
    """Widths double from the image to the coarsest map; the discriminator, if there is one, is DCGAN's."""
    depth, side = model.encoder.depth, model.image_size
    base = side // 2**depth
    if side % 2**depth or base < SMALLEST_BASE:
        return None
    against = _dcgan(side) if side in _DCGAN_SIDES else Shape(4, 0, (), 64, (), 64, ())
    # An encoder_decoder goes straight to RGB, as DCGAN does; a unet has convolutions at the image's size.
    finest = 0 if model.architecture == "unet" else 1
    multiples = tuple(2 ** (level - finest) for level in range(depth, finest - 1, -1))
    return Shape(base, depth, multiples, DECODER_WIDTH, against.discriminator, 64, against.downsamples)


def _known(model: ModelConfig) -> Shape:
    published = shape(model)
    if published is None and model.architecture in DECODERS:
        raise ValueError(
            f"no {model.architecture} of depth {model.encoder.depth} for {model.image_size} px; expected a "
            f"multiple of {2**model.encoder.depth}, and {SMALLEST_BASE * 2**model.encoder.depth} or more"
        )
    if published is None:
        sizes = ", ".join(map(str, PUBLISHED.get(model.architecture, {})))
        raise ValueError(f"no {model.architecture} for {model.image_size} px; expected one of {sizes}")
    return published


def stage_names(model: ModelConfig) -> tuple[str, ...]:
    """The upsampler of every stage, from the coarsest to the finest, short forms and ``last`` resolved.

    Raises:
        ValueError: the architecture has no such image size.
    """
    name = model.upsampling.name
    names = (name,) * _known(model).stages if isinstance(name, str) else name
    return names if model.upsampling.last is None else (*names[:-1], model.upsampling.last)


def stage_sides(model: ModelConfig) -> tuple[int, ...]:
    """Side of the feature map in pixels before the first stage and after every stage: (4, 8, 16, 32).

    Raises:
        ValueError: the architecture has no such image size.
    """
    published = _known(model)
    return tuple(published.base * 2**stage for stage in range(published.stages + 1))


def generator_widths(model: ModelConfig) -> tuple[int, ...]:
    """Channels of the generator's feature maps, from the first to the finest.

    One per side of `stage_sides`, except for dcgan, whose last stage goes straight to RGB (or to the tail).

    Raises:
        ValueError: the architecture has no such image size.
    """
    published, options = _known(model), model.generator
    if options.widths is not None:
        return options.widths
    width = options.width or published.generator_width
    return tuple(min(width * multiple, options.max_width) for multiple in published.generator)


def discriminator_widths(model: ModelConfig) -> tuple[int, ...]:
    """Channels of the discriminator's blocks, from the finest feature map to the coarsest.

    Raises:
        ValueError: the architecture has no such image size.
    """
    published, options = _known(model), model.discriminator
    if options.widths is not None:
        return options.widths
    width = options.width or published.discriminator_width
    return tuple(min(width * multiple, options.max_width) for multiple in published.discriminator)


def uses_spectral_norm(model: ModelConfig) -> bool:
    """Whether the discriminator is spectrally normalised; by default in sngan and sndcgan."""
    chosen = model.discriminator.spectral_norm
    return model.architecture in ("sngan", "sndcgan") if chosen is None else chosen


def discriminator_norm(model: ModelConfig, loss: LossConfig) -> str:
    """``none``, ``batch`` or ``layer``, with ``auto`` resolved: spectral norm, then penalty, then batch."""
    if model.discriminator.norm != "auto":
        return model.discriminator.norm
    if uses_spectral_norm(model):
        return "none"
    return "batch" if loss.penalty == "none" else "layer"


def encoder_downsampling(model: ModelConfig) -> str:
    """``stride``, ``max_pool``, ``avg_pool`` or ``blur_pool``, with ``auto`` resolved."""
    chosen = model.encoder.downsampling
    if chosen != "auto":
        return chosen
    pooled = model.architecture == "unet" or "max_unpool" in stage_names(model)
    return "max_pool" if pooled else "stride"


def discriminator_downsampling(model: ModelConfig) -> str:
    """``stride``, ``avg_pool`` or ``blur_pool``, with ``auto`` resolved to the published network's."""
    chosen = model.discriminator.downsampling
    if chosen != "auto":
        return chosen
    return "avg_pool" if model.architecture == "sngan" else "stride"
