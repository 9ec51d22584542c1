"""Memory stays bounded, whatever the number of images: at 256 px, where it was largest."""

import tracemalloc

import numpy as np

from ganlab.data import array_image_set, imageset
from ganlab.forensics.audit.pixels import signs
from ganlab.spectra.lattice_comparison import Comparison
from ganlab.spectra.lattice_sums import LatticeSums
from ganlab.util.memory import release_memory

SIDE = 256


def peak_of(work):
    """Bytes of arrays that ``work()`` takes at most (tensors are not counted)."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_two_sets_of_lattice_sums_are_compared_without_copies_of_them():
    sets = []
    for seed in (0, 1):
        sums = LatticeSums(SIDE, SIDE)
        source = np.random.default_rng(seed)
        sums.counts[:] = 100
        sums.count = int(sums.counts.sum())
        sums.power[:] = source.gamma(9, 10, sums.power.shape)
        sums.value.real = source.normal(size=sums.value.shape)
        sets.append(sums)
    Comparison(*sets, 1, 0)  # what is kept of the grid between calls
    held = []
    peak = peak_of(lambda: held.append(Comparison(*sets, 1, 0)))
    assert peak < 1.25 * held[0].columns.nbytes < 220e6


def test_what_an_audit_measures_takes_few_bytes_a_pixel():
    images = np.random.default_rng(0).integers(0, 256, (16, SIDE, SIDE, 3), dtype=np.uint8)
    assert peak_of(lambda: signs(images)) < 10 * images[..., 0].size


def test_reading_gives_freed_memory_back_now_and_then(monkeypatch):
    calls = []
    monkeypatch.setattr(imageset, "release_memory", lambda: calls.append(1))
    monkeypatch.setattr(imageset, "RELEASE_BYTES", 4 * 192)
    images = array_image_set(np.zeros((20, 8, 8, 3), np.uint8), "images")
    assert sum(map(len, images.batches(2))) == 20
    assert len(calls) == 5
    release_memory()  # on any system


def test_batches_are_smaller_where_images_are_larger(monkeypatch):
    monkeypatch.setattr(imageset, "BATCH_BYTES", 3 * 192)
    images = array_image_set(np.zeros((10, 8, 8, 3), np.uint8), "images")
    assert [len(batch) for batch in images.batches()] == [3, 3, 3, 1]
