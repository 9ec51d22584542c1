"""Another upsampler in somebody's model: found, replaced, its weights kept where the new layer can hold them.

Every layer that doubles the size is zero insertion and one kernel for each pair of channels:
``y[m] = sum_i x[i] w[m - 2i]``. A transposed convolution and a convolution before a pixel shuffle hold any
such kernel (each of its phases is free), so one becomes the other exactly. A fixed operator and a convolution
hold those that the operator's own kernel divides; otherwise the convolution nearest to the old kernel is
taken.
"""

from __future__ import annotations

import fnmatch
import itertools
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError, lookup
from ganlab.upsampling import kernels
from ganlab.upsampling.kernels import Kernel
from ganlab.upsampling.layers import FixedUpsampler, Transposed, Upsampler
from ganlab.upsampling.registry import UPSAMPLERS, interpolate2x, make_upsampler

KINDS = ("transposed", "upsample", "pixel_shuffle", "max_unpool")
"""What is looked for: ConvTranspose2d of stride 2 or 4, Upsample by 2 or 4, PixelShuffle(2) after a
convolution, MaxUnpool2d(2)."""
MODES = {"nearest": kernels.NEAREST, "nearest-exact": kernels.NEAREST, "bilinear": kernels.BILINEAR,
         "bicubic": kernels.BICUBIC}  # fmt: skip
EXACT = 1e-5
"""Relative error of a kernel up to which it counts as kept."""


class Replaced(str):
    """Path of a module that was replaced; compares as the path does.

    Attributes:
        was: the old module in words.
        kept: the new layers compute what the old ones did, but for rounding (and for borders, where an
            interpolation repeats the edge and a convolution does not).
        error: part of the old kernel that the new layer cannot hold; 0 where it holds all, 1 where nothing
            was kept.
        initialised: parameters, by their names in the model, that do not hold the old ones: as near to them
            as the new layer can come, or new.
    """

    __slots__ = ("error", "initialised", "kept", "was")
    was: str
    kept: bool
    error: float
    initialised: tuple[str, ...]


class Doubling(nn.Module):
    """A fixed x2 operator of `UPSAMPLERS` without weights; what follows it stays. More arguments are ignored.

    ``(N, C, H, W) -> (N, C, 2H, 2W)``, border as torch's interpolation has it.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor, *ignored: Any, **options: Any) -> Tensor:
        """Enlarge; the indices that an unpooling gets say nothing here."""
        return interpolate2x(x, self.name)

    def extra_repr(self) -> str:
        """Which one, in the network's printed form."""
        return self.name


class _Indexed(nn.Sequential):
    """Layers in the place of an unpooling: its indices are not used."""

    def forward(self, input: Tensor, *ignored: Any, **options: Any) -> Tensor:
        for layer in self:
            input = layer(input)
        return input


@dataclass
class _Old:
    """An old layer: path, kind, factor, its kernel ``(C_out, C_in, K, L)`` from ``offset`` on, or None.

    ``also`` is the pixel shuffle that follows a convolution.
    """

    path: str
    kind: str
    module: nn.Module
    factor: int
    weight: Tensor | None = None
    offset: int = 0
    bias: Tensor | None = None
    also: str = ""


