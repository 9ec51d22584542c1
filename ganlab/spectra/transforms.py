"""From images to spectra: the check of what comes in, windows, power, DCT, axis and radial profiles."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, float64

from ganlab.errors import GanlabError, lookup
from ganlab.images import described, luma, to_uint8, warn_of_range
from ganlab.spectra.conventions import CONVENTIONS, Measure, ProfileConvention
from ganlab.spectra.rings import FloatArray, multiplicity, orbit_sums, ring_sums


def check_images(images: Tensor) -> Tensor:
    """The images in their computing precision: float64 stays, every other float becomes float32.

    Raises:
        GanlabError: not four-dimensional, not floating point, or without a pixel.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or not images.is_floating_point():
        raise GanlabError(
            f"spectra take float images (N, C, H, W) in [-1, 1]; got {described(images)}; "
            "ganlab.images.to_float turns uint8 (N, H, W, C) into them, torch.from_numpy a float array"
        )
    if 0 in images.shape[1:]:
        raise GanlabError(f"images of shape {tuple(images.shape)} have no pixels")
    return images if images.dtype == float64 else images.float()


POWER_FLOOR = 1e-12
"""Power below this counts as this in logarithms (-120 dB; the rounding of 8-bit images lies near -53 dB)."""


Power = TypeVar("Power", Tensor, npt.NDArray[Any])


def decibels(power: Power, floor: float = POWER_FLOOR) -> Power:
    """``10 log10`` of linear power.

    Args:
        power: tensor or array of any shape; differentiable where it is a tensor above the floor.
        floor: power below this counts as this; the default is -120 dB.
    """
    if isinstance(power, Tensor):
        return power.clamp_min(floor).log10().mul(10)
    level: Power = 10 * np.log10(np.maximum(power, floor))
    return level


def squared_modulus(spectrum: Tensor) -> Tensor:
    """Of a spectrum that nothing else needs: overwritten where no graph holds it."""
    parts = torch.view_as_real(spectrum)
    squares = parts.square() if parts.requires_grad else parts.square_()
    return squares[..., 0] + squares[..., 1]


def half_plane(planes: Tensor, norm: str = "backward") -> Tensor:
    """``(..., H, W) -> (..., H, W//2+1)`` complex: ``rfft2``, of no image too (torch 2.10: an error)."""
    if planes.numel():
        spectrum: Tensor = torch.fft.rfft2(planes, norm=norm)
        return spectrum
    size = (*planes.shape[:-1], planes.shape[-1] // 2 + 1)
    return torch.complex(planes.new_zeros(size), planes.new_zeros(size))


def half_squares(planes: Tensor, norm: str = "backward") -> Tensor:
    """``(..., H, W) -> (..., H, W//2+1)``: ``|rfft2|^2`` under a norm of ``torch.fft``."""
    return squared_modulus(half_plane(planes, norm))


def half_power(planes: Tensor) -> Tensor:
    """``(..., H, W) -> (..., H, W//2+1)``: ``|rfft2|^2 / (H W)``.

    By Parseval the mean of this over the full plane is the mean square of the pixels.
    """
    return half_squares(planes, "ortho")


def full_plane(half: FloatArray, width: int) -> FloatArray:
    """``(H, W//2+1)`` un-shifted half plane of real images -> ``(H, W)`` with DC in the middle."""
    height = half.shape[0]
    columns = np.arange(half.shape[1], width)
    mirrored = half[-np.arange(height) % height][:, width - columns]
    return np.fft.fftshift(np.concatenate([half, mirrored], axis=1))


KAISER_BETA = 8.0
"""StyleGAN3's choice for average spectra."""


def _none(size: int) -> FloatArray:
    return np.ones(size)


def _hann(size: int) -> FloatArray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size) if size > 1 else np.ones(size)


def _kaiser(size: int) -> FloatArray:
    return np.kaiser(size, KAISER_BETA)


