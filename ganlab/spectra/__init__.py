"""Spectra of image sets: transforms, profiles in every convention, statistics, deviation, theory."""

from ganlab.spectra.accumulator import SpectrumAccumulator, profile_set
from ganlab.spectra.conventions import CONVENTIONS, ProfileConvention
from ganlab.spectra.deviation import Deviation, DeviationReport, spectral_deviation
from ganlab.spectra.deviation_metrics import DEVIATIONS, peak_prominence
from ganlab.spectra.guards import enlargement_signs
from ganlab.spectra.lattice import Line, lattice_lines
from ganlab.spectra.layers import Unevenness, effective_response, layer_kernel, unevenness
from ganlab.spectra.metric import SpectralDeviation
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
from ganlab.spectra.summary import dct_statistics, summaries
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
