"""What theory says of the fixed x2 operators: responses, nulls, images, replicas, and predicted spectra.

Doubling a signal by zero insertion repeats its spectrum: what was at frequency 2f of the input appears at f
and at 1/2 - f of the output. A fixed operator then multiplies by the response H of its kernel, along each
axis. Frequencies are in cycles per output pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.spectra.rings import FloatArray
from ganlab.upsampling import UPSAMPLERS, kernel_of


def _cos_pi(x: FloatArray) -> FloatArray:
    """cos(pi x), exactly 0 at half-integers."""
    folded = np.abs(np.remainder(x + 1, 2) - 1)
    value: FloatArray = np.sin(np.pi * (0.5 - folded))
    return value


def _cosine_power(power: int) -> Callable[[FloatArray], FloatArray]:
    return lambda f: _cos_pi(f) ** power


CLOSED_FORMS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "bed_of_nails": lambda f: np.full_like(f, 0.5),
    "nearest": _cosine_power(1),
    "bilinear": _cosine_power(3),
    "binomial": _cosine_power(4),
}
"""|H| over f where it is a power of cos(pi f); for the other kernels the finite sum is taken."""


def _finite_sum(taps: Sequence[float], f: FloatArray) -> FloatArray:
    """``|sum_k taps[k] exp(-2 pi i f k)| / 2``; cosines about the middle where the kernel is symmetric."""
    values = np.array(taps)
    places = np.arange(len(values)) - (len(values) - 1) / 2
    even = (values * _cos_pi(2 * f[:, None] * places)).sum(1)
    odd = (values * _cos_pi(2 * f[:, None] * places - 0.5)).sum(1)
    modulus: FloatArray = np.abs(even) if np.array_equal(values, values[::-1]) else np.hypot(even, odd)
    return modulus / 2


def frequency_response(name: str, n: int) -> Tensor:
    """Modulus of the response of a fixed x2 operator along one axis.

    Scaled so that interpolators have 1 at zero frequency; bed of nails, whose zeros halve the mean along each
    axis, is 1/2 throughout. In two dimensions the response is the product of those of the axes.

    Args:
        name: "nearest", "bilinear", "bicubic", "bed_of_nails", "binomial", "kaiser", or another registered
            operator with a kernel.
        n: points of the output grid.

    Returns:
        float64 ``(n//2+1,)`` at frequencies k/n cycles per output pixel.

    Raises:
        GanlabError: unknown name; a learned operator ("transposed", "pixel_shuffle"), which has no response
            before its weights are known (see ``layer_kernel``); "bilinear_align_corners", which is no filter.
    """
    if n < 1:
        raise GanlabError(f"a grid has at least one point; got {n}")
    kernel = _kernel(name)
    f = np.arange(n // 2 + 1) / n
    closed = CLOSED_FORMS.get(name)
    return torch.from_numpy(np.abs(closed(f)) if closed else _finite_sum(kernel, f))


def _kernel(name: str) -> tuple[float, ...]:
    try:
        return kernel_of(name).taps
    except GanlabError as error:
        if name not in UPSAMPLERS:
            raise
        why = (
            "position, so that frequencies mix and no response exists"
            if name == "bilinear_align_corners"
            else "its weights: take layer_kernel(layer) and effective_response"
        )
        raise GanlabError(f"{error}; what it does to a spectrum depends on {why}") from error


def image_rejection(name: str, n: int) -> Tensor:
    """How much weaker the image of a frequency is than the frequency itself, along one axis.

    Content at frequency f up to 1/4 of the output has its image at 1/2 - f, and the rejection is
    ``20 log10(|H(f)| / |H(1/2 - f)|)``.

    Args:
        name: as in ``frequency_response``.
        n: points of the output grid, even.

    Returns:
        float64 ``(n//4+1,)`` dB at frequencies k/n, 0 at 1/4; infinite where the image is nulled.

    Raises:
        GanlabError: as ``frequency_response``, or n odd.
    """
    if n % 2:
        raise GanlabError(f"the output of a x2 operator has an even number of points; got {n}")
    response = frequency_response(name, n)
    count = n // 4 + 1
    return 20 * torch.log10(response[:count] / response.flip(0)[:count])


def image_power(name: str, n: int = 4096) -> float:
    """Share of the output power of white input above 1/4 cycles per pixel, where only images lie (one axis).

    1/2 for bed of nails, 0 for an ideal low-pass.

    Args:
        name: as in ``frequency_response``.
        n: points of the grid the integral is taken on, divisible by 4.

    Raises:
        GanlabError: as ``frequency_response``, or n not divisible by 4.
    """
    if n % 4:
        raise GanlabError(f"the grid must have a point at 1/4 cycles per pixel; got {n} points")
    power = frequency_response(name, n).square()
    # Trapezoids: the ends of both halves count half.
    power[0], power[-1] = power[0] / 2, power[-1] / 2
    upper = power[n // 4 + 1 :].sum() + power[n // 4] / 2
    return float(upper / power.sum())


@dataclass(frozen=True)
class Null:
    """A frequency that an operator removes altogether.

    Attributes:
        frequency: cycles per output pixel, 0 < f <= 1/2.
        order: how flat the response is there: 1 crosses zero, 3 is a triple zero.
    """

    frequency: float
    order: int


def spectral_nulls(name: str) -> tuple[Null, ...]:
    """Frequencies along one axis at which a fixed operator lets nothing pass, lowest first.

    They are the zeros of the kernel's polynomial on the unit circle. What an operator nulls, no later linear
    layer brings back; only nonlinearities do.

    Args:
        name: as in ``frequency_response``.

    Raises:
        GanlabError: as ``frequency_response``.
    """
    taps = np.trim_zeros(np.array(_kernel(name)))
    roots = np.roots(taps) if len(taps) > 1 else np.array([])
    # A root of order m is only found to the m-th root of the rounding error.
    found = sorted(
        abs(np.angle(r)) / (2 * np.pi) for r in roots if abs(abs(r) - 1) < 1e-3 and r.imag >= -1e-3
    )
    groups: list[list[float]] = []
    for frequency in found:
        if groups and frequency - groups[-1][-1] < 1e-3:
            groups[-1].append(frequency)
        else:
            groups.append([frequency])
    return tuple(_null(taps, group) for group in groups)


def _null(taps: FloatArray, group: list[float]) -> Null:
    """A cluster of roots as one null; at Nyquist the order is the number of factors (1 + z) of the kernel."""
    frequency = float(np.mean(group))
    if abs(frequency - 0.5) > 1e-3:
        return Null(frequency, len(group))
    order, rest = 0, taps
    while len(rest) > 1:
        rest, remainder = np.polydiv(rest, np.array([1.0, 1.0]))
        if np.abs(remainder).max() > 1e-9:
            break
        order += 1
    return Null(0.5, order)


def replica_frequencies(stages: int) -> dict[int, tuple[float, ...]]:
    """Where each of several x2 stages repeats the zero frequency in the final output, along one axis.

    Stage s repeats zero at its own Nyquist frequency; the stages after it halve that and add images. So stage
    s of S leaves the odd multiples of ``2**(s - S - 1)``.

    Args:
        stages: number of x2 stages S, 1 to 16.

    Returns:
        stage (1 is the first) -> frequencies in cycles per pixel, up to 1/2.

    Raises:
        GanlabError: no stage, or too many.
    """
    if not 1 <= stages <= 16:
        raise GanlabError(f"number of stages is 1 to 16; got {stages}")
    steps = {stage: 2.0 ** (stage - stages - 1) for stage in range(1, stages + 1)}
    return {stage: tuple(step * k for k in range(1, int(0.5 / step) + 1, 2)) for stage, step in steps.items()}


def _full_plane(half: Tensor, width: int) -> Tensor:
    mirrored = torch.roll(half.flip(-2), 1, -2)[..., 1 : (width + 1) // 2].flip(-1)
    return torch.cat((half, mirrored), -1)


def predict_power(power: Tensor, width: int, names: Sequence[str]) -> Tensor:
    """Power spectrum after one or more fixed x2 operators, from that before: replicate, then filter.

    Exact, image by image, where borders are circular: power is ``|F|^2/(H W)`` before and after, and one
    operator gives ``4 |H(fy) H(fx)|^2`` times the repeated spectrum.

    Args:
        power: ``(..., H, W//2+1)`` un-shifted, as ``power_spectrum``; ones for white noise of unit variance.
        width: W.
        names: operators in the order in which they are applied.

    Returns:
        ``(..., 2^S H, 2^S W//2+1)``. Differentiable.

    Raises:
        GanlabError: ``power`` is no half plane of that width; names as in ``frequency_response``.
    """
    if power.ndim < 2 or power.shape[-1] != width // 2 + 1:
        raise GanlabError(
            f"power is (..., H, W//2+1); got {tuple(power.shape)}, which is no half plane for W = {width}"
        )
    for name in names:
        height = 2 * power.shape[-2]
        full = _full_plane(power, width)
        columns = torch.cat((full, full[..., :1]), -1)
        rows = torch.cat((columns, columns), -2)
        vertical, horizontal = frequency_response(name, height), frequency_response(name, 2 * width)
        vertical = torch.cat((vertical, vertical[1:-1].flip(0)))
        power = rows * (4 * vertical[:, None].square() * horizontal.square()).to(power)
        width *= 2
    return power
