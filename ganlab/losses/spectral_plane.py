"""Losses on the two-dimensional spectrum: log power, focal frequency loss."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.images import luma
from ganlab.losses.spectral_base import ReferenceKind, SpectralLoss
from ganlab.losses.spectral_functions import (
    distance_named,
    focal_frequency_distance,
    log_profile,
    plane_mean,
)
from ganlab.spectra.transforms import check_images, half_power

MODULUS_FLOOR = 1e-12
"""Added to a power before its square root, whose slope at 0 is unbounded."""


class LogPowerLoss(SpectralLoss):
    """Logarithm of the mean luma power at every frequency of the plane, fakes against reals.

    The power is averaged over the batch before the logarithm, since one image's coefficient scatters as
    widely as its mean. Nothing is averaged over rings or axes, so that lines and isolated peaks count.

    Args:
        image_size: as in `SpectralLoss`, like weight, warmup, reference and decay.
        weight: its factor.
        warmup: steps of linear growth.
        reference: "running", "dataset" or "batch".
        decay: of the running reference.
        distance: "l1" (when None) or "l2", of natural logarithms.

    Raises:
        GanlabError: as `SpectralLoss`, or another distance.
    """

    options: ClassVar[tuple[str, ...]] = ("reference", "decay", "distance")

    def __init__(
        self,
        image_size: int | tuple[int, int],
        *,
        weight: float = 1.0,
        warmup: int = 0,
        reference: ReferenceKind = "running",
        decay: float = 0.99,
        distance: str | None = None,
    ) -> None:
        super().__init__(image_size, weight=weight, warmup=warmup, reference=reference, decay=decay)
        distance_named(distance or "l1", ("l1", "l2"))
        self.squared = distance == "l2"

    def reference_shape(self) -> tuple[int, ...]:
        """``(H, W//2+1)``, linear power."""
        return (self.size[0], self.size[1] // 2 + 1)

    def describe(self, images: Tensor) -> Tensor:
        """The batch's mean power, ``(1, H, W//2+1)``."""
        return half_power(luma(check_images(images))).mean(0, keepdim=True)

    def measure(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Mean over the full plane of the logarithms' difference."""
        apart = log_profile(rows.mean(0)) - log_profile(target)
        value = plane_mean(apart.square() if self.squared else apart.abs(), self.size[1])
        return value, value


class FocalFrequencyLoss(SpectralLoss):
    """Focal frequency loss between mean spectra (Jiang et al. 2021, arXiv 2012.12821), for unpaired images.

    The published loss compares an image with its own reconstruction. A GAN has no such pairs; what can be
    compared is averages over batches. average "complex" is the published ``ave_spectrum``: the DFT is linear,
    so it is the spectrum of the mean image, in which phases cancel and texture leaves no trace. "amplitude"
    averages the modulus of every coefficient and does see texture.

    Args:
        image_size: as in `SpectralLoss`, like weight, warmup, reference and decay.
        weight: its factor.
        warmup: steps of linear growth.
        reference: "running", "dataset" or "batch".
        decay: of the running reference.
        alpha: focal exponent, >= 0.
        log_weight: focal weights through ``ln(1 + w)``.
        average: "amplitude" or "complex".

    Raises:
        GanlabError: as `SpectralLoss`; a negative alpha; another average.
    """

    options: ClassVar[tuple[str, ...]] = ("reference", "decay", "alpha", "log_weight", "average")

    def __init__(
        self,
        image_size: int | tuple[int, int],
        *,
        weight: float = 1.0,
        warmup: int = 0,
        reference: ReferenceKind = "running",
        decay: float = 0.99,
        alpha: float = 1.0,
        log_weight: bool = False,
        average: Literal["amplitude", "complex"] = "amplitude",
        channels: int = 3,
    ) -> None:
        if average not in ("amplitude", "complex") or not 0 <= alpha < float("inf"):
            raise GanlabError(f"expected average amplitude or complex, alpha >= 0; got {average!r}, {alpha}")
        self.complex, self.channels = average == "complex", channels
        super().__init__(image_size, weight=weight, warmup=warmup, reference=reference, decay=decay)
        self.alpha, self.log_weight = alpha, log_weight

    def reference_shape(self) -> tuple[int, ...]:
        """``(C, H, W//2+1, components)``: real and imaginary part, or the modulus."""
        return (self.channels, self.size[0], self.size[1] // 2 + 1, 2 if self.complex else 1)

    def describe(self, images: Tensor) -> Tensor:
        """The batch's mean orthonormal spectrum, ``(1, C, H, W//2+1, components)``."""
        parts = torch.view_as_real(torch.fft.rfft2(check_images(images), norm="ortho"))
        if not self.complex:
            parts = (parts.square().sum(-1, keepdim=True) + MODULUS_FLOOR).sqrt()
        return parts.mean(0, keepdim=True)

    def measure(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The focally weighted squared distance."""
        value = focal_frequency_distance(rows.mean(0), target, self.size[1], self.alpha, self.log_weight)
        return value, value
