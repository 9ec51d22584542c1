"""Dzanic's three numbers: how the spectrum decays in its upper half."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.features.base import Feature, Shape
from ganlab.images import luma

LOWEST_RADIUS = 0.5
"""Of the largest radius, the corner's; below it nothing is used."""
FULL_BINS = 200
SMOOTHING = 5
START = -2.0
NEWTON_STEPS = 60


@dataclass(frozen=True)
class Decay(Feature):
    """Dzanic's fit y = y0 (x / x0)^c to the upper spectrum: (c, first value, last value).

    Source: Dzanic, Shah, Witherden, NeurIPS 2020, arXiv 1911.06465, and its MATLAB code: magnitude of the
    luma's DFT (0..1), averaged in equal radial bins above half the corner's radius, empty bins filled from
    their neighbours, moving average of 5, one-parameter least squares above a threshold.

    Attributes:
        threshold: where the fit begins, as a part of the largest radius. The text says 0.75, the call in the
            code says 0.85.
        bins: radial bins; absent: 200 as published, but no more than the radii of the size tell apart
            (half the corner's radius in pixels, at least 16).
    """

    threshold: float = 0.75
    bins: int | None = None

    def __post_init__(self) -> None:
        if not LOWEST_RADIUS < self.threshold < 1:
            raise GanlabError(f"the decay's threshold lies between 0.5 and 1; got {self.threshold}")
        if self.bins is not None and self.bins < 8:
            raise GanlabError(f"the decay needs at least 8 radial bins; got {self.bins}")

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """Three."""
        return (3,)

    def _bins(self, height: int, width: int) -> int:
        corner = math.hypot(height / 2, width / 2)
        return self.bins or min(FULL_BINS, max(16, int(corner * (1 - LOWEST_RADIUS))))

    def __call__(self, images: Tensor) -> Tensor:
        """Profile and fit of all images together."""
        x, y = self.profile(images)
        first = int(np.searchsorted(x, self.threshold))
        radius, values = torch.from_numpy(x[first:]).to(y), y[:, first:]
        exponent = _fit_power(radius / radius[0], values / values[:, :1].clamp_min(1e-12))
        return torch.stack([exponent, values[:, 0], values[:, -1]], 1).float()

    def profile(self, images: Tensor) -> tuple[npt.NDArray[np.float64], Tensor]:
        """Bin centres over the largest radius ``(B,)``, smoothed magnitudes ``(N, B)`` (float64)."""
        height, width = images.shape[2:]
        grey = luma(images.double()).add(1.0).mul(0.5)
        magnitude = torch.fft.fft2(grey).abs().flatten(1)
        bins = self._bins(height, width)
        member, counts = _bin_members(height, width, bins)
        sums = magnitude.new_zeros(len(images), bins + 1).index_add_(
            1, member.to(magnitude.device), magnitude
        )
        filled = sums[:, :bins] @ _fill_matrix(counts).to(magnitude)
        smooth = F.avg_pool1d(filled[:, None], SMOOTHING, 1, SMOOTHING // 2, count_include_pad=False)[:, 0]
        return LOWEST_RADIUS + (np.arange(bins) + 0.5) * (1 - LOWEST_RADIUS) / bins, smooth


@functools.lru_cache(maxsize=16)
def _bin_members(height: int, width: int, bins: int) -> tuple[Tensor, tuple[int, ...]]:
    """Bin of every coefficient (``bins`` for those below the lowest radius), and the members of each bin."""
    radius = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.fftfreq(width)[None] * width)
    part = (radius / radius.max() - LOWEST_RADIUS) / (1 - LOWEST_RADIUS)
    member = np.where(part < 0, bins, np.minimum((part * bins).astype(int), bins - 1)).ravel()
    counts = np.bincount(member, minlength=bins + 1)[:bins]
    return torch.from_numpy(member), tuple(int(count) for count in counts)


@functools.lru_cache(maxsize=16)
def _fill_matrix(counts: tuple[int, ...]) -> Tensor:
    """``(B, B)``: from bin sums to bin means, where an empty bin lies on the line between its neighbours."""
    members = np.asarray(counts)
    held = np.flatnonzero(members)
    matrix = np.stack([np.interp(np.arange(len(members)), held, row) for row in np.eye(len(held))])
    full = np.zeros((len(members), len(members)))
    full[held] = matrix / members[held, None]
    return torch.from_numpy(full)


def _fit_power(radius: Tensor, values: Tensor) -> Tensor:
    """Least-squares exponents c of ``values ~ radius ** c``: Gauss-Newton with damped steps, ``(N,)``."""
    log_radius = radius.log()
    exponent = torch.full((len(values),), START, dtype=values.dtype, device=values.device)
    for _ in range(NEWTON_STEPS):
        model = torch.exp(exponent[:, None] * log_radius)
        slope = model * log_radius
        step = ((values - model) * slope).sum(1) / slope.square().sum(1)
        exponent = exponent + step.clamp(-2.0, 2.0)
    return exponent
