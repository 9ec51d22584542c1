"""Numbers behind the heat maps: mean log-power spectra over the whole frequency plane, zero in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ganlab.experiments.spectra_measure import NULL_NAME, MeasuredSet, Part
from ganlab.spectra.rings import FloatArray


@dataclass(frozen=True)
class Map:
    """One panel: ``(H, W)`` in dB, frequencies rising from -1/2, DC in the middle; ``count`` images."""

    name: str
    role: str
    count: int
    level: FloatArray


@dataclass(frozen=True)
class Maps:
    """Several panels with common axes, in cycles per pixel."""

    window: str
    vertical: FloatArray
    horizontal: FloatArray
    panels: tuple[Map, ...]


def full_plane(half: FloatArray, width: int) -> FloatArray:
    """``(H, W//2+1)`` un-shifted half plane of real images -> ``(H, W)`` with DC in the middle."""
    height = half.shape[0]
    columns = np.arange(half.shape[1], width)
    mirrored = half[-np.arange(height) % height][:, width - columns]
    return np.fft.fftshift(np.concatenate([half, mirrored], axis=1))


def level_maps(sets: Sequence[MeasuredSet]) -> Maps:
    """Mean over the images of each set's sample of the power in dB, reals first."""
    return _maps(sets[0], [_map(one.name, one.role, one.all) for one in sets])


def difference_maps(sets: Sequence[MeasuredSet]) -> Maps:
    """Every fake set minus the reals, dB; first one half of the reals minus the other half."""
    real = _map(sets[0].name, "real", sets[0].all)
    halves = [_map(NULL_NAME, "null", part) for part in sets[0].parts]
    fakes = [_map(one.name, one.role, one.all) for one in sets[1:]]
    pairs = [(halves[1], halves[0]), *((fake, real) for fake in fakes)]
    return _maps(sets[0], [replace(one, level=one.level - base.level) for one, base in pairs])


def _map(name: str, role: str, part: Part) -> Map:
    statistics = part.sampled
    return Map(name, role, statistics.count, full_plane(statistics.power.mean_db, statistics.width))


def _maps(real: MeasuredSet, panels: Sequence[Map]) -> Maps:
    statistics = real.all.sampled
    axes = [np.fft.fftshift(np.fft.fftfreq(size)) for size in (statistics.height, statistics.width)]
    return Maps(statistics.window, axes[0], axes[1], tuple(panels))
