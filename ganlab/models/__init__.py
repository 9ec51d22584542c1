"""Generators and discriminators, built from configuration and rebuilt from files."""

from __future__ import annotations

from ganlab.models.base import Discriminator, Generator
from ganlab.models.decoders import DECODERS, build_network
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
from ganlab.models.store import load_generator, load_network, save_generator

__all__ = [
    "DECODERS", "DISCRIMINATORS", "GENERATORS", "SPECTRAL_INPUTS", "Discriminator", "Generator",
    "SpectralDiscriminator", "build_discriminator", "build_generator", "build_network",
    "build_spectral_discriminator", "count_parameters", "load_generator", "load_network", "save_generator",
]  # fmt: skip
