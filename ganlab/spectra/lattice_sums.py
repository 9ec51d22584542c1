"""What lattice lines need of a set of images: sums over blocks of images, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.images import luma
from ganlab.spectra.transforms import check_images, window_2d

BLOCKS = 200
"""Sums of at most so many blocks of images are kept of each set; memory does not grow with the images."""
TILE = 256
SMALLEST = 16


class LatticeSums:
    """Power and complex sums of blocks of images: all that `lattice_lines` needs of a set.

    Image i counts into block i modulo the number of blocks, so that blocks stay equally large however many
    images follow. Images larger than 256 px are cut into tiles of 256 px, from the upper left corner on:
    memory stays bounded (about 200 MB a set), and a lattice of up to 16 pixels keeps its phase.

    Args:
        height: of the images, 16 px or more.
        width: of the images, 16 px or more.
        blocks: how many blocks, by default up to 200 and fewer for large images.

    Attributes:
        size: ``(H, W)`` of what is analysed: the images', or the tiles'.
        count: number of images.

    Raises:
        GanlabError: images too small.
    """

    def __init__(self, height: int, width: int, blocks: int | None = None) -> None:
        if min(height, width) < SMALLEST:
            raise GanlabError(
                f"images of {width}x{height} are too small for lattice lines: {SMALLEST} px at least"
            )
        self.image_size = (height, width)
        self.size = (min(height, TILE), min(width, TILE))
        coefficients = self.size[0] * (self.size[1] // 2 + 1)
        self.blocks = blocks or max(40, min(BLOCKS, 4_000_000 // coefficients))
        self.count = 0
        self.counts = np.zeros(self.blocks)
        # Of the images themselves, then of their roughness.
        self.power = np.zeros((2, self.blocks, coefficients))
        self.value = np.zeros((2, self.blocks, coefficients), np.complex128)

    @classmethod
    def of(cls, images: Tensor | Iterable[Tensor]) -> LatticeSums:
        """The sums of a tensor of images, or of batches of them.

        Raises:
            GanlabError: no image, wrong type or shape, or sizes that differ between batches.
        """
        sums: LatticeSums | None = None
        for batch in torch.split(images, 256) if isinstance(images, Tensor) else images:
            sums = sums or cls(*check_images(batch).shape[-2:])
            sums.update(batch)
        if sums is None:
            raise GanlabError("a set of images without an image has no lattice")
        return sums

    def update(self, images: Tensor) -> None:
        """Add float images ``(N, 1 or 3, H, W)`` in [-1, 1].

        Raises:
            GanlabError: wrong type, shape or channel count, or another size than before.
        """
        planes = luma(check_images(images))
        if tuple(planes.shape[-2:]) != self.image_size:
            here, there = ("x".join(map(str, size)) for size in (planes.shape[-2:], self.image_size))
            raise GanlabError(f"images of {here} (height x width) cannot be added to sums of {there}")
        block = torch.arange(self.count, self.count + len(planes)) % self.blocks
        self.count += len(planes)
        # A matrix product adds the images of each block; blocks that got none keep their zeros.
        membership = torch.zeros(self.blocks, len(planes), dtype=torch.float64)
        membership[block, torch.arange(len(planes))] = 1.0
        used = membership.sum(1) > 0
        rows, membership = used.numpy(), membership[used]
        for tile in tiles(planes, self.size):
            self.counts[rows] += membership.sum(1).numpy()
            for index, signal in enumerate((tile, roughness(tile))):
                values = windowed_spectrum(signal).flatten(1).to(torch.complex128)
                self.value[index][rows] += (membership.to(torch.complex128) @ values).numpy()
                self.power[index][rows] += (membership @ values.abs().square()).numpy()


def tiles(planes: Tensor, size: tuple[int, int]) -> Iterator[Tensor]:
    """``(N, H, W)`` cut into whole tiles of ``size``, without overlap; what is left over is not used."""
    for top in range(0, planes.shape[1] - size[0] + 1, size[0]):
        for left in range(0, planes.shape[2] - size[1] + 1, size[1]):
            yield planes[:, top : top + size[0], left : left + size[1]]


def roughness(planes: Tensor) -> Tensor:
    """``(N, H, W)`` -> the same: absolute differences to the pixels below and to the right, added.

    The last row and column, which have no neighbour, repeat those before them; the window hides them.
    """
    down = (planes[:, 1:] - planes[:, :-1]).abs()
    right = (planes[:, :, 1:] - planes[:, :, :-1]).abs()
    return torch.cat([down, down[:, -1:]], 1) + torch.cat([right, right[:, :, -1:]], 2)


def windowed_spectrum(planes: Tensor) -> Tensor:
    """``(N, H, W)`` -> ``(N, H, W//2+1)``: orthonormal rfft2 under a Hann window, without the planes' means.

    The window spreads a line of period dividing the size over exactly one coefficient on each side and no
    further, while the jump between opposite borders reaches none of the candidates.
    """
    window = window_2d("hann", planes.shape[-2], planes.shape[-1], planes.device, planes.dtype)
    means = (planes * window).sum((-2, -1), keepdim=True) / window.sum()
    return torch.fft.rfft2((planes - means) * window, norm="ortho")
