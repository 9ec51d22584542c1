"""Spectra of image sets: transforms, profiles in every convention, statistics, deviation, theory."""

from ganlab.spectra.accumulator import SpectrumAccumulator, profile_set
from ganlab.spectra.conventions import CONVENTIONS, ProfileConvention
from ganlab.spectra.decay import DecayFit, decay_fit, decay_profile
from ganlab.spectra.deviation import Deviation, DeviationReport, spectral_deviation
from ganlab.spectra.deviation_metrics import REPLICAS, DeviationMetric, peak_prominence
from ganlab.spectra.guards import SpectralWarning, codec_warnings, enlargement_signs
from ganlab.spectra.layers import (
    LayerKernel,
    Unevenness,
    effective_response,
    layer_kernel,
    polyphase,
    subpixel_kernel,
    transposed_kernel,
    unevenness,
)
from ganlab.spectra.published import (
    PaddedSpectrum,
    angular_profile,
    autocorrelation,
    median_residual,
    npr_residual,
    padded_spectrum,
    pixel_moments,
    residual_spectrum,
)
from ganlab.spectra.registry import DEVIATIONS, SET_DEVIATIONS
from ganlab.spectra.rings import RingRule
from ganlab.spectra.set_metrics import (
    HeldOut,
    cloaking_score,
    focal_frequency_distance,
    held_out_cloaking,
    log_frequency_distance,
)
from ganlab.spectra.statistics import Moments, SpectrumStatistics, statistics_of_power
from ganlab.spectra.summary import DctStatistics, Summary, dct_statistics, summaries
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
from ganlab.spectra.wavelets import haar_energies, haar_packets

__all__ = [
    "CONVENTIONS",
    "DEVIATIONS",
    "POWER_FLOOR",
    "REPLICAS",
    "SET_DEVIATIONS",
    "WINDOWS",
    "DctStatistics",
    "DecayFit",
    "Deviation",
    "DeviationMetric",
    "DeviationReport",
    "HeldOut",
    "LayerKernel",
    "Moments",
    "Null",
    "PaddedSpectrum",
    "ProfileConvention",
    "RingRule",
    "SpectralWarning",
    "SpectrumAccumulator",
    "SpectrumStatistics",
    "Summary",
    "Unevenness",
    "angular_profile",
    "autocorrelation",
    "axis_profiles",
    "cloaking_score",
    "codec_warnings",
    "dct2",
    "dct_statistics",
    "decay_fit",
    "decay_profile",
    "decibels",
    "effective_response",
    "enlargement_signs",
    "focal_frequency_distance",
    "frequency_response",
    "haar_energies",
    "haar_packets",
    "held_out_cloaking",
    "image_power",
    "image_rejection",
    "layer_kernel",
    "log_frequency_distance",
    "median_residual",
    "npr_residual",
    "padded_spectrum",
    "peak_prominence",
    "pixel_moments",
    "polyphase",
    "power_spectrum",
    "predict_power",
    "profile_set",
    "radial_profile",
    "replica_frequencies",
    "residual_spectrum",
    "spectral_deviation",
    "spectral_nulls",
    "statistics_of_power",
    "subpixel_kernel",
    "summaries",
    "transposed_kernel",
    "unevenness",
]
