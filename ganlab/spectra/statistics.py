"""Mean spectra of a set of images: the one type that comparisons, figures and results files are made from."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import GanlabError, lookup
from ganlab.spectra.conventions import GANLAB
from ganlab.spectra.rings import FloatArray, orbit_sums, ring_sums
from ganlab.spectra.transforms import as_convention, axis_means, decibels

PROFILES = ("radial", "horizontal", "vertical", "diagonal")
"""Linear luma profiles in the "ganlab" convention, which every pass over images gives."""


@dataclass(frozen=True)
class Moments:
    """Mean, spread and logarithms of one quantity over images.

    Attributes:
        count: number of images.
        mean: arithmetic mean.
        std: standard deviation over images (n - 1); NaN for one image, None where it was not added up.
        mean_log: mean of the natural logarithm, None where the quantity is no power.
        std_log: standard deviation of the natural logarithm over images, None where it was not added up.
    """

    count: int
    mean: FloatArray
    std: FloatArray | None = None
    mean_log: FloatArray | None = None
    std_log: FloatArray | None = None

    @property
    def standard_error(self) -> FloatArray:
        """Of the mean: ``std / sqrt(count)``.

        Raises:
            GanlabError: only the mean is known.
        """
        if self.std is None:
            raise GanlabError("only the mean was added up: there is no standard error")
        error: FloatArray = self.std / np.sqrt(self.count)
        return error

    @property
    def db(self) -> FloatArray:
        """The mean power in dB, ``10 log10(mean)``, no lower than the floor of -120 dB."""
        return decibels(self.mean)

    @property
    def mean_db(self) -> FloatArray:
        """Mean over images of the power in dB: the log first, then the mean.

        Raises:
            GanlabError: the quantity is no power.
        """
        if self.mean_log is None:
            raise GanlabError("this quantity is no linear power: it has no decibels")
        level: FloatArray = self.mean_log * (10 / np.log(10))
        return level


@dataclass(frozen=True)
class SpectrumStatistics:
    """Statistics of the spectra of a set of images; powers are linear luma power of images in [-1, 1].

    ``SpectrumAccumulator.result`` holds everything below, ``profile_set`` of images the profiles, and
    ``statistics_of_power`` what a mean power spectrum determines.

    Attributes:
        count: number of images.
        height: H, pixels.
        width: W, pixels.
        window: name of the window, "none" without.
        moments: "power" ``(H, W//2+1)`` un-shifted, as ``power_spectrum``; "radial", "horizontal",
            "vertical", "diagonal" (``PROFILES``) and further radial profiles by name of their convention;
            "dct", signed coefficients ``(H, W)``.
        minimum: smallest value seen (an accumulator sees the luma), None where unknown.
        maximum: the largest.
        channels: C, None where unknown.
        profiles: name -> ``(n, K)`` of all images or a uniform sample of them; empty where none were kept.
        images: the images themselves ``(N, C, H, W)``, where a tensor was given.
        bands: percentiles 5, 25, 50, 75, 95 of each profile over a random sample of the images, ``(5, K)``
            each, or None.
        band_count: number of images in that sample.
    """

    count: int
    height: int
    width: int
    window: str
    moments: dict[str, Moments]
    minimum: float | None = None
    maximum: float | None = None
    channels: int | None = None
    profiles: dict[str, Tensor] = field(default_factory=dict, repr=False)
    images: Tensor | None = field(default=None, repr=False)
    bands: dict[str, FloatArray] | None = None
    band_count: int = 0

    @property
    def power(self) -> Moments:
        """Of the power, ``(H, W//2+1)`` un-shifted."""
        return lookup(self.moments, "power", "statistic")

    @property
    def radial(self) -> dict[str, Moments]:
        """Of the radial profiles, by name of the convention."""
        others = {k: v for k, v in self.moments.items() if k not in ("power", "dct", *PROFILES)}
        return {"ganlab": self.moments["radial"], **others}

    @property
    def horizontal(self) -> Moments:
        """Of the horizontal profile ``(W//2+1)``, as ``axis_profiles``."""
        return self.moments["horizontal"]

    @property
    def vertical(self) -> Moments:
        """Of the vertical profile ``(H//2+1)``, as ``axis_profiles``."""
        return self.moments["vertical"]

    @property
    def diagonal(self) -> Moments:
        """Of the power at equal frequencies on both axes, ``(min(H, W)//2+1)``."""
        return self.moments["diagonal"]

    @property
    def dct(self) -> Moments | None:
        """Of the signed DCT coefficients ``(H, W)``, None where they were not added up."""
        return self.moments.get("dct")

    @functools.cached_property
    def means(self) -> dict[str, Tensor]:
        """Mean profiles as distances take them: name -> ``(1, K)`` float64."""
        return {
            name: torch.from_numpy(moments.mean)[None]
            for name, moments in self.moments.items()
            if name not in ("power", "dct")
        }

    @property
    def sampled(self) -> int:
        """Number of images whose profiles are at hand."""
        return len(next(iter(self.profiles.values()))) if self.profiles else 0

    def mean(self, name: str) -> FloatArray:
        """Mean of one of ``moments``; "ganlab" stands for "radial".

        Raises:
            GanlabError: it was not measured.
        """
        return lookup(self.moments, "radial" if name == "ganlab" else name, "statistic").mean

    def frequencies(self, profile: str) -> FloatArray:
        """Frequencies of a profile in cycles per pixel.

        Args:
            profile: "horizontal", "vertical", "diagonal" (frequency along each axis) or the name of a
                convention ("radial" stands for "ganlab").

        Raises:
            GanlabError: unknown name.
        """
        steps = {"horizontal": self.width, "vertical": self.height, "diagonal": min(self.height, self.width)}
        if profile in steps:
            return np.arange(steps[profile] // 2 + 1) / steps[profile]
        convention = as_convention("ganlab" if profile == "radial" else profile)
        return np.array(convention.frequencies(self.height, self.width))


def statistics_of_power(power: FloatArray, count: int = 1, window: str = "none") -> SpectrumStatistics:
    """Statistics that hold a mean power spectrum and the mean profiles that follow from it.

    Args:
        power: mean power ``(H, W//2+1)``, un-shifted, float64; W even.
        count: number of images behind it.
        window: that of the spectra.
    """
    height, width = power.shape[0], 2 * (power.shape[1] - 1)
    half = torch.from_numpy(power)[None]
    sums, totals = ring_sums(half, width, GANLAB.rings)
    horizontal, vertical = axis_means(orbit_sums(half, width), height, width)
    named = {"radial": sums / totals, "horizontal": horizontal, "vertical": vertical}
    moments = {name: Moments(count, values[0].numpy()) for name, values in named.items()}
    return SpectrumStatistics(count, height, width, window, {"power": Moments(count, power), **moments})


class HasStatistics(Protocol):
    """What has seen images: a ``SpectrumAccumulator``, whose own class would bring torchmetrics (seconds)."""

    def result(self) -> SpectrumStatistics:
        """What they gave."""
