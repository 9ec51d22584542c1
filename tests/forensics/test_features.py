"""Every feature: shape, finite, independent of the batch; and each against an independent computation."""

import itertools

import numpy as np
import pytest
import scipy.fft
import scipy.interpolate
import scipy.ndimage
import scipy.optimize
import torch
from forensics_images import checkered, natural

from ganlab.data.imageset import array_image_set
from ganlab.errors import GanlabError
from ganlab.forensics import FEATURES, extract, extract_many, make_feature, make_perturbation, perturb
from ganlab.forensics.features import extract as extract_module
from ganlab.forensics.features import wavelets
from ganlab.forensics.features.profiles import Decay
from ganlab.images import luma, to_float
from ganlab.spectra import CONVENTIONS, radial_profile

SIZES = [(32, 32, 3), (32, 48, 3), (40, 40, 1)]


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("shape", SIZES)
def test_dims_finite_and_independent_of_the_batch(name, shape):
    height, width, channels = shape
    images = to_float(natural(5, 48, channels=channels)[:, :height, :width])
    feature = make_feature(name)
    values = feature(images)
    assert values.shape == (5, *feature.dims(shape))
    assert values.dtype == torch.float32
    assert bool(torch.isfinite(values).all())
    torch.testing.assert_close(feature(images[3:4])[0], values[3], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", FEATURES)
def test_constant_images_stay_finite(name):
    for grey in (-1.0, 0.0, 1.0):
        assert bool(torch.isfinite(make_feature(name)(torch.full((2, 3, 32, 32), grey))).all())


@pytest.mark.parametrize("name", FEATURES)
def test_frequencies_have_the_features_shape(name):
    for shape in SIZES:
        frequencies = make_feature(name).frequencies(shape)
        if frequencies is not None:
            assert frequencies.shape == make_feature(name).dims(shape)
            assert frequencies.min() >= 0
            assert frequencies.max() <= np.sqrt(0.5) + 1e-9


@pytest.mark.parametrize("name", FEATURES)
def test_spec_is_json_and_names_the_options(name):
    import json

    spec = json.loads(json.dumps(make_feature(name).spec()))
    assert spec["operator"] == type(make_feature(name)).__name__


def wave(fx, fy, side=32):
    """A cosine image at (fx, fy) cycles per pixel, amplitude a half."""
    y, x = np.indices((side, side))
    image = 0.5 * np.cos(2 * np.pi * (fx * x + fy * y) + 0.3)
    return torch.from_numpy(image).float()[None, None].repeat(1, 3, 1, 1)


@pytest.mark.parametrize("name", ["dft", "dct", "highpass", "radial", "horizontal", "vertical", "wavelets"])
@pytest.mark.parametrize("f", [5 / 32, 9 / 32, 13 / 32])
def test_a_wave_shows_at_its_own_frequency(name, f):
    feature = make_feature(name)
    image = wave(0, f) if name == "vertical" else wave(f, 0)
    values = feature(image)[0].flatten().numpy()
    frequencies = feature.frequencies((32, 32, 3)).ravel()
    peak = np.argmax(np.where(frequencies > 0.02, values, -np.inf))
    band = 1 / 16 if name == "wavelets" else 1 / 32
    assert abs(frequencies[peak] - f) <= band


def test_dft_and_dct_equal_scipy():
    images = natural(2)
    grey = luma(to_float(images)).double().numpy()
    power = np.abs(scipy.fft.rfft2(grey)) ** 2 / (32 * 32)
    np.testing.assert_allclose(
        make_feature("dft")(to_float(images))[:, 0], 10 * np.log10(power + 1e-12), atol=1e-2
    )
    coefficients = scipy.fft.dctn(images.transpose(0, 3, 1, 2).astype(float), axes=(2, 3), norm="ortho")
    ours = make_feature("dct")(to_float(images)).exp().numpy()
    np.testing.assert_allclose(ours, np.abs(coefficients), atol=2e-2, rtol=1e-4)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_radial_in_every_convention(convention):
    images = to_float(natural(2))
    profile = radial_profile(images, convention)
    values = make_feature("radial", convention=convention)(images)
    linear = CONVENTIONS[convention].measure in ("power", "raw_power")
    expected = 10 * torch.log10(profile + 1e-12) if linear else profile
    torch.testing.assert_close(values, expected.float(), atol=1e-3, rtol=1e-4)


def test_durall_resampling_equals_griddata():
    images = to_float(natural(3, 64))
    profile = radial_profile(images, "durall2019").double().numpy()
    own = make_feature("durall_80")(images).numpy()
    for row, ours in zip(profile, own, strict=True):
        points = np.linspace(0, 80, num=row.size)
        cubic = scipy.interpolate.griddata(points, row, np.linspace(0, 80, num=80), method="cubic")
        np.testing.assert_allclose(ours, cubic / cubic[0], rtol=2e-5)
    middle = make_feature("durall_300")(images)
    third = radial_profile(images[:, :, 21:43, 21:43], "durall2019")
    assert middle.shape == (3, 300)
    torch.testing.assert_close(middle[:, -1], third[:, -1] / third[:, 0], rtol=1e-4, atol=1e-5)


def test_both_is_horizontal_then_vertical_and_transposing_exchanges_them():
    images = to_float(natural(2, 48)[:, :32])
    both, h, v = (make_feature(n)(images) for n in ("both", "horizontal", "vertical"))
    torch.testing.assert_close(both, torch.cat([h, v], 1))
    torch.testing.assert_close(make_feature("vertical")(images.transpose(2, 3)), h, atol=1e-2, rtol=1e-3)


def test_decay_fit_equals_scipy():
    images = to_float(natural(4, 64))
    feature = Decay()
    x, y = feature.profile(images)
    first = np.searchsorted(x, 0.75)
    for values, row in zip(feature(images), y.numpy(), strict=True):
        xs, ys = x[first:], row[first:]
        best = scipy.optimize.minimize(
            lambda c, xs=xs, ys=ys: np.sum((ys - ys[0] * (xs / xs[0]) ** c[0]) ** 2),
            [-2.0],
            method="Nelder-Mead",
        )
        assert values[0].item() == pytest.approx(best.x[0], abs=1e-3)
        assert values[1].item() == pytest.approx(ys[0], rel=1e-5)
        assert values[2].item() == pytest.approx(ys[-1], rel=1e-5)


def test_decay_profile_by_hand():
    images = to_float(natural(1, 48))
    _, ours = Decay(bins=16).profile(images)
    magnitude = np.abs(np.fft.fft2((luma(images.double())[0].numpy() + 1) / 2))
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(48) * 48, np.fft.fftfreq(48) * 48))
    part = radius / radius.max()
    edges = np.linspace(0.5, 1, 17)
    means = [magnitude[(part >= a) & ((part < b) | (b == 1))].mean() for a, b in itertools.pairwise(edges)]
    smooth = [np.mean(means[max(0, i - 2) : i + 3]) for i in range(16)]
    np.testing.assert_allclose(ours[0].numpy(), smooth, rtol=1e-6)


