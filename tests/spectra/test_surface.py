"""The public face of the room: names that scripts rely on stay, are documented, and say what they are."""

import inspect

import pytest

import ganlab.spectra as spectra
from ganlab.config.names import entries

HOUSE = {  # design.md, "Public surface"
    "CONVENTIONS": None,
    "SpectrumAccumulator": None,
    "axis_profiles": ["images"],
    "dct2": ["images"],
    "frequency_response": ["name", "n"],
    "lattice_lines": ["real", "fake", "alpha"],
    "power_spectrum": ["images", "window"],
    "radial_profile": ["images", "convention"],
    "SpectralDeviation": None,
    "spectral_deviation": ["real", "fake"],
}
NAMES = {
    "CONVENTIONS", "DEVIATIONS", "POWER_FLOOR", "SET_DEVIATIONS", "WINDOWS",
    "Deviation", "DeviationReport", "Line",
    "Moments", "Null", "ProfileConvention", "RingRule",
    "SpectralDeviation", "SpectrumAccumulator", "SpectrumStatistics", "Unevenness",
    "angular_profile", "autocorrelation", "axis_profiles", "dct2",
    "dct_statistics", "decibels", "effective_response", "enlargement_signs",
    "frequency_response",
    "image_power", "image_rejection", "lattice_lines", "layer_kernel", "median_residual",
    "npr_residual", "padded_spectrum", "peak_prominence", "pixel_moments", "power_spectrum",
    "predict_power", "profile_set", "radial_profile", "replica_frequencies", "residual_spectrum",
    "spectral_deviation", "spectral_nulls", "statistics_of_power", "summaries",
    "unevenness",
}  # fmt: skip


def test_public_names_stay():
    assert set(spectra.__all__) == NAMES
    assert len(spectra.__all__) == len(NAMES)


@pytest.mark.parametrize(("name", "parameters"), HOUSE.items())
def test_the_house_names_have_their_arguments(name, parameters):
    value = getattr(spectra, name)
    if parameters is not None:
        assert list(inspect.signature(value).parameters)[: len(parameters)] == parameters


@pytest.mark.parametrize("name", [n for n in sorted(NAMES) if callable(getattr(spectra, n))])
def test_public_names_say_what_comes_in_and_out(name):
    value = getattr(spectra, name)
    text = inspect.getdoc(value)
    assert text
    if inspect.isfunction(value):
        assert "Args:" in text or len(inspect.signature(value).parameters) == 1
        assert value.__annotations__["return"]


def test_the_torch_free_list_knows_every_convention_and_deviation():
    found = entries("conventions")
    assert list(found) == list(spectra.CONVENTIONS)
    for name, summary in found.items():
        assert summary == spectra.CONVENTIONS[name].summary


def test_every_convention_names_its_source():
    for name, convention in spectra.CONVENTIONS.items():
        assert convention.source
        if name != "ganlab":
            assert "arXiv" in convention.source
            assert "/" in convention.source
