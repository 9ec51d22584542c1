"""What every generator shares: latent in, stages that double, images out; a probe can stop anywhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganlab.config.schema import ModelConfig, UpsamplingConfig
from ganlab.errors import GanlabError
from ganlab.upsampling import UPSAMPLERS, Upsampler, interpolate2x, make_upsampler
from ganlab.upsampling.base import FixedUpsampler, same_conv


class Generator(nn.Module):
    """Latents ``(N, z_dim)`` -> images ``(N, 3, S, S)`` in [-1, 1].

    ``start`` makes the coarsest feature map, each of ``stages`` doubles it, ``finish`` makes the image.
    """

    stages: nn.ModuleList

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.z_dim = config.generator.z_dim
        self.num_classes = config.num_classes
        self.image_size = config.image_size

    def start(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Latents ``(N, z_dim)`` -> the coarsest feature map."""
        raise GanlabError(f"{type(self).__name__} does not define start")

    def stage(self, index: int, x: Tensor, labels: Tensor | None) -> Tensor:
        """Feature map -> feature map of twice the size."""
        out: Tensor = self.stages[index](x, labels)
        return out

    def finish(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Last feature map -> images in [-1, 1]."""
        raise GanlabError(f"{type(self).__name__} does not define finish")

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents, and class labels ``(N,)`` when the generator is conditional, to images in [-1, 1].

        Raises:
            GanlabError: latents of another length; labels missing, not integers, or of another number.
        """
        self._check(z, labels)
        x = self.start(z, labels)
        for index in range(len(self.stages)):
            x = self.stage(index, x, labels)
        return self.finish(x, labels)

    def _check(self, z: Tensor, labels: Tensor | None) -> None:
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise GanlabError(f"latents are (N, {self.z_dim}); got {tuple(z.shape)}")
        if not self.num_classes:
            return
        if labels is None or labels.shape != z.shape[:1] or labels.dtype not in (torch.int64, torch.int32):
            raise GanlabError(
                f"this generator is conditional on {self.num_classes} classes: give integer labels (N,)"
            )


class BareOperator(nn.Module):
    """A fixed x2 operator with no weights, for a tail that brings the convolutions."""

    def __init__(self, name: str, border: str) -> None:
        super().__init__()
        self.name, self.border = name, border

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W) -> (N, C, 2H, 2W)``."""
        return interpolate2x(x, self.name, self.border)


def upsampler_for(
    config: UpsamplingConfig, name: str, in_channels: int, out_channels: int, kernel: int | None = None,
    bias: bool = True,
) -> Upsampler:  # fmt: skip
    """The configured upsampler; options that another one of the stages needs are left out where unknown."""
    wanted: dict[str, Any] = {"icnr": config.icnr, "shuffle_first": config.shuffle_first}
    options = {key: wanted[key] for key in UPSAMPLERS[name].OPTIONS if key in wanted}
    side = config.kernel if kernel is None else kernel
    return make_upsampler(name, in_channels, out_channels, side, border=config.border, bias=bias, **options)


def doubling_for_tail(config: UpsamplingConfig, name: str, channels: int, bias: bool) -> nn.Module:
    """The doubling before a tail: a fixed operator bare (UpConv, X.n.k), a learned one whole (Jung)."""
    if issubclass(UPSAMPLERS[name], FixedUpsampler):
        return BareOperator(name, config.border)
    return upsampler_for(config, name, channels, channels, bias=bias)


def tail_convs(config: UpsamplingConfig, channels: int, bias: bool = True) -> nn.Sequential:
    """The tail's convolutions, the last of them to RGB."""
    assert config.tail is not None
    layers: list[nn.Module] = []
    for index in range(config.tail.convs):
        last = index == config.tail.convs - 1
        layers.append(same_conv(channels, 3 if last else channels, config.tail.kernel, config.border, bias))
        if config.tail.activation == "relu" and not last:
            layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def as_image(x: Tensor) -> Tensor:
    """The range of images, by tanh."""
    return torch.tanh(x)
