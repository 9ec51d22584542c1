"""The fixed x2 operators as one-dimensional kernels: zero insertion, then this filter along each axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Kernel:
    """A filter applied after zero insertion, the same along both axes.

    With ``z[2i] = x[i]`` and ``z[2i+1] = 0`` the operator is ``y[m] = sum_k taps[k] z[m - (k + offset)]``.
    Taps of an interpolator sum to 2 (each of its two phases to 1), so that a constant image stays constant.
    """

    taps: tuple[float, ...]
    offset: int

    def phase(self, parity: int) -> tuple[np.ndarray, int]:
        """Weights of output samples ``2i + parity`` on the inputs ``x[i + first], x[i + first + 1], ...``.

        Returns:
            The weights in input order and ``first``.
        """
        moves = [k + self.offset for k in range(len(self.taps))]
        used = [(tap, (parity - move) // 2) for tap, move in zip(self.taps, moves, strict=True)
                if (move - parity) % 2 == 0]  # fmt: skip
        used.sort(key=lambda pair: pair[1])
        weights = np.array([tap for tap, _ in used] or [0.0])
        return weights, used[0][1] if used else 0

    def reach(self) -> int:
        """How many input pixels beyond its own an output pixel looks at, at most."""
        reach = 0
        for parity in (0, 1):
            weights, first = self.phase(parity)
            reach = max(reach, -first, first + len(weights) - 1)
        return reach


def cubic(distance: float, a: float = -0.75) -> float:
    """Keys' cubic convolution kernel; PyTorch's bicubic has a = -0.75."""
    t = abs(distance)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def kaiser_taps(
    count: int = 12, cutoff: float = 0.25, half_width: float = 0.25 * (2**0.3 - 1)
) -> list[float]:
    """Kaiser-windowed sinc low-pass with taps that sum to 2, StyleGAN3's design for a x2 stage.

    Args:
        count: number of taps; StyleGAN3 uses 6 per unit of the up-sampling factor.
        cutoff: cycles per output pixel; 0.25 is the Nyquist frequency of the input.
        half_width: half the transition band, cycles per output pixel; by default that of a critically
            sampled layer with StyleGAN3's last stopband, 2^0.3 times the cutoff.

    Source: Karras et al. 2021 (StyleGAN3); Kaiser's attenuation and beta formulas.
    """
    attenuation = 2.285 * (count - 1) * np.pi * (2 * half_width / 0.5) + 7.95
    above = max(attenuation - 21.0, 0.0)
    beta = 0.5842 * above**0.4 + 0.07886 * above if attenuation <= 50 else 0.1102 * (attenuation - 8.7)
    positions = np.arange(count) - (count - 1) / 2
    taps = np.sinc(2 * cutoff * positions) * np.kaiser(count, beta)
    # Exact symmetry makes the two phases mirror images, so that the null at Nyquist is exact.
    taps = (taps + taps[::-1]) / 2
    return [float(tap) for tap in 2 * taps / taps.sum()]


NEAREST = Kernel((1.0, 1.0), 0)
BILINEAR = Kernel((0.25, 0.75, 0.75, 0.25), -1)
BICUBIC = Kernel(tuple(cubic(d) for d in (1.75, 1.25, 0.75, 0.25, 0.25, 0.75, 1.25, 1.75)), -3)
BED_OF_NAILS = Kernel((1.0,), 0)
BINOMIAL = Kernel((0.125, 0.5, 0.75, 0.5, 0.125), -2)
KAISER = Kernel(tuple(kaiser_taps()), -5)
