"""Ratios measured in one run: what the forensics room does in batches against the straightforward way."""

import os
import time

import numpy as np
import pytest
import torch

from ganlab.data.imageset import array_image_set
from ganlab.experiments.bench.measure import loop_traces, smooth_grey, traces
from ganlab.experiments.bench.run import line
from ganlab.forensics import convolutional_traces, extract_many, make_detector, make_feature
from ganlab.images import to_float

pytestmark = pytest.mark.benchmark


def best_of(function, repeats=3):
    """Shortest wall time of a few runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def best_threads(function, repeats=3):
    """The shorter of one thread and all threads: on a busy machine a team waits for its last thread."""
    everything, times = os.cpu_count() or 1, []
    for threads in {1, everything}:
        torch.set_num_threads(threads)
        times.append(best_of(function, repeats))
    torch.set_num_threads(1)
    return min(times)


def straightforward_em(channel, size, tolerance=1e-2, max_iterations=100):
    """One channel in 0..255: shifted products for the residual and for all normal equations."""
    a = size // 2
    height, width = channel.shape
    offsets = [(s, t) for s in range(-a, a + 1) for t in range(-a, a + 1) if (s, t) != (0, 0)]

    def shifted(s, t):
        return channel[a + s : height - a + s, a + t : width - a + t]

    def residual_of(kernel):
        return shifted(0, 0) - sum(k * shifted(s, t) for k, (s, t) in zip(kernel, offsets, strict=True))

    kernel = np.array([0.25 if abs(s) + abs(t) == 1 else 0.0 for s, t in offsets])
    sigma = np.sqrt(np.mean(residual_of(kernel) ** 2))
    for _ in range(max_iterations):
        residual = residual_of(kernel)
        density = np.exp(-(residual**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
        weight = density / (density + 1 / 256)
        matrix = np.array([[np.sum(weight * shifted(*o) * shifted(*q)) for q in offsets] for o in offsets])
        right = np.array([np.sum(weight * shifted(0, 0) * shifted(*o)) for o in offsets])
        new = np.linalg.lstsq(matrix, right, rcond=None)[0]
        sigma = np.sqrt(np.sum(weight * residual_of(new) ** 2) / np.sum(weight))
        moved, kernel = np.linalg.norm(new - kernel), new
        if moved < tolerance:
            break
    return kernel


@pytest.mark.parametrize("size", [3, 5, 7])
def test_batched_traces_against_a_loop_that_uses_blas(size):
    """Processor time of all threads, medians [quartiles]; both spend most of it in the same products."""
    torch.set_num_threads(1)
    measured = traces(size, 64, torch.device("cpu"))
    print(line(measured))
    grey = smooth_grey(1)
    images = torch.from_numpy(grey / 127.5 - 1).float()
    np.testing.assert_allclose(
        convolutional_traces(images, size).kernels[0, 0], loop_traces(grey[0, 0], size), atol=1e-3
    )
    assert measured["median"] >= 0.6


@pytest.mark.parametrize("size", [3, 5, 7])
def test_batched_traces_against_per_image_em(size):
    grey = smooth_grey(128)
    images = torch.from_numpy(grey / 127.5 - 1).float()
    ours = best_threads(lambda: convolutional_traces(images, size), 5) / len(images)
    few = 2 if size > 3 else 6
    theirs = best_of(lambda: [straightforward_em(c, size) for image in grey[:few] for c in image], 2) / few
    ratio = theirs / ours
    print(f"traces {size}x{size}: {1e3 * ours:.2f} ms an image, {ratio:.0f} times faster")
    np.testing.assert_allclose(
        convolutional_traces(images[:1], size).kernels[0, 0], straightforward_em(grey[0, 0], size), atol=1e-3
    )
    assert ratio >= 20


def test_features_against_the_fft_alone():
    """DCT, radial profile and both projections of a set, against the full FFT of its colour channels."""
    pixels = np.random.default_rng(0).integers(0, 256, (2000, 64, 64, 3), dtype=np.uint8)
    images = array_image_set(pixels, "noise")
    features = {name: make_feature(name) for name in ("dct", "radial", "both")}

    def transform():
        for batch in images.batches(42):
            torch.fft.fft2(to_float(batch))

    ours, fft = best_threads(lambda: extract_many(features, images), 5), best_threads(transform, 5)
    print(f"features of 2,000 images: {ours:.2f} s, {ours / fft:.1f} times the FFT alone ({fft:.2f} s)")
    assert ours <= 3 * fft


CLASSICAL = (
    "logistic", "ridge", "lasso", "linear_svm", "rbf_svm", "durall_svm", "random_forest", "gradient_boosting",
    "knn", "lda", "eigenfaces", "kmeans", "prnu",
)  # fmt: skip


@pytest.mark.parametrize("name", CLASSICAL)
def test_training_on_ten_thousand_profiles(name):
    """Two overlapping classes of 33 correlated numbers; the issue allows 30 s on four cores."""
    rng = np.random.default_rng(0)
    labels = np.arange(10_000) % 2
    features = rng.standard_normal((10_000, 33)) @ rng.standard_normal((33, 33)) / 6 + 0.5 * labels[:, None]
    seconds = best_of(lambda: make_detector(name).fit(features.astype(np.float32), labels), 1)
    print(f"{name}: {seconds:.1f} s")
    assert seconds < 30
