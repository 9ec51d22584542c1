import numpy as np
import pytest
import torch


@pytest.fixture
def rng():
    return np.random.default_rng(20240611)


@pytest.fixture
def coloured(rng):
    """Images with a falling spectrum in [-1, 1]: ``coloured(n, c, h, w)``, float64."""

    def make(number, channels, height, width):
        radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
        shape = (radius + 0.5 / max(height, width)) ** -1.3
        noise = rng.standard_normal((number, channels, height, width))
        fields = np.fft.irfft2(np.fft.rfft2(noise) * shape, s=(height, width))
        fields /= 3 * fields.std(axis=(1, 2, 3), keepdims=True)
        return torch.from_numpy(np.clip(fields + rng.uniform(-0.2, 0.2, (number, 1, 1, 1)), -1, 1))

    return make
