"""Frank et al.'s small convolutional network."""

from __future__ import annotations

from torch import Tensor, nn

from ganlab.forensics.nets.base import DetectorNetwork

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
