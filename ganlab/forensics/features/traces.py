"""Convolutional traces: how each pixel follows from its neighbours, by expectation-maximisation.

Source: Guarnera, Giudice, Battiato 2020, "DeepFake Detection by Analyzing Convolutional Traces"
(arXiv 2004.10448) and "Fighting Deepfake by Exposing the Convolutional Traces on Images" (arXiv 2008.04095);
the algorithm is Popescu and Farid's resampling detector (IEEE Trans. Signal Processing 53(2), 2005) with the
kernel as the feature. Each colour channel is modelled as

    I[p] = sum over the neighbours q of k[q] I[p + q] + Gaussian noise of deviation sigma,

mixed with pixels that follow no rule (uniform over 256 grey levels). The E-step weighs every pixel by its
probability of following the rule, the M-step is a weighted least-squares fit of k. All channels of all images
advance together: one batched product gives the normal equations, one batched Cholesky solves them. That
product, 2 K^4 operations a pixel and step, limits the speed: a NumPy loop that leaves it to BLAS as well is
slower only by what float64 and its temporary arrays cost.

The start is ours: k is the mean of the four neighbours and sigma the deviation of its residual. With a random
k and a small sigma no pixel follows the rule at first and k never leaves its start.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.features.base import Feature, Shape
from ganlab.spectra.transforms import check_images

KERNEL_SIZES = (3, 5, 7)
UNIFORM_DENSITY = 1.0 / 256.0
MIN_SIGMA = 1e-3
RIDGE = 1e-9
"""Times the mean of the normal equations' diagonal, added to it: a constant image has a solution too."""
CHUNK_VALUES = 2**20
"""Neighbourhood values held at once: 4 MiB of float32, which stays in a processor's cache."""


@dataclass(frozen=True)
class Traces:
    """The fitted kernels of a batch.

    Attributes:
        kernels: ``(N, C, K * K - 1)`` float32, reading order, centre left out.
        sigma: ``(N, C)`` float32, deviation of the residual in grey levels of 0..255.
        iterations: ``(N, C)`` int64, EM steps taken.
        converged: ``(N, C)`` bool; False where ``max_iterations`` ended the search.
    """

    kernels: Tensor
    sigma: Tensor
    iterations: Tensor
    converged: Tensor

    def features(self) -> Tensor:
        """``(N, C * (K * K - 1))``: the kernels of all channels one after the other."""
        return self.kernels.flatten(1)


