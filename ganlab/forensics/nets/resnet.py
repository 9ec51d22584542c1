"""Residual networks: NPR's short trunk and the strong pixel baseline."""

from __future__ import annotations

import torchvision
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.forensics.nets.base import DetectorNetwork

SMALL_SIDE = 64
"""Below it the stem keeps the resolution: a 7x7 stride-2 stem and a pool would leave 8x8 of a 32x32 image."""


class NprNetwork(DetectorNetwork):
    """The first two layers of ResNet-50 behind a 3x3 stem, mean and dense, on NPR residuals (Tan 2024)."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        whole = torchvision.models.resnet50(weights=None)
        stem = nn.Conv2d(shape[0], 64, 3, 2, 1, bias=False)
        kept = [stem, whole.bn1, whole.relu, whole.maxpool, whole.layer1, whole.layer2]
        self.body = nn.Sequential(*kept, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(512, classes)

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``(N, K)``."""
        logits: Tensor = self.head(self.body(features))
        return logits


class ResNetDetector(DetectorNetwork):
    """A whole ResNet from scratch on pixels, as CNNDetection uses one (Wang 2020: ResNet-50).

    Args:
        shape: (C, H, W).
        classes: K.
        layers: 18 or 50.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, layers: int = 18) -> None:
        super().__init__()
        if layers not in (18, 50):
            raise GanlabError(f"a ResNet of 18 or 50 layers; got {layers}")
        build = torchvision.models.resnet18 if layers == 18 else torchvision.models.resnet50
        self.body = build(weights=None, num_classes=classes)
        if min(shape[1:]) < SMALL_SIDE:
            self.body.conv1 = nn.Conv2d(shape[0], 64, 3, 1, 1, bias=False)
            self.body.maxpool = nn.Identity()
        elif shape[0] != 3:
            self.body.conv1 = nn.Conv2d(shape[0], 64, 7, 2, 3, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(N, K)``."""
        logits: Tensor = self.body(images)
        return logits
