"""The entry of Xception, block by block (Chollet, CVPR 2017, arXiv 1610.02357)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck


class SeparableConv(nn.Sequential):
    """A 3x3 convolution of every channel for itself, then a 1x1 convolution, without biases."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(
            nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False),
            nn.Conv2d(before, after, 1, bias=False),
        )


class Block(nn.Module):
    """Separable convolutions with batch norm, a pool where the stride is 2, and a shortcut.

    Args:
        before: channels in.
        after: channels out.
        count: separable convolutions.
        stride: 1 or 2.
        first_relu: whether the block opens with an activation.
    """

    def __init__(self, before: int, after: int, count: int, stride: int, first_relu: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for place in range(count):
            if place or first_relu:
                layers.append(nn.ReLU())
            layers += [SeparableConv(before if place == 0 else after, after), nn.BatchNorm2d(after)]
        if stride > 1:
            layers.append(nn.MaxPool2d(3, stride, 1))
        self.body = nn.Sequential(*layers)
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else _projection(before, after, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Body plus shortcut."""
        out: Tensor = self.body(x) + self.shortcut(x)
        return out


def _projection(before: int, after: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))


class Stem(nn.Sequential):
    """Two 3x3 convolutions without padding, the first with stride 2: 32 and 64 channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, 32, 3, 2, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        )  # fmt: skip


def truncated(channels: int, blocks: int) -> tuple[nn.Sequential, int]:
    """The stem and the first 1 to 5 blocks, and the channels they end in."""
    rows = [(64, 128, 2, 2, False), (128, 256, 2, 2, True), (256, 728, 2, 2, True)]
    rows += [(728, 728, 3, 1, True)] * 2
    chosen = rows[:blocks]
    return nn.Sequential(Stem(channels), *(Block(*row) for row in chosen)), chosen[-1][1]


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