def test_npr_is_zero_on_enlarged_images_and_shift_free():
    images = to_float(natural(2, 16).repeat(2, 1).repeat(2, 2))
    assert make_feature("npr")(images).abs().max().item() == 0.0
    images = to_float(natural(2))
    residual = make_feature("npr")(images)
    assert residual[:, :, ::2, ::2].abs().max().item() == 0.0
    unit = (images + 1) / 2
    expected = (unit[0, 0, 5, 7] - unit[0, 0, 4, 6]) * 2 / 3
    assert residual[0, 0, 5, 7].item() == pytest.approx(expected.item(), abs=1e-6)


def test_highpass_residual_is_the_images_minus_scipys_median():
    images = to_float(natural(1))
    grey = luma(images)[0].numpy()
    residual = grey - scipy.ndimage.median_filter(grey, 5, mode="nearest")
    power = np.abs(np.fft.rfft2(residual)) ** 2 / grey.size
    ours = make_feature("highpass", size=5)(images)[0, 0].numpy()
    np.testing.assert_allclose(10 ** (ours / 10), power + 1e-12, rtol=1e-3, atol=1e-7)


def test_cooccurrence_by_hand():
    images = np.array([[[[0], [255], [255]], [[16], [0], [9]]]], np.uint8)
    table = make_feature("cooccurrence", levels=16)(to_float(images))[0, 0]
    expected = torch.zeros(16, 16)
    for left, right in ((0, 15), (15, 15), (1, 0), (0, 0)):
        expected[left, right] += 0.25
    torch.testing.assert_close(table, expected)


