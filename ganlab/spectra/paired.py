"""Distances between an image and the image it should be: for reconstructions, not for generated samples.

Both compare image i of one set with image i of the other. Between unpaired sets they measure how far any two
images lie apart and say nothing about spectra; they are here because papers report them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.spectra.inputs import check_images


def _pair(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    first, second = check_images(first), check_images(second)
    if first.shape != second.shape:
        raise GanlabError(
            "paired distances compare image i with image i: both sets have one shape; got "
            f"{tuple(first.shape)} and {tuple(second.shape)}"
        )
    return first, second


def focal_frequency_distance(first: Tensor, second: Tensor, alpha: float = 1.0) -> Tensor:
    """Focal frequency loss of every pair of images (Jiang et al. 2021), images in [0, 1].

    With d the difference of the orthonormal spectra of a channel: the mean over the plane of
    ``|d|^alpha / max(|d|^alpha) * |d|^2``, the weight taken as a constant; mean over channels.

    Args:
        first: float ``(N, C, H, W)`` in [-1, 1].
        second: the same shape.
        alpha: power of the weight.

    Returns:
        ``(N,)``. Differentiable, with the weight detached as in the released code.

    Raises:
        GanlabError: wrong type or shape, shapes that differ.

    Source: arXiv 2012.12821; EndlessSora/focal-frequency-loss 352f69d.
    """
    first, second = _pair(first, second)
    difference = torch.fft.fft2((first - second) / 2, norm="ortho")
    square: Tensor = difference.real.square() + difference.imag.square()
    weight = square.detach().pow(alpha / 2)
    largest = weight.amax((-1, -2), keepdim=True)
    weight = weight / torch.where(largest > 0, largest, torch.ones_like(largest))
    return (weight * square).mean((1, 2, 3))


def log_frequency_distance(first: Tensor, second: Tensor) -> Tensor:
    """Log frequency distance of every pair (Jiang et al. 2021), images in 0..255.

    ``ln(mean |F1 - F2|^2 + 1)`` with un-normalised transforms. By Parseval it is ``ln(H W MSE + 1)``: a
    function of the pixel error alone, which is how it is computed here.

    Args:
        first: float ``(N, C, H, W)`` in [-1, 1].
        second: the same shape.

    Returns:
        ``(N,)``. Differentiable.

    Raises:
        GanlabError: wrong type or shape, shapes that differ.

    Source: arXiv 2012.12821; EndlessSora/focal-frequency-loss 352f69d, metrics.
    """
    first, second = _pair(first, second)
    error = ((first - second) * 127.5).square().mean((1, 2, 3))
    return torch.log(error * (first.shape[-2] * first.shape[-1]) + 1)
