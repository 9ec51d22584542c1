"""What lattice lines need of a set of images: sums over blocks of images, in constant memory."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.images import luma, warn_of_range
from ganlab.spectra.transforms import check_images, window_2d

BLOCKS = 200
"""Sums of at most so many blocks of images are kept of each set; memory does not grow with the images."""
FEWEST_BLOCKS = 40
COEFFICIENTS = 1_500_000
"""Fewer blocks are kept where all of them together would hold more coefficients than this."""
TILE = 256
SMALLEST = 16
PERIODS = (2, 4, 8, 16)
"""Of the lattices that are looked for, pixels."""
BATCH = 256
PIXELS = 2**22
"""Transformed at a time; in double precision that is about a quarter of a gigabyte."""


class LatticeSums:
    """Power and complex sums of blocks of images: all that `lattice_lines` needs of a set.

    Image i counts into block i modulo the number of blocks, so that blocks stay equally large however many
    images follow. Images larger than 256 px are cut into tiles of 256 px, from the upper left corner on:
    memory stays bounded (about 75 MB a set), and a lattice of up to 16 pixels keeps its phase. A few rows
    and columns at the lower right are left out where the size is no multiple of the longest period that fits
    four times: on the remaining grid every lattice falls on whole coefficients.

    Args:
        height: of the images, 16 px or more.
        width: of the images, 16 px or more.

    Attributes:
        size: ``(H, W)`` of what is analysed.
        count: number of images.
        counts: of images and tiles in each block, ``(blocks,)``.
        power: sums of the power of each block's images, and of their roughness, ``(2, blocks, H (W//2+1))``.
        value: the same of the complex coefficients.

    Raises:
        GanlabError: images too small.
    """

    def __init__(self, height: int, width: int) -> None:
        if min(height, width) < SMALLEST:
            raise GanlabError(
                f"images of {width}x{height} are too small for lattice lines: {SMALLEST} px at least"
            )
        self.image_size = (height, width)
        self.size = (analysed(height), analysed(width))
        coefficients = self.size[0] * (self.size[1] // 2 + 1)
        blocks = max(FEWEST_BLOCKS, min(BLOCKS, COEFFICIENTS // coefficients))
        self.count = 0
        self.counts = np.zeros(blocks)
        self.power = np.zeros((2, blocks, coefficients))
        self.value = np.zeros((2, blocks, coefficients), np.complex128)

    @classmethod
    def of(cls, images: Tensor | Iterable[Tensor]) -> LatticeSums:
        """The sums of a tensor of images, or of batches of them.

        Raises:
            GanlabError: no image, wrong type or shape, or sizes that differ between batches.
        """
        sums: LatticeSums | None = None
        for batch in torch.split(images, BATCH) if isinstance(images, Tensor) else images:
            sums = sums or cls(*check_images(batch).shape[-2:])
            sums.update(batch)
        if sums is None:
            raise GanlabError("a set of images without an image has no lattice")
        return sums

    def update(self, images: Tensor) -> None:
        """Add float images ``(N, 1 or 3, H, W)`` in [-1, 1].

        Raises:
            GanlabError: wrong type, shape or channel count, another size than before, or values that are
                infinite or no numbers.
        """
        warn_of_range(check_images(images), "lattice_lines")
        planes = luma(check_images(images)).detach().cpu()
        if tuple(planes.shape[-2:]) != self.image_size:
            here, there = ("x".join(map(str, size)) for size in (planes.shape[-2:], self.image_size))
            raise GanlabError(f"images of {here} (height x width) cannot be added to sums of {there}")
        if not bool(torch.isfinite(planes).all()):
            raise GanlabError("images hold NaN or infinite values; lattice lines cannot be looked for")
        for part in torch.split(planes, max(1, PIXELS // planes[0].numel())):
            block = torch.arange(self.count, self.count + len(part)) % len(self.counts)
            self.count += len(part)
            for tile in tiles(part, self.size):
                self.counts += np.bincount(block.numpy(), minlength=len(self.counts))
                for signal, values, powers in zip(
                    (tile, roughness(tile)), self.value, self.power, strict=True
                ):
                    spectra = windowed_spectrum(signal).flatten(1).to(torch.complex128)
                    # One image after the other: the sums are the same, to the bit, for any batch size.
                    torch.from_numpy(values).index_add_(0, block, spectra)
                    torch.from_numpy(powers).index_add_(0, block, spectra.abs().square())

    def merged(self, blocks: int) -> LatticeSums:
        """The same images in at most ``blocks`` blocks; sums without images are dropped."""
        used = np.flatnonzero(self.counts)
        if len(used) == len(self.counts) <= blocks:
            return self
        groups = np.arange(len(used)) % min(blocks, len(used))
        return self._regrouped(used, groups)

    def halves(self, order: npt.NDArray[np.intp]) -> tuple[LatticeSums, LatticeSums]:
        """Two sets of the same images, for a null control.

        Args:
            order: a permutation of the blocks that hold images; every other one goes into the first half.
        """
        used = np.flatnonzero(self.counts)[order]
        first, second = (self._regrouped(part, np.arange(len(part))) for part in (used[::2], used[1::2]))
        # An image counts once, however many tiles it was cut into.
        first.count = round(self.count * first.counts.sum() / self.counts.sum())
        second.count = self.count - first.count
        return first, second

    def _regrouped(self, blocks: npt.NDArray[np.intp], groups: npt.NDArray[np.intp]) -> LatticeSums:
        """The sums of some blocks, those of one group added up."""
        result = copy.copy(self)
        adding = (np.arange(groups.max() + 1)[:, None] == groups).astype(np.float64)
        result.counts = adding @ self.counts[blocks]
        result.power = adding @ self.power[:, blocks]
        result.value = adding @ self.value[:, blocks]
        return result


def analysed(side: int) -> int:
    """Pixels of a side of ``side`` pixels that are looked at: whole periods, at most 256."""
    period = max(p for p in PERIODS if side >= 4 * p)
    return min(side - side % period, TILE)


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
    spectrum: Tensor = torch.fft.rfft2((planes - means) * window, norm="ortho")
    return spectrum
