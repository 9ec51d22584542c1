"""Daubechies wavelets from their definition, and two features of them: packet energies, noise residual."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.features.base import Feature, Floats, Shape, decibels
from ganlab.images import luma

MAX_ORDER = 10
RESIDUAL_ORDER = 4
WINDOWS = (3, 5, 7, 9)


@functools.cache
def daubechies(order: int) -> Floats:
    """The low-pass filter with ``order`` vanishing moments, ``(2 * order,)``, unit norm; 1 is Haar.

    Spectral factorisation: the roots inside the unit circle of the polynomial that the condition of perfect
    reconstruction leaves (Daubechies, Comm. Pure Appl. Math. 41, 1988).

    Raises:
        GanlabError: an order outside 1..10.
    """
    if not 1 <= order <= MAX_ORDER:
        raise GanlabError(f"Daubechies orders run from 1 to {MAX_ORDER} here; got {order}")
    remainder = [float(math.comb(order - 1 + k, k)) for k in range(order)]
    taps = np.ones(1)
    for _ in range(order):
        taps = np.convolve(taps, [1.0, 1.0])
    for y in np.roots(remainder[::-1]):
        # y = (2 - z - 1/z) / 4: of its two roots z the one inside the unit circle
        pair = np.roots([1.0, 4.0 * y - 2.0, 1.0])
        taps = np.convolve(taps, [1.0, -pair[np.argmin(np.abs(pair))]])
    real = np.real(taps)
    scaled: Floats = real * (math.sqrt(2) / real.sum())
    return scaled


def filters(order: int) -> Tensor:
    """``(2, 2 * order)`` float32: low-pass and high-pass of an orthonormal pair."""
    low = daubechies(order)
    high = low[::-1] * (-1.0) ** np.arange(len(low))
    return torch.from_numpy(np.stack([low, high])).float()


def _kernels(order: int, like: Tensor) -> Tensor:
    """The four separable filters as convolution kernels, ``(4, 1, 2 * order, 2 * order)``: LL, LH, HL, HH."""
    pair = filters(order).to(like)
    return torch.einsum("ai,bj->abij", pair, pair).reshape(4, 1, 2 * order, 2 * order)


def decompose(planes: Tensor, order: int) -> Tensor:
    """One level, periodic: ``(B, H, W)`` -> ``(B, 4, H/2, W/2)``: LL, LH, HL, HH (rows first).

    Raises:
        GanlabError: an odd side.
    """
    if planes.shape[1] % 2 or planes.shape[2] % 2:
        raise GanlabError(f"a wavelet level needs even sides; got {planes.shape[1]}x{planes.shape[2]}")
    rows, columns = (torch.arange(side + 2 * order - 2) % side for side in planes.shape[1:])
    return F.conv2d(planes[:, rows][:, :, columns][:, None], _kernels(order, planes), stride=2)


def reconstruct(bands: Tensor, order: int) -> Tensor:
    """Inverse of `decompose`: the transposed (and, being orthonormal, inverse) operator, ``(B, H, W)``."""
    wide = F.conv_transpose2d(bands, _kernels(order, bands), stride=2)[:, 0]
    for axis, side in ((1, 2 * bands.shape[2]), (2, 2 * bands.shape[3])):
        shape = list(wide.shape)
        shape[axis] = side
        # what reaches beyond the border is added at the other side: the transform is periodic
        wide = wide.new_zeros(shape).index_add_(axis, torch.arange(wide.shape[axis]) % side, wide)
    return wide


def packets(planes: Tensor, level: int, order: int) -> Tensor:
    """All 4^level packets of ``(B, H, W)``: ``(B, 4^level, h, w)``, order of the recursion."""
    bands = planes[:, None]
    for _ in range(level):
        split = decompose(bands.flatten(0, 1), order)
        bands = split.view(len(planes), -1, *split.shape[2:])
    return bands


@dataclass(frozen=True)
class WaveletPackets(Feature):
    """Mean energy of every wavelet packet of every channel in dB, (C, 4^level).

    After Wolter et al. 2022, arXiv 2106.09369, who feed the log-scaled packets themselves.

    Attributes:
        level: depth of the full tree.
        order: vanishing moments of the Daubechies wavelet; 1 is Haar.
    """

    level: int = 3
    order: int = 1

    def __post_init__(self) -> None:
        daubechies(self.order)
        if not 1 <= self.level <= 6:
            raise GanlabError(f"wavelet packets have 1 to 6 levels; got {self.level}")

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """Channels and packets.

        Raises:
            GanlabError: sides that 2^level does not divide.
        """
        if shape[0] % 2**self.level or shape[1] % 2**self.level:
            raise GanlabError(
                f"{self.level} wavelet levels need sides divisible by {2**self.level}; "
                f"got {shape[1]}x{shape[0]}"
            )
        return shape[2], 4**self.level

    def frequencies(self, shape: Shape) -> Floats:
        """Radial frequency at the middle of each packet's band."""
        # row and column filter number of every packet: bits of low = 0 and high = 1, first level first
        rows, columns = np.zeros(1, np.int64), np.zeros(1, np.int64)
        for _ in range(self.level):
            rows = (2 * rows[:, None] + np.array([0, 0, 1, 1])).ravel()
            columns = (2 * columns[:, None] + np.array([0, 1, 0, 1])).ravel()
        # a high-pass exchanges low and high of what follows: filter numbers are Gray codes of frequencies
        order = np.arange(2**self.level)
        shift = order >> 1
        while shift.any():
            order ^= shift
            shift >>= 1
        centre = (order + 0.5) / 2 ** (self.level + 1)
        return np.repeat(np.hypot(centre[rows], centre[columns])[None], shape[2], axis=0)

    def __call__(self, images: Tensor) -> Tensor:
        """Mean square of each packet."""
        count, channels, height, width = images.shape
        self.dims((height, width, channels))
        bands = packets(images.float().reshape(-1, height, width), self.level, self.order)
        return decibels(bands.square().mean((2, 3))).view(count, channels, -1)


