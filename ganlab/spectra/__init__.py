"""Spectra of image sets: transforms, profiles in every convention, statistics, deviation, theory."""

from ganlab.spectra.accumulator import SpectrumAccumulator
from ganlab.spectra.conventions import ProfileConvention
from ganlab.spectra.registry import CONVENTIONS
from ganlab.spectra.rings import RingRule
from ganlab.spectra.statistics import POWER_FLOOR, Moments, SpectrumStatistics
from ganlab.spectra.summary import Summary, summaries
from ganlab.spectra.transforms import axis_profiles, dct2, power_spectrum, radial_profile
from ganlab.spectra.windows import WINDOWS

__all__ = [
    "CONVENTIONS",
    "POWER_FLOOR",
    "WINDOWS",
    "Moments",
    "ProfileConvention",
    "RingRule",
    "SpectrumAccumulator",
    "SpectrumStatistics",
    "Summary",
    "axis_profiles",
    "dct2",
    "power_spectrum",
    "radial_profile",
    "summaries",
]
