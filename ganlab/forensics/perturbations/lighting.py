"""Light from one side: the image brightens along a random direction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ganlab.forensics.perturbations.base import Range, check_range, draw, through_float
from ganlab.images import UInt8Array


@dataclass(frozen=True)
class Relight:
    """Multiply the image by a linear ramp of brightness in a random direction, 1 at the centre.

    Attributes:
        strength: the gain runs from 1 - strength to 1 + strength between two opposite edges (farther in the
            corners).
    """

    strength: Range = 0.3

    def __post_init__(self) -> None:
        check_range("relighting strength", self.strength, 0.0, 1.0)

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Draw strength and direction; black stays black."""
        strength, angle = draw(rng, self.strength), rng.uniform(0.0, 2.0 * math.pi)
        rows, columns = (_places(side) for side in image.shape[:2])
        ramp = math.sin(angle) * rows[:, None] + math.cos(angle) * columns[None]
        return through_float(image, lambda x: (x + 1.0) * (1.0 + strength * ramp).clamp_min(0.0) - 1.0)


def _places(side: int) -> torch.Tensor:
    """Pixel centres from -1 to 1, the image's edges."""
    return (torch.arange(side) + 0.5) * (2.0 / side) - 1.0
