"""The one place where pixels and floats meet."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from ganlab.errors import GanlabError
from ganlab.images import LUMA_BT601, luma, on_grey_levels, to_float, to_uint8
from ganlab.spectra import dct2
from ganlab.upsampling import interpolate2x


def every_value():
    return np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)


def test_every_value_comes_back():
    np.testing.assert_array_equal(to_uint8(to_float(every_value())), every_value())


def test_range_and_layout():
    images = to_float(every_value())
    assert images.shape == (1, 3, 16, 16)
    assert images.dtype == torch.float32
    assert images.min() == -1.0
    assert images.max() == 1.0


def test_rounding_is_to_nearest_and_clamped():
    levels = torch.tensor([-1.2, -1.0, 0.4 / 127.5 - 1.0, 0.6 / 127.5 - 1.0, 1.0, 1.7]).view(1, 1, 2, 3)
    assert to_uint8(levels).ravel().tolist() == [0, 0, 0, 1, 255, 255]


def test_read_only_arrays_neither_warn_nor_change():
    images = every_value()
    images.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_float(images).add_(1.0)
    np.testing.assert_array_equal(images, every_value())


def test_luma_is_the_weighted_sum_and_differentiable():
    images = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    expected = sum(w * images[:, c] for c, w in enumerate(LUMA_BT601))
    assert torch.allclose(luma(images), expected, atol=1e-15)
    assert torch.autograd.gradcheck(luma, (images,))
    grey = torch.randn(2, 1, 4, 5)
    assert torch.equal(luma(grey), grey[:, 0])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: to_float(np.zeros((4, 4, 3), np.uint8)), "uint8"),
        (lambda: to_float(np.zeros((1, 4, 4, 3), np.float32)), "float32"),
        (lambda: to_uint8(torch.zeros(4, 4)), "N, C, H, W"),
        (lambda: to_uint8(torch.full((1, 3, 2, 2), float("nan"))), "NaN"),
        (lambda: luma(torch.zeros(1, 4, 2, 2)), "1 or 3 channels"),
    ],
)
def test_bad_input(call, text):
    with pytest.raises(GanlabError, match=text):
        call()


@pytest.mark.parametrize("take", [to_uint8, luma, lambda x: interpolate2x(x, "nearest"), dct2])
def test_numpy_in_the_place_of_a_tensor_is_named(take):
    with pytest.raises(GanlabError, match=r"got a numpy.ndarray, float32 of shape \(1, 3, 4, 4\)"):
        take(np.zeros((1, 3, 4, 4), np.float32))


def test_float64_is_rounded_once():
    """100.5 and a little less is 100, and 101.5 and a little less is 101, which is no float32."""
    images = (torch.tensor([100.5, 101.5], dtype=torch.float64) - 1e-7) / 127.5 - 1
    images = images.reshape(1, 1, 1, 2)
    assert to_uint8(images).ravel().tolist() == [100, 101]
    assert torch.equal(on_grey_levels(images), to_float(to_uint8(images)))


def test_bytes_in_the_place_of_floats_are_named():
    """They would be clamped to two values."""
    with pytest.raises(GanlabError, match="float tensors"):
        to_uint8(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))
