"""What sensor forensics does to a residual before it compares it: no lines, no periods.

Sources: Chen, Fridrich, Goljan, Lukas, IEEE Trans. Information Forensics and Security 3(1), 2008, in the form
of RUB-SysSec/GANDCTAnalysis (``baselines/prnu_functions.py``): rows and columns of mean 0 on each of the four
lattices of every second pixel, then a Wiener filter of the spectrum that takes away what stands out of its
surroundings. Both were made to remove what all cameras of a kind share. In a generated image that is the
trace of upsampling: a checkerboard is constant on each lattice, and is gone after the first step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

Planes = npt.NDArray[np.floating[Any]]

WINDOWS = (3, 5, 7, 9)


def sensor_filter(planes: Planes) -> npt.NDArray[np.float64]:
    """Residuals ``(N, H, W)`` without lines and periods, float64.

    The windows of the Wiener filter wrap around, as the spectrum does (the program cited pads with zeros).
    """
    flat = _without_lines(np.asarray(planes, np.float64))
    variance = flat.var((1, 2), keepdims=True)
    spectrum = np.fft.fft2(flat)
    power = np.abs(spectrum) ** 2 / flat[0].size
    local = np.min([uniform_filter(power, (0, size, size), mode="wrap") for size in WINDOWS], axis=0)
    total = np.maximum(local, variance)
    share = np.divide(variance, total, out=np.ones_like(total), where=total > 0)
    filtered: npt.NDArray[np.float64] = np.fft.ifft2(spectrum * share).real
    return filtered


def _without_lines(planes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rows and columns of mean 0 on each of the four lattices of every second pixel."""
    out = planes.copy()
    for row in range(min(2, planes.shape[1])):
        for column in range(min(2, planes.shape[2])):
            part = planes[:, row::2, column::2]
            means = part.mean(1, keepdims=True) + part.mean(2, keepdims=True)
            out[:, row::2, column::2] = part - means + part.mean((1, 2), keepdims=True)
    return out
