"""Adversarial losses, gradient penalties, differentiable augmentation, spectral losses."""

from __future__ import annotations

from ganlab.losses.adversarial import AdversarialLoss, Penalty
from ganlab.losses.augmentation import AUGMENTATIONS, Augmentation, augment, numbers_needed
from ganlab.losses.registry import ADVERSARIAL, PENALTIES, SPECTRAL
from ganlab.losses.spectral import (
    AxisProfileLoss,
    FocalFrequencyLoss,
    FrechetProfileLoss,
    LogPowerLoss,
    SlicedProfileLoss,
    SpectralLoss,
    SpectralRegularization,
)
from ganlab.losses.spectral_set import SpectralLosses, build_spectral_losses, gradient_ratios

__all__ = [
    "ADVERSARIAL",
    "AUGMENTATIONS",
    "PENALTIES",
    "SPECTRAL",
    "AdversarialLoss",
    "Augmentation",
    "AxisProfileLoss",
    "FocalFrequencyLoss",
    "FrechetProfileLoss",
    "LogPowerLoss",
    "Penalty",
    "SlicedProfileLoss",
    "SpectralLoss",
    "SpectralLosses",
    "SpectralRegularization",
    "augment",
    "build_spectral_losses",
    "gradient_ratios",
    "numbers_needed",
]
