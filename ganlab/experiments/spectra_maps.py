"""Numbers behind the heat maps: mean log-power spectra over the whole frequency plane, zero in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganlab.experiments.spectra_measure import NULL_NAME, MeasuredSet
from ganlab.spectra import SpectrumStatistics
from ganlab.spectra.rings import FloatArray


@dataclass(frozen=True)
class Map:
    """One panel: ``(H, W)`` in dB, frequencies rising from -1/2, DC in the middle."""

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
    """Mean over images of the power in dB, reals first."""
    panels = [Map(one.name, one.role, one.count, _plane(one.statistics)) for one in sets]
    return _maps(sets[0], panels)


def difference_maps(sets: Sequence[MeasuredSet]) -> Maps:
    """Every fake set minus the reals, dB; first one half of the reals minus the other half."""
    real = sets[0]
    base, (first, second) = _plane(real.statistics), (_plane(s) for s in real.part_statistics)
    null = Map(NULL_NAME, "null", real.part_statistics[0].count, first - second)
    fakes = [Map(one.name, one.role, one.count, _plane(one.statistics) - base) for one in sets[1:]]
    return _maps(real, [null, *fakes])


def _plane(statistics: SpectrumStatistics) -> FloatArray:
    return full_plane(statistics.power.mean_db, statistics.width)


def _maps(real: MeasuredSet, panels: Sequence[Map]) -> Maps:
    statistics = real.statistics
    axes = [np.fft.fftshift(np.fft.fftfreq(size)) for size in (statistics.height, statistics.width)]
    return Maps(statistics.window, axes[0], axes[1], tuple(panels))
