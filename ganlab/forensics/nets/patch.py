"""Patch forensics: a network cut off early, so that each output sees only a small patch.

Source: Chai, Bau, Lim, Isola, ECCV 2020, arXiv 2008.10588, and chail/patch-forensics: a standard network is
truncated after a block, a 1x1 convolution gives two logits for every patch, every patch is trained on the
image's label, and an image's score is an ensemble over its patches. Trained from scratch. The networks are
ResNet-18 and the entry of Xception, which is built here (Chollet, CVPR 2017, arXiv 1610.02357); what one
output sees is computed from the layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from ganlab.errors import GanlabError, lookup
from ganlab.forensics.nets.architectures import DetectorNetwork

ENSEMBLES = ("mean_probability", "mean_logit", "vote")
DEPTHS = {"xception": 5, "resnet18": 4}
"""Backbone -> how many of its blocks (Xception) or layers (ResNet-18) can be kept."""
XCEPTION_BLOCKS = (
    (64, 128, 2, 2, False), (128, 256, 2, 2, True), (256, 728, 2, 2, True),
    (728, 728, 3, 1, True), (728, 728, 3, 1, True),
)  # fmt: skip
"""Arguments of `Block`."""
PUBLISHED_SIDE = {"xception": 299, "resnet18": 224}
"""Pixels to which chail/patch-forensics resizes its images for each backbone."""
INIT_GAIN = 0.02


class Block(nn.Module):
    """Separable convolutions with batch norm, a pool where the stride is 2, and a shortcut (Xception).

    A separable convolution: 3x3 of every channel for itself, then 1x1, without biases.

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
            width = after if place else before
            if place or first_relu:
                layers.append(nn.ReLU())
            spatial = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
            pointwise = nn.Conv2d(width, after, 1, bias=False)
            layers += [nn.Sequential(spatial, pointwise), nn.BatchNorm2d(after)]
        if stride > 1:
            layers.append(nn.MaxPool2d(3, stride, 1))
        self.body = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if before != after or stride > 1:
            projection = nn.Conv2d(before, after, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        """Body plus shortcut."""
        out: Tensor = self.body(x) + self.shortcut(x)
        return out


def truncated_backbone(backbone: str, channels: int, depth: int) -> tuple[nn.Sequential, int]:
    """The kept layers of a backbone, without weights, and the channels they end in.

    Args:
        backbone: a key of `DEPTHS`.
        channels: of the images.
        depth: blocks of Xception or layers of ResNet-18 kept.
    """
    if backbone == "xception":
        stem = nn.Sequential(
            nn.Conv2d(channels, 32, 3, 2, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        )  # fmt: skip
        rows = XCEPTION_BLOCKS[:depth]
        return nn.Sequential(stem, *(Block(*row) for row in rows)), rows[-1][1]
    whole = torchvision.models.resnet18(weights=None)
    if channels != 3:
        whole.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    kept = [whole.conv1, whole.bn1, whole.relu, whole.maxpool]
    kept += [whole.layer1, whole.layer2, whole.layer3, whole.layer4][:depth]
    return nn.Sequential(*kept), 64 * 2 ** (depth - 1)


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

    def edge(self, output: int) -> int:
        """First pixel (row or column) of the patch of this output; negative in the padding."""
        return self.start + output * self.stride

    def centre(self, output: int) -> float:
        """Middle of the patch of this output, in pixels; pixel i has its middle at i."""
        return self.edge(output) + (self.size - 1) / 2


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
        sides = (module.kernel_size, module.stride, module.padding)
        kernel, stride, padding = (int(str(s[0] if isinstance(s, tuple) else s)) for s in sides)
        yield kernel, stride, padding
    elif isinstance(module, Block):
        yield from _windows(module.body)
    else:
        # the shortcut of a residual block sees less than its body
        skipped = ("downsample",) if isinstance(module, BasicBlock | Bottleneck) else ()
        for name, child in module.named_children():
            if name not in skipped:
                yield from _windows(child)


class PatchNetwork(DetectorNetwork):
    """A truncated Xception or ResNet-18 with a 1x1 head: logits for every patch (Chai 2020).

    Args:
        shape: (C, H, W) of the images.
        classes: K.
        backbone: "xception" or "resnet18".
        depth: blocks kept: 1 to 5 of Xception, layers 1 to 4 of ResNet-18.
        ensemble: how patches make an image's probability: "mean_probability" (the paper's tables),
            "mean_logit", or "vote" (share of patches in favour of each class).

    Raises:
        GanlabError: unknown backbone or ensemble, a depth it does not have, or an image too small for it.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        backbone: str = "xception",
        depth: int = 2,
        ensemble: str = "mean_probability",
    ) -> None:
        super().__init__()
        if backbone not in DEPTHS or ensemble not in ENSEMBLES:
            raise GanlabError(
                f"patch networks: backbone one of {', '.join(DEPTHS)}, ensemble one of "
                f"{', '.join(ENSEMBLES)}; got {backbone!r}, {ensemble!r}"
            )
        if not 1 <= depth <= DEPTHS[backbone]:
            raise GanlabError(f"{backbone} has {DEPTHS[backbone]} blocks to keep; got {depth}")
        self.ensemble = ensemble
        self.body, width = truncated_backbone(backbone, shape[0], depth)
        self.head = nn.Conv2d(width, classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):  # as released
                nn.init.xavier_normal_(module.weight, INIT_GAIN)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if min(output_side(self.body, side) for side in shape[1:]) < 1:
            raise GanlabError(f"images of {shape[2]}x{shape[1]} are too small for this patch network")

    def forward(self, images: Tensor) -> Tensor:
        """Logits of every patch, ``(N, K, h, w)``."""
        logits: Tensor = self.head(self.body(images))
        return logits

    def training_loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy at every patch with the image's label."""
        logits = self(features)
        return F.cross_entropy(logits, labels[:, None, None].expand(-1, *logits.shape[2:]))

    def probabilities(self, features: Tensor) -> Tensor:
        """Ensemble over the patches, ``(N, K)``."""
        return ensemble(self(features), self.ensemble)

    def evidence(self, features: Tensor) -> Tensor:
        """Logarithms of the probabilities, ``(N, K)`` float64, none below that of 1e-300."""
        return ensemble(self(features).double(), self.ensemble).clamp_min(1e-300).log()


def ensemble(logits: Tensor, rule: str) -> Tensor:
    """An image's probabilities from its patches' logits by one of `ENSEMBLES`.

    Args:
        logits: ``(N, K, h, w)``.
        rule: "mean_probability" averages the patches' softmax, "mean_logit" takes the softmax of the mean
            logits, "vote" the share of patches whose largest logit is that class.

    Returns:
        ``(N, K)``; rows sum to 1.

    Raises:
        GanlabError: an unknown rule.
    """
    lookup(dict.fromkeys(ENSEMBLES), rule, "ensembling rule")
    if rule == "mean_logit":
        return logits.mean((2, 3)).softmax(1)
    if rule == "mean_probability":
        return logits.softmax(1).mean((2, 3))
    votes = F.one_hot(logits.argmax(1), logits.shape[1]).float()
    return votes.mean((1, 2))


def log_odds(network: DetectorNetwork, planes: Tensor) -> Tensor:
    """Log-odds of class 1 (fake) against class 0 of images, or of each of their patches.

    Taken from the logits: probabilities next to 0 or 1 have no gradient left, and a vote has none at all.

    Returns:
        ``(N,)``, or ``(N, h, w)`` for a patch network.
    """
    logits: Tensor = network(planes)
    return logits[:, 1] - logits[:, 0]


@dataclass(frozen=True)
class TableRow:
    """One truncated network.

    Attributes:
        backbone: "xception" or "resnet18".
        depth: blocks or layers kept.
        channels: of the last feature map, which the 1x1 head reads.
        field: what one output sees.
        grids: outputs along one axis for every image side asked for; 0: the image is too small.
    """

    backbone: str
    depth: int
    channels: int
    field: ReceptiveField
    grids: tuple[int, ...]


def receptive_table(sides: Sequence[int] = ()) -> list[TableRow]:
    """Xception blocks 1 to 5 and ResNet-18 layers 1 to 4.

    Args:
        sides: of square images, pixels; the number of outputs is given for each.
    """
    rows = []
    for backbone, depths in DEPTHS.items():
        for depth in range(1, depths + 1):
            # shapes alone are asked for: the meta device holds no weights
            with torch.device("meta"):
                body, channels = truncated_backbone(backbone, 3, depth)
            grids = tuple(output_side(body, side) for side in sides)
            rows.append(TableRow(backbone, depth, channels, receptive_field(body), grids))
    return rows
