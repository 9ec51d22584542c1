"""Spectra of image sets: transforms, profiles in every convention, statistics, deviation, theory."""

from ganlab.spectra.accumulator import SpectrumAccumulator
from ganlab.spectra.angular import angular_profile, autocorrelation
from ganlab.spectra.conventions import ProfileConvention
from ganlab.spectra.dct_statistics import DctStatistics, dct_statistics
from ganlab.spectra.registry import CONVENTIONS
from ganlab.spectra.residuals import median_residual, npr_residual, residual_spectrum
from ganlab.spectra.rings import RingRule
from ganlab.spectra.statistics import POWER_FLOOR, Moments, SpectrumStatistics
from ganlab.spectra.stylegan3 import PaddedSpectrum, padded_spectrum, pixel_moments
from ganlab.spectra.summary import Summary, summaries
from ganlab.spectra.transforms import axis_profiles, dct2, power_spectrum, radial_profile
from ganlab.spectra.wavelets import haar_energies, haar_packets
from ganlab.spectra.windows import WINDOWS

__all__ = [
    "CONVENTIONS",
    "POWER_FLOOR",
    "WINDOWS",
    "DctStatistics",
    "Moments",
    "PaddedSpectrum",
    "ProfileConvention",
    "RingRule",
    "SpectrumAccumulator",
    "SpectrumStatistics",
    "Summary",
    "angular_profile",
    "autocorrelation",
    "axis_profiles",
    "dct2",
    "dct_statistics",
    "haar_energies",
    "haar_packets",
    "median_residual",
    "npr_residual",
    "padded_spectrum",
    "pixel_moments",
    "power_spectrum",
    "radial_profile",
    "residual_spectrum",
    "summaries",
]
