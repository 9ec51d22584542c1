"""The upsampling layers of a generator: how much of a constant input each turns into a checkerboard.

The number is `ganlab.spectra.layers.unevenness`: the share of a layer's output power that lies at the
replicas of zero frequency, (1/2, 0), (0, 1/2) and (1/2, 1/2), when its input is constant. An interpolation
has 0, whatever convolution follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.models import Generator
from ganlab.spectra.layers import Unevenness, layer_kernel, unevenness
from ganlab.upsampling import UPSAMPLERS, Upsampler


@dataclass(frozen=True)
class LayerRow:
    """One upsampling layer.

    Attributes:
        stage: 1 for the first doubling.
        layer: its name inside the stage, "up", "residual_up", "shortcut".
        operator: name of its upsampler.
        weights: "trained" or "untrained".
        mean: unevenness for a random constant input.
        given: unevenness for the mean activations that enter this layer.
    """

    stage: int
    layer: str
    operator: str
    weights: str
    mean: float
    given: float


@torch.no_grad()
def layer_rows(generator: Generator, weights: str, run: Callable[[], object]) -> list[LayerRow]:
    """One row for every upsampling layer that is a filter.

    Args:
        generator: the network.
        weights: "trained" or "untrained", for the rows.
        run: sends some latents through the generator; what enters each layer then is averaged.
    """
    found = list(_layers(generator))
    means = _mean_inputs([layer for _, _, layer in found], run)
    rows = []
    for (stage, name, layer), activation in zip(found, means, strict=True):
        numbers = _unevenness(layer, activation)
        if numbers is not None and numbers.given is not None:
            operator = next(key for key, kind in UPSAMPLERS.items() if kind is type(layer))
            rows.append(LayerRow(stage, name, operator, weights, numbers.mean, numbers.given))
    return rows


def _layers(generator: Generator) -> Iterator[tuple[int, str, Upsampler]]:
    for stage, block in enumerate(generator.stages, 1):
        for name, module in block.named_modules():
            if isinstance(module, Upsampler):
                yield stage, name, module


def _mean_inputs(layers: list[Upsampler], run: Callable[[], object]) -> list[Tensor]:
    """Mean over images and pixels of every channel that enters each layer."""
    seen: dict[int, Tensor] = {}

    def look(layer: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[id(layer)] = inputs[0].double().mean((0, 2, 3))

    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return [seen[id(layer)] for layer in layers]


def _unevenness(layer: Upsampler, activation: Tensor) -> Unevenness | None:
    """None for a layer that depends on position and so has no kernel."""
    try:
        return unevenness(layer_kernel(layer, layer.in_channels), activation)
    except GanlabError:
        return None
