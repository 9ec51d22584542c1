import numpy as np
import pytest
import torch

from ganlab.errors import GanlabError
from ganlab.spectra import (
    frequency_response,
    image_power,
    image_rejection,
    power_spectrum,
    predict_power,
    replica_frequencies,
    spectral_nulls,
)
from ganlab.spectra.theory import CLOSED_FORMS, _finite_sum
from ganlab.upsampling import KERNELS, UPSAMPLERS, interpolate2x

FIXED = sorted(KERNELS)
INTERPOLATORS = [name for name in FIXED if name != "bed_of_nails"]
TABLE = {  # methods.md section 9: dB at pi/2, 5 pi/8, 3 pi/4, 7 pi/8
    "nearest": (-3.0, -5.1, -8.3, -14.2),
    "bilinear": (-9.0, -15.3, -25.0, -42.6),
    "bicubic": (-6.3, -14.8, -39.5, -31.3),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_table(name):
    response = frequency_response(name, 16)
    for k, level in zip((4, 5, 6, 7), TABLE[name], strict=True):
        assert 20 * np.log10(float(response[k])) == pytest.approx(level, abs=0.06)
    assert float(response[8]) == 0.0


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "binomial", "kaiser"])
@pytest.mark.parametrize("n", [2, 4, 6, 16, 62, 64, 1000])
def test_nulls_at_nyquist_are_exact(name, n):
    assert abs(float(frequency_response(name, n)[-1])) < 1e-12


def test_bed_of_nails_is_flat():
    assert (frequency_response("bed_of_nails", 30) == 0.5).all()


@pytest.mark.parametrize("name", INTERPOLATORS)
def test_interpolators_have_one_at_zero(name):
    assert float(frequency_response(name, 64)[0]) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_forms_are_the_finite_sums(name):
    f = np.linspace(0, 0.5, 101)
    np.testing.assert_allclose(np.abs(CLOSED_FORMS[name](f)), _finite_sum(KERNELS[name].taps, f), atol=1e-14)


@pytest.mark.parametrize("taps", [(0.3, 1.0, -0.4, 0.2), (1.0, 2.0, 0.5)])
def test_finite_sum_of_an_uneven_kernel(taps):
    expected = np.abs(np.fft.rfft(taps, 64)) / 2
    np.testing.assert_allclose(_finite_sum(taps, np.arange(33) / 64), expected, atol=1e-14)


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("size", [(16, 16), (15, 18), (14, 21)])
def test_an_impulse_shows_the_response(name, size):
    impulse = torch.zeros(1, 1, *size, dtype=torch.float64)
    impulse[0, 0, 5, 7] = 1
    output = interpolate2x(impulse, name, border="circular")[0, 0]
    spectrum = torch.fft.rfft2(output).abs() / 4
    rows = frequency_response(name, 2 * size[0])
    vertical = torch.cat((rows, rows[1:-1].flip(0)))
    horizontal = frequency_response(name, 2 * size[1])
    torch.testing.assert_close(spectrum, vertical[:, None] * horizontal, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("size", [(16, 16), (13, 12)])
def test_the_spectrum_of_random_periodic_images_is_predicted(name, size):
    torch.manual_seed(0)
    images = torch.randn(3, 2, *size, dtype=torch.float64)
    measured = power_spectrum(interpolate2x(images, name, border="circular"))
    predicted = predict_power(power_spectrum(images), size[1], [name])
    scale = float(measured.max())
    torch.testing.assert_close(predicted / scale, measured / scale, rtol=1e-5, atol=1e-7)


def test_several_stages_are_predicted():
    torch.manual_seed(0)
    images = torch.randn(2, 1, 6, 5, dtype=torch.float64)
    names = ["bilinear", "bed_of_nails", "nearest", "bicubic"]
    output = images
    for name in names:
        output = interpolate2x(output, name, border="circular")
    predicted = predict_power(power_spectrum(images), 5, names)
    measured = power_spectrum(output)
    assert predicted.shape == measured.shape == (2, 1, 96, 41)
    scale = float(measured.max())
    torch.testing.assert_close(predicted / scale, measured / scale, rtol=1e-5, atol=1e-7)
    power = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: predict_power(p, 4, ["bilinear"]), (power,))


