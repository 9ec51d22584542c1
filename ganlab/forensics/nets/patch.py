"""Patch forensics: a network cut off early, so that each output sees only a small patch.

Source: Chai, Bau, Lim, Isola, ECCV 2020, arXiv 2008.10588, and chail/patch-forensics: a standard network is
truncated after a block, a 1x1 convolution gives two logits for every patch, every patch is trained on the
image's label, and an image's score is an ensemble over its patches. Trained from scratch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from ganlab.errors import GanlabError, lookup
from ganlab.forensics.nets.architectures import DetectorNetwork
from ganlab.forensics.nets.xception import ReceptiveField, output_side, receptive_field, truncated

ENSEMBLES = ("mean_probability", "mean_logit", "vote")
BACKBONES = ("xception", "resnet18")
DEPTHS = {"xception": 5, "resnet18": 4}
INIT_GAIN = 0.02


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
        if backbone not in BACKBONES or ensemble not in ENSEMBLES:
            raise GanlabError(
                f"patch networks: backbone one of {', '.join(BACKBONES)}, ensemble one of "
                f"{', '.join(ENSEMBLES)}; got {backbone!r}, {ensemble!r}"
            )
        if not 1 <= depth <= DEPTHS[backbone]:
            raise GanlabError(f"{backbone} has {DEPTHS[backbone]} blocks to keep; got {depth}")
        self.ensemble = ensemble
        self.body, width = truncated_backbone(backbone, shape[0], depth)
        self.head = nn.Conv2d(width, classes, 1)
        self.apply(_initialise)
        _check_size(self.body, shape)

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


def truncated_backbone(backbone: str, channels: int, depth: int) -> tuple[nn.Sequential, int]:
    """The kept layers of a backbone, and the channels they end in.

    Args:
        backbone: one of `BACKBONES`.
        channels: of the images.
        depth: blocks of Xception or layers of ResNet-18 kept.
    """
    build = truncated if backbone == "xception" else _truncated_resnet
    return build(channels, depth)


def _truncated_resnet(channels: int, layers: int) -> tuple[nn.Sequential, int]:
    """ResNet-18 up to layer 1, 2, 3 or 4 without weights, and the channels it ends in."""
    whole = torchvision.models.resnet18(weights=None)
    if channels != 3:
        whole.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    kept = [whole.conv1, whole.bn1, whole.relu, whole.maxpool]
    kept += [whole.layer1, whole.layer2, whole.layer3, whole.layer4][:layers]
    return nn.Sequential(*kept), 64 * 2 ** (layers - 1)


def _initialise(module: nn.Module) -> None:
    """Xavier normal with gain 0.02, as released."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_normal_(module.weight, INIT_GAIN)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _check_size(body: nn.Module, shape: tuple[int, ...]) -> None:
    try:
        with torch.inference_mode():
            body.eval()(torch.zeros(1, *shape))
    except RuntimeError as error:
        raise GanlabError(f"images of {shape[2]}x{shape[1]} are too small for this patch network") from error
    finally:
        body.train()


PUBLISHED_SIDE = {"xception": 299, "resnet18": 224}
"""Pixels to which chail/patch-forensics resizes its images for each backbone."""


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
            # Shapes alone are asked for: the meta device holds no weights.
            with torch.device("meta"):
                body, channels = truncated_backbone(backbone, 3, depth)
            grids = tuple(output_side(body, side) for side in sides)
            rows.append(TableRow(backbone, depth, channels, receptive_field(body), grids))
    return rows
