"""High-pass residuals in which a generator's regular traces stand out, and their mean spectra."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.images import luma
from ganlab.spectra.fourier import half_power
from ganlab.spectra.inputs import check_images
from ganlab.spectra.summary import image_chunks

Average = Literal["complex", "power", "log"]


def median_residual(images: Tensor, size: int = 5) -> Tensor:
    """Each pixel minus the median of the ``size`` x ``size`` square around it; edge pixels are repeated.

    Args:
        images: float ``(N, C, H, W)``.
        size: odd; 5 for Wang et al. 2020, 3 for Ricker et al. 2022.

    Returns:
        ``(N, C, H, W)``. Differentiable.

    Raises:
        GanlabError: wrong type or shape, even size, or a size that reaches beyond the image.
    """
    planes = check_images(images)
    if size < 1 or size % 2 == 0:
        raise GanlabError(f"a median filter has an odd size; got {size}")
    edge = size // 2
    padded = F.pad(planes, (edge, edge, edge, edge), mode="replicate")
    squares = padded.unfold(2, size, 1).unfold(3, size, 1).flatten(4)
    return planes - squares.median(-1).values


def npr_residual(images: Tensor) -> Tensor:
    """Neighbouring pixel relations: each pixel minus the top left one of its 2x2 block (Tan et al. 2024).

    Equal to ``x - up(down(x))`` with nearest-neighbour resampling by two.

    Args:
        images: float ``(N, C, H, W)`` in [-1, 1], H and W even.

    Returns:
        ``(N, C, H, W)`` on the scale of images in [0, 1], as the paper has it; zero at every top left pixel.
        Differentiable.

    Raises:
        GanlabError: wrong type or shape, odd height or width.

    Source: arXiv 2312.10461, chuangchuangtan/NPR-DeepfakeDetection.
    """
    planes = check_images(images)
    if planes.shape[-2] % 2 or planes.shape[-1] % 2:
        raise GanlabError(
            f"NPR needs even height and width; got {planes.shape[-2]}x{planes.shape[-1]}: crop one"
        )
    corners = planes[..., ::2, ::2].repeat_interleave(2, -2).repeat_interleave(2, -1)
    return (planes - corners) / 2


def _chunk_sum(images: Tensor, size: int, average: Average) -> Tensor:
    residual = median_residual(luma(images).unsqueeze(1), size)[:, 0]
    if average == "complex":
        mean: Tensor = torch.fft.rfft2(residual.sum(0, dtype=torch.float64))
        return mean
    power = half_power(residual).double()
    return power.sum(0) if average == "power" else power.clamp_min(1e-20).log().sum(0)


def residual_spectrum(
    images: Tensor | Iterable[Tensor], size: int = 5, average: Average = "complex"
) -> Tensor:
    """Mean spectrum of the median residuals of the luma of a set of images.

    Args:
        images: float ``(N, 1 or 3, H, W)`` in [-1, 1], or batches of such.
        size: of the median filter. StudioGAN's variant uses H//8 (made odd) with average "log".
        average: "complex" is the modulus of the mean of the complex spectra over sqrt(H W) (Wang et al. 2020,
            as their author describes it): only what has the same phase in every image remains. "power" is the
            root of the mean power (Corvi et al. 2023 with a median in place of their denoising network).
            "log" is the geometric mean of the amplitudes.

    Returns:
        Amplitude ``(H, W//2+1)`` in float64, un-shifted; ``20 log10`` of it is dB.

    Raises:
        GanlabError: no image, wrong type or shape, unknown average, even size.
    """
    if average not in ("complex", "power", "log"):
        raise GanlabError(f"unknown average {average!r}: expected one of complex, power, log")
    total, count = torch.zeros((), dtype=torch.float64), 0
    for chunk in image_chunks(images, 1 / size**2):
        total = total.to(chunk.device) + _chunk_sum(chunk, size, average)
        count, pixels = count + len(chunk), chunk.shape[-2] * chunk.shape[-1]
    if not count:
        raise GanlabError("there is no mean spectrum of zero images")
    mean = total / count
    if average == "complex":
        return mean.abs().div(pixels**0.5)
    return mean.sqrt() if average == "power" else (mean / 2).exp()
