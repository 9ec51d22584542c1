"""Networks that take an image: the plain encoder-decoder and the U-Net, with any of the upsamplers.

Both are built of the same parts. An encoder halves ``model.encoder.depth`` times; the decoder doubles as
often with the upsampling that generators have, and with max-unpooling as well. The encoder-decoder has a code
between the two, and its decoder is DCGAN's generator from the coarsest map on, so that what it leaves in an
image can be compared. The U-Net (Ronneberger et al. 2015, arXiv 1505.04597) has two convolutions a level and,
with ``model.skips``, the encoder's features of the same size beside each doubled map.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.config.architecture import (
    encoder_downsampling,
    generator_widths,
    shape,
    stage_names,
    stage_sides,
)
from ganlab.config.schema import Config, ModelConfig
from ganlab.errors import GanlabError, lookup
from ganlab.models.base import Generator
from ganlab.models.layers import (
    Halve,
    as_image,
    dcgan_init,
    doubling_for_tail,
    glorot_init,
    tail_convs,
    upsampler_for,
)
from ganlab.upsampling import UNPOOLERS
from ganlab.upsampling.layers import same_conv

Places = Sequence[Tensor | None]
"""For each stage from the coarsest: where max pooling found the values of that size, if it did."""
MOST_LOG_VARIANCE = 10.0
"""Of a VAE's code, either side of 0: beyond it the exponential is of no use and soon overflows."""


