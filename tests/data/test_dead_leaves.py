"""Dead leaves: deterministic, covered, of the r^-3 law, with a smooth spectrum."""

from __future__ import annotations

import numpy as np
import pytest

from ganlab.config.schema import DataConfig
from ganlab.data import DeadLeaves, load_training_images
from ganlab.data.dead_leaves import _paint, bit_stream, dead_leaves, draw_discs, radii, render
from ganlab.errors import GanlabError


def brute_force(leaves: DeadLeaves, index: int) -> np.ndarray:
    """Every sample held against every disc, front to back; float64 box mean."""
    step = leaves.supersample
    grid = (np.arange(leaves.size * step) + 0.5) / step
    y, x = np.meshgrid(grid, grid, indexing="ij")
    bits = bit_stream(leaves.seed, "dead_leaves", index)
    samples = np.full((*x.shape, 3), np.nan)
    while np.isnan(samples).any():
        discs = draw_discs(bits, leaves)
        for cx, cy, r, colour in zip(discs.x, discs.y, discs.radius, discs.colour, strict=True):
            inside = ((x - cx) ** 2 + (y - cy) ** 2 <= r * r) & np.isnan(samples[..., 0])
            samples[inside] = [colour & 255, colour >> 8 & 255, colour >> 16 & 255]
    mean = samples.reshape(leaves.size, step, leaves.size, step, 3).mean(axis=(1, 3))
    return np.floor(mean + 0.5).astype(np.uint8)


@pytest.mark.parametrize("leaves", [
    DeadLeaves(12), DeadLeaves(12, seed=7, supersample=1),
    DeadLeaves(9, supersample=3, r_min=0.6, r_max=20.0),
])  # fmt: skip
def test_equals_a_brute_force_rendering(leaves):
    for index in range(3):
        assert np.array_equal(render(leaves, index), brute_force(leaves, index))


def test_large_blocks_are_painted_in_parts_with_the_same_result(monkeypatch):
    leaves = DeadLeaves(16)
    whole = render(leaves, 0)
    monkeypatch.setattr("ganlab.data.dead_leaves.SAMPLES_AT_ONCE", 500)
    assert np.array_equal(render(leaves, 0), whole)


def test_image_i_depends_on_seed_and_i_alone():
    leaves = DeadLeaves(16, seed=3)
    ten = list(dead_leaves(leaves, range(10), workers=1))
    assert np.array_equal(ten[7], next(dead_leaves(leaves, range(7, 8), workers=1)))
    assert np.array_equal(ten[7], render(leaves, 7))
    assert not np.array_equal(ten[7], ten[8])
    assert not np.array_equal(ten[7], render(DeadLeaves(16, seed=4), 7))


@pytest.mark.parametrize("workers", [2, 3])
def test_helper_processes_make_the_same_images(workers):
    leaves = DeadLeaves(10)
    here = [render(leaves, i) for i in range(2, 9)]
    assert np.array_equal(np.stack(list(dead_leaves(leaves, range(2, 9), workers))), np.stack(here))


def test_a_stopped_reader_leaves_no_helper_behind():
    images = dead_leaves(DeadLeaves(10), range(10_000), 2)
    next(images)
    frame = images.gi_frame.f_locals["helpers"]
    images.close()
    assert all(helper.poll() is not None for helper in frame)


def test_a_dying_helper_is_an_error():
    images = dead_leaves(DeadLeaves(10), range(10_000), 2)
    next(images)
    for helper in images.gi_frame.f_locals["helpers"]:
        helper.kill()
    with pytest.raises(GanlabError, match="ended early"):
        list(images)


def test_no_sample_stays_bare():
    """With every disc white, an uncovered (black) sample would darken its pixel."""
    leaves = DeadLeaves(24)
    for index in range(5):
        bits = bit_stream(leaves.seed, "dead_leaves", index)
        discs = draw_discs(bits, leaves)
        bare = np.mean(_paint(discs, leaves) == len(discs.x))
        assert 0 < bare < 0.1  # the first block alone does leave some: the rule is at work
    white = DeadLeaves(24)
    original = draw_discs

    def all_white(bits, recipe):
        discs = original(bits, recipe)
        return type(discs)(discs.x, discs.y, discs.radius, np.full_like(discs.colour, 0xFFFFFF))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganlab.data.dead_leaves.draw_discs", all_white)
        assert all((render(white, index) == 255).all() for index in range(5))


