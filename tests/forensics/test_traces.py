"""The batched EM equals an independent float64 EM, and its kernels tell upsamplers apart."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from ganlab.errors import GanlabError
from ganlab.forensics import convolutional_traces


def reference_em(channel, size, tolerance, max_iterations):
    """Straight from the description, one channel in 0..255, float64, lstsq on the weighted design matrix."""
    a = size // 2
    height, width = channel.shape
    offsets = [(s, t) for s in range(-a, a + 1) for t in range(-a, a + 1) if (s, t) != (0, 0)]
    design = np.stack([channel[a + s : height - a + s, a + t : width - a + t].ravel() for s, t in offsets], 1)
    pixel = channel[a : height - a, a : width - a].ravel()
    kernel = np.array([0.25 if abs(s) + abs(t) == 1 else 0.0 for s, t in offsets])
    sigma = np.sqrt(np.mean((pixel - design @ kernel) ** 2))
    steps = 0
    while steps < max_iterations:
        steps += 1
        residual = pixel - design @ kernel
        density = np.exp(-(residual**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
        weight = density / (density + 1 / 256)
        root = np.sqrt(weight)
        new = np.linalg.lstsq(design * root[:, None], pixel * root, rcond=None)[0]
        residual = pixel - design @ new
        sigma = np.sqrt(np.sum(weight * residual**2) / np.sum(weight))
        moved, kernel = np.linalg.norm(new - kernel), new
        if moved < tolerance:
            break
    return kernel, sigma, steps


def natural(count, side, seed=0, channels=3):
    """1/f-like fields with noise, float (N, C, H, W) in [-1, 1] on the 8-bit grid."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1.0
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((count, channels, side, side))) / frequency**1.2)
    field = 128 + 45 * field[..., :side, :side] / field.std((-2, -1), keepdims=True)
    return quantise(field + 2 * rng.standard_normal(field.shape))


def quantise(grey):
    return torch.from_numpy(np.clip(grey, 0, 255).round() / 127.5 - 1.0).float()


@pytest.mark.parametrize("size", [3, 5, 7])
def test_equals_the_reference(size):
    images = natural(3, 40)
    traces = convolutional_traces(images, size, tolerance=1e-4, max_iterations=30)
    assert traces.kernels.shape == (3, 3, size**2 - 1)
    assert traces.features().shape == (3, 3 * (size**2 - 1))
    assert bool(traces.converged.all())
    for i in range(3):
        for c in range(3):
            channel = (images[i, c].double().numpy() + 1) * 127.5
            kernel, sigma, steps = reference_em(channel, size, 1e-4, 30)
            np.testing.assert_allclose(traces.kernels[i, c], kernel, atol=2e-4)
            assert traces.sigma[i, c].item() == pytest.approx(sigma, rel=1e-4)
            assert abs(traces.iterations[i, c].item() - steps) <= 1


def test_finds_the_kernel_that_made_the_image():
    """In an AR(1) row, x[n] = a x[n-1] + noise, the two-sided predictor is a / (1 + a^2) on each side."""
    rng = np.random.default_rng(0)
    a, grey = 0.9, np.zeros((200, 200))
    grey[:, 0] = rng.standard_normal(200) / np.sqrt(1 - a**2)
    for x in range(1, 200):
        grey[:, x] = a * grey[:, x - 1] + rng.standard_normal(200)
    kernel = convolutional_traces(quantise(128 + 16 * grey)[None, None], 3, tolerance=1e-5).kernels[0, 0]
    expected = torch.zeros(8)
    expected[3] = expected[4] = a / (1 + a**2)
    torch.testing.assert_close(kernel, expected, atol=0.03, rtol=0)


def test_mirror_and_quarter_turn_move_the_coefficients_along():
    images = natural(2, 32)
    kernel = convolutional_traces(images, 5, tolerance=1e-6).kernels
    mirrored = convolutional_traces(images.flip(3), 5, tolerance=1e-6).kernels
    turned = convolutional_traces(images.rot90(1, (2, 3)), 5, tolerance=1e-6).kernels

    def full(k):
        zero = torch.zeros(*k.shape[:2], 1)
        return torch.cat([k[..., :12], zero, k[..., 12:]], -1).view(*k.shape[:2], 5, 5)

    torch.testing.assert_close(full(mirrored), full(kernel).flip(3), atol=2e-4, rtol=0)
    torch.testing.assert_close(full(turned), full(kernel).rot90(1, (2, 3)), atol=2e-4, rtol=0)


