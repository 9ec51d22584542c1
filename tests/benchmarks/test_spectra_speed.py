"""What spectra cost, as ratios measured in one run: over a bare FFT, over the usual loop, and the bootstrap.

Costs over an FFT are ratios of processor time of one thread, the two actions taking turns: median and
quartiles of many rounds. Wall time on a few shared cores would measure whatever else runs there; caches that
others fill still show in the spread. The loop and the bootstrap are the fastest of many rounds.
"""

import time

import numpy as np
import pytest
import torch

from ganlab.experiments.bench.measure import fft_ratio
from ganlab.experiments.bench.run import line
from ganlab.spectra import (
    DEVIATIONS,
    SpectrumAccumulator,
    layer_kernel,
    spectral_deviation,
    summaries,
    unevenness,
)
from ganlab.spectra.deviation import _statistic
from ganlab.spectra.deviation_metrics import Grid
from ganlab.spectra.resampling import Stacked, bootstrap
from ganlab.spectra.statistics import Moments, SpectrumStatistics
from ganlab.upsampling import make_upsampler

pytestmark = pytest.mark.benchmark
BATCHES = {32: 1024, 64: 256, 256: 16}
LARGE = {32: 16384, 64: 4096, 256: 256}
"""Spectra of more than 32 MiB: the C library takes such a block from the system anew, and clearing its pages
costs a bare `rfft2` more than the transform itself. Pieces that stay below pay nothing."""


def fastest(*actions, rounds=200):
    """Best time of each action in seconds, the actions taking turns."""
    best = [float("inf")] * len(actions)
    for _ in range(rounds):
        for i, action in enumerate(actions):
            start = time.perf_counter()
            action()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def images_of(size, batches=BATCHES):
    torch.manual_seed(0)
    return torch.rand(batches[size], 1, size, size) * 2 - 1


def ratio_to_fft(images, action, what):
    """Median of (time of the action) / (time of ``rfft2`` of these images), printed with its quartiles."""
    measured = fft_ratio(what, images, action)
    print(f"\n{line(measured)} of {measured['fft_us_per_image']:.1f} us an image")
    return measured["median"]


@pytest.mark.parametrize("batches", [BATCHES, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("size", BATCHES)
def test_summaries_cost_about_two_ffts(size, batches, record_property):
    images = images_of(size, batches)
    ratio = ratio_to_fft(images, lambda: summaries(images), "summaries")
    record_property("ratio", ratio)
    assert ratio <= 2.5


def usual_profile(grey):
    """Radial profile of one image as many scripts have it: FFT, shift, log, sort by radius, running sums."""
    spectrum = 20 * np.log(np.abs(np.fft.fftshift(np.fft.fft2(grey))) + 1e-8)
    y, x = np.indices(spectrum.shape)
    radius = np.hypot(x - (grey.shape[1] - 1) / 2, y - (grey.shape[0] - 1) / 2)
    order = np.argsort(radius.flat)
    whole = radius.flat[order].astype(int)
    running = np.cumsum(spectrum.flat[order], dtype=float)
    ends = np.flatnonzero(np.diff(whole))
    return np.diff(running[ends]) / np.diff(ends)


@pytest.mark.parametrize("size", [64, 256])
def test_thirty_times_faster_than_the_usual_loop(size, record_property):
    images = images_of(size)
    few = images[:8, 0].double().numpy()
    # Not in turns: what NumPy frees and torch takes again would be counted as work of the other.
    (usual,) = fastest(lambda: [usual_profile(grey) for grey in few], rounds=60)
    (alone,) = fastest(lambda: summaries(images))
    torch.set_num_threads(2)
    (ours,) = fastest(lambda: summaries(images))
    print(f"\n{size} px, one thread: {usual / len(few) / (alone / len(images)):.0f}x")
    usual, ours = usual / len(few), ours / len(images)
    ratio = usual / ours
    record_property("ratio", ratio)
    print(f"\n{size} px: loop {usual * 1e3:.3f} ms an image, ours {ours * 1e3:.4f} ms, {ratio:.0f}x")
    assert ratio >= 30


def set_of(count, seed):
    """Profiles of 64-pixel images, made up."""
    source = torch.Generator().manual_seed(seed)
    lengths = {
        "radial": 33,
        "horizontal": 33,
        "vertical": 33,
        "diagonal": 33,
        "jung2021": 46,
        "durall2020": 43,
    }
    profiles = {name: torch.rand(count, k, generator=source) + 0.1 for name, k in lengths.items()}
    profiles["decay"] = torch.rand(count, 200, generator=source) + 0.1
    moments = {name: Moments(count, values.double().mean(0).numpy()) for name, values in profiles.items()}
    return SpectrumStatistics(count, 64, 64, "none", moments, -1.0, 1.0, 3, profiles)


def test_thousand_resamples_of_ten_thousand_profiles_take_two_seconds(record_property):
    real, fake = (Stacked(set_of(10_000, seed).profiles) for seed in (0, 1))
    statistic = _statistic(list(DEVIATIONS.values()), Grid(64, 64))
    (seconds,) = fastest(lambda: bootstrap(real, fake, statistic, 1000, 0), rounds=3)
    record_property("seconds", seconds)
    print(f"\nbootstrap of every distance, 1,000 resamples of 2 x 10,000 images: {seconds:.2f} s")
    assert seconds < 2.0


def test_a_whole_comparison(record_property):
    metrics = ["mean_db", "high_db", "frechet"]
    sets = set_of(2000, 0), set_of(2000, 1)
    (seconds,) = fastest(lambda: spectral_deviation(*sets, metrics=metrics), rounds=2)
    record_property("seconds", seconds)
    print(f"\nthree distances with interval, null and test, 2 x 2,000 images: {seconds:.2f} s")
    assert seconds < 20


@pytest.mark.parametrize("batches", [BATCHES, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("options", [{}, {"dct": True}], ids=["default", "dct"])
@pytest.mark.parametrize("size", BATCHES)
def test_the_accumulator_costs_a_few_ffts(size, options, batches, record_property):
    images = images_of(size, batches)
    accumulator = SpectrumAccumulator(**options)
    ratio = ratio_to_fft(images, lambda: accumulator.update(images), f"accumulator {options}")
    record_property("ratio", ratio)
    assert ratio <= (12 if options else 4.5)


@pytest.mark.parametrize("channels", [(512, 256), (1024, 512)])
@pytest.mark.parametrize("name", ["transposed", "nearest", "bicubic", "kaiser", "pixel_shuffle"])
def test_kernels_of_wide_layers(name, channels, record_property):
    """Taps and unevenness of one layer, in milliseconds; impulses took 38 s at 512 to 256 channels."""
    torch.set_num_threads(1)
    layer, times = make_upsampler(name, *channels), []
    for _ in range(7):
        start = time.thread_time()
        kernel = layer_kernel(layer, channels[0])
        middle = time.thread_time()
        unevenness(kernel, torch.ones(channels[0]))
        times.append((middle - start, time.thread_time() - middle))
    low, median, high = 1e3 * np.percentile(times, [25, 50, 75], axis=0)
    text = (f"{m:.1f} [{a:.1f}, {b:.1f}]" for a, m, b in zip(low, median, high, strict=True))
    print(f"\n{name} {channels}: layer_kernel, unevenness {', '.join(text)} ms")
    record_property("milliseconds", float(median.sum()))
    assert median.sum() < 1000
