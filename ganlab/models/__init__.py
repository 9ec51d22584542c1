"""Generators and discriminators, built from configuration and rebuilt from files."""

from __future__ import annotations

from ganlab.models.base import (
    CODED,
    DISCRIMINATORS,
    GENERATORS,
    Discriminator,
    Generator,
    build_discriminator,
    build_generator,
    count_parameters,
)
from ganlab.models.dcgan import (
    DCGANDiscriminator,
    DCGANGenerator,
    SNDCGANDiscriminator,
    SNDCGANGenerator,
)
from ganlab.models.decoders import DECODERS, CodeDecoder, build_network
from ganlab.models.sngan import SNGANDiscriminator, SNGANGenerator
from ganlab.models.spectral_discriminator import (
    SPECTRAL_INPUTS,
    SpectralDiscriminator,
    build_spectral_discriminator,
)
from ganlab.models.store import load_generator, load_network, save_generator

# Entered here, where all are known: the files of the architectures build on the one that builds from these.
GENERATORS.update(dcgan=DCGANGenerator, sndcgan=SNDCGANGenerator, sngan=SNGANGenerator)
DISCRIMINATORS.update(dcgan=DCGANDiscriminator, sndcgan=SNDCGANDiscriminator, sngan=SNGANDiscriminator)
CODED.update(encoder_decoder=CodeDecoder)

__all__ = [
    "DECODERS", "DISCRIMINATORS", "GENERATORS", "SPECTRAL_INPUTS", "Discriminator", "Generator",
    "SpectralDiscriminator", "build_discriminator", "build_generator", "build_network",
    "build_spectral_discriminator", "count_parameters", "load_generator", "load_network", "save_generator",
]  # fmt: skip
