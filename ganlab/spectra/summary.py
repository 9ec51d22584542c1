"""One pass over a batch: everything that one FFT an image gives, in pieces that stay in the cache."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.images import luma
from ganlab.spectra.conventions import GANLAB, LUMA_FOUR_DIGITS
from ganlab.spectra.decay import decay_profile
from ganlab.spectra.rings import FloatArray, multiplicity, orbit_sums, ring_sums_of_orbits
from ganlab.spectra.statistics import PROFILES, HasStatistics, Moments, SpectrumStatistics
from ganlab.spectra.transforms import (
    apply_window,
    as_convention,
    axis_means,
    check_images,
    dct2,
    half_squares,
    radial_profile,
)

CHUNK_PIXELS = 2**19
"""Pixels transformed at a time, so that what follows the FFT finds its data in the cache."""


@dataclass(frozen=True)
class Summary:
    """What one pass over a batch gives, all linear luma power in the "ganlab" convention.

    Attributes:
        mean_power: mean of ``|rfft2|^2/(H W)`` over the batch, float64 ``(H, W//2+1)``.
        radial: ``(N, min(H, W)//2+1)``, equal to ``radial_profile(images)``.
        horizontal: ``(N, W//2+1)``, and
        vertical: ``(N, H//2+1)``, equal to ``axis_profiles(images)``.
        diagonal: ``(N, min(H, W)//2+1)`` power at equal horizontal and vertical frequency, mean of both
            diagonals; for non-square images at the nearest stored coefficient.
    """

    mean_power: Tensor
    radial: Tensor
    horizontal: Tensor
    vertical: Tensor
    diagonal: Tensor


Profiles = tuple[Tensor, Tensor, Tensor, Tensor]
"""Radial, horizontal, vertical and diagonal profiles, ``(M, K)`` each."""


@functools.lru_cache(maxsize=64)
def _diagonal_cells(
    height: int, width: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns of the quarter plane at equal frequencies, and how many coefficients each sums."""
    steps, smaller = np.arange(min(height, width) // 2 + 1), min(height, width)
    rows = np.minimum((2 * steps * height + smaller) // (2 * smaller), height // 2)
    columns = np.minimum((2 * steps * width + smaller) // (2 * smaller), width // 2)
    count = multiplicity(height)[rows] * multiplicity(width)[columns]
    # A cached tensor made under inference_mode could never be used in a graph afterwards.
    with torch.inference_mode(False):
        cells = torch.from_numpy(rows).to(device), torch.from_numpy(columns).to(device)
        return *cells, torch.from_numpy(count).to(device, dtype)


def _diagonal(quarter: Tensor, height: int, width: int) -> Tensor:
    rows, columns, count = _diagonal_cells(height, width, quarter.device, quarter.dtype)
    if height == width:
        return quarter.diagonal(dim1=1, dim2=2) / count
    return quarter[:, rows, columns] / count


def _profiles(quarter: Tensor, height: int, width: int) -> Profiles:
    """The four profiles from the power's orbit sums."""
    sums, totals = ring_sums_of_orbits(quarter, height, width, GANLAB.rings)
    return sums / totals, *axis_means(quarter, height, width), _diagonal(quarter, height, width)


PRODUCT_CELLS = 33 * 17
"""Up to so many cells of the quarter plane (32x64 pixels) one matrix product gives all profiles fastest."""


@functools.lru_cache(maxsize=16)
def _profile_table(height: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """What ``_profiles`` does, and the division by the area, as one matrix ``(cells, all K)``."""
    rows, columns = height // 2 + 1, width // 2 + 1
    # A cached tensor made under inference_mode could never be used in a graph afterwards.
    with torch.inference_mode(False), torch.no_grad():
        cells = torch.eye(rows * columns, dtype=torch.float64).view(-1, rows, columns)
        table = torch.cat(_profiles(cells, height, width), 1) / (height * width)
        return table.to(device, dtype)


def spectra_of(grey: Tensor, window: str | None = None) -> tuple[Tensor, Profiles]:
    """Power and profiles of grey images ``(M, H, W)`` from one FFT. Differentiable.

    An image has the same bits in every batch. MKL's rounding depends on the batch for small images under the
    norm "backward", and so does that of a matrix product: ``summaries`` uses both, for they are faster.

    Args:
        grey: luma.
        window: as in ``power_spectrum``.

    Returns:
        Power, the half plane ``(M, H, W//2+1)``, and the profiles.

    Raises:
        GanlabError: unknown window.
    """
    height, width = grey.shape[-2:]
    power = half_squares(apply_window(grey, window), "ortho")
    return power, _profiles(orbit_sums(power, width), height, width)


def image_chunks(images: Tensor | Iterable[Tensor], share: float = 1.0) -> Iterator[Tensor]:
    """One batch, or many, in pieces of about ``share * CHUNK_PIXELS`` pixels a channel, one image at least.

    Args:
        images: float ``(N, C, H, W)``, or batches of such, all of one size.
        share: of the usual piece, for work that takes more memory.

    Raises:
        GanlabError: wrong type or shape, sizes that differ.
    """
    first: tuple[int, ...] | None = None
    for batch in [images] if isinstance(images, Tensor) else images:
        checked = check_images(batch)
        first = first or tuple(checked.shape[1:])
        if tuple(checked.shape[1:]) != first:
            raise GanlabError(f"images of one set differ in shape: {first} and {tuple(checked.shape[1:])}")
        if len(checked):
            size = max(1, int(share * CHUNK_PIXELS) // (checked.shape[-2] * checked.shape[-1]))
            yield from torch.split(checked, size)


def _sum_over_images(half: Tensor) -> Tensor:
    """float64 sum over the first axis; groups of eight are added in the given precision, which is faster."""
    whole = len(half) // 8 * 8
    grouped = half[:whole].reshape(-1, 8, *half.shape[1:]).sum(1)
    return torch.cat((grouped, half[whole:])).double().sum(0)


def summaries(images: Tensor, window: str | None = None) -> Summary:
    """Mean power, radial, axis and diagonal profiles of a batch from one FFT per image.

    The numbers are those of ``power_spectrum``, ``radial_profile`` ("ganlab") and ``axis_profiles`` of the
    luma, up to rounding; doing them together costs about as much as two bare FFTs.

    Args:
        images: float ``(N, 1 or 3, H, W)`` in [-1, 1], N >= 1.
        window: as in ``power_spectrum``.

    Raises:
        GanlabError: wrong type, shape or channel count; no image; unknown window.
    """
    checked = check_images(images)
    if not len(checked):
        raise GanlabError("there is no mean of zero images")
    height, width = checked.shape[-2:]
    total = checked.new_zeros((), dtype=torch.float64)
    chunks = []
    for chunk in image_chunks(checked):
        squares = half_squares(apply_window(luma(chunk), window))
        total = total + _sum_over_images(squares)
        quarter = orbit_sums(squares, width)
        if quarter[0].numel() <= PRODUCT_CELLS:
            chunks.append(quarter.flatten(1) @ _profile_table(height, width, quarter.device, quarter.dtype))
        else:
            chunks.append(torch.cat(_profiles(quarter, height, width), 1) / (height * width))
    profiles = torch.cat(chunks) if len(chunks) > 1 else chunks[0]
    smaller = min(height, width) // 2 + 1
    lengths = [smaller, width // 2 + 1, height // 2 + 1, smaller]
    return Summary(total / (len(checked) * height * width), *torch.split(profiles, lengths, 1))


DECAY = "decay"
"""Stands among the names of conventions for Dzanic's amplitudes, ``decay_profile``."""

Weights = tuple[float, float, float]


def _luma_of(name: str) -> Weights | None:
    """Luma weights that a profile starts from; None where it needs the channels."""
    if name == DECAY:
        return LUMA_FOUR_DIGITS
    convention = as_convention(name)
    return None if convention.integer_luma or convention.value_range == "standardised" else convention.luma


def extra_profiles(images: Tensor, names: Iterable[str], window: str | None) -> dict[str, Tensor]:
    """Radial profiles by name of their convention, and "decay" (never windowed): name -> ``(N, K)``.

    Raises:
        GanlabError: as ``radial_profile``.
    """
    greys: dict[Weights, Tensor] = {}
    found = {}
    for name in names:
        weights = _luma_of(name)
        if weights is not None and weights not in greys:
            greys[weights] = luma(images, weights).unsqueeze(1)
        planes = images if weights is None else greys[weights]
        found[name] = decay_profile(planes) if name == DECAY else radial_profile(planes, name, window)
    return found


LOG_EPSILON = 1e-12


@dataclass(frozen=True)
class DctStatistics:
    """Statistics of orthonormal DCT-II coefficients of images in 0..255.

    Attributes:
        count: number of images.
        mean: of the signed coefficients, ``(C, H, W)`` float64.
        std: population standard deviation (divided by n), ``(C, H, W)``.
    """

    count: int
    mean: FloatArray
    std: FloatArray

    @property
    def log_mean(self) -> FloatArray:
        """``ln(|mean| + 1e-12)``, the heat map of the paper: signed coefficients cancel before the log."""
        log: FloatArray = np.log(np.abs(self.mean) + LOG_EPSILON)
        return log

    @property
    def log_std(self) -> FloatArray:
        """``ln(std + 1e-12)``."""
        log: FloatArray = np.log(self.std + LOG_EPSILON)
        return log


def dct_statistics(images: Tensor | Iterable[Tensor]) -> DctStatistics:
    """DCT statistics of a set of images, every channel for itself, in one pass.

    Args:
        images: float ``(N, C, H, W)`` in [-1, 1], or batches of such, all of one size. They are taken to
            0..255 as the released code reads them; for its grey variant pass one channel.

    Raises:
        GanlabError: no image, wrong type or shape.

    Source: Frank et al. ICML 2020, arXiv 2003.08685; RUB-SysSec/GANDCTAnalysis 988c4c3.
    """
    total, square, count = None, None, 0
    for chunk in image_chunks(images):
        values = dct2(chunk.double() * 127.5 + 127.5)
        total = values.sum(0) if total is None else total + values.sum(0)
        square = values.square().sum(0) if square is None else square + values.square().sum(0)
        count += len(chunk)
    if total is None or square is None:
        raise GanlabError("there are no statistics of zero images")
    mean = total / count
    variance = (square / count - mean.square()).clamp_min(0)
    return DctStatistics(count, mean.cpu().numpy(), variance.sqrt().cpu().numpy())


NEEDED = ("jung2021", "durall2020", DECAY)
"""Profiles that deviations use beside those every accumulator has."""


@torch.no_grad()
def profile_set(
    images: Tensor | Iterable[Tensor] | HasStatistics | SpectrumStatistics, window: str | None = None
) -> SpectrumStatistics:
    """The profiles of a set of images, from whatever form it comes in.

    Give the result to ``spectral_deviation`` instead of the images to compare one real set with many others
    without computing its profiles again.

    Args:
        images: float ``(N, 1 or 3, H, W)`` in [-1, 1]; batches of such; a ``SpectrumAccumulator`` (with
            ``keep_profiles`` or ``reservoir`` for intervals, with ``conventions=("jung2021", "durall2020",
            "decay")`` for every metric); or ``SpectrumStatistics``, which are returned.
        window: as in ``power_spectrum``; accumulators bring their own.

    Returns:
        Statistics with the mean profiles and, where they were kept, those of every image.

    Raises:
        GanlabError: no image, wrong type, shape or channel count, unknown window; a window beside an
            accumulator with another one.
    """
    if isinstance(images, SpectrumStatistics) or hasattr(images, "result"):
        # An accumulator is known by what it gives: its class comes with torchmetrics, which takes seconds.
        ready = images if isinstance(images, SpectrumStatistics) else images.result()
        if window is not None and ready.window != window:
            raise GanlabError(f"these spectra were made with window {ready.window!r}, not {window!r}")
        return ready
    kept: dict[str, list[Tensor]] = {}
    ends, shape = [], (0, 0, 0)
    for chunk in image_chunks(images):
        ends.append(torch.stack(torch.aminmax(chunk)))
        shape = (chunk.shape[1], chunk.shape[2], chunk.shape[3])
        values = dict(zip(PROFILES, spectra_of(luma(chunk), window)[1], strict=True))
        for name, rows in {**values, **extra_profiles(chunk, NEEDED, window)}.items():
            kept.setdefault(name, []).append(rows.cpu())
    if not kept:
        raise GanlabError("a set of images without an image has no spectrum")
    profiles = {name: torch.cat(parts) for name, parts in kept.items()}
    count = len(profiles["radial"])
    # By tensors: Python's min and max would pass over a NaN that comes second.
    ranges = torch.stack(ends)
    return SpectrumStatistics(
        count=count,
        height=shape[1],
        width=shape[2],
        window=window or "none",
        moments={name: Moments(count, rows.double().mean(0).numpy()) for name, rows in profiles.items()},
        minimum=float(ranges.amin()),
        maximum=float(ranges.amax()),
        channels=shape[0],
        profiles=profiles,
        images=images if isinstance(images, Tensor) else None,
    )
