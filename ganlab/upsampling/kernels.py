"""The fixed x2 operators as one-dimensional kernels: zero insertion, then this filter along each axis."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError, lookup


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


PAD_MODES = {"torch": "replicate", "zeros": "constant", "reflect": "reflect",
             "replicate": "replicate", "circular": "circular"}  # fmt: skip


def check_border(border: str) -> None:
    """Refuse a border nobody knows."""
    lookup(PAD_MODES, border, "border")


def pad(x: Tensor, amount: int, border: str) -> Tensor:
    """Extend ``(N, C, H, W)`` by ``amount`` pixels on each side.

    ``border`` "torch" repeats the edge pixel, which is what ``torch.nn.functional.interpolate`` does.

    Raises:
        GanlabError: unknown border, or an image too small for it.
    """
    check_border(border)
    if amount == 0:
        return x
    needed = {"reflect": amount + 1, "circular": amount}.get(border, 1)
    if min(x.shape[-2:]) < needed:
        raise GanlabError(
            f"border {border!r} needs images of at least {needed} pixels here; got {tuple(x.shape)}"
        )
    return F.pad(x, (amount,) * 4, mode=PAD_MODES[border])


def zero_insert_and_filter(x: Tensor, kernel: Kernel, border: str) -> Tensor:
    """``(N, C, H, W)`` -> ``(N, C, 2H, 2W)`` through ``kernel`` along both axes; differentiable."""
    n, c, h, w = x.shape
    reach = kernel.reach()
    padded = pad(x, reach, border).reshape(n * c, 1, h + 2 * reach, w + 2 * reach)
    weights = _phase_weights(kernel, reach, x.dtype, x.device)
    columns = F.conv2d(padded, weights.view(2, 1, 1, -1))
    rows = columns.movedim(1, -1).reshape(n * c, 1, h + 2 * reach, 2 * w)
    both = F.conv2d(rows, weights.view(2, 1, -1, 1))
    return both.movedim(1, 2).reshape(n, c, 2 * h, 2 * w)


@functools.cache
def _phase_weights(kernel: Kernel, reach: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The even and the odd output's weights on inputs ``-reach ... reach``, shape (2, 2 reach + 1).

    Kept, so that a training step copies nothing from the processor to a GPU.
    """
    # Not an inference tensor, whatever mode the first call is in: later calls may need gradients.
    with torch.inference_mode(False):
        table = torch.zeros(2, 2 * reach + 1, dtype=torch.float64)
        for parity in (0, 1):
            weights, first = kernel.phase(parity)
            start = first + reach
            table[parity, start : start + len(weights)] = torch.from_numpy(weights)
        return table.to(device, dtype)