@pytest.mark.parametrize("name", FIXED)
def test_image_rejection(name):
    response = frequency_response(name, 64)
    rejection = image_rejection(name, 64)
    assert len(rejection) == 17
    assert float(rejection[16]) == pytest.approx(0.0, abs=1e-9)
    expected = 20 * np.log10(float(response[4]) / float(response[28]))
    assert float(rejection[4]) == pytest.approx(expected)
    assert bool(torch.isinf(rejection[0])) == (float(response[-1]) == 0)


def test_image_power_orders_the_operators():
    shares = {name: image_power(name) for name in FIXED}
    assert shares["bed_of_nails"] == pytest.approx(0.5)
    # cos(pi f)^2 integrates to 1/2 - 1/pi over the upper half, of 1 in all.
    assert shares["nearest"] == pytest.approx(0.5 - 1 / np.pi, abs=1e-4)
    assert (
        shares["bed_of_nails"]
        > shares["nearest"]
        > shares["bicubic"]
        > shares["bilinear"]
        > shares["binomial"]
    )


def orders(name):
    return {round(null.frequency, 4): null.order for null in spectral_nulls(name)}


def test_table_of_nulls():
    assert orders("nearest") == {0.5: 1}
    assert orders("bilinear") == {0.5: 3}
    assert orders("binomial") == {0.5: 4}
    assert orders("bed_of_nails") == {}


@pytest.mark.parametrize("name", FIXED)
def test_nulls_are_zeros_of_the_response(name):
    taps = KERNELS[name].taps
    nulls = spectral_nulls(name)
    for null in nulls:
        assert _finite_sum(taps, np.array([null.frequency]))[0] < 1e-6
    f = np.linspace(0, 0.5, 20001)
    away = np.min([np.abs(f - null.frequency) for null in nulls] or [np.ones_like(f)], axis=0) > 2e-3
    assert _finite_sum(taps, f)[away].min() > 1e-9


def test_bicubic_has_a_second_null():
    first, last = spectral_nulls("bicubic")
    assert 0.375 < first.frequency < 0.44
    assert first.order == 1
    assert last.frequency == 0.5


def test_replicas_are_where_stages_leave_them():
    assert replica_frequencies(1) == {1: (0.5,)}
    assert replica_frequencies(3) == {1: (0.125, 0.375), 2: (0.25,), 3: (0.5,)}
    constant = torch.ones(1, 1, 4, 4, dtype=torch.float64)
    for stages in (1, 2, 3, 4):
        output = constant
        for _ in range(stages):
            output = interpolate2x(output, "bed_of_nails", border="circular")
        size = output.shape[-1]
        lines = torch.nonzero(power_spectrum(output)[0, 0, 0] > 1e-9)[:, 0].tolist()
        found = sorted(round(f * size) for fs in replica_frequencies(stages).values() for f in fs)
        assert lines == [0, *found]


@pytest.mark.parametrize("name", sorted(set(UPSAMPLERS) - set(KERNELS)))
@pytest.mark.parametrize("function", [lambda n: frequency_response(n, 16), spectral_nulls, image_power])
def test_operators_without_a_response_say_why(name, function):
    with pytest.raises(GanlabError) as error:
        function(name)
    expected = "position" if name == "bilinear_align_corners" else "effective_response"
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (lambda: frequency_response("neares", 8), "did you mean 'nearest'"),
        (lambda: frequency_response("nearest", 0), "at least one point"),
        (lambda: image_rejection("nearest", 9), "even"),
        (lambda: image_power("nearest", 9), "1/4"),
        (lambda: replica_frequencies(0), "1 to 16"),
        (lambda: predict_power(torch.ones(4, 4), 4, ["nearest"]), "half plane"),
    ],
)
def test_misuse_is_explained(action, text):
    with pytest.raises(GanlabError) as error:
        action()
    assert text in str(error.value)
