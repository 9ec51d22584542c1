import warnings

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.errors import GanlabError
from ganlab.spectra import CONVENTIONS, ProfileConvention, RingRule, axis_profiles, radial_profile

LENGTHS = {  # methods.md, Appendix B and D
    "durall2019": {32: 20, 64: 43, 128: 88, 256: 179, 512: 360, 1024: 722},
    "durall2020": {32: 20, 64: 43, 128: 88, 256: 179, 512: 360, 1024: 722},
    "jung2021": {32: 23, 64: 46, 128: 91, 256: 182, 512: 363, 1024: 725},
    "ssdgan2021": {32: 20, 64: 43, 128: 88, 256: 179, 512: 360, 1024: 722},
    "corvi2023": {32: 24, 64: 46, 128: 92, 256: 182, 512: 363, 1024: 725},
    "schwarz2021": {32: 23, 64: 46, 128: 91, 256: 182, 512: 363, 1024: 725},
    "ganlab": {n: n // 2 + 1 for n in (32, 64, 128, 256, 512, 1024)},
}


def test_every_convention_has_a_reference_and_a_length_table():
    assert set(CONVENTIONS) == set(reference.PROFILES) == set(LENGTHS)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_lengths(name):
    for size, expected in LENGTHS[name].items():
        assert CONVENTIONS[name].length(size, size) == expected
        assert len(CONVENTIONS[name].frequencies(size, size)) == expected


def test_durall_length_of_aligned_celeba():
    assert CONVENTIONS["durall2019"].length(218, 178) == 139


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(16, 16), (32, 32), (24, 40), (15, 15), (21, 34), (33, 17)])
@pytest.mark.parametrize("name", CONVENTIONS)
def test_equals_the_released_arithmetic(name, size, channels, coloured):
    images = coloured(2, channels, *size)
    expected = np.stack([reference.PROFILES[name](image.numpy()) for image in images])
    ours = radial_profile(images, name)
    assert ours.dtype == torch.float64
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_float32_agrees_with_float64(name, coloured):
    images = coloured(3, 3, 64, 64)
    exact, single = radial_profile(images, name), radial_profile(images.float(), name)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), exact.numpy(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_images_of_a_batch_are_independent(name, coloured):
    images = coloured(5, 3, 18, 20)
    whole = radial_profile(images, name)
    alone = torch.cat([radial_profile(image[None], name) for image in images])
    torch.testing.assert_close(whole, alone, rtol=1e-12, atol=0)
    assert radial_profile(images[:0], name).shape == (0, whole.shape[1])


@pytest.mark.parametrize("name", CONVENTIONS)
def test_gradient(name, coloured):
    channels = 1 if CONVENTIONS[name].integer_luma else 3
    images = coloured(1, channels, 7, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: radial_profile(x, name), (images,), atol=1e-4, rtol=1e-3)


def test_durall2019_rounds_rgb_and_says_so_by_having_no_gradient(coloured):
    images = coloured(1, 3, 12, 12).requires_grad_()
    assert not radial_profile(images, "durall2019").requires_grad
    nudged = images.detach() + 1e-4 * torch.sign(torch.cos(images.detach() * 255 * torch.pi))
    assert (radial_profile(nudged, "durall2019") == radial_profile(images, "durall2019")).all()


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_constant_image_gives_finite_profiles(name):
    for value in (-1.0, 0.0, 0.3):
        profile = radial_profile(torch.full((2, 3, 16, 16), value), name)
        assert torch.isfinite(profile).all()


@pytest.mark.parametrize("name", CONVENTIONS)
def test_frequencies_rise_and_lie_in_the_plane(name):
    for size in ((32, 32), (20, 31)):
        frequencies = np.array(CONVENTIONS[name].frequencies(*size))
        assert (np.diff(frequencies) > 0).all()
        assert frequencies[0] >= 0
        assert frequencies[-1] <= 0.5**0.5 + 1 / min(size)


def test_our_frequencies_end_at_nyquist():
    assert CONVENTIONS["ganlab"].frequencies(64, 48)[-1] == 0.5


def test_white_noise_is_flat_in_our_convention():
    torch.manual_seed(0)
    profile = radial_profile(0.2 * torch.randn(4000, 1, 32, 32)).mean(0)
    torch.testing.assert_close(profile / 0.04, torch.ones(17), rtol=0, atol=0.06)


def test_corvi_shares_add_up_to_one(coloured):
    total = radial_profile(coloured(4, 3, 20, 24), "corvi2023").sum(1)
    torch.testing.assert_close(total, torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize("name", ["durall2020", "jung2021", "ssdgan2021"])
def test_min_max_profiles_fill_the_unit_interval(name, coloured):
    profiles = radial_profile(coloured(3, 3, 32, 32), name)
    assert (profiles.amin(1) == 0).all()
    assert (profiles.amax(1) == 1).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(7, 40), st.integers(7, 40), st.sampled_from(sorted(CONVENTIONS)), st.integers(0, 2**31))
def test_any_size(height, width, name, seed):
    images = np.random.default_rng(seed).uniform(-1, 1, (1, 3, height, width))
    expected = reference.PROFILES[name](images[0])
    ours = radial_profile(torch.from_numpy(images), name)[0].numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9)
    assert CONVENTIONS[name].length(height, width) == len(expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31))
