"""What a feature is, and how one is made from its name and options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ganlab.forensics.perturbations.base import describe

Floats = npt.NDArray[np.float64]
Shape = tuple[int, int, int]
"""Height, width and channels of an image."""

LOG_FLOOR = 1e-12
"""Added to a power before its logarithm; 8-bit rounding alone leaves about 5e-6 (images in [-1, 1])."""


class Feature(ABC):
    """A function of images, the same for every image: nothing is fitted here.

    Subclasses are frozen dataclasses: their fields are the options, and options and class name identify
    what was computed.
    """

    @abstractmethod
    def dims(self, shape: Shape) -> tuple[int, ...]:
        """Shape of one image's feature for images of ``shape`` = (H, W, C)."""

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor:
        """Float ``(N, C, H, W)`` in [-1, 1] to float32 ``(N, *dims)``."""

    def frequencies(self, shape: Shape) -> Floats | None:
        """Frequency of every entry in cycles per pixel, shape ``dims``; None where there is no such thing.

        Two-dimensional features give the radial frequency.
        """
        return None

    def spec(self) -> dict[str, Any]:
        """Class name and options as JSON values."""
        return describe(self)


def decibels(power: Tensor) -> Tensor:
    """``10 log10(power + 1e-12)``."""
    return power.add(LOG_FLOOR).log10().mul(10)
