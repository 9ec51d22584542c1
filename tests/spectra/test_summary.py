import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.errors import GanlabError
from ganlab.spectra import axis_profiles, power_spectrum, radial_profile, summaries
from ganlab.spectra import summary as summary_module


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.sampled_from([1, 3]), st.integers(0, 2**31))
def test_one_pass_gives_the_numbers_of_the_single_functions(height, width, channels, seed):
    images = torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (5, channels, height, width)))
    grey = (
        images
        if channels == 1
        else (images * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, True)
    )
    got = summaries(images)
    torch.testing.assert_close(got.mean_power, power_spectrum(grey)[:, 0].mean(0), rtol=1e-5, atol=1e-12)
    torch.testing.assert_close(got.radial, radial_profile(images))
    horizontal, vertical = axis_profiles(images)
    torch.testing.assert_close(got.horizontal, horizontal)
    torch.testing.assert_close(got.vertical, vertical)


@pytest.mark.parametrize("size", [(16, 16), (15, 15), (16, 32), (12, 7)])
def test_diagonal_is_the_mean_of_both_diagonals(size, coloured):
    images = coloured(3, 1, *size)
    power = (torch.fft.fft2(images[:, 0]).abs() ** 2 / (size[0] * size[1])).numpy()
    diagonal = summaries(images).diagonal.numpy()
    smaller = min(size)
    for k in range(smaller // 2 + 1):
        row, column = (int(np.floor(k * n / smaller + 0.5)) for n in size)
        expected = (power[:, row % size[0], column % size[1]] + power[:, row, -column % size[1]]) / 2
        np.testing.assert_allclose(diagonal[:, k], expected, rtol=1e-9)


def test_chunks_do_not_change_the_result(coloured, monkeypatch):
    images = coloured(9, 3, 16, 16).float()
    whole = summaries(images, "hann")
    monkeypatch.setattr(summary_module, "CHUNK_PIXELS", 600)
    parts = summaries(images, "hann")
    for name in ("mean_power", "radial", "horizontal", "vertical", "diagonal"):
        torch.testing.assert_close(getattr(whole, name), getattr(parts, name), rtol=1e-6, atol=0)


def test_gradient(coloured):
    images = coloured(2, 1, 6, 5).requires_grad_()
    for name in ("mean_power", "radial", "diagonal"):
        assert torch.autograd.gradcheck(lambda x, name=name: getattr(summaries(x), name), (images,))


def test_no_images():
    with pytest.raises(GanlabError, match="zero images"):
        summaries(torch.zeros(0, 1, 8, 8))