def test_axis_profiles_of_any_size(height, width, seed):
    images = np.random.default_rng(seed).uniform(-1, 1, (2, 3, height, width))
    horizontal, vertical = axis_profiles(torch.from_numpy(images))
    for i, image in enumerate(images):
        expected = reference.axis_profiles(image)
        np.testing.assert_allclose(horizontal[i].numpy(), expected[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(vertical[i].numpy(), expected[1], rtol=1e-9, atol=1e-12)


def test_axis_profiles_are_mean_spectra_of_rows_and_columns(coloured):
    images = coloured(2, 1, 12, 10)
    horizontal, vertical = axis_profiles(images)
    rows = torch.fft.rfft(images[:, 0], dim=2).abs().square().mean(1) / 10
    columns = torch.fft.rfft(images[:, 0], dim=1).abs().square().mean(2) / 12
    torch.testing.assert_close(horizontal, rows)
    torch.testing.assert_close(vertical, columns)


@pytest.mark.parametrize("part", [0, 1])
def test_axis_gradient(part, coloured):
    images = coloured(2, 3, 6, 7).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: axis_profiles(x)[part], (images,))


def test_nearest_leaves_an_empty_nyquist_row_and_column(coloured):
    images = coloured(3, 1, 16, 16).repeat_interleave(2, 2).repeat_interleave(2, 3)
    horizontal, vertical = axis_profiles(images)
    assert horizontal[:, -1].max() < 1e-25
    assert vertical[:, -1].max() < 1e-25


def test_a_convention_of_ones_own(coloured):
    images = coloured(2, 1, 16, 16)
    rings = RingRule(unit="cycles", rounding="nearest", inscribed=True)
    own = ProfileConvention("luma power", "test", (0.299, 0.587, 0.114), "signed", "power", rings)
    torch.testing.assert_close(radial_profile(images, own), radial_profile(images), rtol=0, atol=0)


def test_window_changes_the_profile_and_keeps_white_power():
    torch.manual_seed(1)
    noise = torch.randn(3000, 1, 16, 16)
    for window in ("hann", "kaiser"):
        profile = radial_profile(noise, window=window).mean(0)
        torch.testing.assert_close(profile[2:], torch.ones(7), rtol=0, atol=0.08)


def test_a_profile_first_asked_for_without_gradients_can_have_one_later():
    rule = CONVENTIONS["ganlab"]
    with torch.inference_mode():
        radial_profile(torch.zeros(1, 1, 26, 22), rule, window="hann")
    images = torch.rand(1, 1, 26, 22, requires_grad=True)
    radial_profile(images, rule, window="hann").sum().backward()
    assert images.grad is not None


def test_half_precision_is_computed_in_float32(coloured):
    images = coloured(1, 3, 16, 16).to(torch.bfloat16)
    torch.testing.assert_close(radial_profile(images), radial_profile(images.float()))


@pytest.mark.parametrize(
    ("images", "convention", "text"),
    [
        (torch.zeros(1, 3, 8, 8), "durall2021", "did you mean 'durall20"),
        (torch.zeros(3, 8, 8), "ganlab", "(N, C, H, W)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "ganlab", "to_float"),
        (torch.zeros(1, 2, 8, 8), "ganlab", "1 or 3 channels"),
        (torch.zeros(1, 3, 0, 8), "ganlab", "no pixels"),
        (torch.zeros(1, 3, 2, 2), "ssdgan2021", "too small"),
        (np.zeros((1, 3, 8, 8)), "ganlab", "ndarray"),
    ],
)
def test_wrong_input_is_explained(images, convention, text):
    with pytest.raises(GanlabError) as error:
        radial_profile(images, convention)
    assert text in str(error.value)


@pytest.mark.parametrize(("scale", "shift", "words"), [(255, 0, "to_float"), (0.5, 0.5, "in .0, 1.")])
def test_images_of_another_range_are_warned_of_once(scale, shift, words, coloured, monkeypatch):
    monkeypatch.setattr("ganlab.images._warned", set())
    images = coloured(4, 3, 16, 16)
    radial_profile(images)
    with pytest.warns(UserWarning, match=words):
        radial_profile(images * scale + shift)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        radial_profile(images * scale + shift)
