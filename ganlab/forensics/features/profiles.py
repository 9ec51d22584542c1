"""One-dimensional spectra as features: rings in any convention, the two axes, and the fit of the decay."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.interpolate import make_interp_spline
from torch import Tensor

from ganlab.errors import GanlabError, lookup
from ganlab.forensics.features.base import Feature, Floats, Shape, decibels
from ganlab.images import luma
from ganlab.spectra import CONVENTIONS, ProfileConvention, axis_profiles, radial_profile

LINEAR_MEASURES = ("power", "raw_power")
LOWEST_RADIUS = 0.5
"""Of the largest radius, the corner's; below it the decay uses nothing."""
FULL_BINS = 200
SMOOTHING = 5
DECAY_START = -2.0
NEWTON_STEPS = 60


@dataclass(frozen=True)
class Radial(Feature):
    """The radial profile in a named convention; linear power becomes dB, what is logarithmic stays.

    Attributes:
        convention: a key of ``ganlab.spectra.CONVENTIONS``.
        bins: resample to so many points by a cubic spline over the whole profile; absent: as it is.
        divide_by_first: divide by the profile's first value, after resampling (Durall 2019).
        middle_third: use only the middle third of each axis (Durall 2019 for FaceForensics++).
    """

    convention: str = "ganlab"
    bins: int | None = None
    divide_by_first: bool = False
    middle_third: bool = False

    def __post_init__(self) -> None:
        lookup(CONVENTIONS, self.convention, "profile convention")
        if self.bins is not None and self.bins < 4:
            raise GanlabError(f"a profile is resampled to at least 4 points; got {self.bins}")

    def _rule(self, shape: Shape) -> tuple[ProfileConvention, tuple[int, int]]:
        """The convention, and the sides that it is applied to."""
        height, width = shape[:2]
        if self.middle_third:
            height, width = height - 2 * (height // 3), width - 2 * (width // 3)
        return CONVENTIONS[self.convention], (height, width)

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """Number of points.

        Raises:
            GanlabError: resampling of a profile too short for a cubic spline.
        """
        rule, sides = self._rule(shape)
        if self.bins is not None:
            _check_length(rule.length(*sides))
        return (self.bins or rule.length(*sides),)

    def frequencies(self, shape: Shape) -> Floats:
        """Frequency of each ring; resampled like the profile."""
        rule, sides = self._rule(shape)
        own = np.asarray(rule.frequencies(*sides))
        if self.bins is None:
            return own
        resampled: Floats = np.interp(np.linspace(0, len(own) - 1, self.bins), np.arange(len(own)), own)
        return resampled

    def __call__(self, images: Tensor) -> Tensor:
        """Profile, logarithm where it is linear, resampling, division."""
        if self.middle_third:
            top, left = images.shape[2] // 3, images.shape[3] // 3
            images = images[:, :, top : images.shape[2] - top, left : images.shape[3] - left]
        profile = radial_profile(images, self.convention).float()
        if CONVENTIONS[self.convention].measure in LINEAR_MEASURES:
            profile = decibels(profile)
        if self.bins is not None:
            profile = profile @ _cubic_matrix(profile.shape[1], self.bins).to(profile).T
        if not self.divide_by_first:
            return profile
        # a constant image has a first value of zero in some conventions; its profile is then left alone
        first = profile[:, :1]
        return profile / torch.where(first == 0, torch.ones_like(first), first)


def durall_80() -> Radial:
    """Durall 2019 for CelebA: its profile at 80 points of a cubic spline, divided by the first."""
    return Radial("durall2019", bins=80, divide_by_first=True)


def durall_300() -> Radial:
    """Durall 2019 for FaceForensics++: middle third of each axis, 300 points, divided by the first."""
    return Radial("durall2019", bins=300, divide_by_first=True, middle_third=True)


def _check_length(length: int) -> None:
    if length < 4:
        raise GanlabError(
            f"a profile of {length} values is too short for a cubic spline: larger images are needed"
        )


@functools.lru_cache(maxsize=32)
def _cubic_matrix(length: int, bins: int) -> Tensor:
    """``(bins, length)``: evaluation of the interpolating cubic (not-a-knot) spline at evenly spaced points.

    The spline is linear in the values, so resampling is one product. Both ends are kept.

    Raises:
        GanlabError: fewer than four values have no cubic spline.
    """
    _check_length(length)
    spline = make_interp_spline(np.linspace(0, 1, length), np.eye(length), k=3)
    return torch.from_numpy(spline(np.linspace(0, 1, bins)))


def axis_frequencies(side: int) -> Floats:
    """0, 1 / side, ... up to 1/2 cycles per pixel."""
    return np.arange(side // 2 + 1, dtype=np.float64) / side


@dataclass(frozen=True)
class _Axis(Feature):
    """Common part of the projections.

    Attributes:
        window: "none", "hann" or "kaiser".
    """

    window: str = "none"

    def _profiles(self, images: Tensor) -> tuple[Tensor, Tensor]:
        horizontal, vertical = axis_profiles(images.float(), self.window)
        return decibels(horizontal), decibels(vertical)


class Horizontal(_Axis):
    """Log power over horizontal frequency, averaged over all vertical ones, in dB."""

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """0 to W // 2."""
        return (shape[1] // 2 + 1,)

    def frequencies(self, shape: Shape) -> Floats:
        """K / W."""
        return axis_frequencies(shape[1])

    def __call__(self, images: Tensor) -> Tensor:
        """The horizontal profile."""
        return self._profiles(images)[0]


class Vertical(_Axis):
    """Log power over vertical frequency, averaged over all horizontal ones, in dB."""

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """0 to H // 2."""
        return (shape[0] // 2 + 1,)

    def frequencies(self, shape: Shape) -> Floats:
        """K / H."""
        return axis_frequencies(shape[0])

    def __call__(self, images: Tensor) -> Tensor:
        """The vertical profile."""
        return self._profiles(images)[1]


class BothAxes(_Axis):
    """The horizontal and the vertical projection one after the other, in dB."""

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """Both lengths together."""
        return (shape[1] // 2 + 1 + shape[0] // 2 + 1,)

    def frequencies(self, shape: Shape) -> Floats:
        """K / W, then k / H."""
        return np.concatenate([axis_frequencies(shape[1]), axis_frequencies(shape[0])])

    def __call__(self, images: Tensor) -> Tensor:
        """Both profiles."""
        return torch.cat(self._profiles(images), 1)


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

    def __call__(self, images: Tensor) -> Tensor:
        """Profile, and fit of all images together: least squares by Gauss-Newton with damped steps."""
        x, y = self.profile(images)
        first = int(np.searchsorted(x, self.threshold))
        radius, kept = torch.from_numpy(x[first:]).to(y), y[:, first:]
        log_radius, values = (radius / radius[0]).log(), kept / kept[:, :1].clamp_min(1e-12)
        exponent = torch.full((len(values),), DECAY_START, dtype=values.dtype, device=values.device)
        for _ in range(NEWTON_STEPS):
            model = torch.exp(exponent[:, None] * log_radius)
            slope = model * log_radius
            step = ((values - model) * slope).sum(1) / slope.square().sum(1)
            exponent = exponent + step.clamp(-2.0, 2.0)
        return torch.stack([exponent, kept[:, 0], kept[:, -1]], 1).float()

    def profile(self, images: Tensor) -> tuple[npt.NDArray[np.float64], Tensor]:
        """Bin centres over the largest radius ``(B,)``, smoothed magnitudes ``(N, B)`` (float64)."""
        height, width = images.shape[2:]
        corner = math.hypot(height / 2, width / 2)
        bins = self.bins or min(FULL_BINS, max(16, int(corner * (1 - LOWEST_RADIUS))))
        magnitude = torch.fft.fft2(luma(images.double()).add(1.0).mul(0.5)).abs().flatten(1)
        member, means = _radial_bins(height, width, bins)
        sums = magnitude.new_zeros(len(images), bins + 1).index_add_(
            1, member.to(magnitude.device), magnitude
        )
        filled = sums[:, :bins] @ means.to(magnitude)
        smooth = F.avg_pool1d(filled[:, None], SMOOTHING, 1, SMOOTHING // 2, count_include_pad=False)[:, 0]
        return LOWEST_RADIUS + (np.arange(bins) + 0.5) * (1 - LOWEST_RADIUS) / bins, smooth


@functools.lru_cache(maxsize=16)
def _radial_bins(height: int, width: int, bins: int) -> tuple[Tensor, Tensor]:
    """Bin of every coefficient, and a matrix from the bins' sums to their means.

    Coefficients below the lowest radius are of bin number ``bins``. The matrix is ``(bins, bins)``; an empty
    bin's mean lies on the line between its neighbours'.
    """
    radius = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.fftfreq(width)[None] * width)
    part = (radius / radius.max() - LOWEST_RADIUS) / (1 - LOWEST_RADIUS)
    member = np.where(part < 0, bins, np.minimum((part * bins).astype(int), bins - 1)).ravel()
    members = np.bincount(member, minlength=bins + 1)[:bins]
    held = np.flatnonzero(members)
    matrix = np.zeros((bins, bins))
    lines = np.stack([np.interp(np.arange(bins), held, row) for row in np.eye(len(held))])
    matrix[held] = lines / members[held, None]
    return torch.from_numpy(member), torch.from_numpy(matrix)
