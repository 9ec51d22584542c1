"""SN-DCGAN: the plain convolutional networks of the spectral-normalisation paper, as in its authors' code.

The layer list follows pfnet-research/chainer-gan-lib: leaky slope 0.2 and strided layers that double the
width. The paper's own table differs (slope 0.1, other widths); say which one you compare with.
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
from ganlab.models.discriminator import Discriminator
from ganlab.models.generator import Generator, as_image, tail_convs, upsampler_for
from ganlab.models.layers import batch_norm, dcgan_init, discriminator_norm, halving_conv, normalise
from ganlab.upsampling.base import same_conv


class Stage(nn.Module):
    """Upsample with a bias, batch norm, ReLU."""

    def __init__(self, config: ModelConfig, name: str, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = upsampler_for(config.upsampling, name, in_channels, out_channels)
        self.norm = batch_norm(out_channels, config.num_classes)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """``(N, C_in, H, W) -> (N, C_out, 2H, 2W)``."""
        return F.relu(normalise(self.norm, self.up(x), labels), inplace=True)


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
            Stage(config, name, inside, outside)
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
