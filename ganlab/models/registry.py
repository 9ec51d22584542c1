"""Name of an architecture -> its generator, its discriminator; inputs of the spectral discriminator."""

from __future__ import annotations

from ganlab.models.dcgan import DCGANDiscriminator, DCGANGenerator
from ganlab.models.discriminator import Discriminator
from ganlab.models.generator import Generator
from ganlab.models.sndcgan import SNDCGANDiscriminator, SNDCGANGenerator
from ganlab.models.sngan import SNGANDiscriminator, SNGANGenerator
from ganlab.models.spectral_inputs import AxisInput, PlaneInput, RadialInput, SpectralInput

GENERATORS: dict[str, type[Generator]] = {
    "dcgan": DCGANGenerator,
    "sndcgan": SNDCGANGenerator,
    "sngan": SNGANGenerator,
}

DISCRIMINATORS: dict[str, type[Discriminator]] = {
    "dcgan": DCGANDiscriminator,
    "sndcgan": SNDCGANDiscriminator,
    "sngan": SNGANDiscriminator,
}

SPECTRAL_INPUTS: dict[str, type[SpectralInput]] = {
    "radial": RadialInput,
    "axis": AxisInput,
    "plane": PlaneInput,
}