def test_radii_follow_the_inverse_cube_law():
    """Drawn radii against the distribution function, by the Kolmogorov-Smirnov distance."""
    leaves = DeadLeaves(32, r_min=1.5, r_max=12.0)
    drawn = np.sort(np.concatenate([draw_discs(bit_stream(0, "law", i), leaves).radius for i in range(40)]))
    cdf = (1.5**-2 - drawn**-2) / (1.5**-2 - 12.0**-2)
    empirical = (np.arange(len(drawn)) + 0.5) / len(drawn)
    assert drawn.min() >= 1.5
    assert drawn.max() <= 12.0
    assert len(drawn) > 10_000
    # 1 % critical value of the Kolmogorov-Smirnov test
    assert np.abs(cdf - empirical).max() < 1.63 / np.sqrt(len(drawn))


def test_radii_at_the_ends():
    assert radii(np.array([0.0]), 1.0, 16.0) == pytest.approx(1.0)
    assert radii(np.array([1.0]), 1.0, 16.0) == pytest.approx(16.0)


def mean_power(images: np.ndarray) -> np.ndarray:
    """Ring means of the Hann-windowed mean power of the luma, k = 0 .. size / 2."""
    size = images.shape[1]
    window = np.hanning(size + 1)[:size]
    grey = images @ np.array([0.299, 0.587, 0.114])
    grey = (grey - grey.mean(axis=(1, 2), keepdims=True)) * window * window[:, None]
    power = (np.abs(np.fft.fft2(grey)) ** 2).mean(axis=0)
    k = np.fft.fftfreq(size) * size
    ring = np.rint(np.hypot(k[:, None], k)).astype(int)
    return np.array([power[ring == r].mean() for r in range(size // 2 + 1)])


def test_spectrum_falls_smoothly_like_a_photograph():
    images = np.stack(list(dead_leaves(DeadLeaves(32), range(500), workers=1)))
    log_power = np.log(mean_power(images)[1:])
    k = np.arange(1, 17)
    slope = np.polyfit(np.log(k[1:]), log_power[1:], 1)[0]
    assert -3.2 < slope < -2.0
    assert (np.diff(log_power) < 0).all()
    # no bump over the neighbours at N/4 (k = 8), where an upsampling generator leaves 0.2 to 1.0 nats
    assert abs(log_power[7] - (log_power[6] + log_power[8]) / 2) < 0.06


def test_colours_fill_the_cube_and_channels_are_independent():
    images = np.stack([render(DeadLeaves(16), i) for i in range(100)]).reshape(-1, 3).astype(float)
    assert np.abs(images.mean(axis=0) - 127.5).max() < 8
    correlation = np.corrcoef(images.T) - np.eye(3)
    assert np.abs(correlation).max() < 0.15


@pytest.mark.parametrize("options", [
    {"size": 0}, {"size": 1}, {"size": 8, "r_min": 0.0}, {"size": 8, "r_min": 5.0},
    {"size": 8, "supersample": 0}, {"size": 8, "supersample": 16},
])  # fmt: skip
def test_impossible_recipes_are_refused(options):
    with pytest.raises(GanlabError, match="r_min < r_max"):
        DeadLeaves(**options)


def test_source_is_cached_and_a_larger_set_begins_with_the_smaller(own_cache):
    small = load_training_images(DataConfig(num_images=6), 16)
    large = load_training_images(DataConfig(num_images=9), 16)
    assert len(small.images) == 6
    assert len(small.train) + len(small.val) == 6
    assert np.array_equal(small.images, large.images[:6])
    packs = sorted(own_cache.glob("dead_leaves_16-*.gpack"))
    assert len(packs) == 2
    before = packs[0].stat().st_mtime_ns
    load_training_images(DataConfig(num_images=6), 16)
    assert packs[0].stat().st_mtime_ns == before
    assert len(list(own_cache.iterdir())) == 2


def test_seed_and_size_make_other_packs(own_cache):
    for seed, size in ((0, 16), (1, 16), (0, 8)):
        load_training_images(DataConfig(num_images=2, seed=seed), size)
    assert len(list(own_cache.glob("*.gpack"))) == 3
