"""What every detector network is: logits, a loss to train on, probabilities to report."""

from __future__ import annotations

import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from ganlab.errors import GanlabError


class DetectorNetwork(nn.Module):
    """A network from features ``(N, C, H, W)`` to logits ``(N, K)``.

    Subclasses define ``forward``; those that say something else of an image than one vector of logits also
    override the two methods below.
    """

    def training_loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of ``labels`` ``(N,)``."""
        return F.cross_entropy(self(features), labels)

    def probabilities(self, features: Tensor) -> Tensor:
        """Probability of each class, ``(N, K)``."""
        probabilities: Tensor = self(features).softmax(1)
        return probabilities


WIDTHS = (3, 8, 16, 32)


class SmallCnn(DetectorNetwork):
    """Four 3x3 convolutions of 3, 8, 16 and 32 channels, two average pools, one dense layer (Frank 2020)."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before, size = shape[0], [shape[1], shape[2]]
        for place, width in enumerate(WIDTHS):
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            before = width
            if place in (1, 2):  # a profile has one row; there is nothing to pool along it
                window = (2 if size[0] > 1 else 1, 2 if size[1] > 1 else 1)
                layers.append(nn.AvgPool2d(window))
                size = [side // step for side, step in zip(size, window, strict=True)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(WIDTHS[-1] * size[0] * size[1], classes)

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``(N, K)``."""
        logits: Tensor = self.head(self.body(features).flatten(1))
        return logits


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
