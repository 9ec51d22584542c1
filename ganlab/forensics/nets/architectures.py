"""The detector networks that judge whole images; those that judge patches are in ``patch.py``.

Sources: Frank et al., ICML 2020, arXiv 2003.08685 (the small CNN); Tan et al., CVPR 2024, arXiv 2312.10461
(NPR); Wang et al., CVPR 2020, arXiv 1912.11035 (the whole ResNet); Yu, Davis, Fritz, ICCV 2019, arXiv
1811.08180, and ningyu1991/GANFingerprints (attribution and fingerprints).
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from ganlab.errors import GanlabError

SMALL_WIDTHS = (3, 8, 16, 32)
SMALL_SIDE = 64
"""Below it the stem keeps the resolution: a 7x7 stride-2 stem and a pool would leave 8x8 of a 32x32 image."""
WIDTH_BASE = 1024
WIDTH_MAX = 512
SLOPE = 0.2
RECONSTRUCTION_WEIGHT = 20.0


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

    def evidence(self, features: Tensor) -> Tensor:
        """Logarithms of the probabilities, ``(N, K)`` float64; differences are what counts."""
        logits: Tensor = self(features)
        return logits.double()


class SmallCnn(DetectorNetwork):
    """Four 3x3 convolutions of 3, 8, 16 and 32 channels, two average pools, one dense layer (Frank 2020)."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        size = [shape[1], shape[2]]
        for layer, (before, after) in enumerate(itertools.pairwise((shape[0], *SMALL_WIDTHS))):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
            if layer in (1, 2):  # a profile has one row; there is nothing to pool along it
                window = (2 if size[0] > 1 else 1, 2 if size[1] > 1 else 1)
                layers.append(nn.AvgPool2d(window))
                size = [side // step for side, step in zip(size, window, strict=True)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(SMALL_WIDTHS[-1] * size[0] * size[1], classes)

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``(N, K)``."""
        logits: Tensor = self.head(self.body(features).flatten(1))
        return logits


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
        # 16 channels at 128 pixels, doubling with every halving up to 512
        widths = [max(4, min(WIDTH_MAX, 2 * WIDTH_BASE // side) // divisor) for side in (*levels, 4)]
        layers: list[nn.Module] = [Equalised(nn.Conv2d(shape[0], widths[0], 1)), nn.LeakyReLU(SLOPE)]
        for before, after in itertools.pairwise(widths):
            layers += [_conv(before, before), _conv(before, after), nn.AvgPool2d(2)]
        last = widths[-1]
        layers += [_conv(last, last), nn.Flatten()]
        layers += [Equalised(nn.Linear(16 * last, last)), nn.LeakyReLU(SLOPE)]
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