def convolutional_traces(
    images: Tensor, kernel_size: int = 3, tolerance: float = 1e-2, max_iterations: int = 100
) -> Traces:
    """Fit the neighbour kernel of every channel of every image.

    Args:
        images: ``(N, C, H, W)`` in [-1, 1]; measured in grey levels of 0..255 inside.
        kernel_size: 3, 5 or 7 (24, 72 or 144 numbers for three channels).
        tolerance: a channel is finished when the kernel moves by less (Euclidean norm).
        max_iterations: gives up after so many steps and says so in ``converged``.

    Raises:
        GanlabError: another kernel size, no float images, an image too small to fit it, or pixels that are
            NaN, infinite or far from [-1, 1].
    """
    _check_size(kernel_size)
    images = check_images(images)
    if images.shape[0] == 0:
        raise GanlabError(f"images are (N, C, H, W) with N >= 1; got shape {tuple(images.shape)}")
    count, channels, height, width = images.shape
    pixels = (height - kernel_size + 1) * (width - kernel_size + 1)
    if min(height, width) < kernel_size or pixels < kernel_size**2:
        raise GanlabError(f"{height}x{width} pixels are too few for {kernel_size**2 - 1} coefficients")
    if not bool(torch.isfinite(images.sum())):  # one NaN or infinity makes the sum one
        raise GanlabError("convolutional traces: an image holds NaN or infinite values")
    if max_iterations < 1:
        raise GanlabError(f"max_iterations must be at least 1; got {max_iterations}")
    planes = images.reshape(-1, height, width).float().add(1.0).mul(127.5)
    step = max(1, CHUNK_VALUES // (kernel_size**2 * pixels))
    fits = [_fit(chunk, kernel_size, tolerance, max_iterations) for chunk in torch.split(planes, step)]
    kernels, sigma, iterations, converged = (torch.cat(part) for part in zip(*fits, strict=True))
    if not bool(torch.isfinite(kernels).all()):
        low, high = (float(end) for end in torch.aminmax(images))
        raise GanlabError(f"convolutional traces: images run from {low:g} to {high:g}; [-1, 1] is expected")
    return Traces(
        kernels.float().view(count, channels, -1),
        sigma.float().view(count, channels),
        iterations.view(count, channels),
        converged.view(count, channels),
    )


def _check_size(kernel_size: int) -> None:
    if kernel_size not in KERNEL_SIZES:
        raise GanlabError(f"trace kernels are 3, 5 or 7 pixels wide; got {kernel_size}")


def _fit(planes: Tensor, kernel_size: int, tolerance: float, max_iterations: int) -> tuple[Tensor, ...]:
    """EM on one chunk ``(B, H, W)``: kernels, sigma, iterations, converged.

    ``blocks`` ``(B, K * K, P)`` holds every neighbour minus the pixel, reading order, then the pixel.
    Differences instead of the neighbours themselves keep the products small, so that float32 loses nothing
    that matters; the normal equations are put together again in float64.
    """
    rows, columns = planes.shape[1] - kernel_size + 1, planes.shape[2] - kernel_size + 1
    middle = kernel_size // 2
    every = itertools.product(range(kernel_size), range(kernel_size))
    neighbours = [cell for cell in every if cell != (middle, middle)]
    pixel = planes[:, middle : middle + rows, middle : middle + columns]
    blocks = planes.new_empty(len(planes), kernel_size**2, rows, columns)
    for entry, (i, j) in enumerate(neighbours):
        torch.sub(planes[:, i : i + rows, j : j + columns], pixel, out=blocks[:, entry])
    blocks[:, -1] = pixel
    blocks = blocks.flatten(2)
    direct = [abs(i - middle) + abs(j - middle) == 1 for i, j in neighbours]
    start = torch.tensor(direct, dtype=torch.float64, device=planes.device) / 4
    kernels = start.repeat(len(blocks), 1)
    squares = _squared_residual(blocks, kernels)
    sigma = squares.mean(1).sqrt_().clamp_min_(MIN_SIGMA)
    iterations = torch.full((len(blocks),), max_iterations, device=planes.device)
    converged = torch.zeros(len(blocks), dtype=torch.bool, device=planes.device)
    active = torch.arange(len(blocks), device=planes.device)
    for step in range(1, max_iterations + 1):
        # E-step: each pixel's probability to follow the rule is a logistic function of its squared residual
        variance = sigma[active].square()[:, None]
        offset = -0.5 * (2 * math.pi * UNIFORM_DENSITY**2 * variance).log()
        weights = torch.addcmul(offset, squares, -0.5 / variance).sigmoid_()
        new = _weighted_fit(blocks, weights)
        finished = (new - kernels[active]).norm(dim=1) < tolerance
        squares = _squared_residual(blocks, new)
        total = torch.bmm(weights[:, None], squares[:, :, None])[:, 0, 0]
        kernels[active], sigma[active] = new, (total / weights.sum(1)).sqrt_().clamp_min_(MIN_SIGMA)
        converged[active[finished]] = True
        iterations[active[finished]] = step
        if bool(finished.all()):
            break
        if bool(finished.any()):  # finished channels leave the batch
            active, blocks, squares = active[~finished], blocks[~finished], squares[~finished]
    return kernels, sigma, iterations, converged


def _squared_residual(blocks: Tensor, kernels: Tensor) -> Tensor:
    """``(B, P)``: pixel minus its prediction, squared.

    With differences d = neighbour - pixel the prediction is k . d + sum(k) * pixel.
    """
    coefficients = torch.cat([-kernels, 1.0 - kernels.sum(1, keepdim=True)], 1).float()
    return torch.bmm(coefficients[:, None], blocks)[:, 0].square_()


def _weighted_fit(blocks: Tensor, weights: Tensor) -> Tensor:
    """M-step: the weighted least-squares kernels, ``(B, K * K - 1)`` float64."""
    gram = torch.bmm(blocks * weights[:, None], blocks.transpose(1, 2)).double()
    cross, pixel = gram[:, :-1, -1], gram[:, -1, -1]
    # neighbour = difference + pixel, so its products follow from those of the differences
    right = cross + pixel[:, None]
    matrix = gram[:, :-1, :-1] + cross[:, None, :] + right[:, :, None]
    scale = matrix.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-30)
    matrix.diagonal(dim1=1, dim2=2).add_(RIDGE * scale[:, None])
    # without a check: a matrix that is not positive gives numbers that are not finite, not an exception
    factor, _ = torch.linalg.cholesky_ex(matrix)
    return torch.cholesky_solve(right[..., None], factor)[..., 0]


@dataclass(frozen=True)
class ConvolutionalTraces(Feature):
    """How each pixel follows from its neighbours (Guarnera 2020): EM kernels of all channels, one vector.

    Attributes:
        kernel_size: 3, 5 or 7: 8, 24 or 48 numbers a channel.
    """

    kernel_size: int = 3

    def __post_init__(self) -> None:
        _check_size(self.kernel_size)

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """One vector."""
        return (shape[2] * (self.kernel_size**2 - 1),)

    def __call__(self, images: Tensor) -> Tensor:
        """Fit all channels together."""
        return convolutional_traces(images, self.kernel_size).features()