@torch.no_grad()
def replace_upsampling(
    module: nn.Module, name: str, which: str | Sequence[str] = "all", keep_weights: bool = True
) -> tuple[Replaced, ...]:
    """Put one of ganlab's upsamplers in the place of a model's own, in place.

    Device, precision, mode, hooks and whether weights learn stay. A convolution that follows an `nn.Upsample`
    stays as it is; a transposed convolution or a convolution with pixel shuffle becomes one layer of the new
    kind.

    Args:
        module: any model; changed in place.
        name: a key of ``UPSAMPLERS``.
        which: "all", a kind ("transposed", "upsample", "pixel_shuffle", "max_unpool"), a path or a pattern of
            paths ("decoder.up*"), or several of them.
        keep_weights: put the old kernel into the new layer as far as that can hold it; otherwise the new
            layer starts as its own class does.

    Returns:
        What was replaced, with what was kept and what starts anew. With "all", layers that enlarge by
        another factor stay, and a warning names them.

    Raises:
        GanlabError: unknown name, nothing there under a given path, or a layer that does not multiply its
            size by its stride (the model would get another size).
    """
    lookup(UPSAMPLERS, name, "upsampler")
    olds = list(_found(module))
    if which != "all":
        patterns = [which] if isinstance(which, str) else list(which)
        chosen = [old for old in olds if any(_matches(old, pattern) for pattern in patterns)]
        for pattern in patterns:
            if not any(_matches(old, pattern) for old in olds):
                known = ", ".join(f"{old.path} ({old.kind})" for old in olds) or "none"
                raise GanlabError(f"no upsampling layer {pattern!r} in this model; it has {known}")
        olds = chosen
    elif other := _other_resizings(module, olds):
        warnings.warn(
            f"left as they are, since they enlarge by neither 2 nor 4: {', '.join(other)}", stacklevel=3
        )
    for old in olds:
        _refuse(old)
    return tuple(_replace(module, old, name, keep_weights) for old in olds)


def _matches(old: _Old, pattern: str) -> bool:
    return pattern == old.kind or pattern == old.also or fnmatch.fnmatchcase(old.path, pattern)


def _found(module: nn.Module) -> Iterator[_Old]:
    """Every layer of `KINDS` that is not inside an upsampler of ganlab."""
    own = [path for path, part in module.named_modules() if isinstance(part, Upsampler)]
    before: dict[str, str] = {}
    for parent, part in module.named_modules():
        for first, second in itertools.pairwise(name for name, _ in part.named_children()):
            before[f"{parent}.{second}".lstrip(".")] = f"{parent}.{first}".lstrip(".")
    for path, part in list(module.named_modules()):
        if any(path == inside or path.startswith(f"{inside}.") for inside in own):
            continue
        if isinstance(part, nn.PixelShuffle):
            conv = module.get_submodule(before[path]) if path in before else None
            if part.upscale_factor == 2 and isinstance(conv, nn.Conv2d) and conv.out_channels % 4 == 0:
                weight, offset = _from_phases(conv)
                yield _Old(before[path], "pixel_shuffle", conv, 2, weight, offset, conv.bias, also=path)
        else:
            yield from _alone(path, part)


def _other_resizings(module: nn.Module, known: Sequence[_Old]) -> list[str]:
    """Layers that enlarge and are none of ``known``: by three, to a size, by a factor that is not whole."""
    taken = {path for old in known for path in (old.path, old.also)}
    own = [path for path, part in module.named_modules() if isinstance(part, Upsampler)]
    return [
        f"{path} ({str(part).splitlines()[0]})"
        for path, part in module.named_modules()
        if isinstance(part, nn.Upsample | nn.PixelShuffle | nn.MaxUnpool2d)
        or (isinstance(part, nn.ConvTranspose2d) and max(part.stride) > 1)
        if path not in taken and not any(path == inside or path.startswith(f"{inside}.") for inside in own)
    ]


def _alone(path: str, part: nn.Module) -> Iterator[_Old]:
    """A layer that enlarges by itself."""
    if isinstance(part, nn.ConvTranspose2d) and part.stride in ((2, 2), (4, 4)):
        weight = _dense(part.weight, part.groups)
        yield _Old(path, "transposed", part, part.stride[0], weight, -_int(part.padding), part.bias)
    elif isinstance(part, nn.Upsample) and part.scale_factor is not None:
        factors = set(part.scale_factor if isinstance(part.scale_factor, tuple) else (part.scale_factor,))
        if factors in ({2.0}, {4.0}):
            yield _Old(path, "upsample", part, int(factors.pop()))
    elif isinstance(part, nn.MaxUnpool2d) and _int(part.kernel_size) == _int(part.stride) == 2:
        yield _Old(path, "max_unpool", part, 2)