@dataclass(frozen=True)
class NoiseResidual(Feature):
    """Luma minus its wavelet-Wiener denoised self, rows and columns of mean 0, (1, H, W): for PRNU.

    Source: Mihcak, Kozintsev, Ramchandran, ICASSP 1999, as used for sensor patterns (Lukas, Fridrich, Goljan
    2006) and GAN fingerprints (Marra et al. 2019). Sensor work then also removes periodic patterns by a
    Wiener filter of the spectrum; that is left out, since periodic patterns are what generators leave.

    Attributes:
        levels: of the db4 decomposition, 1 to 4; levels beyond what the sides can be halved are left out.
        sigma: assumed noise deviation for images in [-1, 1].
    """

    levels: int = 3
    sigma: float = 0.05

    def __post_init__(self) -> None:
        if not 1 <= self.levels <= 4 or self.sigma <= 0:
            raise GanlabError(
                f"residual: 1 to 4 levels and a positive sigma; got {self.levels}, {self.sigma}"
            )

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """One channel; both sides are even.

        Raises:
            GanlabError: an odd side.
        """
        if shape[0] % 2 or shape[1] % 2:
            raise GanlabError(f"the wavelet residual needs even sides; got {shape[1]}x{shape[0]}")
        return 1, shape[0], shape[1]

    def __call__(self, images: Tensor) -> Tensor:
        """The residual of each image."""
        self.dims((images.shape[2], images.shape[3], images.shape[1]))
        residual = self._removed(luma(images.float()), self.levels)
        residual = residual - residual.mean(1, keepdim=True)
        return (residual - residual.mean(2, keepdim=True))[:, None]

    def _removed(self, planes: Tensor, levels: int) -> Tensor:
        """The part of ``(B, H, W)`` that the denoiser removes from all detail bands of so many levels."""
        bands = decompose(planes, RESIDUAL_ORDER)
        power, noise = bands.square(), self.sigma**2
        # local variance: the least estimate of four windows; what exceeds the noise is the image's
        estimates = [F.avg_pool2d(power, w, 1, w // 2, count_include_pad=False) for w in WINDOWS]
        signal = (torch.stack(estimates).amin(0) - noise).clamp_min(0.0)
        removed = bands * (noise / (signal + noise))
        low = bands[:, 0]
        deeper = levels > 1 and low.shape[1] % 2 == 0 and low.shape[2] % 2 == 0
        removed[:, 0] = self._removed(low, levels - 1) if deeper else 0.0
        return reconstruct(removed, RESIDUAL_ORDER)