def block(inside: int, outside: int, convs: int, border: str) -> nn.Sequential:
    """``convs`` times 3x3 convolution, batch norm, ReLU: ``(N, C_in, H, W) -> (N, C_out, H, W)``."""
    layers: list[nn.Module] = []
    for index in range(convs):
        conv = same_conv(outside if index else inside, outside, 3, border, bias=False)
        layers += [conv, nn.BatchNorm2d(outside), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Images -> the coarsest map, and from the coarsest of the finer levels on: features and places.

    Args:
        widths: channels of every level, from the input's size to the coarsest map.
        convs: convolutions of a level.
        how: "stride", "max_pool", "avg_pool" or "blur_pool".
        border: of the convolutions.
    """

    def __init__(self, widths: Sequence[int], convs: int, how: str, border: str) -> None:
        super().__init__()
        inputs = (3, *widths[:-1])
        self.levels = nn.ModuleList(
            block(inside, outside, convs, border) for inside, outside in zip(inputs, widths, strict=True)
        )
        self.halvings = nn.ModuleList(_halving(width, how) for width in widths[:-1])

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor | None]]:
        """``(N, 3, H, W)`` -> ``(N, C, H / 2^k, W / 2^k)``, the k levels' features, their places."""
        x, features, places = images, [], []
        # zip ends with the halvings: the coarsest level has none
        for level, halving in zip(self.levels, self.halvings, strict=False):
            x = level(x)
            features.append(x)
            halved = halving(x)
            x, found = halved if isinstance(halved, tuple) else (halved, None)
            places.append(found)
        return self.levels[-1](x), features[::-1], places[::-1]


def _halving(channels: int, how: str) -> nn.Module:
    if how == "stride":
        return nn.Conv2d(channels, channels, 4, 2, 1, bias=False)
    return nn.MaxPool2d(2, return_indices=True) if how == "max_pool" else Halve(how)


def doubling(model: ModelConfig, name: str, inside: int, outside: int, pooled: int, bias: bool) -> nn.Module:
    """One of the upsamplers, or an un-pooling to places of ``pooled`` channels."""
    up = model.upsampling
    if name in UNPOOLERS:
        return UNPOOLERS[name](inside, outside, pooled, up.kernel, up.border, bias)
    return upsampler_for(up, name, inside, outside, bias=bias)


def doubled(up: nn.Module, x: Tensor, places: Tensor | None) -> Tensor:
    """The map at twice its size, by places where the layer needs them."""
    out: Tensor = up(x, places) if isinstance(up, tuple(UNPOOLERS.values())) else up(x)
    return out


class CodeDecoder(Generator):
    """Codes ``(N, z_dim)`` -> images ``(N, 3, S, S)`` in [-1, 1]: the second half of an encoder-decoder.

    A code is a map of ``model.encoder.latent`` channels at the coarsest size, in one row. Its channels have
    mean 0 and variance 1 over the training images (or, in a VAE, are drawn towards the standard normal), so
    that standard normal latents are codes of a kind, and the decoder is a generator for every verb.

    Args:
        config: the model section.
        classes: logits of so many classes instead of an image; 0 for an image.
    """

    def __init__(self, config: ModelConfig, classes: int = 0) -> None:
        super().__init__(config)
        names, widths, up = stage_names(config), generator_widths(config), config.upsampling
        self.num_classes, self.classes = 0, classes
        side = stage_sides(config)[0]
        self.code_shape = (config.encoder.latent, side, side)
        self.z_dim = prod(self.code_shape)
        self.needs_places = any(name in UNPOOLERS for name in names)
        self.first = nn.Conv2d(config.encoder.latent, widths[0], 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(widths[0])
        pooled = (*widths[1:], widths[-1])
        outputs = (*widths[1:], (classes or 3) if up.tail is None else widths[-1])
        doublings: list[nn.Module] = []
        for index, name in enumerate(names):
            bare = up.tail is not None and index == len(names) - 1 and name not in UNPOOLERS
            doublings.append(
                doubling_for_tail(up, name, widths[index], False) if bare
                else doubling(config, name, widths[index], outputs[index], pooled[index], False)
            )  # fmt: skip
        self.stages = nn.ModuleList(doublings)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])
        self.tail: nn.Module = nn.Identity() if up.tail is None else tail_convs(up, widths[-1], bias=False)

    def start(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Codes in rows -> the coarsest map."""
        return F.relu(self.first_norm(self.first(z.view(-1, *self.code_shape))), inplace=True)

    def stage(self, index: int, x: Tensor, labels: Tensor | None, places: Tensor | None = None) -> Tensor:
        """Feature map -> feature map of twice the size; the last one the image before its tail and tanh."""
        x = doubled(self.stages[index], x, places)
        return F.relu(self.norms[index](x), inplace=True) if index < len(self.norms) else x

    def finish(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """The tail's convolutions, if there are any, and tanh for an image."""
        out: Tensor = self.tail(x)
        return out if self.classes else as_image(out)


class Decoding(nn.Module):
    """What both families share: images in, images or logits of classes out.

    Args:
        config: the whole configuration; the task says what goes in and comes out.
    """

    convs: int

    def __init__(self, config: Config) -> None:
        super().__init__()
        model = config.model
        self.config, self.task = config, config.task
        self.missing = int(log2(config.data.scale)) if config.task == "superres" else 0
        """Finest levels that the encoder does not have, because the input is smaller than the image."""
        self.input_size = model.image_size // 2**self.missing
        self.variational = config.loss.kl_weight > 0
        finest_first = self.level_widths(model)[self.missing :]
        border = model.upsampling.border
        self.encoder = Encoder(finest_first, self.convs, encoder_downsampling(model), border)

    def level_widths(self, model: ModelConfig) -> tuple[int, ...]:
        """Channels of all levels, from the image's size to the coarsest map."""
        raise GanlabError(f"{type(self).__name__} does not define level_widths")

    def padded(self, places: Sequence[Tensor]) -> list[Tensor | None]:
        """One entry for every stage: None for the sizes that the encoder has not seen."""
        return [*places, *[None] * self.missing]

    def checked(self, images: Tensor) -> Tensor:
        """The input, if it has the size the network was built for.

        Raises:
            GanlabError: another shape.
        """
        side = self.input_size
        if tuple(images.shape[1:]) != (3, side, side):
            raise GanlabError(f"this network takes (N, 3, {side}, {side}); got {tuple(images.shape)}")
        return images


class EncoderDecoder(Decoding):
    """The plain encoder-decoder: an encoder, a code, and DCGAN's generator from the coarsest map on."""

    convs = 1

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        widths, latent = generator_widths(config.model), config.model.encoder.latent
        self.to_code = nn.Conv2d(widths[0], latent * (2 if self.variational else 1), 1)
        # Without a divergence nothing else would keep the codes where standard normal latents are.
        self.code_norm = nn.Identity() if self.variational else nn.BatchNorm2d(latent, affine=False)
        self.decoder = CodeDecoder(config.model, mask_classes(config))
        dcgan_init(self)

    def level_widths(self, model: ModelConfig) -> tuple[int, ...]:
        """The generator's, its finest map's width for the image's size too."""
        widths = generator_widths(model)
        return (widths[-1], *widths[::-1])

    def forward(self, images: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Images ``(N, 3, s, s)`` -> images ``(N, 3, S, S)`` or logits, and the code's divergence.

        Args:
            images: in [-1, 1].
            noise: standard normal ``(N, z_dim)`` for a VAE in training; without it the code's mean is taken.

        Returns:
            Images in [-1, 1] or logits, and a scalar: mean divergence of the codes from the standard normal,
            in nats per value of an image; 0 where the network is no VAE.
        """
        x, _, places = self.encoder(self.checked(images))
        code = self.to_code(x)
        divergence = code.new_zeros(())
        if self.variational:
            code, spread = code.float().chunk(2, 1)
            spread = spread.clamp(-MOST_LOG_VARIANCE, MOST_LOG_VARIANCE)
            nats = 0.5 * (code.square() + spread.exp() - 1 - spread).sum((1, 2, 3))
            divergence = nats.mean() / (3 * self.decoder.image_size**2)
            if noise is not None:
                code = code + (0.5 * spread).exp() * noise.view_as(code)
        else:
            code = self.code_norm(code)
        x = self.decoder.start(code.flatten(1), None)
        for index, found in enumerate(self.padded(places)):
            x = self.decoder.stage(index, x, None, found)
        return self.decoder.finish(x, None), divergence


class UNet(Decoding):
    """The U-Net: two convolutions a level; without skips an encoder-decoder of the same layers."""

    convs = 2

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        model = config.model
        widths, names, border = generator_widths(model), stage_names(model), model.upsampling.border
        self.skips = model.skips
        self.num_outputs = mask_classes(config) or 3
        self.ups, self.levels = nn.ModuleList(), nn.ModuleList()
        for index, name in enumerate(names):
            inside, outside = widths[index], widths[index + 1]
            self.ups.append(doubling(model, name, inside, outside, outside, True))
            joined = self.skips and index < len(names) - self.missing
            self.levels.append(block(2 * outside if joined else outside, outside, self.convs, border))
        self.last = nn.Conv2d(widths[-1], self.num_outputs, 1)
        glorot_init(self)

    def level_widths(self, model: ModelConfig) -> tuple[int, ...]:
        """The decoder's, turned round."""
        return generator_widths(model)[::-1]

    def forward(self, images: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Images ``(N, 3, s, s)`` -> images ``(N, 3, S, S)`` in [-1, 1], or logits ``(N, classes, S, S)``.

        Args:
            images: in [-1, 1].
            noise: not used.

        Returns:
            The images or logits, and 0: there is no code.
        """
        x, features, places = self.encoder(self.checked(images))
        seen, found = self.padded(features), self.padded(places)
        for index, (up, level) in enumerate(zip(self.ups, self.levels, strict=True)):
            x, skip = doubled(up, x, found[index]), seen[index]
            x = level(x if skip is None or not self.skips else torch.cat([x, skip], 1))
        out = self.last(x)
        return out if self.task == "segment" else as_image(out), out.new_zeros(())


DECODERS: dict[str, type[EncoderDecoder | UNet]] = {"encoder_decoder": EncoderDecoder, "unet": UNet}


def mask_classes(config: Config) -> int:
    """How many classes the masks of a segmentation have; 0 where the task has none."""
    return (config.model.num_classes or 2) if config.task == "segment" else 0


def classes_as_grey(masks: Tensor, classes: int) -> Tensor:
    """Classes ``(N, H, W)`` -> grey images ``(N, 3, H, W)``, from -1 for class 0 to 1 for the last."""
    grey = masks.float() * (2.0 / (classes - 1)) - 1.0
    return grey[:, None].expand(-1, 3, -1, -1)


def build_network(config: Config) -> EncoderDecoder | UNet:
    """A freshly initialised network of another task than gan, in training mode.

    Args:
        config: a whole, checked configuration.

    Returns:
        A module ``(N, 3, s, s)`` images in [-1, 1] -> (images ``(N, 3, S, S)`` or logits, divergence).
        Weights come from torch's global generator: seed it for a reproducible start.

    Raises:
        GanlabError: an architecture that takes no image, or none of this size.
    """
    network = lookup(DECODERS, config.model.architecture, "architecture of a network that takes images")
    if shape(config.model) is None:
        model = config.model
        raise GanlabError(
            f"no {model.architecture} of depth {model.encoder.depth} for {model.image_size} pixels"
        )
    return network(config)
