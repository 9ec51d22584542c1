import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.errors import GanlabError
from ganlab.spectra import WINDOWS, dct2, power_spectrum

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def full_mean(power, width):
    """Mean over the full plane of a half-plane spectrum, double columns counted twice."""
    weights = torch.full((power.shape[-1],), 2.0, dtype=power.dtype)
    weights[0] = 1
    if width % 2 == 0:
        weights[-1] = 1
    return (power * weights).sum((-1, -2)) / (power.shape[-2] * width)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 33), st.integers(1, 33), st.integers(1, 4), st.integers(0, 2**31))
def test_parseval_on_any_size(height, width, channels, seed):
    images = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, channels, height, width)))
    power = power_spectrum(images)
    assert power.shape == (2, channels, height, width // 2 + 1)
    torch.testing.assert_close(full_mean(power, width), images.square().mean((-1, -2)))
    torch.testing.assert_close(dct2(images).square().sum((-1, -2)), images.square().sum((-1, -2)))


@pytest.mark.parametrize(("row", "column"), [(0, 3), (5, 0), (2, 7), (-4, 6), (8, 10), (0, 0)])
def test_a_sine_lies_in_its_bin(row, column):
    height, width = 16, 20
    y, x = torch.arange(height)[:, None], torch.arange(width)[None]
    wave = torch.cos(2 * torch.pi * (row * y / height + column * x / width)).double()
    power = power_spectrum(wave[None, None])[0, 0]
    peak = power[row % height, column]
    alone = (2 * row) % height == 0 and (2 * column) % width == 0
    assert torch.isclose(peak, torch.tensor((1.0 if alone else 0.25) * height * width, dtype=peak.dtype))
    rest = power.clone()
    rest[row % height, column] = 0
    if column in (0, width // 2):
        rest[-row % height, column] = 0
    assert rest.max() < 1e-9  # phases near 50 radians are only good to about 1e-12


@pytest.mark.parametrize("size", [(8, 8), (7, 12), (33, 20), (128, 65), (67, 129)])
def test_dct_is_scipys(size, rng):
    images = rng.normal(size=(2, 3, *size))
    expected = scipy.fft.dctn(images, axes=(2, 3), norm="ortho")
    np.testing.assert_allclose(dct2(torch.from_numpy(images)).numpy(), expected, atol=1e-12)
    single = dct2(torch.from_numpy(images).float())
    np.testing.assert_allclose(single.numpy(), expected, atol=1e-5)


def test_gradient_of_the_dct_by_fft():
    images = torch.randn(1, 1, 2, 66, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(dct2, (images,))


@pytest.mark.parametrize("function", [power_spectrum, dct2, lambda x: power_spectrum(x, "kaiser")])
@pytest.mark.parametrize("size", [(6, 6), (5, 8)])
def test_gradients(function, size):
    torch.manual_seed(0)
    images = torch.randn(1, 2, *size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (images,))


@pytest.mark.parametrize("window", WINDOWS)
def test_windows_keep_the_power_of_white_noise(window):
    torch.manual_seed(0)
    power = power_spectrum(torch.randn(3000, 1, 16, 16), window)
    assert abs(float(full_mean(power, 16).mean()) - 1) < 0.01


def test_hann_keeps_a_constant_within_one_bin():
    power = power_spectrum(torch.ones(1, 1, 32, 32, dtype=torch.float64), "hann")[0, 0]
    assert power[2:-1].max() < 1e-25
    assert power[:, 2:].max() < 1e-25
    assert power[1, 1] > 0.1


def test_windows_lower_the_leakage_of_an_edge(rng):
    ramp = torch.linspace(-1, 1, 64, dtype=torch.float64).expand(1, 1, 64, 64)
    bare = power_spectrum(ramp)[0, 0, 0, 20:]
    for window in ("hann", "kaiser"):
        assert (power_spectrum(ramp, window)[0, 0, 0, 20:] < bare / 1e3).all()


def test_input_is_left_alone():
    images = torch.randn(2, 1, 8, 8)
    before = images.clone()
    power_spectrum(images)
    dct2(images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("device", DEVICES)
def test_every_device_agrees_with_numpy(device, rng):
    images = rng.normal(size=(4, 3, 24, 20)).astype(np.float32)
    moved = torch.from_numpy(images).to(device)
    expected = np.abs(np.fft.rfft2(images)) ** 2 / 480
    np.testing.assert_allclose(power_spectrum(moved).cpu().numpy(), expected, rtol=1e-3, atol=1e-4)
    expected = scipy.fft.dctn(images, axes=(2, 3), norm="ortho")
    np.testing.assert_allclose(dct2(moved).cpu().numpy(), expected, rtol=1e-3, atol=1e-4)


def test_unknown_window():
    with pytest.raises(GanlabError, match="did you mean 'hann'"):
        power_spectrum(torch.zeros(1, 1, 8, 8), "han")
