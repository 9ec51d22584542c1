"""What a trained upsampling layer does to a spectrum: its equivalent kernel, phases, response, unevenness.

Any linear layer that doubles the size is zero insertion followed by a filter with one kernel per pair of
channels; its four phases (even and odd rows and columns) are free. Where they differ in sum, a constant input
comes out as a pattern of period two: power at the replica frequencies (1/2, 0), (0, 1/2) and (1/2, 1/2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError

REPLICA_NAMES = {(1, 0): "vertical", (0, 1): "horizontal", (1, 1): "diagonal"}
"""Parities of (row, column) -> replica at (1/2, 0), (0, 1/2), (1/2, 1/2) of (fy, fx)."""


@dataclass(frozen=True)
class LayerKernel:
    """``y[o, m] = sum over c, k of taps[o, c, k] z[c, m - (k + offset)]``, z the input with zeros inserted.

    Attributes:
        taps: ``(C_out, C_in, K, L)``.
        offset: (rows, columns): output displacement of the first tap.
    """

    taps: Tensor
    offset: tuple[int, int]


def transposed_kernel(weight: Tensor, padding: int = 1) -> LayerKernel:
    """The kernel of a transposed convolution with stride 2.

    Args:
        weight: ``(C_in, C_out, K, L)`` as ``torch.nn.ConvTranspose2d`` holds it.
        padding: that of the layer.

    Raises:
        GanlabError: not four-dimensional.
    """
    return LayerKernel(_four(weight).transpose(0, 1), (-padding, -padding))


def subpixel_kernel(weight: Tensor, padding: int | None = None) -> LayerKernel:
    """The kernel of a convolution to 4 C channels followed by a pixel shuffle by 2.

    Args:
        weight: ``(4 C_out, C_in, k, l)`` of the convolution, stride 1.
        padding: that of the convolution, by default half its size.

    Raises:
        GanlabError: not four-dimensional, or channels not divisible by 4.
    """
    outputs, inputs, height, width = _four(weight).shape
    if outputs % 4:
        raise GanlabError(f"a pixel shuffle by 2 takes a multiple of 4 channels; got {outputs}")
    edges = (height // 2, width // 2) if padding is None else (padding, padding)
    phases = weight.reshape(outputs // 4, 2, 2, inputs, height, width).flip(-2, -1)
    # Phase (a, b) of tap (d, e) lies 2 (edge - d) + a rows and so many columns away from its input pixel.
    taps = phases.permute(0, 3, 4, 1, 5, 2).reshape(outputs // 4, inputs, 2 * height, 2 * width)
    return LayerKernel(taps, (2 * (edges[0] - height + 1), 2 * (edges[1] - width + 1)))


def _four(weight: Tensor) -> Tensor:
    if weight.ndim != 4:
        raise GanlabError(f"the weights of a 2-D convolution have four axes; got {tuple(weight.shape)}")
    return weight


@torch.no_grad()
def layer_kernel(
    layer: nn.Module | Callable[[Tensor], Tensor], in_channels: int, size: int = 16
) -> LayerKernel:
    """The kernel of any linear layer that doubles the size, found by sending impulses through it.

    Works for everything ``make_upsampler`` makes (interpolation and the convolution after it in one), for a
    bare transposed convolution, and for a chain of linear layers.

    Args:
        layer: ``(N, C_in, size, size) -> (N, C_out, 2 size, 2 size)``; evaluation mode is the caller's.
        in_channels: C_in.
        size: side of the test images; the kernel must fit into half of it.

    Raises:
        GanlabError: the layer does not double the size, depends on position, is not linear up to a constant,
            or has a kernel that does not fit.
    """
    parameter = (
        next(iter(layer.parameters()), torch.zeros(1)) if isinstance(layer, nn.Module) else torch.zeros(1)
    )
    impulses = parameter.new_zeros(in_channels + 2, in_channels, size, size)
    centre = size // 2
    index = torch.arange(in_channels, device=impulses.device)
    impulses[index, index, centre, centre] = 1
    impulses[in_channels + 1, 0, centre - 1, centre + 1] = -2
    output = layer(impulses)
    if output.shape[-2:] != (2 * size, 2 * size):
        raise GanlabError(f"expected twice the size, {2 * size}; the layer gave {tuple(output.shape[-2:])}")
    # The response to nothing is the bias, and what a border makes of it.
    responses = output - output[in_channels]
    moved = -2 * responses[0].roll((-2, 2), (-2, -1))
    scale = float(responses[0].abs().max()) + 1e-12
    if float((moved - responses[in_channels + 1]).abs().max()) > 1e-3 * scale:
        raise GanlabError(
            "the layer is no filter: an impulse moved and scaled does not give its response moved and "
            "scaled; it depends on position (bilinear_align_corners), is not linear, or reaches the border"
        )
    taps = responses[:in_channels].transpose(0, 1)
    return _trim(taps, 2 * centre)


def _trim(taps: Tensor, centre: int) -> LayerKernel:
    """Cut away what is zero around the kernel."""
    sizes = taps.abs().amax((0, 1))
    used = sizes > 1e-7 * sizes.max()
    if not bool(used.any()):
        return LayerKernel(taps[..., centre : centre + 1, centre : centre + 1], (0, 0))
    rows, columns = used.any(1).nonzero()[:, 0], used.any(0).nonzero()[:, 0]
    top, bottom, left, right = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
    return LayerKernel(taps[..., top : bottom + 1, left : right + 1], (top - centre, left - centre))


def polyphase(kernel: LayerKernel) -> dict[tuple[int, int], Tensor]:
    """The four filters that make the even and odd rows and columns of the output.

    Returns:
        (row parity, column parity) -> taps ``(C_out, C_in, ., .)`` on the input grid, in the order of output
        displacement.
    """
    phases = {}
    for parity in ((0, 0), (0, 1), (1, 0), (1, 1)):
        first = [(parity[axis] - kernel.offset[axis]) % 2 for axis in (0, 1)]
        phases[parity] = kernel.taps[..., first[0] :: 2, first[1] :: 2]
    return phases


def effective_response(kernel: LayerKernel, n: int) -> Tensor:
    """Root mean square gain over output channels for white, independent input channels, per frequency.

    On the scale of ``frequency_response``: a layer that interpolates each channel by itself has the product
    of the responses along the axes, 1 at zero frequency.

    Args:
        kernel: from ``layer_kernel``, ``transposed_kernel`` or ``subpixel_kernel``.
        n: points of the output grid along each axis, at least the kernel's size.

    Returns:
        ``(n, n//2+1)`` un-shifted, in the precision of the kernel. Differentiable.

    Raises:
        GanlabError: the grid is smaller than the kernel.
    """
    if n < max(kernel.taps.shape[-2:]):
        raise GanlabError(f"a grid of {n} points cannot hold a kernel of {tuple(kernel.taps.shape[-2:])}")
    spectrum = torch.fft.rfft2(kernel.taps, s=(n, n))
    power: Tensor = spectrum.real.square() + spectrum.imag.square()
    return power.sum(1).mean(0).sqrt() / 4


@dataclass(frozen=True)
class Unevenness:
    """Share of a layer's output power at the replicas of zero frequency when its input is constant.

    Attributes:
        mean: for a random constant input, every channel alike: power at the three replicas over all power.
        maximum: for the worst constant input. 1 as soon as there are as many inputs as four times the
            outputs and the phases are free.
        replicas: "horizontal" (0, 1/2), "vertical" (1/2, 0), "diagonal" (1/2, 1/2): their shares in ``mean``.
        given: for the constant input asked about, or None.
    """

    mean: float
    maximum: float
    replicas: dict[str, float]
    given: float | None = None


@torch.no_grad()
def unevenness(kernel: LayerKernel, activation: Tensor | None = None) -> Unevenness:
    """How much of a constant a layer turns into a pattern of period two (the checkerboard of Odena et al.).

    0 for nearest, bilinear and every other operator whose phases have equal sums; 3/4 for bed of nails.

    Args:
        kernel: from ``layer_kernel``, ``transposed_kernel`` or ``subpixel_kernel``.
        activation: ``(C_in,)``, for example the mean activations that a trained generator feeds the layer.

    Raises:
        GanlabError: ``activation`` has another length.

    Source: Odena, Dumoulin, Olah 2016, Distill, Deconvolution and Checkerboard Artifacts.
    """
    phases = {parity: taps.double().sum((-1, -2)) for parity, taps in polyphase(kernel).items()}
    tones = {
        (a, b): sum((-1) ** (a * r + b * s) * total for (r, s), total in phases.items()) / 4
        for a, b in phases
    }
    stacked = torch.cat([torch.as_tensor(tones[key]) for key in ((0, 0), *REPLICA_NAMES)])
    whole = float(stacked.square().sum())
    if activation is not None and activation.shape != (stacked.shape[1],):
        raise GanlabError(
            f"activation holds one number a channel, {stacked.shape[1]}; got {tuple(activation.shape)}"
        )
    if whole == 0:
        return Unevenness(
            0.0, 0.0, dict.fromkeys(REPLICA_NAMES.values(), 0.0), None if activation is None else 0.0
        )
    shares = {
        name: float(torch.as_tensor(tones[key]).square().sum()) / whole for key, name in REPLICA_NAMES.items()
    }
    outputs = kernel.taps.shape[0]
    left, values, _ = torch.linalg.svd(stacked, full_matrices=False)
    # Directions that the layer only reaches through the rounding of its weights are none.
    rounding = torch.finfo(kernel.taps.dtype).eps * 10 * max(stacked.shape)
    left = left[:, values > values[0] * rounding]
    maximum = float(torch.linalg.matrix_norm(left[outputs:], 2)) ** 2
    return Unevenness(sum(shares.values()), maximum, shares, _given(stacked, outputs, activation))


def _given(stacked: Tensor, outputs: int, activation: Tensor | None) -> float | None:
    if activation is None:
        return None
    power = (stacked @ activation.to(stacked)).square()
    total = float(power.sum())
    return float(power[outputs:].sum()) / total if total else 0.0
