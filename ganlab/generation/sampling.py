"""Image i of a generator: a function of (weights, seed, i) alone, down to the byte."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.images import UInt8Array, to_uint8
from ganlab.models import Generator
from ganlab.util.hashing import derive_seed

BLOCK = 64
"""The network always computes images 64k ... 64k + 63 together. A convolution may sum in another order for
another batch size, and a last-digit difference can change a rounded pixel; a fixed block rules that out."""

LATENT_RULE = (
    "z of image i: torch.randn(z_dim) on the CPU from torch.Generator seeded with the first 8 bytes "
    "(big-endian, shifted right by 1) of sha256('SEED/fake/i'); class: the same of 'SEED/fake-label/i', "
    "modulo the number of classes"
)


def image_latents(seed: int, first: int, count: int, z_dim: int) -> Tensor:
    """Latents ``(count, z_dim)`` of images ``first ... first + count - 1``."""
    rows = [
        torch.randn(z_dim, generator=torch.Generator().manual_seed(derive_seed(seed, "fake", index)))
        for index in range(first, first + count)
    ]
    return torch.stack(rows)


def image_labels(seed: int, first: int, count: int, num_classes: int) -> Tensor | None:
    """Class of each image ``(count,)``; None for an unconditional generator."""
    if not num_classes:
        return None
    indices = range(first, first + count)
    return torch.tensor([derive_seed(seed, "fake-label", index) % num_classes for index in indices])


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