WINDOWS: dict[str, Callable[[int], FloatArray]] = {"none": _none, "hann": _hann, "kaiser": _kaiser}


def window_1d(name: str, size: int) -> FloatArray:
    """Window ``name`` of ``size`` samples, scaled to mean square 1.

    Args:
        name: "none", "hann" (periodic, so a constant image leaks into one bin on each side and no further) or
            "kaiser" (symmetric, beta 8, as StyleGAN3's average spectra).
        size: number of samples.

    Raises:
        GanlabError: unknown name.
    """
    samples = lookup(WINDOWS, name, "window")(size)
    scaled: FloatArray = samples / np.sqrt(np.mean(samples**2))
    return scaled


@functools.lru_cache(maxsize=64)
def window_2d(name: str, height: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Outer product of two windows, ``(H, W)``, mean square 1; kept for the next call.

    Raises:
        GanlabError: unknown name.
    """
    outer = window_1d(name, height)[:, None] * window_1d(name, width)[None, :]
    # A cached tensor made under inference_mode could never be used in a graph afterwards.
    with torch.inference_mode(False):
        return torch.from_numpy(outer).to(device, dtype)


def apply_window(planes: Tensor, window: str | None) -> Tensor:
    """``(..., H, W)`` times the window; unchanged for None and "none".

    Raises:
        GanlabError: unknown name.
    """
    if window is None or window == "none":
        return planes
    return planes * window_2d(window, planes.shape[-2], planes.shape[-1], planes.device, planes.dtype)


def power_spectrum(images: Tensor, window: str | None = None) -> Tensor:
    """Power of every channel, linear, un-shifted: ``|rfft2(images)|^2 / (H W)``.

    Args:
        images: float ``(N, C, H, W)``, nominally in [-1, 1].
        window: None or "none", "hann", "kaiser"; windows have mean square 1, so white noise keeps its power.

    Returns:
        ``(N, C, H, W//2+1)``. Differentiable.

    Raises:
        GanlabError: wrong type or shape, unknown window.
    """
    return half_power(apply_window(check_images(images), window))


@functools.lru_cache(maxsize=32)
def _dct_phases(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    k = np.arange(size // 2 + 1)
    phases = np.sqrt(np.where(k == 0, 1, 2)) * np.exp(-0.5j * np.pi * k / size)
    kind = torch.complex128 if dtype == torch.float64 else torch.complex64
    # A cached tensor made under inference_mode could never be used in a graph afterwards.
    with torch.inference_mode(False):
        return torch.from_numpy(phases).to(device, kind)


@functools.lru_cache(maxsize=32)
def _dct_matrix(size: int, dtype: torch.dtype) -> Tensor:
    k, n = np.arange(size)[:, None], np.arange(size)[None, :]
    matrix = np.sqrt(np.where(k == 0, 1, 2) / size) * np.cos(np.pi * k * (2 * n + 1) / (2 * size))
    # A cached tensor made under inference_mode could never be used in a graph afterwards.
    with torch.inference_mode(False):
        return torch.from_numpy(matrix.T.copy()).to(dtype)


def _dct_rows_by_fft(planes: Tensor) -> Tensor:
    """DCT-II along the last axis, from the FFT of the even samples followed by the odd ones reversed.

    The FFT's coefficient k, turned by a quarter of its frequency, holds the DCT coefficient k as its real
    part and the coefficient N - k as minus its imaginary part (Makhoul 1980, A fast cosine transform in one
    and two dimensions, doi 10.1109/TASSP.1980.1163351).
    """
    size = planes.shape[-1]
    folded = torch.cat((planes[..., ::2], planes[..., 1::2].flip(-1)), -1)
    turned = torch.fft.rfft(folded, norm="ortho") * _dct_phases(size, planes.device, planes.dtype)
    return torch.cat((turned.real, -turned.imag[..., 1 : (size + 1) // 2].flip(-1)), -1)


def _dct_rows(planes: Tensor) -> Tensor:
    # On the CPU a matrix product is faster up to 64 points; elsewhere it might run in TF32: too coarse.
    if planes.shape[-1] > 64 or planes.device.type != "cpu":
        return _dct_rows_by_fft(planes)
    return planes @ _dct_matrix(planes.shape[-1], planes.dtype)


def dct2(images: Tensor) -> Tensor:
    """Orthonormal two-dimensional DCT-II of every channel, signed coefficients.

    Args:
        images: float ``(N, C, H, W)``.

    Returns:
        ``(N, C, H, W)``; sums of squares are those of the images. Differentiable.

    Raises:
        GanlabError: wrong type or shape.
    """
    return _dct_rows(_dct_rows(check_images(images)).mT).mT


@functools.lru_cache(maxsize=32)
def _axis_divisors(
    height: int, width: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    # A cached tensor made under inference_mode could never be used in a graph afterwards.
    with torch.inference_mode(False):
        horizontal = torch.from_numpy(multiplicity(width) * height).to(device, dtype)
        return horizontal, torch.from_numpy(multiplicity(height) * width).to(device, dtype)


def axis_means(quarter: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Orbit sums of the power ``(M, H//2+1, W//2+1)`` -> its means over the other axis's frequencies.

    Returns:
        horizontal ``(M, W//2+1)`` and vertical ``(M, H//2+1)``.
    """
    horizontal, vertical = _axis_divisors(height, width, quarter.device, quarter.dtype)
    return quarter.sum(1) / horizontal, quarter.sum(2) / vertical


def axis_profiles(images: Tensor, window: str | None = None) -> tuple[Tensor, Tensor]:
    """Luma power along each axis, averaged over all frequencies of the other, linear.

    By Parseval the horizontal profile is the mean power spectrum of the image's rows taken one by one, the
    vertical one that of its columns.

    Args:
        images: float ``(N, 1 or 3, H, W)`` in [-1, 1].
        window: as in ``power_spectrum``.

    Returns:
        horizontal ``(N, W//2+1)`` over horizontal frequencies k/W and vertical ``(N, H//2+1)`` over k/H
        cycles per pixel. Differentiable.

    Raises:
        GanlabError: wrong type, shape or channel count; unknown window.
    """
    grey = luma(check_images(images))
    height, width = grey.shape[-2:]
    half = half_power(apply_window(grey, window))
    return axis_means(orbit_sums(half, width), height, width)


def _integer_grey(images: Tensor) -> Tensor:
    """RGB in [-1, 1] -> OpenCV's integer grey 0..255 ``(N, 1, H, W)``: 15-bit weights, rounded."""
    red, green, blue = torch.from_numpy(to_uint8(images)).to(images.device, torch.int64).unbind(-1)
    grey = (9798 * red + 19235 * green + 3735 * blue + 16384) >> 15
    return grey.to(images.dtype).unsqueeze(1)


def _grey(images: Tensor, weights: tuple[float, float, float] | None) -> Tensor:
    return images if weights is None else luma(images, weights).unsqueeze(1)


def _standardise(images: Tensor) -> Tensor:
    centred = images - images.mean((1, 2, 3), keepdim=True)
    rms = centred.square().mean((1, 2, 3), keepdim=True)
    # A constant image has no spectrum to standardise; its profile is zero instead of 0/0.
    return centred / torch.where(rms > 0, rms, torch.ones_like(rms)).sqrt()


def prepare(images: Tensor, convention: ProfileConvention) -> Tensor:
    """Images in [-1, 1] in the value range and channels the convention transforms: ``(N, 1 or C, H, W)``.

    Raises:
        GanlabError: the convention takes a luma and the images have neither one nor three channels.
    """
    if convention.value_range == "standardised":
        return _grey(_standardise(images), convention.luma)
    if convention.integer_luma and images.shape[1] == 3:
        return _integer_grey(images)
    scale, shift = {"signed": (1.0, 0.0), "unit": (0.5, 0.5), "byte": (127.5, 127.5)}[convention.value_range]
    planes = _grey(images, convention.luma)
    if scale == 1.0:
        return planes
    # The luma comes first, which is the same and a third of the work; its weights may not add up to one.
    total = sum(convention.luma) if convention.luma is not None and images.shape[1] == 3 else 1.0
    return planes * scale + shift * total


def _guarded_log(re: Tensor, im: Tensor, epsilon: float) -> Tensor:
    squares = (re + epsilon).square() + (im + epsilon).square()
    return torch.log(torch.sqrt(squares + 1e-10) + 1e-10)


def _log(positive: Tensor, epsilon: float) -> Tensor:
    """``ln(positive + epsilon)``, in place where no graph holds it."""
    if positive.requires_grad:
        return torch.log(positive + epsilon)
    return (positive.add_(epsilon) if epsilon else positive).log_()


def measure_half_plane(planes: Tensor, measure: Measure, epsilon: float) -> Tensor:
    """``(..., H, W) -> (..., H, W//2+1)``: what a convention averages on its rings, without its factor.

    Where an epsilon is added to the imaginary part, conjugate partners differ by it; their mean is given.
    """
    if measure == "power":
        return half_power(planes)
    if measure in ("raw_power", "log_power"):
        squares = half_squares(planes)
        return squares if measure == "raw_power" else _log(squares, epsilon)
    spectrum = half_plane(planes)
    if measure == "log_amplitude":
        return _log(squared_modulus(spectrum + epsilon), 0.0)
    re: Tensor = spectrum.real
    im: Tensor = spectrum.imag
    return _guarded_log(re, im, epsilon).add(_guarded_log(re, -im, epsilon)) / 2


def _min_max(profiles: Tensor) -> Tensor:
    raised = profiles - profiles.amin(1, keepdim=True)
    span = raised.amax(1, keepdim=True)
    # A flat profile stays at zero instead of 0/0.
    return raised / torch.where(span > 0, span, torch.ones_like(span))


def as_convention(convention: str | ProfileConvention) -> ProfileConvention:
    """The convention itself, or the registered one of that name.

    Raises:
        GanlabError: unknown name.
    """
    if isinstance(convention, ProfileConvention):
        return convention
    return lookup(CONVENTIONS, convention, "profile convention")


def radial_profile(
    images: Tensor, convention: str | ProfileConvention = "ganlab", window: str | None = None
) -> Tensor:
    """One number per ring of the frequency plane and image, in the convention named.

    Args:
        images: float ``(N, C, H, W)`` in [-1, 1]; every convention sets its own value range and luma from
            these. One channel is taken as grey. float64 is computed in float64.
        convention: a key of ``CONVENTIONS`` or a ``ProfileConvention``. For frequencies and number of rings
            see its ``frequencies(H, W)`` and ``length(H, W)``.
        window: as in ``power_spectrum``; no published convention used one.

    Returns:
        ``(N, K)``. Differentiable, except that "durall2019" rounds RGB images to integers (its grey case is
        differentiable).

    Raises:
        GanlabError: wrong type or shape, unknown convention or window, too small for the convention.
    """
    rule, checked = as_convention(convention), check_images(images)
    if rule.value_range != "standardised":
        warn_of_range(checked, "radial_profile")
    planes = apply_window(prepare(checked, rule), window)
    values = measure_half_plane(planes, rule.measure, rule.epsilon)
    values = values.mean(1) if planes.shape[1] > 1 else values[:, 0]
    sums, totals = ring_sums(values, planes.shape[-1], rule.rings)
    area = planes.shape[-2] * planes.shape[-1]
    profiles = sums * rule.factor / (totals if rule.reduction == "mean" else area)
    return _min_max(profiles) if rule.normalise == "minmax" else profiles
