"""Image i of a generator: a function of (weights, seed, i) alone, down to the byte."""

from __future__ import annotations

import numpy as np
import torch

from ganlab.errors import GanlabError
from ganlab.images import UInt8Array, to_uint8
from ganlab.models import Generator
from ganlab.models.latents import BLOCK, image_labels, image_latents

LATENT_RULE = (
    "z of image i: torch.randn(z_dim) on the CPU from torch.Generator seeded with the first 8 bytes "
    "(big-endian, shifted right by 1) of sha256('SEED/fake/i'); class: the same of 'SEED/fake-label/i', "
    "modulo the number of classes"
)


@torch.no_grad()
def generate_block(generator: Generator, seed: int, block: int) -> UInt8Array:
    """Images ``64 block ... 64 block + 63`` as uint8 ``(64, S, S, 3)``.

    The generator must be in evaluation mode: batch norm then uses its running statistics, and the images of
    a block do not see each other.

    Raises:
        GanlabError: it is in training mode.
    """
    if generator.training:
        raise GanlabError("the generator is in training mode, where images of a batch mix; call eval() first")
    device = next(generator.parameters()).device
    z = image_latents(seed, block * BLOCK, BLOCK, generator.z_dim).to(device)
    labels = image_labels(seed, block * BLOCK, BLOCK, generator.num_classes)
    return to_uint8(generator(z, None if labels is None else labels.to(device)))


def generate_images(generator: Generator, seed: int, first: int, count: int) -> UInt8Array:
    """Images ``first ... first + count - 1``, uint8 ``(count, S, S, 3)``: the bytes of `ganlab generate`.

    Raises:
        GanlabError: a negative number, no images, or a generator in training mode.
    """
    if first < 0 or count < 1:
        raise GanlabError(f"images are numbered from 0 and at least one is made; got {first} and {count}")
    blocks = range(first // BLOCK, (first + count - 1) // BLOCK + 1)
    images = np.concatenate([generate_block(generator, seed, block) for block in blocks])
    start = first - blocks.start * BLOCK
    return images[start : start + count]
