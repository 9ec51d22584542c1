"""Spectra of image sets: transforms, profiles in every convention, statistics, deviation, theory."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ganlab.spectra.conventions import CONVENTIONS, ProfileConvention
from ganlab.spectra.deviation import Deviation, DeviationReport, spectral_deviation
from ganlab.spectra.deviation_metrics import DEVIATIONS, peak_prominence
from ganlab.spectra.guards import enlargement_signs
from ganlab.spectra.lattice import Line, lattice_lines
from ganlab.spectra.layers import Unevenness, effective_response, layer_kernel, unevenness
from ganlab.spectra.published import (
    angular_profile,
    autocorrelation,
    median_residual,
    npr_residual,
    padded_spectrum,
    pixel_moments,
    residual_spectrum,
)
from ganlab.spectra.rings import RingRule
from ganlab.spectra.set_metrics import SET_DEVIATIONS
from ganlab.spectra.statistics import Moments, SpectrumStatistics, statistics_of_power
from ganlab.spectra.summary import dct_statistics, profile_set, summaries
from ganlab.spectra.theory import (
    Null,
    frequency_response,
    image_power,
    image_rejection,
    predict_power,
    replica_frequencies,
    spectral_nulls,
)
from ganlab.spectra.transforms import (
    POWER_FLOOR,
    WINDOWS,
    axis_profiles,
    dct2,
    decibels,
    power_spectrum,
    radial_profile,
)

if TYPE_CHECKING:
    from ganlab.spectra.accumulator import SpectrumAccumulator
    from ganlab.spectra.metric import SpectralDeviation

_LATE = {"SpectralDeviation": "metric", "SpectrumAccumulator": "accumulator"}
"""torchmetrics' Metrics -> their files: importing torchmetrics takes seconds."""

__all__ = [
    "CONVENTIONS",
    "DEVIATIONS",
    "POWER_FLOOR",
    "SET_DEVIATIONS",
    "WINDOWS",
    "Deviation",
    "DeviationReport",
    "Line",
    "Moments",
    "Null",
    "ProfileConvention",
    "RingRule",
    "SpectralDeviation",
    "SpectrumAccumulator",
    "SpectrumStatistics",
    "Unevenness",
    "angular_profile",
    "autocorrelation",
    "axis_profiles",
    "dct2",
    "dct_statistics",
    "decibels",
    "effective_response",
    "enlargement_signs",
    "frequency_response",
    "image_power",
    "image_rejection",
    "lattice_lines",
    "layer_kernel",
    "median_residual",
    "npr_residual",
    "padded_spectrum",
    "peak_prominence",
    "pixel_moments",
    "power_spectrum",
    "predict_power",
    "profile_set",
    "radial_profile",
    "replica_frequencies",
    "residual_spectrum",
    "spectral_deviation",
    "spectral_nulls",
    "statistics_of_power",
    "summaries",
    "unevenness",
]


def __getattr__(name: str) -> Any:
    """Import a metric when it is first asked for (PEP 562)."""
    if name in _LATE:
        return getattr(importlib.import_module(f"ganlab.spectra.{_LATE[name]}"), name)
    raise AttributeError(f"module 'ganlab.spectra' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
