"""The pieces of a comparison: decay fit, Fréchet distance, cloaking score, paired distances, prominence."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import torch
from sklearn.linear_model import LogisticRegression

from ganlab.errors import GanlabError
from ganlab.spectra import peak_prominence
from ganlab.spectra.decay import decay_fit, decay_profile, decay_radii
from ganlab.spectra.set_metrics import (
    _fit_logistic,
    cloaking_score,
    focal_frequency_distance,
    frechet_distance,
    gaussian,
    held_out_cloaking,
    log_frequency_distance,
    score,
    shorten,
)


def decay_profile_reference(image):
    """200 mean amplitudes between half the corner and the corner, empty bins interpolated, by loops."""
    grey = (0.2989 * image[0] + 0.5870 * image[1] + 0.1140 * image[2]) * 127.5 + 127.5
    amplitude = np.abs(np.fft.fft2(grey))
    y, x = (np.rint(np.fft.fftfreq(n) * n) for n in grey.shape)
    samples = [
        (np.hypot(y[r], x[c]), amplitude[r, c])
        for r in range(len(y))
        for c in range(len(x))
        if np.hypot(y[r], x[c]) > 0.5 * np.hypot(len(y) / 2, len(x) / 2)
    ]
    radii = np.array([radius for radius, _ in samples])
    edges = np.linspace(radii.min(), radii.max(), 201)
    bins = [[] for _ in range(200)]
    for radius, value in samples:
        bins[next(j for j in range(200) if radius <= edges[j + 1] or j == 199)].append(value)
    filled = [j for j in range(200) if bins[j]]
    return np.interp(range(200), filled, [np.mean(bins[j]) for j in filled])


@pytest.mark.parametrize("size", [(32, 32), (33, 40), (96, 96)])
def test_decay_profile(size, coloured):
    images = coloured(2, 3, *size)
    expected = np.stack([decay_profile_reference(image.numpy()) for image in images])
    np.testing.assert_allclose(decay_profile(images).numpy(), expected, rtol=1e-9)


def test_decay_gradient(coloured):
    images = coloured(1, 1, 8, 8).requires_grad_()
    assert torch.autograd.gradcheck(decay_profile, (images,), atol=1e-4)


def fit_by_simplex(profile, radii):
    half = np.minimum(np.minimum(np.arange(200), np.arange(200)[::-1]), 2)
    smooth = np.array([profile[i - h : i + h + 1].mean() for i, h in enumerate(half)])[140:]
    x = radii[140:] / radii[140]
    fit = scipy.optimize.minimize(
        lambda c: np.linalg.norm(smooth - smooth[0] * x ** c[0]),
        [-2.0],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-9},
    )
    return fit.x[0], smooth[0], smooth[-1]


def test_decay_fit_is_the_simplex_fit(coloured, rng):
    radii = decay_radii(48, 48)
    power_laws = [3.0 * radii**c for c in (-30.0, -5.0, -1.0, 0.0, 2.0)]
    profiles = [*decay_profile(coloured(6, 3, 48, 48)).numpy(), *power_laws, 1 + rng.uniform(size=200)]
    fit = decay_fit(torch.from_numpy(np.stack(profiles)), 48, 48)
    for i, profile in enumerate(profiles):
        exponent, first, last = fit_by_simplex(profile, radii)
        assert float(fit.exponent[i]) == pytest.approx(exponent, abs=1e-4)
        assert float(fit.first[i]) == pytest.approx(first)
        assert float(fit.last[i]) == pytest.approx(last)


def test_frechet_distance_by_scipy(rng):
    sets = [rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)) + rng.normal(size=5) for _ in range(2)]
    fits = [gaussian(torch.from_numpy(s), torch.ones(1, 60, dtype=torch.float64)) for s in sets]
    means, covariances = [s.mean(0) for s in sets], [np.cov(s.T) for s in sets]
    np.testing.assert_allclose(fits[0][0][0], means[0])
    np.testing.assert_allclose(fits[0][1][0], covariances[0])
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert float(frechet_distance(*fits)) == pytest.approx(expected)
    assert float(frechet_distance(fits[0], fits[0])) == pytest.approx(0, abs=1e-9)


def test_weights_count_images(rng):
    profiles = torch.from_numpy(rng.normal(size=(9, 4)))
    counts = torch.tensor([[2.0, 0, 1, 3, 0, 1, 1, 1, 0]], dtype=torch.float64)
    repeated = profiles.repeat_interleave(counts[0].long(), 0).numpy()
    mean, covariance = gaussian(profiles, counts)
    np.testing.assert_allclose(mean[0], repeated.mean(0))
    np.testing.assert_allclose(covariance[0], np.cov(repeated.T), atol=1e-12)


def test_long_profiles_are_averaged_down():
    profiles = torch.arange(130.0)[None].repeat(2, 1)
    short = shorten(profiles)
    assert short.shape == (2, 64)
    assert float(short.mean()) == pytest.approx(float(profiles.mean()), rel=1e-2)
    assert shorten(profiles[:, :64]) is not short


def profile_sets(rng, count, shift):
    return [torch.from_numpy(rng.normal(size=(count, 12)) + s * np.linspace(0, 1, 12)) for s in (0, shift)]


def test_cloaking_knows_equal_from_different(rng):
    same, apart = profile_sets(rng, 300, 0.0), profile_sets(rng, 300, 4.0)
    assert held_out_cloaking(*same).score > 0.85
    assert held_out_cloaking(*apart).score < 0.05
    assert cloaking_score(*same, epochs=30) > 0.6
    assert cloaking_score(*apart, epochs=400) < cloaking_score(*apart, epochs=3) - 0.2


def test_cloaking_on_training_data_flatters_the_detector(rng):
    """With more numbers than images a classifier always learns its training set by heart."""
    sets = [torch.from_numpy(5 * rng.normal(size=(15, 90))) for _ in range(2)]
    assert cloaking_score(*sets, epochs=200) < 0.1
    assert held_out_cloaking(*sets).score > 0.5


def test_cloaking_depends_on_the_seed_alone(rng):
    sets = profile_sets(rng, 50, 1.0)
    state = torch.get_rng_state()
    assert cloaking_score(*sets, epochs=5, seed=3) == cloaking_score(*sets, epochs=5, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    first, second = held_out_cloaking(*sets, seed=1), held_out_cloaking(*sets, seed=1)
    assert torch.equal(first.right_real, second.right_real)


def test_score():
    assert [score(a) for a in (0.5, 1.0, 0.0, 0.75)] == [1.0, 0.0, 0.0, 0.5]


def test_logistic_regression_is_sklearns(rng):
    features = rng.normal(size=(80, 3))
    labels = (features @ [1.0, -2.0, 0.5] + rng.normal(size=80) > 0.4).astype(float)
    weights = np.where(labels > 0, 0.5 / labels.mean(), 0.5 / (1 - labels.mean()))
    fitted = LogisticRegression(C=1 / (0.01 * 80), tol=1e-10, max_iter=1000).fit(features, labels, weights)
    ours = _fit_logistic(
        torch.from_numpy(np.c_[features, np.ones(80)]), torch.from_numpy(labels), ridge=0.01
    ).numpy()
    np.testing.assert_allclose(ours, [*fitted.coef_[0], fitted.intercept_[0]], rtol=1e-5)


def test_logistic_regression_stands_separable_data():
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)
    weights = _fit_logistic(torch.stack((x, torch.ones_like(x)), 1), (x > 0).double(), ridge=1e-4)
    assert torch.isfinite(weights).all()
    assert ((weights[0] * x + weights[1] > 0) == (x > 0)).all()


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_focal_frequency_distance(alpha, coloured):
    first, second = coloured(3, 3, 8, 10), coloured(3, 3, 8, 10) * 0.5
    expected = []
    for a, b in zip((first.numpy() + 1) / 2, (second.numpy() + 1) / 2, strict=True):
        channels = []
        for p, q in zip(a, b, strict=True):
            distance = np.abs(np.fft.fft2(p, norm="ortho") - np.fft.fft2(q, norm="ortho"))
            channels.append((distance**alpha / (distance**alpha).max() * distance**2).mean())
        expected.append(np.mean(channels))
    np.testing.assert_allclose(focal_frequency_distance(first, second, alpha).numpy(), expected)
    assert (focal_frequency_distance(first, first) == 0).all()


def test_focal_frequency_weight_has_no_gradient(coloured):
    first, second = coloured(1, 1, 6, 6).requires_grad_(), coloured(1, 1, 6, 6) * 0.3
    focal_frequency_distance(first, second).sum().backward()
    difference = torch.fft.fft2((first.detach() - second) / 2, norm="ortho")
    weight = difference.abs() / difference.abs().max()
    by_hand = torch.fft.ifft2(weight * difference, norm="ortho").real / 36
    torch.testing.assert_close(first.grad, by_hand)


def test_log_frequency_distance_is_the_mean_over_the_spectrum(coloured):
    first, second = coloured(3, 3, 8, 10), coloured(3, 3, 8, 10) * 0.5
    spectra = np.fft.fft2(first.numpy() * 127.5) - np.fft.fft2(second.numpy() * 127.5)
    expected = np.log((np.abs(spectra) ** 2).mean((1, 2, 3)) + 1)
    np.testing.assert_allclose(log_frequency_distance(first, second).numpy(), expected)
    images = first[:1, :1].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: log_frequency_distance(x, second[:1, :1]), (images,))


@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize("divisor", [2, 4, 8])
def test_prominence_is_the_height_over_a_smooth_spectrum(divisor, windowed):
    size = 64
    k = torch.arange(33, dtype=torch.float64)
    fold = (k - 32) ** 2 if divisor == 2 else (k - 20) ** 2
    smooth = 10 ** (-(3 + 0.01 * fold) / 10)
    assert float(peak_prominence(smooth, size, divisor, windowed)) == pytest.approx(0, abs=1e-9)
    for height in (3.0, -7.0):
        marked = smooth.clone()
        marked[size // divisor] *= 10 ** (height / 10)
        assert float(peak_prominence(marked, size, divisor, windowed)) == pytest.approx(height)


def test_prominence_of_a_natural_spectrum_is_small():
    k = torch.arange(33, dtype=torch.float64)
    aliased = (k + 0.1) ** -2.0 + (64 - k + 0.1) ** -2.0
    for divisor in (2, 4):
        assert abs(float(peak_prominence(aliased, 64, divisor))) < 0.05
    assert torch.autograd.gradcheck(lambda p: peak_prominence(p, 64, 4), (aliased.requires_grad_(),))


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (lambda: peak_prominence(torch.ones(33), 60, 4), "31 bins"),
        (lambda: peak_prominence(torch.ones(32), 62, 4), "no usable bin"),
        (lambda: peak_prominence(torch.ones(9), 16, 8), "no usable bin"),
        (lambda: cloaking_score(torch.zeros(4, 3), torch.zeros(4, 2)), "equal K"),
        (lambda: held_out_cloaking(torch.zeros(3, 2), torch.zeros(9, 2)), "5 folds"),
        (lambda: focal_frequency_distance(torch.zeros(2, 1, 4, 4), torch.zeros(3, 1, 4, 4)), "one shape"),
        (lambda: log_frequency_distance(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 5)), "one shape"),
    ],
)
def test_misuse_is_explained(action, text):
    with pytest.raises(GanlabError) as error:
        action()
    assert text in str(error.value)
