"""What a trained upsampling layer does to a spectrum: its equivalent kernel, phases, response, unevenness.

Any linear layer that doubles the size is zero insertion followed by a filter with one kernel per pair of
channels; its four phases (even and odd rows and columns) are free, and so is the constant it adds to each.
Where they differ in sum, a constant input comes out as a pattern of period two: power at the replica
frequencies (1/2, 0), (0, 1/2) and (1/2, 1/2).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeGuard

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.upsampling import KERNELS, FixedUpsampler, Kernel
from ganlab.upsampling.layers import PixelShuffle, Transposed

PHASES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Parities of (row, column) of an output pixel, in the order of a pixel shuffle's channels."""
REPLICA_NAMES = {(1, 0): "vertical", (0, 1): "horizontal", (1, 1): "diagonal"}
"""Parities of (row, column) -> replica at (1/2, 0), (0, 1/2), (1/2, 1/2) of (fy, fx)."""


@dataclass(frozen=True)
class LayerKernel:
    """``y[o, m] = bias[o, m mod 2] + sum over c, k of taps[o, c, k] z[c, m - (k + offset)]``.

    z is the input with zeros inserted. Where an interpolation that is the same for every channel goes with a
    learned convolution, the two are kept apart: their product of 1024 to 512 channels would not fit a cache.

    Attributes:
        weights: ``(C_out, C_in, k, l)``, in the order of output displacement; the taps themselves if there is
            no ``fixed``.
        offset: (rows, columns): output displacement of the first tap.
        bias: ``(C_out, 2, 2)``, what is added to the output pixels of each (row, column) parity; None for
            nothing. It is no even grey where the four differ, as those of a sub-pixel convolution may.
        fixed: ``(F, G)``, a filter before or after the weights, the same for every channel; None for none.
        factor: how many times higher and wider the layer makes its input; there are as many phases, and so
            many places ``bias`` has, in place of 2 and 2.
    """

    weights: Tensor
    offset: tuple[int, int]
    bias: Tensor | None = None
    fixed: Tensor | None = None
    factor: tuple[int, int] = (2, 2)

    @functools.cached_property
    def taps(self) -> Tensor:
        """``(C_out, C_in, K, L)``: the weights convolved with ``fixed``."""
        if self.fixed is None:
            return self.weights
        (height, width), (rows, columns) = self.weights.shape[2:], self.fixed.shape
        spread = self.weights.new_zeros(height, width, *self.size)
        for k in range(height):
            for m in range(width):
                spread[k, m, k : k + rows, m : m + columns] = self.fixed
        # One product for all pairs of channels: convolving half a million small planes takes far longer.
        full = self.weights.flatten(2) @ spread.view(height * width, -1)
        return full.view(*full.shape[:2], *self.size)

    @property
    def size(self) -> tuple[int, int]:
        """(K, L) of ``taps``."""
        rows, columns = (1, 1) if self.fixed is None else self.fixed.shape
        return self.weights.shape[2] + rows - 1, self.weights.shape[3] + columns - 1


def transposed_kernel(
    weight: Tensor,
    padding: int | tuple[int, int] = 1,
    bias: Tensor | None = None,
    stride: tuple[int, int] = (2, 2),
) -> LayerKernel:
    """The kernel of a transposed convolution, with stride 2 unless another is given.

    Args:
        weight: ``(C_in, C_out, K, L)`` as ``torch.nn.ConvTranspose2d`` holds it.
        padding: that of the layer, one number or (rows, columns).
        bias: ``(C_out,)`` of the layer.
        stride: (rows, columns).

    Raises:
        GanlabError: not four-dimensional.
    """
    rows, columns = padding if isinstance(padding, tuple) else (padding, padding)
    taps = _four(weight).transpose(0, 1)
    return LayerKernel(taps, (-rows, -columns), _even(bias, stride), factor=stride)


