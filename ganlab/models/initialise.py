"""Initial weights: DCGAN's normal 0.02 and SNGAN's Glorot, the latter per output pixel of an upsampler."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ganlab.models.norm import standard_normal_gain_
from ganlab.upsampling import Upsampler

Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def dcgan_init(network: nn.Module) -> None:
    """Weights N(0, 0.02), batch-norm gains N(1, 0.02), biases 0 (Radford et al. 2016)."""
    for module in network.modules():
        if isinstance(module, Layer):
            nn.init.normal_(module.weight, 0.0, 0.02)
            _zero_bias(module)
        standard_normal_gain_(module)
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
            fan_in, fan_out = upsampler.fans if upsampler else _fans(module.weight)
            bound = gain * math.sqrt(6.0 / (fan_in + fan_out))
            nn.init.uniform_(module.weight, -bound, bound)
            _zero_bias(module)
    _finish(network)


def _fans(weight: Tensor) -> tuple[float, float]:
    """Fan-in and fan-out of a plain layer."""
    taps = weight[0, 0].numel() if weight.ndim > 2 else 1
    return weight.shape[1] * taps, weight.shape[0] * taps


def _zero_bias(layer: Layer) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _finish(network: nn.Module) -> None:
    """Layers with a rule of their own (ICNR) come last."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Upsampler):
                module.finish_init()
