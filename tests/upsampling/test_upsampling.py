"""The upsamplers against torch's own layers, against explicit zero insertion, and against analytic truths."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.errors import GanlabError
from ganlab.upsampling import (
    KERNELS,
    UPSAMPLERS,
    FixedUpsampler,
    interpolate2x,
    kernel_of,
    make_upsampler,
)

FIXED = [name for name, layer in UPSAMPLERS.items() if issubclass(layer, FixedUpsampler)]
BORDERS = ["torch", "zeros", "reflect", "replicate", "circular"]


def slow_operator(x: np.ndarray, name: str, border: str) -> np.ndarray:
    """Pad, insert zeros, filter each axis by explicit sums, cut: the definition, in float64."""
    kernel, far = KERNELS[name], 6
    mode = {
        "torch": "edge",
        "replicate": "edge",
        "zeros": "constant",
        "reflect": "reflect",
        "circular": "wrap",
    }
    padded = np.pad(x, ((0, 0), (0, 0), (far, far), (far, far)), mode=mode[border])
    z = np.zeros((*padded.shape[:2], 2 * padded.shape[2], 2 * padded.shape[3]))
    z[..., ::2, ::2] = padded
    for axis in (2, 3):
        y = np.zeros_like(z)
        for k, tap in enumerate(kernel.taps):
            y += tap * np.roll(z, k + kernel.offset, axis=axis)
        z = y
    return z[..., 2 * far : -2 * far, 2 * far : -2 * far]


@pytest.mark.parametrize("name", UPSAMPLERS)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("border", BORDERS)
def test_every_layer_doubles_the_size(name, kernel_size, border):
    layer = make_upsampler(name, 8, 5, kernel_size, border=border)
    assert layer(torch.randn(2, 8, 6, 7)).shape == (2, 5, 12, 14)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("border", BORDERS)
def test_operator_equals_explicit_zero_insertion(name, border):
    x = torch.randn(2, 3, 8, 9, dtype=torch.float64)
    expected = slow_operator(x.numpy(), name, border)
    np.testing.assert_allclose(interpolate2x(x, name, border).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_interpolations_are_torchs_own(mode):
    x = torch.randn(2, 3, 7, 5)
    options = {} if mode == "nearest" else {"align_corners": False}
    expected = F.interpolate(x, scale_factor=2, mode=mode, **options)
    assert torch.equal(interpolate2x(x, mode), expected)


def test_align_corners_is_torchs_own_and_no_filter():
    x = torch.randn(1, 2, 7, 5)
    expected = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
    assert torch.equal(interpolate2x(x, "bilinear_align_corners"), expected)
    with pytest.raises(GanlabError, match="position"):
        kernel_of("bilinear_align_corners")


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(FIXED), st.integers(3, 12), st.integers(3, 12), st.integers(1, 3))
def test_constants_stay_constant(name, height, width, channels):
    out = interpolate2x(torch.ones(1, channels, height, width, dtype=torch.float64), name)
    assert out.shape == (1, channels, 2 * height, 2 * width)
    mean = 0.25 if name == "bed_of_nails" else 1.0
    assert out.mean().item() == pytest.approx(mean, abs=1e-12)
    if name != "bed_of_nails":
        assert torch.allclose(out, torch.ones_like(out), atol=1e-12)


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "binomial", "kaiser"])
def test_exact_null_on_the_nyquist_row_and_column(name):
    out = interpolate2x(torch.randn(4, 1, 16, 16, dtype=torch.float64), name, "circular")
    power = torch.fft.fft2(out).abs().square()
    assert power[..., 16, :].max() < 1e-20 * power.max()
    assert power[..., :, 16].max() < 1e-20 * power.max()


def test_bed_of_nails_copies_the_spectrum():
    x = torch.randn(1, 1, 8, 8, dtype=torch.float64)
    big = torch.fft.fft2(interpolate2x(x, "bed_of_nails"))
    assert torch.allclose(big, torch.fft.fft2(x).repeat(1, 1, 2, 2))


def test_kaiser_is_scipys_design():
    width = 2 * 0.25 * (2**0.3 - 1)
    expected = 2 * scipy.signal.firwin(12, 0.25, width=width, fs=1.0)
    np.testing.assert_allclose(KERNELS["kaiser"].taps, expected, rtol=1e-6)


def test_transposed_default_is_4x4_stride_2():
    layer = make_upsampler("transposed", 3, 2)
    assert layer.conv.kernel_size == (4, 4)
    assert layer.conv.stride == (2, 2)
    assert layer.conv.padding == (1, 1)


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
def test_transposed_circular_equals_periodic_filtering(kernel_size):
    layer = make_upsampler("transposed", 2, 3, kernel_size, border="circular", bias=False).double()
    x = torch.randn(1, 2, 8, 8, dtype=torch.float64)
    tiled = layer.conv(x.repeat(1, 1, 3, 3))[..., 16:32, 16:32]
    assert torch.allclose(layer(x), tiled, atol=1e-12)


def test_icnr_starts_as_nearest():
    layer = make_upsampler("pixel_shuffle", 4, 3, icnr=True)
    small = layer(torch.randn(2, 4, 6, 6))
    assert torch.equal(small, interpolate2x(small[..., ::2, ::2], "nearest"))


def test_without_icnr_the_phases_differ():
    out = make_upsampler("pixel_shuffle", 4, 3)(torch.randn(2, 4, 6, 6))
    assert not torch.allclose(out[..., ::2, ::2], out[..., 1::2, ::2])


def test_shuffle_first_order():
    layer = make_upsampler("pixel_shuffle", 8, 3, shuffle_first=True)
    x = torch.randn(1, 8, 4, 4)
    assert torch.equal(layer(x), layer.conv(F.pixel_shuffle(x, 2)))


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("border", BORDERS)
def test_pointwise_shortcut_equals_interpolate_then_convolve(name, border):
    layer = make_upsampler(name, 4, 3, kernel_size=1, border=border).double()
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    assert torch.allclose(layer(x), layer.conv(interpolate2x(x, name, border)), atol=1e-12)


def test_an_operator_without_a_kernel_is_not_moved_behind_its_convolution():
    """A newcomer's operator may be anything, for example nothing that a bias commutes with."""

    class Corner(FixedUpsampler):
        @classmethod
        def operator(cls, x, border):
            return F.pad(x.square(), (0, x.shape[-1], 0, x.shape[-2]))

    layer = Corner(4, 3, kernel_size=1)
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(layer(x), layer.conv(Corner.operator(x, "torch")))
    assert make_upsampler("bilinear_align_corners", 4, 3, kernel_size=1).commutes_with_pointwise


