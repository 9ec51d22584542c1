"""One-dimensional spectra as features: rings in any convention, and the two axes."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import make_interp_spline
from torch import Tensor

from ganlab.errors import GanlabError, lookup
from ganlab.forensics.features.base import Feature, Floats, Shape, decibels
from ganlab.spectra import CONVENTIONS, ProfileConvention, axis_profiles, radial_profile

LINEAR_MEASURES = ("power", "raw_power")


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

    def _rule(self) -> ProfileConvention:
        return CONVENTIONS[self.convention]

    def _length(self, shape: Shape) -> int:
        return self._rule().length(*_kept(shape[:2], self.middle_third))

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """Number of points.

        Raises:
            GanlabError: resampling of a profile too short for a cubic spline.
        """
        if self.bins is not None:
            _check_length(self._length(shape))
        return (self.bins or self._length(shape),)

    def frequencies(self, shape: Shape) -> Floats:
        """Frequency of each ring; resampled like the profile."""
        own = np.asarray(self._rule().frequencies(*_kept(shape[:2], self.middle_third)))
        if self.bins is None:
            return own
        places = np.linspace(0, len(own) - 1, self.bins)
        resampled: Floats = np.interp(places, np.arange(len(own)), own)
        return resampled

    def __call__(self, images: Tensor) -> Tensor:
        """Profile, logarithm where it is linear, resampling, division."""
        profile = radial_profile(_cut(images, self.middle_third), self.convention).float()
        if self._rule().measure in LINEAR_MEASURES:
            profile = decibels(profile)
        if self.bins is not None:
            profile = profile @ _cubic_matrix(profile.shape[1], self.bins).to(profile).T
        return profile / _safe(profile[:, :1]) if self.divide_by_first else profile


def durall_80() -> Radial:
    """Durall 2019 for CelebA: its profile at 80 points of a cubic spline, divided by the first."""
    return Radial("durall2019", bins=80, divide_by_first=True)


def durall_300() -> Radial:
    """Durall 2019 for FaceForensics++: middle third of each axis, 300 points, divided by the first."""
    return Radial("durall2019", bins=300, divide_by_first=True, middle_third=True)


def _kept(size: tuple[int, int], middle_third: bool) -> tuple[int, int]:
    return (size[0] - 2 * (size[0] // 3), size[1] - 2 * (size[1] // 3)) if middle_third else size


def _cut(images: Tensor, middle_third: bool) -> Tensor:
    if not middle_third:
        return images
    top, left = images.shape[2] // 3, images.shape[3] // 3
    return images[:, :, top : images.shape[2] - top, left : images.shape[3] - left]


def _safe(divisor: Tensor) -> Tensor:
    """A constant image has a first value of zero in some conventions; its profile is then left alone."""
    return torch.where(divisor == 0, torch.ones_like(divisor), divisor)


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
