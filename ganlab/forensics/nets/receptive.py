"""How much of the image one output sees: computed from the layers, never typed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from ganlab.forensics.nets.xception import Block


@dataclass(frozen=True)
class ReceptiveField:
    """Side of the patch an output sees, distance between neighbouring patches, and padding, in pixels.

    Attributes:
        size: side of the patch.
        stride: from one output's patch to the next one's.
        start: left edge of the first output's patch (negative: it reaches into the padding).
    """

    size: int
    stride: int
    start: int

    def edge(self, place: int) -> int:
        """First pixel (row or column) of the patch of output ``place``; negative in the padding."""
        return self.start + place * self.stride

    def centre(self, place: int) -> float:
        """Middle of the patch of output ``place``, in pixels; pixel i has its middle at i."""
        return self.edge(place) + (self.size - 1) / 2


def receptive_field(module: nn.Module) -> ReceptiveField:
    """Receptive field of a chain of layers; of a residual block that of its body.

    From the layers in order, with kernel k, stride s and padding p: the size grows by (k - 1) times the
    product of the strides before, the start moves by -p times that product.
    """
    size, stride, start = 1, 1, 0
    for kernel, step, padding in _windows(module):
        size += (kernel - 1) * stride
        start -= padding * stride
        stride *= step
    return ReceptiveField(size, stride, start)


def output_side(module: nn.Module, side: int) -> int:
    """Outputs along one axis for images of ``side`` pixels; 0 where the image is too small."""
    for kernel, step, padding in _windows(module):
        side = (side + 2 * padding - kernel) // step + 1
        if side < 1:
            return 0
    return side


def _windows(module: nn.Module) -> Iterator[tuple[int, int, int]]:
    """(kernel, stride, padding) of every layer along the longest path."""
    if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        yield _side(module.kernel_size), _side(module.stride), _side(module.padding)
    elif isinstance(module, Block):
        yield from _windows(module.body)
    else:
        skipped = ("downsample",) if isinstance(module, BasicBlock | Bottleneck) else ()
        for name, child in module.named_children():
            if name not in skipped:
                yield from _windows(child)


def _side(value: object) -> int:
    first = value[0] if isinstance(value, tuple) else value
    return int(str(first))