@pytest.mark.parametrize("name", UPSAMPLERS)
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_fans_predict_the_output_variance(name, kernel_size):
    """White noise in, weights of variance 1 / fan_in: mean output power 1 wherever power is kept."""
    torch.manual_seed(0)
    layer = make_upsampler(name, 64, 64, kernel_size, border="circular", bias=False)
    torch.nn.init.normal_(layer.conv.weight, std=layer.fans[0] ** -0.5)
    x = torch.randn(8, 64, 8, 8)
    kept = 4 * interpolate2x(x, name, "circular").square().mean() if name == "bed_of_nails" else 1.0
    power = layer(x).square().mean() / kept
    assert power.item() == pytest.approx(1.0, rel=0.15) or (name in FIXED and power < 1.0)


@pytest.mark.parametrize("name", UPSAMPLERS)
@pytest.mark.parametrize("border", ["torch", "circular"])
def test_gradients(name, border):
    layer = make_upsampler(name, 4, 2, border=border).double()
    x = torch.randn(1, 4, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize("name", FIXED)
def test_shift_by_one_input_pixel_is_two_output_pixels(name):
    if name == "bilinear_align_corners":
        with pytest.raises(GanlabError):
            kernel_of(name)
        return
    x = torch.randn(1, 1, 8, 8, dtype=torch.float64)
    moved = interpolate2x(x.roll((1, 2), (2, 3)), name, "circular")
    assert torch.allclose(moved, interpolate2x(x, name, "circular").roll((2, 4), (2, 3)), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: make_upsampler("nearst", 3, 3), "did you mean 'nearest'"),
        (lambda: make_upsampler("nearest", 3, 3, icnr=True), "no option 'icnr'"),
        (lambda: make_upsampler("nearest", 3, 3, 4), "odd kernel_size"),
        (lambda: make_upsampler("nearest", 0, 3), "positive channels"),
        (lambda: make_upsampler("bilinear", 3, 3, border="mirror"), "unknown border"),
        (lambda: make_upsampler("pixel_shuffle", 6, 3, shuffle_first=True), "divisible by 4"),
        (lambda: make_upsampler("pixel_shuffle", 8, 3, shuffle_first=True, icnr=True), "icnr"),
        (lambda: interpolate2x(torch.ones(1, 1, 4, 4), "transposed"), "learned"),
        (lambda: interpolate2x(torch.ones(1, 1, 4, 4), "pixel_shuffle"), "learned"),
        (lambda: interpolate2x(torch.ones(4, 4), "nearest"), "N, C, H, W"),
        (lambda: interpolate2x(torch.ones(1, 1, 4, 4).byte(), "nearest"), "float"),
        (lambda: interpolate2x(torch.ones(1, 1, 2, 2), "bicubic", "reflect"), "at least 3 pixels"),
        (lambda: interpolate2x(torch.ones(1, 1, 4, 4), "nearest", "wrap"), "unknown border"),
        (lambda: kernel_of("transposed"), "learned"),
    ],
)
def test_bad_input_is_one_clear_error(call, text):
    with pytest.raises(GanlabError, match=text):
        call()


def test_a_first_call_in_inference_mode_leaves_later_ones_differentiable():
    with torch.inference_mode():
        interpolate2x(torch.ones(1, 1, 6, 6, dtype=torch.float16), "binomial")
    images = torch.ones(1, 1, 6, 6, dtype=torch.float16, requires_grad=True)
    interpolate2x(images, "binomial").float().sum().backward()
    assert images.grad is not None
