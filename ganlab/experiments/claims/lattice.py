"""Lattices in the plane of frequencies: their places by period, how far they stand out, and notches.

The last doubling leaves a pattern of period 2 in the image, the one before it period 4, then 8: places at odd
multiples of 1/4 and 1/8 belong to earlier stages alone.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.images import luma
from ganlab.spectra import power_spectrum
from ganlab.spectra.transforms import full_plane

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

FAR = 2
"""Distance of the neighbours that a place is held against: the Hann window spreads a line over one."""


def periods(height: int, width: int) -> npt.NDArray[np.int64]:
    """Smallest power of two P of which a frequency is a multiple of 1/P in both axes, ``(H, W)``, un-shifted.

    The zero frequency has 1; what is no such multiple for P up to 8 has 0.

    Raises:
        GanlabError: sides that are no multiples of 8, or below 32, where places share their neighbours.
    """
    if height % 8 or width % 8 or min(height, width) < 32:
        raise GanlabError(f"lattices of period 8 need sides of 32, 40, 48, ... pixels; got {width}x{height}")
    found = np.zeros((height, width), np.int64)
    for period in (8, 4, 2, 1):
        found[:: height // period, :: width // period] = period
    return found


def lattice(height: int, width: int) -> Mask:
    """All places at multiples of 1/8 but the zero frequency, ``(H, W)``."""
    return periods(height, width) > 1


def mean_power(images: Tensor, window: str = "none") -> Floats:
    """Mean luma power over images, full plane ``(H, W)``."""
    half = power_spectrum(luma(images.double())[:, None], window).mean((0, 1)).numpy()
    power: Floats = np.fft.ifftshift(full_plane(half, images.shape[-1]))
    return power


def prominence(real: Tensor, fake: Tensor) -> dict[int, float]:
    """How far the lattices of the fakes stand above their neighbours, in dB, beyond the same of the reals.

    Args:
        real: float ``(N, C, H, W)`` in [-1, 1].
        fake: the same.

    Returns:
        Period (2, 4, 8) -> the level of fakes over reals at the places of exactly that period, less its mean
        at the sixteen places two steps away; mean over places. 0 where fakes and reals differ smoothly.
    """
    powers = [mean_power(images, "hann") for images in (real, fake)]
    excess = 10 * np.log10((powers[1] + 1e-12) / (powers[0] + 1e-12))
    steps = [(y, x) for y in range(-FAR, FAR + 1) for x in range(-FAR, FAR + 1) if FAR in (abs(y), abs(x))]
    beside = np.mean([np.roll(excess, step, (0, 1)) for step in steps], axis=0)
    where = periods(*excess.shape)
    return {period: float((excess - beside)[where == period].mean()) for period in (2, 4, 8)}


def mirrored(mask: Mask) -> Mask:
    """The mask at the negative frequencies: that of a real image equals its own."""
    turned: Mask = np.roll(mask[::-1, ::-1], 1, (0, 1))
    return turned


def equal_energy(power: Floats, mask: Mask) -> Mask:
    """Pairs of places off the 1/8 lattice, each of about the power of a pair of the mask's.

    Strong pairs choose first, and take the pair whose power is nearest in dB. A frequency that is its own
    opposite (0 or 1/2 in both axes) is matched by a pair of the same power together.

    Args:
        power: mean power ``(H, W)``, full plane.
        mask: places whose match is asked for, the same at opposite frequencies.
    """
    height, width = power.shape
    number = np.arange(power.size).reshape(height, width)
    opposite = np.roll(number[::-1, ::-1], 1, (0, 1))
    level = np.log(power + 1e-20).ravel()
    # One of each pair stands for both; frequencies that are their own opposites all lie on the lattice.
    free = set(number[~lattice(height, width) & (number < opposite)].tolist())
    alone = number == opposite
    target = np.where(alone.ravel(), level - math.log(2), level)
    wanted = sorted(number[mask & (number <= opposite)].tolist(), key=lambda place: -target[place])
    chosen = np.zeros(power.size, bool)
    for place in wanted:
        best = min(free, key=lambda other: abs(level[other] - target[place]))
        free.remove(best)
        chosen[[best, opposite.ravel()[best]]] = True
    return chosen.reshape(height, width)


def notched(images: Tensor, mask: Mask) -> Tensor:
    """The images without these frequencies, neither clipped nor rounded: both would fill them again.

    Args:
        images: float ``(N, C, H, W)``.
        mask: ``(H, W)``, the same at opposite frequencies.

    Raises:
        GanlabError: a mask that would leave images that are not real.
    """
    if not np.array_equal(mask, mirrored(mask)):
        raise GanlabError("a notch takes opposite frequencies together")
    kept = torch.from_numpy(~mask)
    result: Tensor = torch.fft.ifft2(torch.fft.fft2(images) * kept).real
    return result
