import numpy as np
import pytest
import reference
import scipy.fft
import scipy.ndimage
import torch

from ganlab.errors import GanlabError
from ganlab.spectra import (
    angular_profile,
    autocorrelation,
    dct_statistics,
    median_residual,
    npr_residual,
    padded_spectrum,
    pixel_moments,
    power_spectrum,
    residual_spectrum,
)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(16, 16), (32, 32), (21, 34), (24, 17)])
def test_angular_profile_is_corvis(size, channels, coloured):
    images = coloured(2, channels, *size)
    expected = np.stack([reference.corvi_angular(image.numpy()) for image in images])
    np.testing.assert_allclose(angular_profile(images).numpy(), expected, rtol=1e-6, atol=1e-12)


def test_angular_profile_finds_the_direction_of_a_wave():
    x = torch.arange(32, dtype=torch.float64)
    across = torch.cos(2 * torch.pi * 8 * x / 32).expand(1, 1, 32, 32)
    both = angular_profile(torch.cat((across, across.mT)))
    np.testing.assert_allclose(both[0].argmax(), 0)
    np.testing.assert_allclose(both[1].argmax(), 8)
    np.testing.assert_allclose(both.amax(1), 1)


def test_angular_gradient(coloured):
    images = coloured(1, 3, 6, 6).requires_grad_()
    assert torch.autograd.gradcheck(angular_profile, (images,), atol=1e-4)


def direct_autocorrelation(image):
    image = image - image.mean()
    height, width = image.shape
    lags = np.array(
        [[(image * np.roll(image, (-y, -x), (0, 1))).sum() for x in range(width)] for y in range(height)]
    )
    return lags / lags[0, 0]


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (6, 9)])
def test_autocorrelation_is_the_sum_over_pixels(size, coloured):
    images = coloured(2, 1, *size)
    ours = autocorrelation(power_spectrum(images), size[1])[:, 0]
    for image, lags in zip(images[:, 0].numpy(), ours.numpy(), strict=True):
        np.testing.assert_allclose(lags, direct_autocorrelation(image), atol=1e-10)


def test_autocorrelation_of_repeated_pixels_reaches_the_neighbour():
    torch.manual_seed(0)
    noise = torch.randn(200, 1, 16, 16).repeat_interleave(2, 2).repeat_interleave(2, 3)
    lags = autocorrelation(power_spectrum(noise).mean(0), 32)[0]
    assert lags[0, 1] == pytest.approx(0.5, abs=0.02)
    assert lags[0, 2] == pytest.approx(0.0, abs=0.02)
    flat = autocorrelation(torch.zeros(8, 5), 8)
    assert (flat == 0).all()


def test_autocorrelation_gradient():
    power = torch.rand(6, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: autocorrelation(p, 6), (power,))


@pytest.mark.parametrize("size", [1, 3, 5])
def test_median_residual_is_scipys(size, rng):
    images = rng.normal(size=(2, 3, 12, 9))
    expected = images - scipy.ndimage.median_filter(images, size=(1, 1, size, size), mode="nearest")
    np.testing.assert_allclose(median_residual(torch.from_numpy(images), size).numpy(), expected, atol=1e-12)


