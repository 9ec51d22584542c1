"""Differentiable augmentation: the discriminator sees every image, real or fake, through a random change.

Zhao et al. 2020 ("Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS): D(x) becomes
D(T(x)) and D(G(z)) becomes D(T(G(z))), in the updates of both players, and the generator's gradient passes
through T. Nothing is clamped. Beware of it in an upsampling laboratory: a shift keeps the power of a lattice
line and mixes its phase, so that the discriminator sees a checkerboard and no longer where it stands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError, lookup


class Augmentation(ABC):
    """A random change of images that gradients pass through.

    Attributes:
        draws: random numbers that each image takes.
    """

    draws: ClassVar[int]

    @staticmethod
    @abstractmethod
    def apply(images: Tensor, u: Tensor) -> Tensor:
        """Change each image by its own numbers.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1].
            u: random numbers in [0, 1), ``(N, draws)``.

        Returns:
            Images of the same shape; values may leave [-1, 1].
        """


class Colour(Augmentation):
    """Brightness by up to 1/2, saturation times 0 to 2, contrast times 1/2 to 3/2 (DiffAugment)."""

    draws = 3

    @staticmethod
    def apply(images: Tensor, u: Tensor) -> Tensor:
        """In this order; saturation about each pixel's mean of channels, contrast about the image's mean."""
        brightness, saturation, contrast = u.to(images.dtype).T.reshape(3, -1, 1, 1, 1)
        images = images + (brightness - 0.5)
        grey = images.mean(1, keepdim=True)
        images = (images - grey) * (2.0 * saturation) + grey
        mean = images.mean((1, 2, 3), keepdim=True)
        changed: Tensor = (images - mean) * (contrast + 0.5) + mean
        return changed


class Translation(Augmentation):
    """Whole-pixel shifts by up to an eighth of the side along each axis, filled with zero (DiffAugment)."""

    draws = 2

    @staticmethod
    def apply(images: Tensor, u: Tensor) -> Tensor:
        """Each axis by an integer of -r .. r, r = int(side / 8 + 1/2), all equally likely."""
        for axis, draw in ((2, u[:, 0]), (3, u[:, 1])):
            side = images.shape[axis]
            reach = int(side / 8 + 0.5)
            shift = (draw * (2 * reach + 1)).long()
            places = shift[:, None] + torch.arange(side, device=images.device)
            margins = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
            shape = [len(images), 1, 1, 1]
            shape[axis] = side
            index = places.view(shape).expand(images.shape)
            images = F.pad(images, margins).gather(axis, index)
        return images


AUGMENTATIONS: dict[str, type[Augmentation]] = {"color": Colour, "translation": Translation}
"""Name -> augmentation."""


def numbers_needed(names: Sequence[str]) -> int:
    """How many random numbers an image takes under these augmentations.

    Raises:
        GanlabError: an unknown name.
    """
    return sum(lookup(AUGMENTATIONS, name, "augmentation").draws for name in names)


def augment(images: Tensor, names: Sequence[str], u: Tensor) -> Tensor:
    """The images through each named augmentation, in order.

    Args:
        images: ``(N, C, H, W)`` in [-1, 1].
        names: keys of `AUGMENTATIONS`; none leaves the images as they are.
        u: random numbers in [0, 1), ``(N, numbers_needed(names))``.

    Raises:
        GanlabError: an unknown name, or random numbers of another shape.
    """
    wanted = (len(images), numbers_needed(names))
    if tuple(u.shape) != wanted:
        raise GanlabError(
            f"{', '.join(names)}: random numbers of shape {wanted} expected; got {tuple(u.shape)}"
        )
    first = 0
    for name in names:
        kind = lookup(AUGMENTATIONS, name, "augmentation")
        images = kind.apply(images, u[:, first : first + kind.draws])
        first += kind.draws
    return images