@pytest.mark.parametrize("order", range(1, 11))
def test_daubechies_filters_are_orthonormal_with_vanishing_moments(order):
    low, high = wavelets.filters(order).double().numpy()
    for shift in range(order):
        inner = low[: 2 * order - 2 * shift] @ low[2 * shift :]
        assert inner == pytest.approx(float(shift == 0), abs=1e-5)
        assert high[: 2 * order - 2 * shift] @ low[2 * shift :] == pytest.approx(0, abs=1e-5)
    assert high @ np.ones(2 * order) == pytest.approx(0, abs=1e-5)
    exact = wavelets.daubechies(order)[::-1] * (-1.0) ** np.arange(2 * order)
    for moment in range(min(order, 6)):
        assert exact @ (np.arange(2 * order) / order) ** moment == pytest.approx(0, abs=1e-4)


def test_daubechies_two_has_its_known_values():
    root = np.sqrt(3)
    known = np.array([1 + root, 3 + root, 3 - root, 1 - root]) / (4 * np.sqrt(2))
    found = wavelets.daubechies(2)
    assert min(np.abs(found - known).max(), np.abs(found - known[::-1]).max()) < 1e-9


@pytest.mark.parametrize("order", [1, 2, 4, 8])
def test_wavelets_keep_energy_and_invert(order):
    planes = torch.randn(2, 8, 12, generator=torch.Generator().manual_seed(0))
    bands = wavelets.decompose(planes, order)
    assert bands.square().sum().item() == pytest.approx(planes.square().sum().item(), rel=1e-4)
    torch.testing.assert_close(wavelets.reconstruct(bands, order), planes, atol=1e-4, rtol=1e-4)


def test_noise_residual_takes_the_noise_and_leaves_the_edges():
    rng = np.random.default_rng(0)
    clean = np.where(np.arange(64) < 29, -0.6, 0.6) * np.ones((64, 1))
    noise = 0.05 * rng.standard_normal((64, 64))
    image = torch.from_numpy(clean + noise).float()[None, None]
    residual = make_feature("residual")(image)[0, 0].numpy()
    assert np.corrcoef(residual.ravel(), noise.ravel())[0, 1] > 0.85
    assert np.abs(residual.mean(0)).max() < 1e-5
    assert np.abs(residual.mean(1)).max() < 1e-5
    assert np.abs(residual).max() < 0.4


def test_a_checkerboard_is_seen_by_every_spectral_feature():
    clean = natural(40)
    marked = to_float(checkered(clean))
    clean = to_float(clean)
    for name in ("dft", "dct", "both", "highpass", "wavelets", "traces", "npr"):
        feature = make_feature(name)
        a, b = feature(clean).flatten(1), feature(marked).flatten(1)
        effect = (a.mean(0) - b.mean(0)).abs() / (a.std(0) + b.std(0) + 1e-6)
        assert effect.max().item() > 0.3, name


# ------------------------------------------------------------------------------------------------ extraction


def test_extraction_is_the_same_for_any_batch_and_with_a_cache(tmp_path, monkeypatch):
    images = natural(30)
    photos = array_image_set(images, "photos")
    direct = make_feature("both")(to_float(images)).numpy()
    np.testing.assert_allclose(extract(make_feature("both"), photos), direct, atol=1e-3)
    monkeypatch.setattr(extract_module, "BATCH_PIXELS", 32 * 32 * 3 * 7)
    cached = extract(make_feature("both"), photos, tmp_path)
    assert isinstance(cached, np.memmap)
    np.testing.assert_allclose(cached, direct, atol=1e-3)


