"""Spectra of image sets: transforms, profiles in every convention, statistics, deviation, theory."""

from ganlab.spectra.conventions import ProfileConvention
from ganlab.spectra.registry import CONVENTIONS
from ganlab.spectra.rings import RingRule
from ganlab.spectra.transforms import axis_profiles, dct2, power_spectrum, radial_profile
from ganlab.spectra.windows import WINDOWS

__all__ = [
    "CONVENTIONS",
    "WINDOWS",
    "ProfileConvention",
    "RingRule",
    "axis_profiles",
    "dct2",
    "power_spectrum",
    "radial_profile",
]
