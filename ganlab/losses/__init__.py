"""Adversarial losses, gradient penalties, spectral losses."""

from __future__ import annotations

from ganlab.losses.adversarial import AdversarialLoss, Penalty
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
    "PENALTIES",
    "SPECTRAL",
    "AdversarialLoss",
    "AxisProfileLoss",
    "FocalFrequencyLoss",
    "FrechetProfileLoss",
    "LogPowerLoss",
    "Penalty",
    "SlicedProfileLoss",
    "SpectralLoss",
    "SpectralLosses",
    "SpectralRegularization",
    "build_spectral_losses",
    "gradient_ratios",
]
