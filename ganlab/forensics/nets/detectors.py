"""The neural detectors by name, each with its published training settings."""

from __future__ import annotations

from ganlab.forensics.nets.detector import NetDetector
from ganlab.forensics.nets.trainer import Plan


def cnn(seed: int = 0, epochs: int = 50, batch: int = 128, rate: float = 1e-3) -> NetDetector:
    """Frank 2020's small CNN; on pixels, DFT or DCT, every entry standardised on the training images."""
    return NetDetector("small_cnn", {}, Plan(epochs, batch, rate), seed=seed)


def patch(
    seed: int = 0,
    backbone: str = "xception",
    depth: int = 2,
    ensemble: str = "mean_probability",
    epochs: int = 30,
    batch: int = 32,
    rate: float = 1e-3,
) -> NetDetector:
    """Chai 2020's patch classifier on pixels: a truncated network that judges every patch."""
    options = {"backbone": backbone, "depth": depth, "ensemble": ensemble}
    plan = Plan(epochs, batch, rate)
    return NetDetector("patch", options, plan, standardise=False, augment="mirror", seed=seed)


def attribution(
    seed: int = 0, divisor: int = 1, epochs: int = 30, batch: int = 32, immunise: bool = False
) -> NetDetector:
    """Yu 2019's attribution network on pixels: which source made the image."""
    plan = Plan(epochs, batch, 1e-3, (0.0, 0.99))
    augment = "yu" if immunise else "mirror"
    return NetDetector(
        "attribution", {"divisor": divisor}, plan, standardise=False, augment=augment, seed=seed
    )


def fingerprint(seed: int = 0, width: int = 16, epochs: int = 30, batch: int = 32) -> NetDetector:
    """Yu 2019's fingerprints on pixels: an autoencoder's residual against one fingerprint a source."""
    plan = Plan(epochs, batch, 1e-3, (0.0, 0.99))
    return NetDetector("fingerprint", {"width": width}, plan, standardise=False, seed=seed)


def npr_resnet(seed: int = 0, epochs: int = 50, batch: int = 32, rate: float = 2e-4) -> NetDetector:
    """Tan 2024's short ResNet-50 trunk; made for the feature "npr"."""
    return NetDetector("npr", {}, Plan(epochs, batch, rate), standardise=False, augment="mirror", seed=seed)


def resnet(
    seed: int = 0,
    layers: int = 18,
    epochs: int = 30,
    batch: int = 64,
    rate: float = 1e-4,
    augment: str = "blur_jpeg",
) -> NetDetector:
    """CNNDetection's recipe on pixels: a ResNet with blur and JPEG augmentation, from scratch."""
    plan = Plan(epochs, batch, rate)
    return NetDetector("resnet", {"layers": layers}, plan, standardise=False, augment=augment, seed=seed)
