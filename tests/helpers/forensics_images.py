"""Images with known properties for the tests of this room."""

import numpy as np


def natural(count, side=32, seed=0, channels=3):
    """Photograph-like uint8 (N, H, W, C): colour-correlated 1/f fields cut from twice the size, and noise."""
    rng = np.random.default_rng(seed)
    big = 2 * side
    frequency = np.hypot(np.fft.fftfreq(big)[:, None], np.fft.rfftfreq(big)[None])
    frequency[0, 0] = 1.0
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((count, channels + 1, big, big))) / frequency)
    field = field[..., :side, :side]
    field = (field[:, 1:] + 2 * field[:, :1]) / field.std((1, 2, 3), keepdims=True)
    field = field - field.mean((2, 3), keepdims=True)
    grey = 128 + 18 * field + 3 * rng.standard_normal(field.shape)
    return np.clip(grey, 0, 255).round().astype(np.uint8).transpose(0, 2, 3, 1).copy()


def checkered(images, strength=6, seed=0):
    """The same images with a faint checkerboard, as zero insertion leaves it."""
    sign = np.indices(images.shape[1:3]).sum(0) % 2 * 2 - 1
    return np.clip(images.astype(int) + strength * sign[None, :, :, None], 0, 255).astype(np.uint8)


def smoothed(images):
    """The same images with their highest frequencies removed by a [1, 2, 1] / 4 filter along both axes."""
    padded = np.pad(images.astype(float), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    both = (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4
    return both.round().astype(np.uint8)


def striped(images, strength=25):
    """The same images with every second row brighter: highest vertical frequency, the same when mirrored."""
    sign = (np.arange(images.shape[1]) % 2 * 2 - 1)[None, :, None, None]
    return np.clip(images.astype(int) + strength * sign, 0, 255).astype(np.uint8)
