"""Lattice lines: planted lattices are found and rightly named, smooth changes and equal sources are not."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.errors import GanlabError
from ganlab.spectra import lattice_lines
from ganlab.spectra.lattice import lattice_test
from ganlab.spectra.lattice_grid import surroundings
from ganlab.spectra.lattice_sums import LatticeSums, analysed, tiles, windowed_spectrum

SIZE = 32
Y, X = np.mgrid[0:SIZE, 0:SIZE]


def photos(count, seed, size=SIZE):
    """Grey 1/f fields, cut out of larger ones so that opposite borders do not meet, as in photos."""
    source = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(2 * size)[:, None], np.fft.rfftfreq(2 * size)[None])
    radius[0, 0] = 1.0
    fields = np.fft.irfft2(np.fft.rfft2(source.normal(size=(count, 2 * size, 2 * size))) / radius)
    images = fields[:, None, :size, :size]
    return torch.from_numpy((0.3 * images / images.std()).clip(-1, 1)).float()


def eight_bit(images, seed=9):
    """Stored as 8 bits with dither, so that half a grey level survives."""
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(seed)) - 0.5
    return ((images * 127.5 + 127.5 + noise).round().clamp(0, 255) - 127.5) / 127.5


def grey_levels(pattern):
    return torch.from_numpy(pattern / 127.5).float()


@pytest.fixture(scope="module")
def real():
    return LatticeSums.of(eight_bit(photos(300, 0)))


@pytest.fixture(scope="module")
def clean():
    return photos(300, 1)


def found(real, images):
    return lattice_lines(real, eight_bit(images), permutations=199)


def test_equal_sources_have_no_lines(real, clean):
    assert found(real, clean) == []


PLANTED = {
    "checkerboard": ((-1.0) ** (X + Y), (0.5, 0.5), "a 2-pixel checkerboard"),
    "rows of 2": ((-1.0) ** Y, (0.5, 0.0), "a grating of rows of period 2"),
    "columns of 4": (2 * np.cos(np.pi * X / 2 + 0.3), (0.0, 0.25), "a grating of columns of period 4"),
    "diagonal of 4": (2 * np.cos(np.pi * (X + Y) / 2 + 0.3), (0.25, 0.25), "a diagonal grating"),
    "other diagonal": (2 * np.cos(np.pi * (X - Y) / 2 + 0.3), (-0.25, 0.25), "a diagonal grating"),
    "a quarter and a half": (2 * np.cos(np.pi * (X / 2 + Y) + 0.3), (0.5, 0.25), "a grating"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_grating_is_found_and_named(real, clean, name):
    pattern, place, words = PLANTED[name]
    (line,) = found(real, clean + grey_levels(pattern))
    assert (line.fy, line.fx) == place
    assert line.words.startswith(words)
    assert line.p == 1 / 200


@pytest.mark.parametrize("period", [2, 4, 8])
def test_one_brighter_phase_is_one_lattice(real, clean, period):
    pattern = 3.0 * period * ((Y % period == 1) & (X % period == 0))
    (line,) = found(real, clean + grey_levels(pattern))
    assert line.words.startswith(f"{'an' if period == 8 else 'a'} {period}x{period} lattice")
    assert all((fy * period).is_integer() and (fx * period).is_integer() for fy, fx in line.members)


def test_decibels_are_the_prominence_that_was_planted(real, clean):
    # A checkerboard of amplitude a adds a^2 H W to one coefficient's mean power.
    images = eight_bit(clean)
    power = torch.fft.rfft2(images[:, 0], norm="ortho").abs().square().mean(0)[SIZE // 2, SIZE // 2]
    amplitude = 4 / 127.5
    (line,) = found(real, clean + amplitude * torch.from_numpy((-1.0) ** (X + Y)).float())
    wanted = 10 * np.log10(1 + amplitude**2 * SIZE**2 / float(power))
    assert line.low < wanted < line.high
    assert line.low < line.db < line.high
    assert line.high - line.low < 4


def test_a_line_of_the_reals_is_negative(clean):
    line = lattice_lines(
        eight_bit(clean + grey_levels(2 * (-1.0) ** (X + Y))), eight_bit(photos(300, 0)), permutations=199
    )[0]
    assert line.db < -10
    assert line.of == "real"
    assert line.words.startswith("a 2-pixel checkerboard of the reals, -")


def test_a_grid_that_moved_is_found_by_its_phase_alone(clean):
    rows = 3 * np.cos(np.pi * Y / 4)
    moved = 3 * np.cos(np.pi * (Y + 2) / 4)
    here = eight_bit(photos(300, 0) + grey_levels(rows))
    (line,) = lattice_lines(here, eight_bit(clean + grey_levels(moved)), permutations=199)
    assert line.by == "phase"
    assert (line.fy, line.fx) == (1 / 8, 0)


def test_a_tile_seam_is_found(real, clean):
    line = found(real, clean + grey_levels(4.0 * (X == SIZE // 2)))[0]
    assert line.words.startswith("a column seam")


def test_enlarged_images_among_the_fakes_are_found(real, clean):
    mixed = clean.clone()
    mixed[:90] = clean[:90, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert any(line.period == 2 for line in found(real, mixed))


@pytest.mark.parametrize("share", [-1.0, 0.3, 1.0])
def test_a_smooth_filter_is_no_checkerboard(real, clean, share):
    """share 1 is the binomial low-pass with its null at Nyquist, -1 a sharpening by the same amount."""
    kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])[None, None] / 16
    smooth = torch.nn.functional.conv2d(torch.nn.functional.pad(clean, (1, 1, 1, 1), "reflect"), kernel)
    lines = found(real, (share * smooth + (1 - share) * clean).clamp(-1, 1))
    assert not [line for line in lines if "checkerboard" in line.words or "lattice" in line.words]


def test_batches_and_tensors_agree(real, clean):
    images = eight_bit(clean + grey_levels((-1.0) ** (X + Y)))
    whole = lattice_lines(real, images, permutations=99)
    assert whole == lattice_lines(real, iter(images.split(64)), permutations=99)


def test_the_window_keeps_a_wave_within_one_coefficient():
    wave = 5 + torch.from_numpy(np.cos(np.pi * Y / 2))[None]
    power = windowed_spectrum(wave).abs().square()[0]
    far = power.clone()
    far[SIZE // 4 - 1 : SIZE // 4 + 2, :2] = 0
    far[-SIZE // 4 - 1 : -SIZE // 4 + 2, :2] = 0
    assert far.max() < 1e-20 * power.max()


def test_neighbours_predict_any_quadratic_surface_exactly():
    kernel = surroundings()
    dy, dx = np.mgrid[-3:4, -3:4]
    surface = 5 + 2 * dy - dx + 0.3 * dy**2 - 0.7 * dx * dy + 0.1 * dx**2
    assert (kernel * surface).sum() == pytest.approx(5)
    assert (kernel[2:5, 2:5] == 0).all()  # what the window makes of the line itself


@given(st.integers(16, 40), st.integers(16, 40), st.sampled_from([1, 3]))
@settings(max_examples=10, deadline=None)
def test_any_size_works(height, width, channels):
    source = torch.Generator().manual_seed(height * width)
    images = torch.rand(40, channels, height, width, generator=source) * 2 - 1
    assert isinstance(lattice_lines(images[:20], images[20:], permutations=20), list)


@pytest.mark.parametrize(("side", "used"), [(16, 16), (31, 28), (33, 32), (64, 64), (100, 96), (300, 256)])
def test_every_lattice_falls_on_whole_coefficients(side, used):
    assert analysed(side) == used


def test_a_checkerboard_in_odd_sizes_and_unequal_counts_of_colour_images():
    images = photos(360, 5, 52)[:, :, :35, :51].repeat(1, 3, 1, 1)
    board = torch.from_numpy((-1.0) ** np.add.outer(np.arange(35), np.arange(51))).float() / 127.5
    lines = lattice_lines(eight_bit(images[:300]), eight_bit(images[300:] + board), permutations=199)
    assert [(line.fy, line.fx, line.name) for line in lines] == [(0.5, 0.5, "a 2-pixel checkerboard")]


def test_the_map_of_p_values_shows_the_line_and_the_rest_is_quiet(real, clean):
    lines, p_values = lattice_test(
        real, eight_bit(clean + grey_levels(4 * PLANTED["rows of 2"][0])), permutations=199
    )
    assert p_values.shape == (SIZE, SIZE // 2 + 1)
    assert p_values[SIZE // 2, 0] == p_values.min() == lines[0].p
    far = np.ones(p_values.shape, bool)
    far[SIZE // 2 - 4 : SIZE // 2 + 5, :5] = False
    assert (p_values[far] > 0.05).all()


def test_halves_and_merged_blocks_hold_every_image_once(real):
    first, second = real.halves(np.random.default_rng(0).permutation(200))
    merged = real.merged(37)
    assert len(merged.counts) == 37
    assert first.count + second.count == merged.count == 300
    for sums in (first.power.sum(1) + second.power.sum(1), merged.power.sum(1)):
        assert sums == pytest.approx(real.power.sum(1))
    assert lattice_lines(first, second, permutations=99) == []


def test_large_images_are_cut_into_tiles():
    planes = torch.arange(2 * 6 * 9).reshape(2, 6, 9)
    cut = list(tiles(planes, (3, 4)))
    assert [tuple(tile.shape) for tile in cut] == [(2, 3, 4)] * 4
    assert torch.equal(cut[-1], planes[:, 3:6, 4:8])


@pytest.mark.parametrize(
    ("real_shape", "fake_shape", "options", "words"),
    [
        ((30, 3, 32, 32), (30, 3, 32, 16), {}, "one size"),
        ((30, 3, 32, 32), (10, 3, 32, 32), {}, "at least 20 images"),
        ((30, 3, 8, 32), (30, 3, 8, 32), {}, "too small"),
        ((30, 3, 32, 32), (30, 3, 32, 32), {"alpha": 1.5}, "alpha"),
        ((30, 3, 32, 32), (30, 3, 32, 32), {"permutations": 5}, "permutations"),
    ],
)
def test_bad_input_is_refused(real_shape, fake_shape, options, words):
    with pytest.raises(GanlabError, match=words):
        lattice_lines(torch.zeros(real_shape), torch.zeros(fake_shape), **options)


def test_values_that_are_no_numbers_are_refused():
    images = torch.zeros(30, 1, 16, 16)
    images[3, 0, 2, 2] = float("nan")
    with pytest.raises(GanlabError, match="NaN"):
        lattice_lines(images, images)


def test_sets_too_unlike_in_number_are_refused():
    images = torch.rand(30, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with pytest.raises(GanlabError, match="needs 45 for that many"):
        lattice_lines(images.repeat(100, 1, 1, 1), images[:30])


def test_nearest_enlargement_empties_the_nyquist_frequencies(real, clean):
    lines = found(real, clean[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert {line.name for line in lines[:2]} == {
        "a gap all along the vertical frequency 1/2", "a gap all along the horizontal frequency 1/2"
    }  # fmt: skip


def test_constant_images_have_no_lines():
    assert lattice_lines(torch.zeros(30, 1, 16, 16), torch.zeros(30, 1, 16, 16), permutations=20) == []


@pytest.mark.parametrize("size", [16, 32])
def test_a_lattice_on_constant_images_is_named_whichever_set_has_it(size):
    constant = torch.zeros(30, 1, size, size)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    marked = constant - 0.5 + 0.1 * (-1.0) ** (y + x)
    (line,) = lattice_lines(constant, marked, permutations=20)
    assert (line.fy, line.fx, line.name) == (0.5, 0.5, "a 2-pixel checkerboard")
    (back,) = lattice_lines(marked, constant, permutations=20)
    assert (back.fy, back.fx, back.of) == (0.5, 0.5, "real")
    assert back.db == pytest.approx(-line.db)