def test_cache_is_used_and_tells_options_pixels_and_perturbations_apart(tmp_path, monkeypatch):
    photos = array_image_set(natural(12), "photos")
    noise = make_perturbation("gaussian_noise", variance=50.0)
    both = {"a": make_feature("both"), "r": make_feature("radial")}
    extract_many(both, photos, tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == 2
    extract(make_feature("both", window="hann"), photos, tmp_path)
    extract(make_feature("both"), array_image_set(natural(12, seed=1), "photos"), tmp_path)
    perturbed = extract(make_feature("both"), photos, tmp_path, noise, seed=4)
    extract(make_feature("both"), photos, tmp_path, noise, seed=5)
    assert len(list(tmp_path.glob("*.npy"))) == 6
    assert {p.suffix for p in tmp_path.iterdir()} == {".npy", ".json"}
    expected = make_feature("both")(to_float(perturb(natural(12), noise, seed=4)))
    np.testing.assert_allclose(perturbed, expected, atol=1e-3)

    def never(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(extract_module, "_fill", never)
    # the name of a set is not part of it
    again = extract_many(both, array_image_set(natural(12), "other name"), tmp_path)
    assert again["a"].shape == (12, 34)


def test_an_interrupted_extraction_leaves_nothing(tmp_path, monkeypatch):
    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(extract_module, "_computed", broken)
    with pytest.raises(KeyboardInterrupt):
        extract(make_feature("both"), array_image_set(natural(4), "photos"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_values_that_are_no_numbers_name_the_image(monkeypatch):
    class Broken(type(make_feature("pixels"))):
        def __call__(self, images):
            values = images.clone()
            values[2, 0, 0, 0] = float("nan")
            return values

    with pytest.raises(GanlabError, match=r"photos: Broken is not finite for image 2"):
        extract(Broken(), array_image_set(natural(4), "photos"))


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("radialx", {}, "did you mean 'radial'"),
        ("radial", {"convention": "durall"}, "did you mean"),
        ("radial", {"bins": 2}, "4 points"),
        ("radial", {"bin": 2}, "bin"),
        ("dft", {"window": "box"}, "hann"),
        ("highpass", {"size": 4}, "odd"),
        ("decay", {"threshold": 0.4}, "0.5 and 1"),
        ("decay", {"bins": 3}, "8 radial"),
        ("traces", {"kernel_size": 9}, "3, 5 or 7"),
        ("wavelets", {"level": 0}, "levels"),
        ("wavelets", {"order": 11}, "orders"),
        ("cooccurrence", {"levels": 100}, "divide"),
        ("residual", {"levels": 5}, "1 to 4 levels"),
    ],
)
def test_bad_options_are_explained(name, options, word):
    with pytest.raises(GanlabError, match=word):
        make_feature(name, **options)


def test_images_that_do_not_fit_are_explained():
    odd = torch.zeros(1, 3, 31, 32)
    with pytest.raises(GanlabError, match="even height"):
        make_feature("npr")(odd)
    with pytest.raises(GanlabError, match="even sides"):
        make_feature("npr").dims((31, 32, 3))
    with pytest.raises(GanlabError, match="even sides"):
        make_feature("residual")(odd)
    with pytest.raises(GanlabError, match="divisible by 8"):
        make_feature("wavelets")(odd)
    with pytest.raises(GanlabError, match="even sides"):
        wavelets.decompose(torch.zeros(1, 3, 4), 1)
    with pytest.raises(GanlabError, match="too short"):
        make_feature("durall_80")(torch.zeros(1, 1, 6, 6))
    with pytest.raises(GanlabError, match="2 pixels wide"):
        make_feature("cooccurrence")(torch.zeros(1, 1, 4, 1))
