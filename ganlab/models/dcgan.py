"""The plain convolutional networks: DCGAN and SN-DCGAN.

DCGAN (Radford, Metz and Chintala 2016) for any power of two from 16 to 256, from the formula. SN-DCGAN as in
the code of the spectral-normalisation paper's authors: the layer list follows pfnet-research/chainer-gan-lib,
leaky slope 0.2 and strided layers that double the width. The paper's own table differs (slope 0.1, other
widths); say which one you compare with.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.config.architecture import (
    discriminator_downsampling,
    discriminator_widths,
    generator_widths,
    stage_names,
)
from ganlab.config.schema import ModelConfig
from ganlab.models.base import Discriminator, Generator
from ganlab.models.layers import (
    as_image,
    batch_norm,
    dcgan_init,
    discriminator_norm,
    doubling_for_tail,
    halving_conv,
    normalise,
    tail_convs,
    upsampler_for,
)
from ganlab.upsampling.layers import same_conv


class HiddenStage(nn.Module):
    """Upsample, batch norm, ReLU."""

    def __init__(
        self, config: ModelConfig, name: str, in_channels: int, out_channels: int, bias: bool
    ) -> None:
        super().__init__()
        self.up = upsampler_for(config.upsampling, name, in_channels, out_channels, bias=bias)
        self.norm = batch_norm(out_channels, config.num_classes)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """``(N, C_in, H, W) -> (N, C_out, 2H, 2W)``."""
        return F.relu(normalise(self.norm, self.up(x), labels), inplace=True)


class ImageStage(nn.Module):
    """The last doubling, to RGB: one upsampler, or a doubling and the tail's convolutions."""

    def __init__(self, config: ModelConfig, name: str, channels: int) -> None:
        super().__init__()
        up = config.upsampling
        if up.tail is None:
            self.up: nn.Module = upsampler_for(up, name, channels, 3, bias=False)
            self.tail: nn.Module = nn.Identity()
        else:
            self.up = doubling_for_tail(up, name, channels, bias=False)
            self.tail = tail_convs(up, channels, bias=False)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """``(N, C, H, W) -> (N, 3, 2H, 2W)``, before tanh."""
        out: Tensor = self.tail(self.up(x))
        return out


class DCGANGenerator(Generator):
    """Radford's convolutional generator: 4x4, then stages of upsampling, batch norm and ReLU; no biases."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        widths, names = generator_widths(config), stage_names(config)
        self.first = nn.ConvTranspose2d(self.z_dim, widths[0], 4, bias=False)
        self.first_norm = batch_norm(widths[0], config.num_classes)
        hidden = [
            HiddenStage(config, name, inside, outside, bias=False)
            for name, inside, outside in zip(names[:-1], widths[:-1], widths[1:], strict=True)
        ]
        self.stages = nn.ModuleList([*hidden, ImageStage(config, names[-1], widths[-1])])
        dcgan_init(self)

    def start(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Latents -> ``(N, widths[0], 4, 4)``."""
        x = self.first(z[:, :, None, None])
        return F.relu(normalise(self.first_norm, x, labels), inplace=True)

    def finish(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Tanh."""
        return as_image(x)


class DCGANDiscriminator(Discriminator):
    """Radford's convolutional discriminator: 4x4 convolutions of stride 2 down to 4x4, leaky ReLU 0.2."""

    def __init__(self, config: ModelConfig, norm: str, spectral: bool) -> None:
        super().__init__(config, norm, spectral)
        widths = discriminator_widths(config)
        biased = norm == "none"
        how = discriminator_downsampling(config)
        layers = [*halving_conv(3, widths[0], how, biased), nn.LeakyReLU(0.2, True)]
        for inside, outside in pairwise(widths):
            layers += [*halving_conv(inside, outside, how, biased), discriminator_norm(norm, outside)]
            layers += [nn.LeakyReLU(0.2, True)]
        self.features = nn.Sequential(*layers)
        self.logit = nn.Conv2d(widths[-1], 1, 4, bias=biased)
        self.add_projection(widths[-1])
        dcgan_init(self)
        self.finish_init()

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(N, F)`` summed over pixels, and the unconditional logits ``(N,)``."""
        x = self.features(images)
        return x.sum((2, 3)), self.logit(x).flatten()


class SNDCGANGenerator(Generator):
    """Linear to 4x4, three stages of upsampling, batch norm and ReLU, a 3x3 convolution to RGB.

    The original's last layer is a transposed convolution of stride 1, which is a convolution.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        widths, names = generator_widths(config), stage_names(config)
        self.first = nn.Linear(self.z_dim, widths[0] * 16)
        self.first_norm = nn.BatchNorm1d(widths[0] * 16)
        self.stages = nn.ModuleList(
            HiddenStage(config, name, inside, outside, bias=True)
            for name, inside, outside in zip(names, widths[:-1], widths[1:], strict=True)
        )
        up = config.upsampling
        self.to_rgb = tail_convs(up, widths[-1]) if up.tail else same_conv(widths[-1], 3, 3, up.border, True)
        dcgan_init(self)

    def start(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Latents -> ``(N, widths[0], 4, 4)``."""
        return F.relu(self.first_norm(self.first(z))).view(len(z), -1, 4, 4)

    def finish(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Convolution to RGB, tanh."""
        return as_image(self.to_rgb(x))


class SNDCGANDiscriminator(Discriminator):
    """Alternating 3x3 and strided 4x4 convolutions with leaky ReLU 0.2, then a linear layer over 4x4."""

    def __init__(self, config: ModelConfig, norm: str, spectral: bool) -> None:
        super().__init__(config, norm, spectral)
        widths = discriminator_widths(config)
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 3, 1, 1), nn.LeakyReLU(0.2, True)]
        how = discriminator_downsampling(config)
        for inside, outside in pairwise(widths):
            for convs in (halving_conv(inside, outside, how), [nn.Conv2d(outside, outside, 3, 1, 1)]):
                layers += [*convs, discriminator_norm(norm, outside), nn.LeakyReLU(0.2, True)]
        self.features = nn.Sequential(*layers)
        self.logit = nn.Linear(widths[-1] * 16, 1)
        self.add_projection(widths[-1])
        dcgan_init(self)
        self.finish_init()

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(N, F)`` summed over pixels, and the unconditional logits ``(N,)``."""
        x = self.features(images)
        return x.sum((2, 3)), self.logit(x.flatten(1)).flatten()
