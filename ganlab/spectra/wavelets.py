"""Haar wavelet packets: energies of equal frequency bands, by blockwise Walsh transforms."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.spectra.transforms import check_images


@functools.lru_cache(maxsize=16)
def _walsh(level: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Orthonormal Walsh matrix of ``2**level`` points, rows in the order of their number of sign changes."""
    matrix = np.ones((1, 1))
    for _ in range(level):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    changes = (np.diff(matrix, axis=1) != 0).sum(1)
    ordered = matrix[np.argsort(changes)] / 2 ** (level / 2)
    # A cached tensor made under inference_mode could never be used in a graph afterwards.
    with torch.inference_mode(False):
        return torch.from_numpy(ordered).to(device, dtype)


def haar_packets(images: Tensor, level: int = 3) -> Tensor:
    """Full Haar wavelet-packet decomposition, orthonormal.

    Splitting low and high bands alike ``level`` times with the Haar pair is a Walsh transform of every block
    of ``2**level`` pixels; the packets are given in the order of frequency (number of sign changes).

    Args:
        images: float ``(N, C, H, W)``, H and W divisible by ``2**level``.
        level: number of splittings, at least 1.

    Returns:
        ``(N, C, B, B, H/B, W/B)`` with ``B = 2**level``: vertical band, horizontal band, position. Band b
        lies around ``(b + 1/2) / (2 B)`` cycles per pixel. Sums of squares are those of the images.
        Differentiable.

    Raises:
        GanlabError: wrong type or shape, sizes not divisible.

    Source: the packets of Wolter et al. 2022 (arXiv 2106.09369) with the Haar wavelet.
    """
    planes = check_images(images)
    block = 2**level
    height, width = planes.shape[-2:]
    if level < 1 or height % block or width % block:
        raise GanlabError(
            f"Haar packets of level {level} need sizes divisible by {block} and a level of at least 1; "
            f"got {height}x{width}"
        )
    walsh = _walsh(level, planes.device, planes.dtype)
    blocks = planes.reshape(*planes.shape[:2], height // block, block, width // block, block)
    return torch.einsum("ai,bj,ncyixj->ncabyx", walsh, walsh, blocks)


def haar_energies(images: Tensor, level: int = 3) -> Tensor:
    """Mean square of every Haar packet: the power in ``2**level`` x ``2**level`` frequency bands.

    Args:
        images: float ``(N, C, H, W)``, H and W divisible by ``2**level``.
        level: number of splittings.

    Returns:
        ``(N, C, B, B)``, vertical and horizontal band in the order of frequency; the mean over bands is the
        mean square of the pixels. Differentiable.

    Raises:
        GanlabError: as ``haar_packets``.
    """
    return haar_packets(images, level).square().mean((-1, -2))