def test_residual_gradients():
    torch.manual_seed(0)
    images = torch.randn(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(median_residual, (images,))
    assert torch.autograd.gradcheck(npr_residual, (images,))


def test_residual_spectrum_averages(coloured):
    images = coloured(6, 3, 16, 20)
    grey = (images.numpy() * np.array([0.299, 0.587, 0.114])[:, None, None]).sum(1)
    spectra = np.fft.rfft2(grey - scipy.ndimage.median_filter(grey, size=(1, 5, 5), mode="nearest"))
    expected = {
        "complex": np.abs(spectra.mean(0)) / 320**0.5,
        "power": np.sqrt((np.abs(spectra) ** 2).mean(0) / 320),
        "log": np.exp(np.log(np.abs(spectra)).mean(0)) / 320**0.5,
    }
    for average, values in expected.items():
        whole = residual_spectrum(images, average=average)
        np.testing.assert_allclose(whole.numpy(), values, rtol=1e-5, atol=1e-8)
        parts = residual_spectrum(iter(images.split(4)), average=average)
        torch.testing.assert_close(whole, parts, rtol=1e-9, atol=1e-12)


def test_npr_by_its_definition(coloured):
    images = coloured(2, 3, 8, 10)
    unit = (images + 1) / 2
    down = torch.nn.functional.interpolate(unit, scale_factor=0.5, mode="nearest")
    up = torch.nn.functional.interpolate(down, scale_factor=2, mode="nearest")
    torch.testing.assert_close(npr_residual(images), unit - up)
    assert (npr_residual(images)[..., ::2, ::2] == 0).all()


def stylegan3_reference(images, mean, std, padding):
    height, width = images.shape[-2:]
    window = np.outer(*(np.kaiser(n, 8) / np.sqrt((np.kaiser(n, 8) ** 2).sum()) for n in (height, width)))
    total = 0
    for image in images:
        for channel in image:
            grown = np.zeros((padding * height, padding * width))
            grown[:height, :width] = (channel - mean) / std * window
            total = total + np.abs(np.fft.fft2(grown)) ** 2
    level = np.fft.fftshift(10 * np.log10(total / (images.shape[0] * images.shape[1])))
    level = np.concatenate((level, level[:1]), 0)
    return np.concatenate((level, level[:, :1]), 1)


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (9, 9)])
@pytest.mark.parametrize("padding", [1, 2, 4])
def test_padded_spectrum_is_stylegan3s(size, padding, coloured):
    images = coloured(3, 3, *size)
    mean, std = pixel_moments(images)
    assert mean == pytest.approx(float(images.mean()))
    assert std == pytest.approx(float(images.std(correction=0)))
    ours = padded_spectrum(iter(images.split(2)), mean, std, padding)
    expected = stylegan3_reference(images.numpy(), mean, std, padding)
    np.testing.assert_allclose(ours.heatmap(), expected, atol=1e-6)
    frequencies, levels = ours.slice_0()
    middle, centre = padding * size[0] // 2, padding * size[1] // 2
    np.testing.assert_allclose(levels, expected[middle, centre:], atol=1e-6)
    assert frequencies[-1] == 0.5
    if size[0] == size[1]:
        frequencies, levels = ours.slice_45()
        np.testing.assert_allclose(levels, np.diagonal(expected[centre:, centre:]), atol=1e-6)
        assert frequencies[-1] == pytest.approx(0.5**0.5)


def test_white_noise_is_at_zero_db_in_stylegan3s_way():
    torch.manual_seed(0)
    spectrum = padded_spectrum(torch.randn(2000, 1, 16, 16))
    assert spectrum.slice_0()[1][8:] == pytest.approx(np.zeros(25), abs=0.4)


def test_dct_statistics_are_franks(rng):
    pixels = rng.integers(0, 256, (7, 3, 8, 9)).astype(np.uint8)
    coefficients = scipy.fft.dctn(pixels.astype(float), axes=(2, 3), norm="ortho")
    images = torch.from_numpy(pixels.astype(np.float32)) / 127.5 - 1
    ours = dct_statistics(iter(images.split(3)))
    assert ours.count == 7
    np.testing.assert_allclose(ours.mean, coefficients.mean(0), atol=1e-4)
    np.testing.assert_allclose(ours.std, coefficients.std(0), rtol=1e-5)
    np.testing.assert_allclose(ours.log_mean, np.log(np.abs(coefficients.mean(0)) + 1e-12), atol=1e-3)
    np.testing.assert_allclose(ours.log_std, np.log(coefficients.std(0) + 1e-12), atol=1e-5)


IMAGES = torch.zeros(2, 1, 9, 8)


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (lambda: npr_residual(IMAGES), "9x8"),
        (lambda: median_residual(IMAGES, 4), "odd size"),
        (lambda: residual_spectrum(IMAGES, average="mean"), "complex, power, log"),
        (lambda: residual_spectrum([]), "zero images"),
        (lambda: residual_spectrum([IMAGES, IMAGES[..., :7]]), "differ in shape"),
        (lambda: angular_profile(IMAGES, bins=0), "at least one bin"),
        (lambda: autocorrelation(torch.zeros(8, 8), 8), "half plane"),
        (lambda: padded_spectrum(iter([IMAGES])), "mean and std"),
        (lambda: padded_spectrum(IMAGES, 0.0, 0.0), "std is positive"),
        (lambda: padded_spectrum(IMAGES + torch.rand(2, 1, 9, 8)).slice_45(), "square"),
        (lambda: padded_spectrum(IMAGES[:0], 0.0, 1.0), "zero images"),
        (lambda: dct_statistics(IMAGES[:0]), "zero images"),
        (lambda: pixel_moments([]), "zero images"),
    ],
)
def test_misuse_is_explained(action, text):
    with pytest.raises(GanlabError) as error:
        action()
    assert text in str(error.value)
