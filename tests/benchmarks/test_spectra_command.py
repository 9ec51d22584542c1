"""What ``ganlab spectra`` costs: the pass over a set beside bare conversion and FFT, memory against set size.

Times are CPU times of one thread, measured in turns in one process, so that other work on the machine changes
them little.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from ganlab.data.imageset import array_image_set
from ganlab.experiments.spectra.measure import batch_size, measure
from ganlab.experiments.spectra.options import SpectraOptions
from ganlab.images import luma, to_float

pytestmark = pytest.mark.benchmark
COUNT = 50_000
ROUNDS = 2


def images(count, size=64):
    """Random pixels: nothing measured here depends on what they show."""
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def seconds(function):
    start = time.process_time()
    function()
    return time.process_time() - start


def bare(many):
    """The unavoidable: uint8 to float luma, and one FFT an image."""
    for batch in many.batches(batch_size(many)):
        torch.fft.rfft2(luma(to_float(batch)))


def read(many):
    """Reading and hashing alone, which both sides above contain."""
    for _ in many.batches(batch_size(many)):
        pass


@pytest.mark.parametrize("role", ["real", "fake"])
def test_the_pass_over_a_set_is_mostly_conversion_and_fft(role):
    many = array_image_set(images(COUNT), "many")
    options = SpectraOptions(metrics="basic")
    rounds = [
        (
            seconds(lambda: bare(many)),
            seconds(lambda: measure(many, role, options)),
            seconds(lambda: read(many)),
        )
        for _ in range(ROUNDS)
    ]
    least, whole, reading = (min(column) for column in zip(*rounds, strict=True))
    share = (least - reading) / (whole - reading)
    print(
        f"\n{role}: conversion and FFT {share:.0%} of the pass; with reading and hashing {least / whole:.0%}"
    )
    print(f"{1e6 * whole / COUNT:.0f} us an image, {1e6 * reading / COUNT:.0f} of them reading and hashing")
    assert share >= 0.7


SCRIPT = """
import sys, threading, time
import numpy as np
from ganlab.data.imageset import open_image_set
from ganlab.experiments.spectra.run import SpectraOptions, compare_spectra

peak, done = 0, False

def watch():
    global peak
    while not done:
        with open("/proc/self/status") as stream:
            # Anonymous memory: pages of the file on disk are the system's to drop.
            peak = max(peak, next(int(line.split()[1]) for line in stream if line.startswith("RssAnon")))
        time.sleep(0.02)

path, count = sys.argv[1], int(sys.argv[2])
thread = threading.Thread(target=watch)
thread.start()
real, fake = open_image_set(path, count), open_image_set(path, 2000)
start = time.perf_counter()
options = SpectraOptions(metrics="basic", bootstrap=200)
compare_spectra(real, [fake], path + str(count), options, ["real", "fake"])
done = True
thread.join()
print(peak / 1024, time.perf_counter() - start)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_peak_memory_does_not_grow_with_the_set(tmp_path):
    path = tmp_path / "many.npy"
    np.save(path, images(50_000))
    peaks = {}
    for count in (5_000, 50_000):
        command = [sys.executable, "-c", SCRIPT, str(path), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
        peaks[count], spent = (float(word) for word in done.stdout.split()[-2:])
        print(f"\n{count} images of 64x64: peak {peaks[count]:.0f} MiB, {spent:.1f} s")
    assert peaks[50_000] - peaks[5_000] <= 100
