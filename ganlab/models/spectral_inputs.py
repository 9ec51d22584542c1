"""What the spectral discriminator sees of an image: its radial profile, its axis profiles, or its plane."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.images import luma
from ganlab.spectra import axis_profiles, radial_profile
from ganlab.spectra.transforms import as_convention, check_images, half_power

LOG_FLOOR = 1e-8
"""Added to a linear power before its logarithm (-80 dB)."""
LINEAR = ("power", "raw_power")
MIN_VALUES = 2


class SpectralInput(ABC):
    """Features of each image for square images of one size; ``(N, C, S, S) -> (N, length)``, differentiable.

    Args:
        image_size: S in pixels.
        convention: profile convention, for inputs that are radial profiles.
    """

    length: int

    @abstractmethod
    def __init__(self, image_size: int, convention: str) -> None: ...

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor:
        """The features."""


class RadialInput(SpectralInput):
    """Radial profile, logarithmic, min-max normalised per image (Jung and Keuper 2021).

    With "jung2021" or "ssdgan2021" the published codes' numbers; conventions of linear power are taken to
    logarithms, and every convention is min-max normalised.

    Raises:
        GanlabError: a convention without gradient, or images smaller than the profile.
    """

    def __init__(self, image_size: int, convention: str) -> None:
        rule = as_convention(convention)
        if rule.integer_luma:
            raise GanlabError(
                f"{convention} rounds RGB images to integers, so that no gradient passes; use durall2020"
            )
        self.linear = rule.measure in LINEAR
        self.rule = dataclasses.replace(rule, normalise="none")
        self.length = rule.length(image_size, image_size)
        if self.length < MIN_VALUES:
            raise GanlabError(f"images of {image_size} pixels are smaller than the profile {convention}")

    def __call__(self, images: Tensor) -> Tensor:
        """Profiles in [0, 1], ``(N, K)``."""
        profiles = radial_profile(images, self.rule)
        return min_max((profiles + LOG_FLOOR).log() if self.linear else profiles)


class AxisInput(SpectralInput):
    """Horizontal and vertical power profile, logarithmic, min-max normalised together per image."""

    def __init__(self, image_size: int, convention: str) -> None:
        self.length = 2 * (image_size // 2 + 1)

    def __call__(self, images: Tensor) -> Tensor:
        """Both profiles side by side, in [0, 1]."""
        return min_max((torch.cat(axis_profiles(images), 1) + LOG_FLOOR).log())


class PlaneInput(SpectralInput):
    """Log power of the luma at every frequency of the half plane, standardised per image."""

    def __init__(self, image_size: int, convention: str) -> None:
        self.length = image_size * (image_size // 2 + 1)

    def __call__(self, images: Tensor) -> Tensor:
        """Mean 0 and standard deviation 1 in each row; single coefficients have no useful minimum."""
        logs = (half_power(luma(check_images(images))) + LOG_FLOOR).log().flatten(1)
        centred = logs - logs.mean(1, keepdim=True)
        variance = centred.square().mean(1, keepdim=True)
        return centred * torch.where(variance > 0, variance, torch.ones_like(variance)).rsqrt()


def min_max(rows: Tensor) -> Tensor:
    """Each row to [0, 1]; a constant one becomes zero."""
    raised = rows - rows.amin(1, keepdim=True)
    span = raised.amax(1, keepdim=True)
    return raised / torch.where(span > 0, span, torch.ones_like(span))
