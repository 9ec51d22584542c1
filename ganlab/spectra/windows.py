"""Separable windows of unit mean energy, so that a windowed white image keeps its mean power."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import lookup
from ganlab.spectra.rings import FloatArray

KAISER_BETA = 8.0
"""StyleGAN3's choice for average spectra."""


def _none(size: int) -> FloatArray:
    return np.ones(size)


def _hann(size: int) -> FloatArray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size) if size > 1 else np.ones(size)


def _kaiser(size: int) -> FloatArray:
    return np.kaiser(size, KAISER_BETA)


WINDOWS: dict[str, Callable[[int], FloatArray]] = {"none": _none, "hann": _hann, "kaiser": _kaiser}


def window_1d(name: str, size: int) -> FloatArray:
    """Window ``name`` of ``size`` samples, scaled to mean square 1.

    Args:
        name: "none", "hann" (periodic, so a constant image leaks into one bin on each side and no further) or
            "kaiser" (symmetric, beta 8, as StyleGAN3's average spectra).
        size: number of samples.

    Raises:
        GanlabError: unknown name.
    """
    samples = lookup(WINDOWS, name, "window")(size)
    scaled: FloatArray = samples / np.sqrt(np.mean(samples**2))
    return scaled


@functools.lru_cache(maxsize=64)
def window_2d(name: str, height: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Outer product of two windows, ``(H, W)``, mean square 1; kept for the next call.

    Raises:
        GanlabError: unknown name.
    """
    outer = window_1d(name, height)[:, None] * window_1d(name, width)[None, :]
    # A cached tensor made under inference_mode could never be used in a graph afterwards.
    with torch.inference_mode(False):
        return torch.from_numpy(outer).to(device, dtype)


def apply_window(planes: Tensor, window: str | None) -> Tensor:
    """``(..., H, W)`` times the window; unchanged for None and "none".

    Raises:
        GanlabError: unknown name.
    """
    if window is None or window == "none":
        return planes
    return planes * window_2d(window, planes.shape[-2], planes.shape[-1], planes.device, planes.dtype)