@given(
    count=st.integers(1, 5), height=st.integers(10, 24), width=st.integers(10, 24), c=st.sampled_from([1, 3])
)
@settings(max_examples=10, deadline=None)
def test_an_image_does_not_depend_on_its_batch(count, height, width, c):
    images = natural(count, 24, channels=c)[:, :, :height, :width]
    whole = convolutional_traces(images).kernels
    for i in range(count):
        torch.testing.assert_close(
            convolutional_traces(images[i : i + 1]).kernels[0], whole[i], atol=1e-4, rtol=0
        )


def test_chunks_give_the_same(monkeypatch):
    images = natural(5, 24)
    whole = convolutional_traces(images)
    monkeypatch.setattr("ganlab.forensics.features.traces.CHUNK_VALUES", 9 * 22 * 22 * 4)
    torch.testing.assert_close(convolutional_traces(images).kernels, whole.kernels, atol=1e-4, rtol=0)


def upsampled(count, method, seed):
    small = ((natural(count, 32, seed, 1).numpy() + 1) * 127.5)[:, 0]
    rng = np.random.default_rng(seed + 1)
    if method == "native":
        return natural(count, 64, seed, 1)
    if method == "nearest":
        large = small.repeat(2, 1).repeat(2, 2)
    elif method == "zeros":
        large = np.zeros((count, 64, 64))
        large[:, ::2, ::2] = 4 * (small - 128)
        large = 128 + scipy.ndimage.convolve(large, np.ones((1, 4, 4)) / 16 * 1.0, mode="nearest")
    else:
        order = {"bilinear": 1, "bicubic": 3}[method]
        zoom = (1, 2, 2)
        large = scipy.ndimage.zoom(small, zoom, order=order, mode="nearest", grid_mode=True)
    return quantise(large + rng.standard_normal(large.shape))[:, None]


@pytest.mark.parametrize("size", [3, 5, 7])
def test_three_neighbours_name_the_upsampler(size):
    methods = ("native", "nearest", "bilinear", "bicubic", "zeros")
    images = torch.cat([upsampled(20, m, 10 * i).view(20, 1, 64, 64) for i, m in enumerate(methods)])
    labels = np.repeat(np.arange(5), 20)
    features = convolutional_traces(images, size).features().numpy()
    predicted = cross_val_predict(KNeighborsClassifier(3), features, labels, cv=5)
    assert (predicted == labels).mean() >= 0.9


def test_exact_and_constant_images_stay_finite():
    nearest = upsampled(1, "nearest", 0).view(1, 1, 64, 64)
    smooth = torch.linspace(-0.5, 0.5, 32).view(1, 1, 1, 32).expand(1, 1, 32, 32)
    for images in (nearest, smooth, torch.zeros(1, 3, 16, 16), torch.full((1, 1, 16, 16), -1.0)):
        traces = convolutional_traces(images)
        assert bool(torch.isfinite(traces.kernels).all())
        assert bool(torch.isfinite(traces.sigma).all())
    grey = convolutional_traces(torch.zeros(1, 1, 16, 16)).kernels
    assert grey.sum().item() == pytest.approx(1.0, abs=1e-4)


def test_running_out_of_steps_is_flagged():
    traces = convolutional_traces(natural(2, 24), tolerance=1e-9, max_iterations=2)
    assert not bool(traces.converged.any())
    assert bool((traces.iterations == 2).all())


def test_bad_input_is_explained():
    images = natural(1, 16)
    with pytest.raises(GanlabError, match="3, 5 or 7"):
        convolutional_traces(images, 4)
    with pytest.raises(GanlabError, match="too few"):
        convolutional_traces(images[:, :, :8, :8], 7)
    with pytest.raises(GanlabError, match="too few"):
        convolutional_traces(images[:, :, :2], 3)
    with pytest.raises(GanlabError, match="N >= 1"):
        convolutional_traces(images[:0])
    with pytest.raises(GanlabError, match="float images"):
        convolutional_traces(images.to(torch.uint8))
    with pytest.raises(GanlabError, match=r"\[-1, 1\] is expected"):
        convolutional_traces(images * 1e20)
    broken = images.clone()
    broken[0, 0, 0, 0] = float("nan")
    with pytest.raises(GanlabError, match="NaN"):
        convolutional_traces(broken)
    with pytest.raises(GanlabError, match="max_iterations"):
        convolutional_traces(images, max_iterations=0)
