"""Name of an architecture -> its generator, its discriminator."""

from __future__ import annotations

from ganlab.models.dcgan import DCGANDiscriminator, DCGANGenerator
from ganlab.models.discriminator import Discriminator
from ganlab.models.generator import Generator
from ganlab.models.sndcgan import SNDCGANDiscriminator, SNDCGANGenerator
from ganlab.models.sngan import SNGANDiscriminator, SNGANGenerator

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
