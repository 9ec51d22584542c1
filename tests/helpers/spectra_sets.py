"""Small sets with known spectra, and the numbers of a comparison worked out in plain numpy."""

from __future__ import annotations

import csv

import numpy as np

WEIGHTS = np.array([0.299, 0.587, 0.114])


def coloured(count, size=16, seed=0, slope=1.0, channels=3):
    """Noise with amplitude 1/f^slope, uint8 (count, size, size, channels)."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :])
    radius[0, 0] = 1 / size
    white = rng.standard_normal((count, channels, size, size))
    # A contrast of its own for every image, as photographs have.
    contrast = rng.uniform(0.5, 1.5, (count, 1, 1, 1))
    field = np.fft.ifft2(np.fft.fft2(white) / radius**slope).real
    field *= contrast * 40 / field.std()
    return np.clip(np.rint(field + 128), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def doubled(images):
    """Every second pixel in both directions, repeated: nearest enlargement."""
    return images[:, ::2, ::2].repeat(2, 1).repeat(2, 2)


def power(images):
    """|F|^2/(HW) of the luma of uint8 images in [-1, 1], full plane, float64."""
    grey = (images.astype(np.float64) / 127.5 - 1) @ (WEIGHTS if images.shape[3] == 3 else np.ones(1))
    return np.abs(np.fft.fft2(grey)) ** 2 / grey[0].size


def rings(planes):
    """Mean over rings of nearest integer radius, 0..N/2, of square planes (M, N, N)."""
    size = planes.shape[-1]
    k = np.fft.fftfreq(size) * size
    number = np.rint(np.hypot(k[:, None], k[None, :])).astype(int)
    return np.stack([planes[:, number == r].mean(1) for r in range(size // 2 + 1)], 1)


def along(planes, axis):
    """Mean over the frequencies of the other axis, 0..N/2: axis -1 is horizontal, -2 vertical."""
    other = -2 if axis == -1 else -1
    return planes.mean(other)[:, : planes.shape[axis] // 2 + 1]


def read_csv(path):
    """A list of dictionaries."""
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def column(rows, name, **where):
    """One column as floats, of the rows that agree with ``where``."""
    chosen = [row for row in rows if all(row[key] == str(value) for key, value in where.items())]
    return np.array([float(row[name]) for row in chosen])
