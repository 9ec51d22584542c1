"""How often the intervals of ``spectral_deviation`` hold the truth: trials on profiles that are stored once.

A population of images is measured as it is and filtered; every trial draws reals from the first and fakes
from the second, with replacement, so that the truth is known: the deviation of the whole filtered population.

    pytest -m benchmark tests/benchmarks/test_interval_coverage.py -s

Environment: ``GANLAB_COVERAGE_TRIALS`` (default 40; 1000 for figures worth quoting, about an hour on one
core), ``GANLAB_COVERAGE_IMAGES`` (an image set; dead leaves by default), ``GANLAB_COVERAGE_COUNTS``
("200,500"), ``GANLAB_COVERAGE_FILTERS`` (names below, by commas), ``GANLAB_COVERAGE_OUT`` (a JSON file),
``GANLAB_COVERAGE_WITHOUT`` (deviations left out, by commas: ``decay_exponent`` takes a third of the time).
"""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ganlab.data import open_image_set
from ganlab.data.dead_leaves import DeadLeaves, dead_leaves
from ganlab.images import to_float
from ganlab.spectra import DEVIATIONS, profile_set, spectral_deviation
from ganlab.spectra.set_metrics import frechet_distance, gaussian, shorten
from ganlab.spectra.statistics import Moments, SpectrumStatistics
from ganlab.spectra.transforms import POWER_FLOOR

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(0)]  # a thousand trials take an hour
TRIALS = int(os.environ.get("GANLAB_COVERAGE_TRIALS", "40"))
COUNTS = [int(n) for n in os.environ.get("GANLAB_COVERAGE_COUNTS", "200,500").split(",")]
WITHOUT = os.environ.get("GANLAB_COVERAGE_WITHOUT", "").split(",")


def shelf(images, decibel):
    """A gain above 1/4 cycle per pixel."""
    spectrum = torch.fft.rfft2(images)
    size = images.shape[-2:]
    radius = torch.hypot(torch.fft.fftfreq(size[0])[:, None], torch.fft.rfftfreq(size[1])[None])
    return torch.fft.irfft2(spectrum * torch.where(radius > 0.25, 10 ** (decibel / 20), 1.0), s=size)


FILTERS = {
    "nothing": lambda images: images,
    "+0.5 dB above 1/4": lambda images: shelf(images, 0.5),
    "-3 dB above 1/4": lambda images: shelf(images, -3.0),
    "a light blur of the rows": lambda images: (
        0.94 * images + 0.03 * (images.roll(1, 3) + images.roll(-1, 3))
    ),
}
CHOSEN = os.environ.get("GANLAB_COVERAGE_FILTERS", ",".join(FILTERS)).split(",")


@pytest.fixture(scope="module")
def population():
    """Profiles of the images under every filter, float64."""
    if "GANLAB_COVERAGE_IMAGES" in os.environ:
        chosen = open_image_set(os.environ["GANLAB_COVERAGE_IMAGES"])
        batches = list(chosen.batches(1000))
    else:
        batches = np.array_split(np.stack(list(dead_leaves(DeadLeaves(size=32, seed=0), range(4000)))), 4)
    parts = {name: [] for name in CHOSEN}
    for batch in batches:
        images = to_float(batch)
        for name in CHOSEN:
            parts[name].append(profile_set(FILTERS[name](images)).profiles)
    return {
        name: {kind: torch.cat([part[kind] for part in own]).double() for kind in own[0]}
        for name, own in parts.items()
    }, images.shape[-1]


def statistics(profiles, chosen, size):
    kept = {name: values[chosen] for name, values in profiles.items()}
    moments = {name: Moments(len(chosen), values.mean(0).numpy()) for name, values in kept.items()}
    return SpectrumStatistics(len(chosen), size, size, "none", moments, -1.0, 1.0, 3, kept)


def truths(real, fake, size):
    everything = torch.arange(len(real["radial"]))
    sets = [statistics(profiles, everything, size) for profiles in (real, fake)]
    exact = spectral_deviation(*sets, metrics=list(DEVIATIONS), resamples=0)
    logs = [shorten(one["radial"].clamp_min(POWER_FLOOR).log()[:, 1:]) for one in (real, fake)]
    fits = [gaussian(log, log.new_ones(1, len(log))) for log in logs]
    return {name: found.observed for name, found in exact.items()} | {
        "frechet": float(frechet_distance(*fits))
    }


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", CHOSEN)
def test_coverage(name, count, population, record_property):
    profiles, size = population
    real, fake = profiles["nothing"] if "nothing" in profiles else profiles[name], profiles[name]
    truth = {key: value for key, value in truths(real, fake, size).items() if key not in WITHOUT}
    low, high, outside, width, estimate, observed = (dict.fromkeys(truth, 0.0) for _ in range(6))
    start = time.process_time()
    for trial in range(TRIALS):
        source = torch.Generator().manual_seed(trial)
        sets = [
            statistics(one, torch.randint(len(one["radial"]), (count,), generator=source), size)
            for one in (real, fake)
        ]
        report = spectral_deviation(*sets, metrics=list(truth), seed=trial)
        for deviation, found in report.items():
            margin = 1e-9 + 1e-9 * abs(truth[deviation])
            low[deviation] += truth[deviation] < found.low - margin
            high[deviation] += truth[deviation] > found.high + margin
            outside[deviation] += not found.low <= found.value <= found.high
            width[deviation] += (found.high - found.low) / TRIALS
            estimate[deviation] += found.value / TRIALS
            observed[deviation] += found.observed / TRIALS
    seconds = (time.process_time() - start) / TRIALS
    print(f"\n{name}, {count} + {count} images, {TRIALS} trials, {seconds:.2f} s each")
    print(f"{'':24s} {'truth':>9s} {'estimate':>9s} {'observed':>9s} {'width':>8s} covered  below above %")
    rows = {}
    for deviation, value in truth.items():
        covered = 100 - 100 * (low[deviation] + high[deviation]) / TRIALS
        print(
            f"{deviation:24s} {value:9.4f} {estimate[deviation]:9.4f} {observed[deviation]:9.4f} "
            f"{width[deviation]:8.4f} {covered:6.1f}  {100 * low[deviation] / TRIALS:5.1f} "
            f"{100 * high[deviation] / TRIALS:5.1f}",
            flush=True,
        )
        rows[deviation] = {"truth": value, "covered": covered}
        # Three standard errors below what is wanted: few trials shall not fail by chance.
        signed = deviation in DEVIATIONS and DEVIATIONS[deviation].signed
        wanted = 0.93 if signed else 0.90
        assert covered / 100 >= wanted - 3 * (wanted * (1 - wanted) / TRIALS) ** 0.5, deviation
        assert outside[deviation] == 0, deviation
    record_property("coverage", rows)
    if "GANLAB_COVERAGE_OUT" in os.environ:
        out = Path(os.environ["GANLAB_COVERAGE_OUT"])
        stored = json.loads(out.read_text()) if out.exists() else {}
        out.write_text(json.dumps({**stored, f"{name}, {count}": rows}, indent=1))
