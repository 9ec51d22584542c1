"""What a perturbation is, how its random numbers are drawn, and how a batch is perturbed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.images import UInt8Array, to_float, to_uint8
from ganlab.util.hashing import derive_seed

Range = float | tuple[float, float]
"""A fixed value, or (low, high): drawn uniformly for every image."""


class Perturbation(Protocol):
    """A deterministic function of an image and a random generator: uint8 ``(H, W, C)`` to the same shape."""

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Perturb one image."""
        ...


def draw(rng: np.random.Generator, value: Range) -> float:
    """A fixed value as it is, or one number of U[low, high)."""
    return float(rng.uniform(*value)) if isinstance(value, tuple) else float(value)


def check_range(name: str, value: Range, low: float, high: float) -> None:
    """Refuse a parameter outside [low, high].

    Raises:
        GanlabError: out of range, or an interval with its ends exchanged.
    """
    ends = value if isinstance(value, tuple) else (value, value)
    if len(ends) != 2 or not (low <= ends[0] <= ends[1] <= high):
        raise GanlabError(
            f"{name} must lie in [{low:g}, {high:g}] (one number, or low and high); got {value}"
        )


def through_float(image: UInt8Array, function: Callable[[Tensor], Tensor]) -> UInt8Array:
    """Apply a function of float ``(1, C, H, W)`` in [-1, 1]; clamp and round to nearest on the way back."""
    out: UInt8Array = to_uint8(function(to_float(image[None])))[0]
    return out


def perturb(
    images: UInt8Array, perturbation: Perturbation, seed: int = 0, first_index: int = 0
) -> UInt8Array:
    """Perturb every image of a batch with random numbers of its own.

    Image ``i`` uses only ``(seed, first_index + i)``: the result does not depend on the batch size, and the
    same image meets the same random numbers at every severity.

    Args:
        images: uint8 ``(N, H, W, C)``.
        perturbation: what is done to each.
        seed: seed of all draws.
        first_index: number of ``images[0]`` in its set.

    Raises:
        GanlabError: not uint8 ``(N, H, W, C)``.
    """
    if images.dtype != np.uint8 or images.ndim != 4:
        raise GanlabError(f"perturb expects uint8 (N, H, W, C); got {images.dtype} of shape {images.shape}")
    out = np.empty_like(images)
    for i, image in enumerate(images):
        rng = np.random.default_rng(derive_seed(seed, "perturbation", first_index + i))
        out[i] = perturbation(image, rng)
    return out


def describe(perturbation: Any) -> dict[str, Any]:
    """Name and parameters as JSON values, for results."""
    record: dict[str, Any] = {"operator": type(perturbation).__name__}
    for field in dataclasses.fields(perturbation):
        record[field.name] = _described(getattr(perturbation, field.name))
    return record


def _described(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return describe(value)
    return [_described(entry) for entry in value] if isinstance(value, tuple) else value
