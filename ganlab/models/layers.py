"""Layers that the architectures share: how one halves and doubles, tails, norms, initial weights."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.config.schema import UpsamplingConfig
from ganlab.upsampling import UPSAMPLERS, FixedUpsampler, Upsampler, interpolate2x, make_upsampler
from ganlab.upsampling.layers import same_conv

BLUR = (0.25, 0.5, 0.25)
"""The binomial filter [1, 2, 1]/4 (Zhang 2019, arXiv 1904.11486): zero at each axis's Nyquist frequency."""


def keep_every_second(x: Tensor) -> Tensor:
    """``(N, C, H, W) -> (N, C, H/2, W/2)``: what a stride of 2 does; all above the new Nyquist aliases."""
    return x[..., ::2, ::2]


def average_pairs(x: Tensor) -> Tensor:
    """``(N, C, H, W) -> (N, C, H/2, W/2)``: mean over 2x2."""
    return F.avg_pool2d(x, 2)


def blur_then_drop(x: Tensor) -> Tensor:
    """``(N, C, H, W) -> (N, C, H/2, W/2)``: `BLUR` on both axes (borders reflected), every second place."""
    channels = x.shape[1]
    taps = x.new_tensor(BLUR)
    kernel = (taps[:, None] * taps[None, :]).expand(channels, 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), kernel, stride=2, groups=channels)


HALVINGS = {"stride": keep_every_second, "avg_pool": average_pairs, "blur_pool": blur_then_drop}


class Halve(nn.Module):
    """One of `HALVINGS` as a layer without weights."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W) -> (N, C, H/2, W/2)``."""
        return HALVINGS[self.how](x)

    def extra_repr(self) -> str:
        """Which one, in the network's printed form."""
        return self.how


def halving_conv(in_channels: int, out_channels: int, how: str, bias: bool = True) -> list[nn.Module]:
    """A 4x4 convolution that halves: of stride 2, or of stride 1 and then pooled; the same weights.

    The dense convolution pads one pixel before and two behind, so that with `BLUR` its outputs are centred
    where the strided one's are.
    """
    if how == "stride":
        return [nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=bias)]
    return [
        nn.ZeroPad2d((1, 2, 1, 2)),
        nn.Conv2d(in_channels, out_channels, 4, bias=bias),
        Halve(how),
    ]


class ConditionalBatchNorm(nn.Module):
    """Batch norm without its own gain and bias, which each class brings (Dumoulin et al. 2017).

    ``(N, C, H, W)`` and labels ``(N,)`` -> ``(N, C, H, W)``. Gains start at 1, biases at 0.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Embedding(num_classes, channels)
        self.bias = nn.Embedding(num_classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Normalise over the batch, then scale and shift by class."""
        gain, bias = self.gain(labels)[..., None, None], self.bias(labels)[..., None, None]
        out: Tensor = gain * self.norm(x) + bias
        return out


def batch_norm(channels: int, num_classes: int) -> nn.Module:
    """Batch norm for a generator: conditional when there are classes."""
    return ConditionalBatchNorm(channels, num_classes) if num_classes else nn.BatchNorm2d(channels)


def normalise(norm: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
    """Apply either kind of generator norm."""
    out: Tensor = norm(x, labels) if isinstance(norm, ConditionalBatchNorm) else norm(x)
    return out


def discriminator_norm(kind: str, channels: int) -> nn.Module:
    """The layer called "batch", "layer" (one group over channels and pixels) or "none"."""
    kinds: dict[str, nn.Module] = {
        "batch": nn.BatchNorm2d(channels),
        "layer": nn.GroupNorm(1, channels),
        "none": nn.Identity(),
    }
    return kinds[kind]


def has_batch_norm(module: nn.Module) -> bool:
    """Whether the images of a batch see each other in this network."""
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())


Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def dcgan_init(network: nn.Module) -> None:
    """Weights N(0, 0.02), batch-norm gains N(1, 0.02), biases 0 (Radford et al. 2016)."""
    for module in network.modules():
        if isinstance(module, Layer):
            nn.init.normal_(module.weight, 0.0, 0.02)
            _zero_bias(module)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)
    _finish(network)


def glorot_init(network: nn.Module, residual_gain: float = math.sqrt(2.0)) -> None:
    """Glorot uniform, gain sqrt(2) in the 3x3 layers of residual branches and 1 elsewhere (SNGAN's code).

    An upsampler is initialised by the terms that reach one output pixel, so that a transposed convolution,
    a sub-pixel convolution and zero insertion start with the same output variance as interpolation.
    """
    inside = {id(module.conv): module for module in network.modules() if isinstance(module, Upsampler)}
    for name, module in network.named_modules():
        if isinstance(module, Layer):
            gain = residual_gain if "residual" in name else 1.0
            upsampler = inside.get(id(module))
            taps = module.weight[0, 0].numel() if module.weight.ndim > 2 else 1
            plain = module.weight.shape[1] * taps, module.weight.shape[0] * taps
            fan_in, fan_out = upsampler.fans if upsampler else plain
            bound = gain * math.sqrt(6.0 / (fan_in + fan_out))
            nn.init.uniform_(module.weight, -bound, bound)
            _zero_bias(module)
    _finish(network)


def _zero_bias(layer: Layer) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _finish(network: nn.Module) -> None:
    """Layers with a rule of their own (ICNR) come last."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Upsampler):
                module.finish_init()


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
    given: dict[str, Any] = {"icnr": config.icnr, "shuffle_first": config.shuffle_first}
    options = {key: given[key] for key in UPSAMPLERS[name].OPTIONS if key in given}
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
