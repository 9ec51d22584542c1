"""SNGAN's residual networks (Miyato et al. 2018) for 32, 48, 64 and 128 pixels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.config.architecture import (
    PUBLISHED,
    discriminator_downsampling,
    discriminator_widths,
    generator_widths,
    stage_names,
    stage_sides,
)
from ganlab.config.schema import ModelConfig
from ganlab.models.base import Discriminator, Generator
from ganlab.models.layers import (
    Halve,
    as_image,
    batch_norm,
    glorot_init,
    normalise,
    tail_convs,
    upsampler_for,
)
from ganlab.upsampling.layers import same_conv


class UpBlock(nn.Module):
    """Residual block that doubles: BN, ReLU, up and 3x3, BN, ReLU, 3x3; shortcut: up and 1x1.

    Both branches use the same upsampler. A learned one gets weights of its own on the shortcut, of kernel
    size 1 (a 2x2 transposed convolution, a 1x1 convolution before the shuffle), the counterpart of the 1x1
    convolution that follows an interpolation.
    """

    def __init__(self, config: ModelConfig, name: str, in_channels: int, out_channels: int) -> None:
        super().__init__()
        up = config.upsampling
        self.norm1 = batch_norm(in_channels, config.num_classes)
        self.residual_up = upsampler_for(up, name, in_channels, out_channels)
        self.norm2 = batch_norm(out_channels, config.num_classes)
        self.residual_conv = same_conv(out_channels, out_channels, 3, up.border, True)
        self.shortcut = upsampler_for(up, name, in_channels, out_channels, kernel=1)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """``(N, C_in, H, W) -> (N, C_out, 2H, 2W)``."""
        hidden = self.residual_up(F.relu(normalise(self.norm1, x, labels), inplace=True))
        hidden = self.residual_conv(F.relu(normalise(self.norm2, hidden, labels), inplace=True))
        out: Tensor = hidden + self.shortcut(x)
        return out


class SNGANGenerator(Generator):
    """SNGAN's residual generator: linear to 4x4 (6x6 for 48 px), up-blocks, BN, ReLU, 3x3 to RGB, tanh."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        widths, names, up = generator_widths(config), stage_names(config), config.upsampling
        self.side = stage_sides(config)[0]
        self.first = nn.Linear(self.z_dim, widths[0] * self.side**2)
        self.stages = nn.ModuleList(
            UpBlock(config, name, inside, outside)
            for name, inside, outside in zip(names, widths[:-1], widths[1:], strict=True)
        )
        # Plain with classes too, as in the authors' code, in mimicry and in StudioGAN.
        self.norm = nn.BatchNorm2d(widths[-1])
        self.to_rgb = tail_convs(up, widths[-1]) if up.tail else same_conv(widths[-1], 3, 3, up.border, True)
        glorot_init(self)

    def start(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Latents -> ``(N, widths[0], side, side)``."""
        out: Tensor = self.first(z)
        return out.view(len(z), -1, self.side, self.side)

    def finish(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """BN, ReLU, convolution to RGB, tanh."""
        return as_image(self.to_rgb(F.relu(self.norm(x), inplace=True)))


class FirstBlock(nn.Module):
    """The block that sees the image: 3x3, ReLU, 3x3, pool; shortcut: pool, then 1x1."""

    def __init__(self, out_channels: int, halving: str) -> None:
        super().__init__()
        self.pool = Halve(halving)
        self.residual1 = nn.Conv2d(3, out_channels, 3, padding=1)
        self.residual2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(3, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, H, W) -> (N, C, H/2, W/2)``."""
        hidden = self.residual2(F.relu(self.residual1(x), inplace=True))
        out: Tensor = self.pool(hidden) + self.shortcut(self.pool(x))
        return out


class DownBlock(nn.Module):
    """ReLU, 3x3, ReLU, 3x3, pool if it halves; shortcut: 1x1, then pool, only if it halves or widens.

    The hidden width is the input's. Pool and 1x1 convolution commute, so the shortcut pools first.
    """

    def __init__(self, in_channels: int, out_channels: int, down: bool, halving: str) -> None:
        super().__init__()
        self.pool: nn.Module = Halve(halving) if down else nn.Identity()
        self.residual1 = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.residual2 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        learned = down or in_channels != out_channels
        self.shortcut: nn.Module = nn.Conv2d(in_channels, out_channels, 1) if learned else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C_in, H, W) -> (N, C_out, H/2, W/2)``, or the same size."""
        hidden = self.residual2(F.relu(self.residual1(F.relu(x)), inplace=True))
        out: Tensor = self.pool(hidden) + self.shortcut(self.pool(x))
        return out


class SNGANDiscriminator(Discriminator):
    """SNGAN's residual discriminator: blocks, ReLU, sum over pixels, linear; spectral norm, no batch norm."""

    def __init__(self, config: ModelConfig, norm: str, spectral: bool) -> None:
        super().__init__(config, norm, spectral)
        widths, downs = discriminator_widths(config), PUBLISHED["sngan"][config.image_size].downsamples
        how = discriminator_downsampling(config)
        self.first = FirstBlock(widths[0], how)
        self.blocks = nn.Sequential(
            *(
                DownBlock(inside, outside, down, how)
                for inside, outside, down in zip(widths[:-1], widths[1:], downs[1:], strict=True)
            )
        )
        self.logit = nn.Linear(widths[-1], 1)
        self.add_projection(widths[-1])
        glorot_init(self)
        self.finish_init()

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(N, F)`` summed over pixels, and the unconditional logits ``(N,)``."""
        features = F.relu(self.blocks(self.first(images)), inplace=True).sum((2, 3))
        return features, self.logit(features).flatten()
