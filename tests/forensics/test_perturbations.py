"""Every operator does what its parameter says, and the released ones do what the released script did."""

import io

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganlab.errors import GanlabError
from ganlab.forensics import LEVELS, PERTURBATIONS, SEVERITIES, describe, make_perturbation, perturb
from ganlab.forensics.perturbations.published import KernelBlur, ReleasedJpeg, ReleasedNoise, Sometimes

GREY = np.full((1, 64, 64, 3), 128, np.uint8)


def natural(count=4, side=32, seed=0):
    """Smooth random colour images: a box-filtered noise field stretched to most of 0..255."""
    rng = np.random.default_rng(seed)
    field = scipy.ndimage.gaussian_filter(rng.standard_normal((count, side, side, 3)), (0, 1.5, 1.5, 0))
    return np.clip(128 + 200 * field, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_same_shape_and_deterministic_for_each_index(name):
    images = natural(6)
    operator = make_perturbation(name)
    whole = perturb(images, operator, seed=3, first_index=10)
    assert whole.dtype == np.uint8
    assert whole.shape == images.shape
    parts = [perturb(images[i : i + 2], operator, seed=3, first_index=10 + i) for i in (0, 2, 4)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("name", PERTURBATIONS)
@given(side=st.tuples(st.integers(16, 24), st.integers(16, 24)), channels=st.sampled_from([1, 3]))
@settings(max_examples=5, deadline=None)
def test_any_size_grey_and_colour(name, side, channels):
    images = np.random.default_rng(0).integers(0, 256, (2, *side, channels), dtype=np.uint8)
    before = images.copy()
    assert perturb(images, make_perturbation(name)).shape == images.shape
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_description_is_json(name):
    import json

    assert json.loads(json.dumps(describe(make_perturbation(name))))["operator"]


@pytest.mark.parametrize("name", [n for n in SEVERITIES if n not in ("mirror", "shift")])
def test_severity_grows(name):
    images = natural(12, 48)
    change = [
        np.abs(perturb(images, make_perturbation(name, severity=level)).astype(float) - images).mean()
        for level in range(1, LEVELS + 1)
    ]
    assert change[0] < change[-1]
    assert np.all(np.diff(change) > -0.1 * change[-1])


def test_every_single_operator_has_five_levels():
    singles = {name for name in PERTURBATIONS if not name.startswith(("frank", "yu"))}
    assert set(SEVERITIES) == singles
    assert all(len(levels) == LEVELS for levels in SEVERITIES.values())


def test_relighting_is_a_ramp_about_the_centre():
    images = np.full((40, 16, 16, 3), 100, np.uint8)
    lit = perturb(images, make_perturbation("relight", strength=0.4)).astype(float)
    np.testing.assert_allclose(lit.mean((1, 2, 3)), 100, atol=0.3)
    np.testing.assert_allclose(lit[:, ::-1, ::-1] + lit, 200, atol=1.01)
    # along a unit direction the edges' centres lie at 15/16: the steepest row or column spans at most that
    rows, columns = (np.ptp(lit.mean((axis, 3)), axis=1) for axis in (2, 1))
    np.testing.assert_allclose(np.hypot(rows, columns), 2 * 100 * 0.4 * 15 / 16, atol=2)
    assert np.ptp(np.arctan2(lit[:, 0, 8, 0] - 100, lit[:, 8, 0, 0] - 100)) > 5
    assert not perturb(np.zeros_like(images), make_perturbation("relight", strength=1.0)).any()


@pytest.mark.parametrize("variance", [4.0, 25.0, 100.0])
def test_noise_has_the_variance_it_says(variance):
    noisy = perturb(np.repeat(GREY, 8, 0), make_perturbation("gaussian_noise", variance=variance))
    measured = noisy.astype(float).var()
    # rounding to integers adds 1/12; 98,304 samples estimate the variance within about 0.5 %
    assert measured == pytest.approx(variance + 1 / 12, rel=0.02)


def test_blur_of_an_impulse_has_the_variance_sigma_squared():
    image = np.zeros((1, 65, 65, 1), np.uint8)
    image[0, 32, 32] = 255
    # a wide kernel spreads one pixel below one grey level, so blur a bright square and compare second moments
    image[0, 24:41, 24:41] = 255
    blurred = perturb(image, make_perturbation("gaussian_blur", sigma=3.0)).astype(float)[0, :, :, 0]
    axis = np.arange(65) - 32

    def spread(x):
        return (x.sum(0) * axis**2).sum() / x.sum()

    gained = spread(blurred) - spread(image[0, :, :, 0].astype(float))
    assert gained == pytest.approx(9.0, rel=0.03)


def test_blur_equals_scipy():
    image = natural(1)
    ours = perturb(image, make_perturbation("gaussian_blur", sigma=1.3)).astype(float)
    reference = scipy.ndimage.gaussian_filter(
        image.astype(float), (0, 1.3, 1.3, 0), mode="mirror", radius=(0, 6, 6, 0)
    )
    assert np.abs(ours - reference).max() <= 0.51


def test_median_equals_a_sorted_window():
    image = natural(1, 16)
    ours = perturb(image, make_perturbation("median", size=3))
    windows = np.lib.stride_tricks.sliding_window_view(image[0], (3, 3), axis=(0, 1))
    np.testing.assert_array_equal(ours[0, 1:-1, 1:-1], np.median(windows, axis=(-2, -1)).astype(np.uint8))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_jpeg_is_the_codec_at_that_quality(subsampling):
    image = natural(1)[0]
    ours = perturb(image[None], make_perturbation("jpeg", quality=40, subsampling=subsampling))[0]
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=40, subsampling=subsampling)
    np.testing.assert_array_equal(ours, np.asarray(Image.open(buffer)))


def test_subsampling_matters_only_for_colour():
    noise = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    full, half = (
        perturb(noise, make_perturbation("jpeg", quality=95, subsampling=s)).astype(float)
        for s in ("4:4:4", "4:2:0")
    )
    assert np.abs(full - noise).mean() < 0.5 * np.abs(half - noise).mean()


def test_quarter_turns_and_mirror_are_exact():
    image = natural(1)
    for degrees, turns in ((90, 1), (180, 2), (270, 3), (-90, -1), (360, 4)):
        turned = perturb(image, make_perturbation("rotation", degrees=float(degrees)))[0]
        np.testing.assert_array_equal(turned, np.rot90(image[0], turns))
    mirrored = perturb(image, make_perturbation("mirror"))
    np.testing.assert_array_equal(mirrored, image[:, :, ::-1])


def test_interpolated_rotation_turns_the_same_way_as_exact_one():
    image = natural(1, 33)
    nearly = perturb(image, make_perturbation("rotation", degrees=89.999)).astype(float)
    exact = perturb(image, make_perturbation("rotation", degrees=90.0)).astype(float)
    assert np.abs(nearly - exact).max() <= 1.0


def test_rotation_keeps_angles_on_a_rectangle():
    image = np.zeros((1, 41, 81, 1), np.uint8)
    image[0, 20, 40:55] = 255  # a ray to the right; 90 degrees counter-clockwise: upwards
    turned = perturb(image, make_perturbation("rotation", degrees=90.0))[0, :, :, 0]
    assert turned[7:20, 40].min() > 200
    assert turned[21:, 40].max() < 60


def test_shift_is_a_move_by_at_most_one_and_never_none():
    image = natural(1)
    images = np.repeat(image, 64, 0)
    moved = perturb(images, make_perturbation("shift", pixels=1))
    found = set()
    for one in moved:
        matches = [
            (dy, dx)
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
            if np.array_equal(one[2:-2, 2:-2], image[0, 2 + dy : 30 + dy, 2 + dx : 30 + dx])
        ]
        assert len(matches) == 1
        found.update(matches)
    assert found == {(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)} - {(0, 0)}


def test_occlusion_covers_one_square_of_one_colour():
    images = np.repeat(natural(1), 10, 0)
    covered = perturb(images, make_perturbation("occlusion", fraction=0.25))
    for before, after in zip(images, covered, strict=True):
        rows, columns = np.nonzero((before != after).any(-1))
        assert np.ptp(rows) <= 7
        assert np.ptp(columns) <= 7
        inside = after[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert np.all(inside == inside[0, 0])


def test_crop_keeps_a_linear_ramp_linear_with_a_smaller_slope():
    ramp = np.repeat(np.linspace(40, 200, 64).astype(np.uint8)[None, None, :, None], 64, 1)
    cropped = perturb(ramp, make_perturbation("crop_resize", fraction=0.25)).astype(float)[0, 32, :, 0]
    slope = np.polyfit(np.arange(8, 56), cropped[8:56], 1)[0]
    assert slope == pytest.approx(0.75 * (200 - 40) / 63, rel=0.02)


def test_rescale_down_removes_what_the_smaller_grid_cannot_hold_and_up_keeps_it():
    wave = 128 + 80 * np.sin(2 * np.pi * 3 / 8 * np.arange(32))  # 3/8 cycles per pixel, above 1/4
    image = np.broadcast_to(wave.astype(np.uint8)[None, None, :, None], (1, 32, 32, 3)).copy()
    down, up = (
        perturb(image, make_perturbation("rescale", factor=factor)).std() / image.std()
        for factor in (0.5, 2.0)
    )
    assert down < 0.5 * up
    assert up > 0.6


def test_frank_perturbs_about_every_second_image():
    images = np.repeat(natural(1), 400, 0)
    changed = (perturb(images, make_perturbation("frank_noise")) != images).any((1, 2, 3)).mean()
    assert 0.4 < changed < 0.6


def test_released_noise_is_stronger_and_half_a_level_darker():
    images = np.repeat(GREY, 40, 0)
    released = perturb(images, ReleasedNoise()).astype(float)
    meant = perturb(images, make_perturbation("gaussian_noise", variance=(5.0, 20.0))).astype(float)
    assert released.var() == pytest.approx((20**3 - 5**3) / (3 * 15), rel=0.25)  # E s^2 for s of U[5, 20)
    assert meant.var() == pytest.approx(12.5, rel=0.15)
    assert released.mean() - 128 == pytest.approx(-0.5, abs=0.15)


def test_released_blur_ignores_the_kernel_side():
    image = natural(1)
    for side in (3, 9):
        taps = np.exp(-0.5 * (np.arange(-(side // 2), side // 2 + 1) / 4.0) ** 2)
        taps /= taps.sum()
        reference = image.astype(float)
        for axis in (1, 2):
            reference = scipy.ndimage.correlate1d(reference, taps, axis=axis, mode="mirror")
        ours = perturb(image, KernelBlur((side,), sigma=4.0)).astype(float)
        assert np.abs(ours - reference).max() <= 0.51


def test_released_jpeg_is_quality_95_with_red_and_blue_exchanged():
    image = natural(1)[0]
    buffer = io.BytesIO()
    Image.fromarray(image[:, :, ::-1].copy()).save(buffer, "JPEG", quality=95, subsampling="4:2:0")
    reference = np.asarray(Image.open(buffer))[:, :, ::-1]
    np.testing.assert_array_equal(perturb(image[None], ReleasedJpeg())[0], reference)


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("jpeg", {"quality": 0}, "quality"),
        ("jpeg", {"subsampling": "4:1:0"}, "4:2:0"),
        ("gaussian_noise", {"variance": -1.0}, "variance"),
        ("gaussian_noise", {"variance": (9.0, 3.0)}, "low and high"),
        ("gaussian_noise", {"sigma": 3.0}, "sigma"),
        ("median", {"size": 4}, "odd"),
        ("shift", {"pixels": 0}, "one pixel"),
        ("occlusion", {"fraction": 1.5}, "fraction"),
    ],
)
def test_bad_options_are_explained(name, options, word):
    with pytest.raises(GanlabError, match=word):
        make_perturbation(name, **options)


def test_bad_requests_are_explained():
    with pytest.raises(GanlabError, match="did you mean 'gaussian_blur'"):
        make_perturbation("gaussian_blurr")
    with pytest.raises(GanlabError, match="1 to 5"):
        make_perturbation("jpeg", severity=6)
    with pytest.raises(GanlabError, match="no severity"):
        make_perturbation("frank_jpeg", severity=1)
    with pytest.raises(GanlabError, match="not both"):
        make_perturbation("jpeg", severity=1, quality=3)
    with pytest.raises(GanlabError, match="uint8"):
        perturb(natural(2).astype(np.float32), make_perturbation("mirror"))
    with pytest.raises(GanlabError, match="cannot shift"):
        perturb(natural(1, 4), make_perturbation("shift", pixels=4))
    with pytest.raises(GanlabError, match="probability"):
        Sometimes(make_perturbation("mirror"), 1.2)
    with pytest.raises(GanlabError, match="odd"):
        KernelBlur((2,))


def test_an_image_without_a_margin_is_not_cropped():
    with pytest.raises(GanlabError, match="2x2 has no margin"):
        perturb(np.zeros((1, 2, 2, 3), np.uint8), make_perturbation("crop_resize"))
