"""Yu et al.'s attribution network and the network that shows fingerprints.

Source: Yu, Davis, Fritz, ICCV 2019, arXiv 1811.08180, and ningyu1991/GANFingerprints.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.forensics.nets.architectures import DetectorNetwork

WIDTH_BASE = 1024
WIDTH_MAX = 512
SLOPE = 0.2
RECONSTRUCTION_WEIGHT = 20.0


class Equalised(nn.Module):
    """A layer whose standard-normal weights are scaled to He's deviation when used (equalised rate).

    Args:
        layer: a convolution or a linear layer.
        gain: of the activation that follows.
    """

    def __init__(self, layer: nn.Conv2d | nn.Linear, gain: float = math.sqrt(2)) -> None:
        super().__init__()
        self.layer = layer
        nn.init.normal_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        self.scale = gain / math.sqrt(layer.weight[0].numel())

    def forward(self, x: Tensor) -> Tensor:
        """The layer on a scaled input, which equals scaled weights; the bias is not scaled."""
        out: Tensor = self.layer(x * self.scale)
        return out


def _conv(before: int, after: int) -> nn.Sequential:
    layer = nn.Conv2d(before, after, 3, padding=1, padding_mode="reflect")
    return nn.Sequential(Equalised(layer), nn.LeakyReLU(SLOPE))


def _width(side: int, divisor: int) -> int:
    """Channels at a resolution: 16 at 128, doubling with every halving up to 512."""
    return max(4, min(WIDTH_MAX, 2 * WIDTH_BASE // side) // divisor)


def _levels(shape: tuple[int, ...]) -> list[int]:
    """Resolutions from the image's down to 8.

    Raises:
        GanlabError: not square, or not a power of two from 16 on.
    """
    side = shape[1]
    if shape[1] != shape[2] or side < 16 or side & (side - 1):
        raise GanlabError(f"this network takes square images of 16, 32, 64 ... pixels; got {shape[2]}x{side}")
    return [side >> step for step in range(int(math.log2(side)) - 2)]


class AttributionNetwork(DetectorNetwork):
    """A progressive-GAN discriminator with one output a source (Yu 2019).

    Args:
        shape: (C, H, W): square, a power of two from 16 on.
        classes: number of sources.
        divisor: of all widths; 1 is published.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, divisor: int = 1) -> None:
        super().__init__()
        levels = _levels(shape)
        widths = [_width(side, divisor) for side in (*levels, 4)]
        first = nn.Conv2d(shape[0], widths[0], 1)
        layers: list[nn.Module] = [Equalised(first), nn.LeakyReLU(SLOPE)]
        for before, after in itertools.pairwise(widths):
            layers += [_conv(before, before), _conv(before, after), nn.AvgPool2d(2)]
        last = widths[-1]
        layers += [
            _conv(last, last),
            nn.Flatten(),
            Equalised(nn.Linear(16 * last, last)),
            nn.LeakyReLU(SLOPE),
        ]
        self.body = nn.Sequential(*layers)
        self.head = Equalised(nn.Linear(last, classes), gain=1.0)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(N, K)``."""
        logits: Tensor = self.head(self.body(images))
        return logits


class FingerprintNetwork(DetectorNetwork):
    """Image fingerprint = image minus its reconstruction; one learned fingerprint a source (Yu 2019).

    The logit of a source is the inner product of both. The released loss has a third part, an adversarial
    one of weight 0.1 that makes reconstructions sharper; it is left out here.

    Args:
        shape: (C, H, W): square, a power of two from 16 on.
        classes: number of sources.
        width: channels of the autoencoder at full resolution.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, width: int = 16) -> None:
        super().__init__()
        count = len(_levels(shape)) - 1
        widths = [min(width << step, WIDTH_MAX) for step in range(count + 1)]
        down: list[nn.Module] = [_conv(shape[0], widths[0])]
        for before, after in itertools.pairwise(widths):
            down += [_conv(before, after), nn.AvgPool2d(2)]
        up: list[nn.Module] = []
        for before, after in zip(widths[::-1], widths[-2::-1], strict=False):
            up += [nn.Upsample(scale_factor=2), _conv(before, after)]
        self.encoder = nn.Sequential(*down)
        self.decoder = nn.Sequential(*up, Equalised(nn.Conv2d(widths[0], shape[0], 1), gain=1.0), nn.Tanh())
        self.fingerprints = nn.Parameter(torch.randn(classes, *shape) / math.sqrt(math.prod(shape)))

    def image_fingerprint(self, images: Tensor) -> Tensor:
        """Image minus reconstruction, ``(N, C, H, W)``."""
        residual: Tensor = images - self.decoder(self.encoder(images))
        return residual

    def responses(self, images: Tensor) -> Tensor:
        """Product of image and model fingerprints before it is summed, ``(N, K, C, H, W)``."""
        return self.image_fingerprint(images)[:, None] * self.fingerprints

    def forward(self, images: Tensor) -> Tensor:
        """Sums of the responses, ``(N, K)``."""
        return self.image_fingerprint(images).flatten(1) @ self.fingerprints.flatten(1).T

    def training_loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy plus 20 times the mean absolute reconstruction error."""
        residual = self.image_fingerprint(features)
        logits = residual.flatten(1) @ self.fingerprints.flatten(1).T
        return F.cross_entropy(logits, labels) + RECONSTRUCTION_WEIGHT * residual.abs().mean()
