"""Unevenness of trained layers does not count the rounding of their weights."""

from __future__ import annotations

import pytest
import torch

from ganlab.spectra import layer_kernel, unevenness
from ganlab.upsampling import make_upsampler


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "binomial", "kaiser"])
def test_a_layer_with_equal_phases_is_even_in_float32(name):
    torch.manual_seed(0)
    layer = make_upsampler(name, 24, 12, border="circular", bias=False)
    found = unevenness(layer_kernel(layer, 24))
    assert found.mean < 1e-9
    assert found.maximum < 1e-6


def test_free_phases_can_be_all_pattern():
    torch.manual_seed(0)
    layer = make_upsampler("transposed", 64, 4, border="circular", bias=False)
    assert unevenness(layer_kernel(layer, 64)).maximum == pytest.approx(1.0, abs=1e-6)
