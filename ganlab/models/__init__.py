"""Generators and discriminators, built from configuration and rebuilt from files."""

from __future__ import annotations

from ganlab.models.base import Discriminator, Generator
from ganlab.models.registry import (
    DISCRIMINATORS,
    GENERATORS,
    build_discriminator,
    build_generator,
    count_parameters,
)
from ganlab.models.spectral_discriminator import (
    SPECTRAL_INPUTS,
    SpectralDiscriminator,
    build_spectral_discriminator,
)
from ganlab.models.store import load_generator, save_generator

__all__ = [
    "DISCRIMINATORS", "GENERATORS", "SPECTRAL_INPUTS", "Discriminator", "Generator",
    "SpectralDiscriminator", "build_discriminator", "build_generator", "build_spectral_discriminator",
    "count_parameters", "load_generator", "save_generator",
]  # fmt: skip