def _refuse(old: _Old) -> None:
    """Layers whose place a plain x2 or x4 cannot take.

    Raises:
        GanlabError: saying why.
    """
    part = old.module
    if not old.path:
        raise GanlabError("the model is the upsampling layer itself: put it into an nn.Sequential first")
    if isinstance(part, nn.ConvTranspose2d):
        sides = part.kernel_size, part.padding, part.output_padding
        square = all(len(set(side)) == 1 for side in sides if isinstance(side, tuple))
        surplus = part.kernel_size[0] + part.output_padding[0] - 2 * int(part.padding[0]) - part.stride[0]
        if not square or part.dilation != (1, 1) or surplus:
            raise GanlabError(
                f"{old.path} does not make its input exactly {old.factor} times as large ({part}): what "
                "replaces it would give another size; leave it out by which="
            )
    if isinstance(part, nn.Conv2d) and (part.groups != 1 or part.dilation != (1, 1)):
        raise GanlabError(f"{old.path} has groups or a dilation ({part}): leave it out by which=")


def _replace(model: nn.Module, old: _Old, name: str, keep: bool) -> Replaced:
    """Build, fill, and put in place; the pixel shuffle after a replaced convolution goes."""
    fixed = issubclass(UPSAMPLERS[name], FixedUpsampler)
    steps = int(math.log2(old.factor))
    error = 0.0
    new: nn.Module
    if old.weight is None and fixed:
        layers: list[nn.Module] = [Doubling(name) for _ in range(steps)]
        kept = name == getattr(old.module, "mode", "") and not getattr(old.module, "align_corners", False)
        new = layers[0] if steps == 1 else _Indexed(*layers)
        error = 0.0 if kept else 1.0
    else:
        new, error = _learned(model, old, name, keep, steps)
    _carry(old.module, new, _like(model, old.module))
    _set(model, old.path, new)
    if old.also:
        _set(model, old.also, nn.Identity())
    result = Replaced(old.path)
    result.was = str(old.module).splitlines()[0] + (" and PixelShuffle" if old.also else "")
    result.kept, result.error = error <= EXACT, error
    anew = error > EXACT and any(True for _ in new.parameters())
    result.initialised = tuple(f"{old.path}.{key}" for key, _ in new.named_parameters()) if anew else ()
    return result


def _learned(model: nn.Module, old: _Old, name: str, keep: bool, steps: int) -> tuple[nn.Module, float]:
    """A layer with weights that does what the old one did, as far as it can, and what it cannot hold."""
    if old.weight is None:
        # An interpolation has no channels of its own; whatever comes next says them.
        channels = _channels_after(model, old.path)
        kernel = MODES.get(getattr(old.module, "mode", "nearest"), kernels.NEAREST)
        weight = _outer(kernel).to(torch.float64) * torch.eye(channels)[:, :, None, None]
        offset, bias = kernel.offset, None
        layers = [_filled(name, weight, offset, bias, [], keep, "replicate") for _ in range(steps)]
    else:
        weight, offset, bias = old.weight.double(), old.offset, old.bias
        first, before = [], []
        for step in range(steps - 1):
            # All but the last doubling keep their channels and begin as the interpolation, or as nearest.
            kernel = getattr(UPSAMPLERS[name], "kernel", None) or kernels.NEAREST
            before.append((kernel, 2 ** (steps - 1 - step)))
            first.append(_first(name, weight.shape[1], keep))
        last = _filled(name, weight, offset, bias, before, keep, "torch")
        layers = [*first, last]
    error = max(error for _, error in layers)
    if getattr(old.module, "align_corners", False):
        error = 1.0  # no filter is what depends on the position
    modules = [layer for layer, _ in layers]
    if len(modules) == 1 and old.kind != "max_unpool":
        return modules[0], error
    return _Indexed(*modules), error


def _first(name: str, channels: int, keep: bool) -> tuple[nn.Module, float]:
    if issubclass(UPSAMPLERS[name], FixedUpsampler):
        return Doubling(name), 0.0
    weight = _outer(kernels.NEAREST).double() * torch.eye(channels)[:, :, None, None]
    return _filled(name, weight, 0, None, [], keep, "torch")