def subpixel_kernel(
    weight: Tensor, padding: int | None = None, bias: Tensor | None = None, factor: int = 2
) -> LayerKernel:
    """The kernel of a convolution to 4 C channels followed by a pixel shuffle by 2, or by another factor.

    Args:
        weight: ``(4 C_out, C_in, k, l)`` of the convolution, stride 1.
        padding: that of the convolution, by default half its size.
        bias: ``(4 C_out,)`` of the convolution: one number for each output channel and phase.
        factor: r of the shuffle; r^2 takes the place of 4.

    Raises:
        GanlabError: not four-dimensional, or channels not divisible by r^2.
    """
    r, (outputs, inputs, height, width) = factor, _four(weight).shape
    if outputs % r**2:
        raise GanlabError(f"a pixel shuffle by {r} takes a multiple of {r**2} channels; got {outputs}")
    edges = (height // 2, width // 2) if padding is None else (padding, padding)
    phases = weight.reshape(outputs // r**2, r, r, inputs, height, width).flip(-2, -1)
    # Phase (a, b) of tap (d, e) lies r (edge - d) + a rows and so many columns away from its input pixel.
    taps = phases.permute(0, 3, 4, 1, 5, 2).reshape(outputs // r**2, inputs, r * height, r * width)
    offset = (r * (edges[0] - height + 1), r * (edges[1] - width + 1))
    return LayerKernel(taps, offset, None if bias is None else bias.reshape(-1, r, r), factor=(r, r))


def shuffled_kernel(weight: Tensor, bias: Tensor | None = None) -> LayerKernel:
    """The kernel of a pixel shuffle by 2 followed by a convolution that keeps the size.

    Args:
        weight: ``(C_out, C_in / 4, k, l)`` of the convolution; k and l odd.
        bias: ``(C_out,)`` of the convolution.

    Raises:
        GanlabError: not four-dimensional.
    """
    outputs, groups, height, width = _four(weight).shape
    taps = weight.new_zeros(outputs, groups, 4, height + 1, width + 1)
    for channel, (a, b) in enumerate(PHASES):
        # Channel 4 g + 2 a + b of the input is what stands a rows and b columns beside the even pixels.
        taps[:, :, channel, a : a + height, b : b + width] = weight.flip(-2, -1)
    offset = (height // 2 - height + 1, width // 2 - width + 1)
    return LayerKernel(taps.flatten(1, 2), offset, _even(bias))


def interpolated_kernel(weight: Tensor, fixed: LayerKernel, bias: Tensor | None = None) -> LayerKernel:
    """The kernel of a fixed interpolation followed by a convolution that keeps the size.

    Args:
        weight: ``(C_out, C_in, k, l)`` of the convolution; k and l odd.
        fixed: of the interpolation, one channel in and out.
        bias: ``(C_out,)`` of the convolution.

    Raises:
        GanlabError: not four-dimensional.
    """
    height, width = _four(weight).shape[2:]
    offset = (fixed.offset[0] + height // 2 - height + 1, fixed.offset[1] + width // 2 - width + 1)
    taps, even = weight.flip(-2, -1), _even(bias, fixed.factor)
    return LayerKernel(taps, offset, even, fixed.taps[0, 0], fixed.factor)


def _four(weight: Tensor) -> Tensor:
    if weight.ndim != 4:
        raise GanlabError(f"the weights of a 2-D convolution have four axes; got {tuple(weight.shape)}")
    return weight


def _even(bias: Tensor | None, factor: tuple[int, int] = (2, 2)) -> Tensor | None:
    return None if bias is None else bias[:, None, None].expand(-1, *factor)


@torch.no_grad()
def layer_kernel(
    layer: nn.Module | Callable[[Tensor], Tensor], in_channels: int, size: int = 16
) -> LayerKernel:
    """The kernel of any linear layer that doubles the size.

    Read off the weights where these are known, in milliseconds at any width: every layer ``make_upsampler``
    makes, ``nn.ConvTranspose2d``, and ``nn.Sequential`` of a convolution and ``nn.PixelShuffle`` in either
    order or of ``nn.Upsample`` and a convolution. Found by sending impulses, one image a channel, through
    everything else: a chain of linear layers, a function, a layer with hooks.

    Args:
        layer: ``(N, C_in, size, size) -> (N, C_out, 2 size, 2 size)``; evaluation mode is the caller's.
        in_channels: C_in.
        size: side of the test images; the kernel must fit into half of it.

    Raises:
        GanlabError: the layer does not double the size, takes another number of channels, depends on
            position, is not linear up to a constant, has a kernel that does not fit, or cannot be called.
    """
    kernel = _kernel_of_weights(layer, size) if isinstance(layer, nn.Module) else None
    if kernel is None:
        return impulse_kernel(layer, in_channels, size)
    if kernel.weights.shape[1] != in_channels:
        raise GanlabError(
            f"the layer takes {kernel.weights.shape[1]} channels; got in_channels={in_channels}"
        )
    # Copies: what training does to the layer afterwards is not to change the kernel.
    bias = None if kernel.bias is None else _single(kernel.bias.detach().clone())
    return replace(kernel, weights=_single(kernel.weights.detach().clone()), bias=bias)


def _single(values: Tensor) -> Tensor:
    """Of a layer in half precision in single: no transform takes halves."""
    return values if values.dtype == torch.float64 else values.float()


def _kernel_of_weights(layer: nn.Module, size: int) -> LayerKernel | None:
    """None for a layer whose arithmetic is not known here."""
    if any(module._forward_hooks or module._forward_pre_hooks for module in layer.modules()):
        return None  # a hook may change what goes in, what comes out, or the weights
    learned = layer.conv if type(layer) is Transposed else layer
    if _doubles(learned):
        return transposed_kernel(learned.weight, _pair(learned.padding), learned.bias)
    if type(layer) is PixelShuffle and _keeps_size(layer.conv):
        made = shuffled_kernel if layer.shuffle_first else subpixel_kernel
        return made(layer.conv.weight, bias=layer.conv.bias)
    if isinstance(layer, FixedUpsampler) and type(layer).forward is FixedUpsampler.forward:
        if not _keeps_size(layer.conv):
            return None
        # An operator without a kernel may do anything, so impulses ask it; one channel is enough.
        fixed = (
            impulse_kernel(lambda x: layer.operator(x, layer.border), 1, size)
            if layer.kernel is None
            else _both_axes(layer.kernel)
        )
        return interpolated_kernel(layer.conv.weight, fixed, layer.conv.bias)
    return _kernel_of_pair(*layer) if type(layer) is nn.Sequential and len(layer) == 2 else None


def _kernel_of_pair(first: nn.Module, second: nn.Module) -> LayerKernel | None:
    if type(first) is nn.PixelShuffle and first.upscale_factor == 2 and _keeps_size(second):
        return shuffled_kernel(second.weight, second.bias)
    if type(second) is nn.PixelShuffle and second.upscale_factor == 2 and _keeps_size(first):
        return subpixel_kernel(first.weight, bias=first.bias)
    if not (type(first) is nn.Upsample and first.scale_factor in (2, (2, 2)) and _keeps_size(second)):
        return None
    if first.mode not in KERNELS or first.align_corners:
        return None
    return interpolated_kernel(second.weight, _both_axes(KERNELS[first.mode]), second.bias)


def _keeps_size(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether this is a plain convolution of odd size with half its size around the image."""
    # Compared by what it runs: a parametrized layer is of a class of its own, but convolves as before.
    if not isinstance(layer, nn.Conv2d) or type(layer).forward is not nn.Conv2d.forward:
        return False
    same = all(k % 2 == 1 for k in layer.kernel_size) and layer.padding == tuple(
        k // 2 for k in layer.kernel_size
    )
    return same and layer.stride == layer.dilation == (1, 1) and layer.groups == 1


def _doubles(layer: nn.Module) -> TypeGuard[nn.ConvTranspose2d]:
    if not isinstance(layer, nn.ConvTranspose2d) or type(layer).forward is not nn.ConvTranspose2d.forward:
        return False
    sizes = zip(layer.kernel_size, _pair(layer.padding), layer.output_padding, strict=True)
    doubling = all(k - 2 * p + extra == 2 for k, p, extra in sizes)
    return doubling and layer.stride == (2, 2) and layer.dilation == (1, 1) and layer.groups == 1


def _pair(padding: str | tuple[int, ...]) -> tuple[int, int]:
    """Of a transposed convolution, whose padding is never a word."""
    return int(padding[0]), int(padding[1])


def _both_axes(kernel: Kernel) -> LayerKernel:
    taps = torch.tensor(kernel.taps, dtype=torch.float64)
    return LayerKernel(torch.outer(taps, taps)[None, None], (kernel.offset, kernel.offset))


IMPULSES = 64
"""Impulses sent at a time: memory does not grow with the channels."""


def impulse_kernel(
    layer: Callable[[Tensor], Tensor], in_channels: int, size: int, factor: tuple[int, int] = (2, 2)
) -> LayerKernel:
    """As `layer_kernel`, by impulses whatever the layer is, and for any ``factor`` by which it enlarges."""
    (down, right) = factor
    parameter = next(iter(layer.parameters()), None) if isinstance(layer, nn.Module) else None
    images = (
        torch.zeros(3, in_channels, size, size)
        if parameter is None
        else parameter.new_zeros(3, in_channels, size, size)
    )
    centre = size // 2
    images[1, 0, centre, centre] = 1
    images[2, 0, centre - 1, centre + 1] = -2
    # Three images first, so that a layer which is no filter says so before all its channels are tried.
    try:
        nothing, impulse, moved = layer(images)
    except (RuntimeError, TypeError, ValueError) as error:
        raise GanlabError(f"calling the layer with {tuple(images.shape)} fails: {error}") from error
    if nothing.shape[-2:] != (down * size, right * size):
        times = "twice" if factor == (2, 2) else f"{down}x{right} times"
        raise GanlabError(
            f"expected {times} the size, {down * size}; the layer gave {tuple(nothing.shape[-2:])}"
        )
    response = impulse - nothing
    scale = float(response.abs().max()) + 1e-12
    expected = -2 * response.roll((-down, right), (-2, -1))
    exact = images.dtype in (torch.float32, torch.float64)
    # In half precision a response is rounded as finely as what is added to it.
    rounding = 0.0 if exact else 4 * torch.finfo(images.dtype).eps * (scale + float(nothing.abs().max()))
    if float((expected - (moved - nothing)).abs().max()) > max(1e-3 * scale, rounding):
        raise GanlabError(
            "the layer is no filter: an impulse moved and scaled does not give its response moved and "
            "scaled; it depends on position (bilinear_align_corners), is not linear, or reaches the border"
        )
    top, left = down * centre, right * centre
    bias = nothing[:, top : top + down, left : left + right]
    beside = nothing[:, top - down : top, left - right : left]
    if float((bias - beside).abs().max()) > max(1e-3 * max(scale, float(nothing.abs().max())), rounding):
        raise GanlabError(
            "the layer is no filter: what it adds to its response differs from place to place (fixed noise, "
            "or a border that reaches the middle)"
        )
    responses = []
    for first in range(0, in_channels, IMPULSES):
        channels = torch.arange(first, min(first + IMPULSES, in_channels), device=images.device)
        batch = images.new_zeros(len(channels), in_channels, size, size)
        batch[channels - first, channels, centre, centre] = 1
        responses.append(layer(batch) - nothing)
    taps = torch.cat(responses).transpose(0, 1)
    # What is zero around the kernel is cut away.
    sizes = taps.abs().amax((0, 1))
    used = sizes > 1e-7 * sizes.max()
    if not bool(used.any()):
        used[top, left] = True
    rows, columns = used.any(1).nonzero()[:, 0], used.any(0).nonzero()[:, 0]
    (first, last), (start, end) = ((int(line[0]), int(line[-1])) for line in (rows, columns))
    offset = (first - top, start - left)
    taps = taps[..., first : last + 1, start : end + 1]
    return LayerKernel(_single(taps), offset, _single(bias), factor=factor)


def polyphase(kernel: LayerKernel) -> dict[tuple[int, int], Tensor]:
    """The four filters that make the even and odd rows and columns of the output.

    Returns:
        (row parity, column parity) -> taps ``(C_out, C_in, ., .)`` on the input grid, in the order of output
        displacement.
    """
    phases = {}
    for parity in PHASES:
        first = [(parity[axis] - kernel.offset[axis]) % 2 for axis in (0, 1)]
        phases[parity] = kernel.taps[..., first[0] :: 2, first[1] :: 2]
    return phases


def effective_response(kernel: LayerKernel, n: int) -> Tensor:
    """Root mean square gain over output channels for white, independent input channels, per frequency.

    On the scale of ``frequency_response``: a layer that interpolates each channel by itself has the product
    of the responses along the axes, 1 at zero frequency. What the layer adds (``bias``) is no gain.

    Args:
        kernel: from ``layer_kernel``, ``transposed_kernel`` or ``subpixel_kernel``.
        n: points of the output grid along each axis, at least the kernel's size.

    Returns:
        ``(n, n//2+1)`` un-shifted, in the precision of the kernel. Differentiable.

    Raises:
        GanlabError: the grid is smaller than the kernel.
    """
    if n < max(kernel.size):
        raise GanlabError(f"a grid of {n} points cannot hold a kernel of {kernel.size}")
    # A few output channels at a time: the spectra of 1024 x 512 kernels would take gigabytes.
    step = max(1, 2**24 // (kernel.weights.shape[1] * n * n))
    power = kernel.weights.new_zeros(n, n // 2 + 1)
    for part in torch.split(kernel.weights, step):
        power = power + torch.view_as_real(torch.fft.rfft2(part, s=(n, n))).square().sum((0, 1, -1))
    if kernel.fixed is not None:
        spectrum = torch.fft.rfft2(kernel.fixed.to(power), s=(n, n))
        power = power * (spectrum.real.square() + spectrum.imag.square())
    return (power / len(kernel.weights)).sqrt() / (kernel.factor[0] * kernel.factor[1])


@dataclass(frozen=True)
class Unevenness:
    """Share of a layer's output power at the replicas of zero frequency when its input is constant.

    What the layer adds by itself counts: the four biases a channel of a sub-pixel convolution are a pattern
    even where the weights of its phases are equal.

    Attributes:
        mean: expected power at the three replicas over expected power, for a constant input whose channels
            are independent, of mean 0 and mean square 1.
        replicas: "horizontal" (0, 1/2), "vertical" (1/2, 0), "diagonal" (1/2, 1/2): their shares in ``mean``.
        given: for the constant input asked about, or None.
        silent: for the input zero, which only the biases answer; 0 where nothing is added.
    """

    mean: float
    replicas: dict[str, float]
    given: float | None
    silent: float
    _tones: Tensor = field(repr=False, compare=False)
    _rounding: float = field(repr=False, compare=False)

    @functools.cached_property
    def maximum(self) -> float:
        """For the worst constant input, or the limit towards it; taken when asked, for its SVD takes long.

        1 as soon as there are as many inputs as four times the outputs and the phases are free.
        """
        outputs = self._tones.shape[1]
        left, values, _ = torch.linalg.svd(self._tones.flatten(0, 1), full_matrices=False)
        if not len(values) or values[0] == 0:
            return 0.0
        # Directions that the layer only reaches through the rounding of its weights are none.
        left = left[:, values > values[0] * self._rounding * max(self._tones.flatten(0, 1).shape)]
        return float(torch.linalg.matrix_norm(left[outputs:], 2)) ** 2


@torch.no_grad()
def unevenness(kernel: LayerKernel, activation: Tensor | None = None) -> Unevenness:
    """How much of a constant a layer turns into a pattern of period two (the checkerboard of Odena et al.).

    0 for nearest, bilinear and every other operator whose phases have equal sums and biases; 3/4 for bed of
    nails.

    Args:
        kernel: from ``layer_kernel``, ``transposed_kernel`` or ``subpixel_kernel``; it doubles the size
            (`lattice_shares` takes others).
        activation: ``(C_in,)``, for example the mean activations that a trained generator feeds the layer.

    Raises:
        GanlabError: ``activation`` has another length.

    Source: Odena, Dumoulin, Olah 2016, Distill, Deconvolution and Checkerboard Artifacts.
    """
    inputs = kernel.weights.shape[1]
    if activation is not None and activation.shape != (inputs,):
        raise GanlabError(f"activation holds one number a channel, {inputs}; got {tuple(activation.shape)}")
    tones = _tones(kernel)
    powers = tones.square().sum((1, 2))
    whole = float(powers.sum())
    shares = [float(power) / whole if whole else 0.0 for power in powers]
    names = [REPLICA_NAMES[parity] for parity in PHASES[1:]]
    return Unevenness(
        sum(shares[1:]),
        dict(zip(names, shares[1:], strict=True)),
        None if activation is None else _share(tones, activation),
        _share(tones, tones.new_zeros(inputs)),
        tones,
        torch.finfo(kernel.weights.dtype).eps * 10,
    )


@torch.no_grad()
def lattice_shares(kernel: LayerKernel, activation: Tensor) -> tuple[float, float]:
    """Share of a layer's output power that is a lattice when its input is constant; for any factor.

    Returns:
        ``Unevenness.mean`` and ``Unevenness.given``, of all replicas of zero at multiples of 1 / factor.
    """
    rows, columns = kernel.factor
    sums = kernel.weights.new_zeros(*kernel.weights.shape[:2], rows, columns, dtype=torch.float64)
    for a in range(rows):
        for b in range(columns):
            first, start = (a - kernel.offset[0]) % rows, (b - kernel.offset[1]) % columns
            sums[..., a, b] = kernel.taps[..., first::rows, start::columns].double().sum((-2, -1))
    bias = sums.new_zeros(len(sums), rows, columns) if kernel.bias is None else kernel.bias.double()
    given = torch.einsum("ocab,c->oab", sums, activation.double()) + bias

    def share(power: Tensor, even: Tensor) -> float:
        return max(0.0, 1 - float(even / power)) if float(power) else 0.0

    def powers(values: Tensor) -> tuple[Tensor, Tensor]:
        return values.square().mean((-2, -1)).sum(), values.mean((-2, -1)).square().sum()

    free, added = powers(sums), powers(bias)
    return share(free[0] + added[0], free[1] + added[1]), share(*powers(given))


def _tones(kernel: LayerKernel) -> Tensor:
    """Output amplitude at zero frequency and its replicas for every channel held constant.

    Returns:
        ``(4, C_out, C_in + 1)`` float64 in the order of ``PHASES``; the last column is what the bias gives.
    """
    # At these four frequencies a filter only adds and subtracts its taps, so that the responses of weights
    # and of a fixed filter multiply.
    total = _signed_sums(kernel.weights, kernel.offset) / 4
    if kernel.fixed is not None:
        total = total * _signed_sums(kernel.fixed, (0, 0)).view(4, 1, 1)
    if kernel.bias is None:
        return torch.cat((total, total.new_zeros(*total.shape[:2], 1)), 2)
    return torch.cat((total, _signed_sums(kernel.bias, (0, 0))[..., None] / 4), 2)


def _signed_sums(taps: Tensor, offset: tuple[int, int]) -> Tensor:
    """Sums ``(4, ...)`` float64 of ``(..., K, L)`` taps times their sign at each frequency of ``PHASES``."""
    rows, columns = (
        torch.arange(size, device=taps.device) + first
        for size, first in zip(taps.shape[-2:], offset, strict=True)
    )
    signs = [torch.outer(1 - 2 * (a * rows % 2), 1 - 2 * (b * columns % 2)).flatten() for a, b in PHASES]
    table = torch.stack(signs, 1).double()
    return (taps.flatten(-2).double() @ table).movedim(-1, 0)


def _share(tones: Tensor, activation: Tensor) -> float:
    """Of the replicas in the output power for one constant input."""
    constant = torch.cat((activation.to(tones), tones.new_ones(1)))
    powers = (tones @ constant).square().sum(1)
    total = float(powers.sum())
    return float(powers[1:].sum()) / total if total else 0.0