def _filled(
    name: str, weight: Tensor, offset: int, bias: Tensor | None, before: list[tuple[Kernel, int]], keep: bool,
    border: str,
) -> tuple[nn.Module, float]:  # fmt: skip
    """A layer of the name that holds the kernel, and the part of it that it does not hold.

    Args:
        name: of the upsampler.
        weight: ``(C_out, C_in, K, K)`` on the output grid.
        offset: output displacement of its first tap.
        bias: that of the old layer; every phase of a pixel shuffle has the same here.
        before: kernels of doublings before this one, with the dilation they have on the output grid.
        keep: whether the kernel is put in.
        border: of a learned layer.
    """
    kind, (outputs, inputs, side, _) = UPSAMPLERS[name], weight.shape
    low, high = offset, offset + side - 1
    own: Kernel | None = getattr(kind, "kernel", None)
    if issubclass(kind, FixedUpsampler):
        kernel = own or kernels.BILINEAR  # one that depends on the position is nearest to bilinear
        before = [*before, (kernel, 1)]
    taps, start = _composed(before)
    # The convolution must reach as far as the old kernel beyond what the operators reach by themselves.
    first, last = low - start, high - (start + len(taps) - 1)
    if issubclass(kind, FixedUpsampler):
        reach = max(1, -first, last)
        size, first, last = 2 * reach + 1, -reach, reach
    elif issubclass(kind, Transposed):
        reach = max(0, -first, last - 1)
        size, first, last = 2 * reach + 1, -reach, reach + 1
    else:
        reach = max(0, math.ceil(-first / 2), math.ceil((last - 1) / 2))
        size, first, last = 2 * reach + 1, -2 * reach, 2 * reach + 1
    border = "torch" if issubclass(kind, FixedUpsampler) else border
    layer = make_upsampler(name, inputs, outputs, size, bias=bias is not None or not keep, border=border)
    if not keep:
        return layer, 1.0
    held, error = _fitted(weight, low, taps, start, first, last)
    conv: Any = layer.conv
    if isinstance(layer, FixedUpsampler):
        conv.weight.copy_(held.flip(-2, -1))
    elif isinstance(layer, Transposed):
        conv.weight.copy_(held.transpose(0, 1))
    else:
        conv.weight.copy_(_to_phases(held, reach))
    if bias is not None:
        phases = bias.reshape(outputs, -1)  # of a pixel shuffle: four, of any other one
        own_phases = conv.bias.reshape(outputs, -1)
        if own_phases.shape[1] != phases.shape[1]:
            mean = phases.mean(1, keepdim=True)
            if not torch.allclose(phases, mean.expand_as(phases)):
                error = max(error, float((phases - mean).norm() / phases.norm()))
            phases = mean.expand_as(own_phases)
        conv.bias.copy_(phases.reshape(-1))
    return layer, error


def _composed(before: list[tuple[Kernel, int]]) -> tuple[Tensor, int]:
    """Taps along one axis of operators one after the other on the output grid, and their displacement."""
    taps, start = torch.ones(1, dtype=torch.float64), 0
    for kernel, dilation in before:
        wide = torch.zeros((len(kernel.taps) - 1) * dilation + 1, dtype=torch.float64)
        wide[::dilation] = torch.tensor(kernel.taps, dtype=torch.float64)
        longer = torch.zeros(len(taps) + len(wide) - 1, dtype=torch.float64)
        for place, tap in enumerate(taps):
            longer[place : place + len(wide)] += tap * wide
        taps, start = longer, start + kernel.offset * dilation
    return taps, start


def _fitted(
    weight: Tensor, low: int, taps: Tensor, start: int, first: int, last: int
) -> tuple[Tensor, float]:
    """The kernel on ``first ... last`` that gives the wanted one after the operators, by least squares.

    Returns:
        ``(C_out, C_in, n, n)`` and the part of the power of the wanted kernel that is missed, as a root.
    """
    # Matrix of one axis: rows are displacements on the output grid, columns taps of what is sought.
    bottom = min(low, first + start)
    top = max(low + weight.shape[-1] - 1, last + start + len(taps) - 1)
    matrix = torch.zeros(top - bottom + 1, last - first + 1, dtype=torch.float64)
    for column in range(matrix.shape[1]):
        begin = first + column + start - bottom
        matrix[begin : begin + len(taps), column] = taps
    wanted = torch.zeros(*weight.shape[:2], len(matrix), len(matrix), dtype=torch.float64)
    place = low - bottom
    wanted[..., place : place + weight.shape[-2], place : place + weight.shape[-1]] = weight.double()
    inverse = torch.linalg.pinv(matrix)
    held = inverse @ wanted @ inverse.T
    missed = (matrix @ held @ matrix.T - wanted).norm() / wanted.norm().clamp_min(1e-30)
    return held, float(missed)


def _to_phases(weight: Tensor, reach: int) -> Tensor:
    """A kernel on ``-2 reach ... 2 reach + 1`` as the convolution before a pixel shuffle by 2."""
    outputs, inputs, *_ = weight.shape
    size = 2 * reach + 1
    made = weight.new_zeros(outputs, 2, 2, inputs, size, size)
    for row in (0, 1):
        for column in (0, 1):
            # Output 2a + r takes input a + d by the tap of displacement r - 2d.
            part = weight[..., row::2, column::2].flip(-2, -1)
            made[:, row, column] = part
    return made.reshape(4 * outputs, inputs, size, size)


def _from_phases(conv: nn.Conv2d) -> tuple[Tensor, int]:
    """The kernel of a convolution and a pixel shuffle by 2, and its first displacement."""
    phases = conv.weight.detach()
    outputs, inputs, side, _ = phases.shape
    if conv.kernel_size[0] != conv.kernel_size[1] or side % 2 == 0 or _int(conv.padding) != side // 2:
        raise GanlabError(
            f"the convolution before a pixel shuffle keeps its size by an odd square kernel: {conv}"
        )
    reach = side // 2
    phases = phases.reshape(outputs // 4, 2, 2, inputs, side, side)
    made = phases.new_zeros(outputs // 4, inputs, 2 * side, 2 * side)
    for row in (0, 1):
        for column in (0, 1):
            made[..., row::2, column::2] = phases[:, row, column].flip(-2, -1)
    return made, -2 * reach


def _dense(weight: Tensor, groups: int) -> Tensor:
    """``(C_in, C_out / groups, k, k)`` as ``(C_out, C_in, k, k)``."""
    weight = weight.detach()
    if groups == 1:
        return weight.transpose(0, 1)
    inputs, each, *sides = weight.shape
    made = weight.new_zeros(each * groups, inputs, *sides)
    for group, part in enumerate(weight.chunk(groups)):
        size = len(part)
        made[group * each : (group + 1) * each, group * size : (group + 1) * size] = part.transpose(0, 1)
    return made


def _outer(kernel: Kernel) -> Tensor:
    taps = torch.tensor(kernel.taps, dtype=torch.float64)
    return taps[:, None] * taps


def _channels_after(model: nn.Module, path: str) -> int:
    """Channels that the next layer with weights takes.

    Raises:
        GanlabError: none follows.
    """
    passed = False
    for name, part in model.named_modules():
        passed |= name == path
        channels = getattr(part, "in_channels", None) or getattr(part, "num_channels", None)
        channels = channels or getattr(part, "num_features", None)
        if passed and name != path and isinstance(channels, int):
            return channels
    raise GanlabError(
        f"{path} has no channels of its own and no convolution after it says them: name a fixed one"
    )


def _like(model: nn.Module, old: nn.Module) -> Tensor | None:
    """A weight whose device and precision the new layer takes: the old layer's, or the model's first."""
    floating = (p for part in (old, model) for p in part.parameters() if p.is_floating_point())
    return next(floating, None)


def _carry(old: nn.Module, new: nn.Module, like: Tensor | None) -> None:
    """Precision, device, mode, hooks, and whether weights learn."""
    if like is not None:
        new.to(like.device, like.dtype)
    new.train(old.training)
    learns = [p.requires_grad for p in old.parameters()]
    if learns and not any(learns):
        new.requires_grad_(False)
    for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
        getattr(new, name).update(getattr(old, name))
    for name in (
        "_forward_hooks_with_kwargs",
        "_forward_pre_hooks_with_kwargs",
        "_forward_hooks_always_called",
    ):
        getattr(new, name).update(getattr(old, name))


def _set(model: nn.Module, path: str, new: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, new)


def _int(value: Any) -> int:
    return int(value[0]) if isinstance(value, tuple) else int(value) if not isinstance(value, str) else -1
