"""Where a network resizes: found by watching one call of it, not declared.

Hooks know which module is at work, a `TorchFunctionMode` sees every function of torch in between. A resizing
is one call whose output is 2, 3, 4, ... times its input in height or width: an interpolation, a transposed
convolution with a stride, a pixel shuffle, a fold, zeros with pixels put between them, or a reshape that
merges the places within a patch into height and width (un-patchify).
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from ganlab.models.layers import BareOperator
from ganlab.upsampling import Upsampler

Factor = tuple[int, int]

LARGEST_FACTOR = 64
RESIZING = {
    "interpolate", "upsample", "upsample_nearest", "upsample_bilinear", "pixel_shuffle", "grid_sample",
    "repeat_interleave", "max_unpool2d", "kron", "__getitem__", "index_select", "gather", "take_along_dim",
}  # fmt: skip
"""Functions that make new pixels between old ones. Padding, tiling and products make tensors larger too."""
RESHAPES = {"reshape", "view", "flatten", "unflatten", "_unsafe_view", "reshape_as", "view_as"}
IGNORED = {
    "__get__", "__set__", "size", "dim", "numel", "stride", "is_floating_point", "is_complex", "__len__",
    "device", "requires_grad_", "data_ptr", "is_contiguous", "element_size", "type", "__repr__", "__format__",
    "__hash__", "detach_", "storage_offset", "get_device", "has_names", "is_pinned", "item", "tolist",
    "__bool__", "__int__", "__float__", "__index__",
}  # fmt: skip
SHORT = {"conv_transpose2d": "conv_transpose2d", "__setitem__": "setitem"}


BLANKS = {"zeros", "empty", "full", "new_zeros", "new_empty", "new_full", "zeros_like", "empty_like"}
BLANK = "_ganlab_blank"
"""Attribute of tensors that nothing was written into yet."""


class Stage(str):
    """One resizing, named by its place: a module's path, with the function's name where a module has more.

    Compares as its name does, ``"blocks.2.up"``.

    Attributes:
        factor: how many times higher and wider the output is.
        size: height and width of the output in the traced call.
        function: what torch was asked for: "conv_transpose2d", "interpolate", "pixel_shuffle", ...
        words: that with the options that matter, for a sentence.
    """

    __slots__ = ("factor", "function", "size", "words")
    factor: Factor
    size: tuple[int, int]
    function: str
    words: str

    def __new__(  # noqa: D102 - the class says it
        cls, name: str, factor: Factor, size: tuple[int, int], function: str, words: str = ""
    ) -> Stage:
        stage = super().__new__(cls, name)
        stage.factor, stage.size, stage.function, stage.words = factor, size, function, words or function
        return stage

    @property
    def name(self) -> str:
        """The stage's name as plain text."""
        return str.__str__(self)


def modules_of(source: Any) -> dict[str, nn.Module]:
    """Path -> module of everything a module, a bound method, a partial or a closure can call."""
    if isinstance(source, nn.Module):
        return dict(source.named_modules())
    roots: dict[str, nn.Module] = {}
    for name, value in _held_by(source):
        if isinstance(value, nn.Module):
            roots.setdefault(name, value)
    # One module alone needs no prefix: its paths are those that its author knows.
    alone = len({id(root) for root in roots.values()}) == 1
    modules = {}
    for name, root in roots.items():
        for path, module in root.named_modules():
            modules[path if alone else f"{name}.{path}".rstrip(".")] = module
    return modules


def _held_by(source: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Names and objects that a function can reach without arguments."""
    if depth > 3:
        return
    if isinstance(source, functools.partial):
        yield from _held_by(source.func, depth + 1)
        yield from [(f"argument{place}", value) for place, value in enumerate(source.args)]
        yield from source.keywords.items()
    elif inspect.ismethod(source):
        yield "self", source.__self__
        yield from vars(source.__self__).items() if hasattr(source.__self__, "__dict__") else ()
    elif inspect.isfunction(source):
        cells = source.__closure__ or ()
        for name, cell in zip(source.__code__.co_freevars, cells, strict=False):
            with contextlib.suppress(ValueError):
                yield name, cell.cell_contents
                if inspect.ismethod(cell.cell_contents) or inspect.isfunction(cell.cell_contents):
                    yield from _held_by(cell.cell_contents, depth + 1)
        for name in source.__code__.co_names:
            if name in source.__globals__:
                yield name, source.__globals__[name]
    elif hasattr(source, "__dict__"):
        yield from vars(source).items()


def spatial(value: Any) -> bool:
    """Whether a value is a feature map: floating, ``(N, ..., H, W)`` with more than one pixel each way."""
    return (
        isinstance(value, Tensor)
        and value.is_floating_point()
        and value.ndim >= 4
        and min(value.shape[-2:]) > 1
    )


def data_inputs(name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> list[Tensor]:
    """The tensors a call works on: all of them, without the weights of a convolution."""
    if name.startswith("conv"):
        first = arguments[0] if arguments else keywords.get("input")
        return [first] if isinstance(first, Tensor) else []
    found: list[Tensor] = []
    for value in [*arguments, *keywords.values()]:
        values = value if isinstance(value, tuple | list) else (value,)
        found += [entry for entry in values if isinstance(entry, Tensor)]
    return found


class Watch(TorchFunctionMode):
    """Sees every function of torch while it is entered, and the path of the module that calls it.

    Subclasses override `seen`, which makes the call and may replace what goes in and what comes out.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.names = {id(module): path for path, module in modules.items()}
        self.stack: list[tuple[str, nn.Module]] = []
        self.counts: list[Counter[str]] = [Counter()]

    def __enter__(self) -> Self:
        self._handles = [
            hooks.register_module_forward_pre_hook(self._begin),
            hooks.register_module_forward_hook(self._end, always_call=True),
        ]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        path = self.names.get(id(module), type(module).__name__.lower())
        self.stack.append((path, module))
        self.counts.append(Counter())

    def _end(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if self.stack and self.stack[-1][1] is module:
            self.stack.pop()
            self.counts.pop()

    @property
    def path(self) -> str:
        """Of the innermost module at work; "" for the outermost."""
        return self.stack[-1][0] if self.stack else ""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in IGNORED:
            return func(*args, **kwargs)
        if name == "__setitem__" and _strides_of(args) is not None and not getattr(args[0], BLANK, False):
            # Writing every second pixel of what is there already resizes nothing.
            name = "masked_write"
        result = self.seen(func, name, args, kwargs)
        if name in BLANKS and isinstance(result, Tensor):
            setattr(result, BLANK, True)
        elif name == "__setitem__" and isinstance(args[0], Tensor):
            setattr(args[0], BLANK, False)
        return result

    def seen(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make the call; what is returned here is what the caller gets."""
        return func(*args, **kwargs)

    def stage_name(self, function: str) -> str:
        """Name of a resizing at this point of the call: a module's path, or that and the function's.

        The path alone says it where the module has nothing inside, or is an upsampler of ganlab.
        """
        for path, module in self.stack:
            if isinstance(module, Upsampler | BareOperator):
                return path or function
        if self.stack and path_is_enough(self.stack[-1][1]):
            path = self.stack[-1][0]
            return path or function
        self.counts[-1][function] += 1
        number = self.counts[-1][function]
        short = SHORT.get(function, function) + (f"#{number}" if number > 1 else "")
        return f"{self.path}.{short}".lstrip(".")


def path_is_enough(module: nn.Module) -> bool:
    """Whether a module does one thing: it has no modules inside."""
    return next(module.children(), None) is None


def find_stages(modules: Mapping[str, nn.Module], call: Callable[[], Any]) -> tuple[Stage, ...]:
    """Every resizing of one call, in its order; a module that is called more than once counts once."""
    with Finder(modules) as finder, torch.no_grad():
        call()
    return merged_axes(list({stage.name: stage for stage in finder.stages}.values()))


class Finder(Watch):
    """Collects the resizings of a call in ``stages``, and the sizes that transposed convolutions get."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__(modules)
        self.stages: list[Stage] = []
        self.inputs: dict[str, tuple[int, int]] = {}
        self._opaque: list[tuple[int, Any]] = []

    def seen(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make the call, and note it if it resizes."""
        result = func(*args, **kwargs)
        factor = resizing(name, args, kwargs, result)
        if factor is not None:
            target = args[0] if name == "__setitem__" else result
            size = (int(target.shape[-2]), int(target.shape[-1]))
            stage = Stage(self.stage_name(name), factor, size, name, words(name, args, kwargs))
            self.stages.append(stage)
            if name.startswith("conv_transpose"):
                self.inputs[stage.name] = (int(args[0].shape[-2]), int(args[0].shape[-1]))
        return result

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        super()._begin(module, inputs)
        first = next((value for value in inputs if spatial(value)), None)
        self._opaque.append((len(self.stages), None if first is None else first.shape))

    def _end(self, module: nn.Module, inputs: Any, output: Any) -> None:
        path = self.path
        known, shape = self._opaque.pop() if self._opaque else (0, None)
        super()._end(module, inputs, output)
        # A module that resizes and shows no function of torch (compiled, or an operator of its own).
        if shape is not None and known == len(self.stages) and spatial(output):
            factor = ratio(shape, output.shape)
            if factor is not None:
                size = (int(output.shape[-2]), int(output.shape[-1]))
                self.stages.append(Stage(path or "output", factor, size, type(module).__name__))


def merged_axes(stages: list[Stage]) -> tuple[Stage, ...]:
    """Stages with one after the other of two axes, at one place, taken together."""
    merged: list[Stage] = []
    for stage in stages:
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.rpartition(".")[0] == stage.rpartition(".")[0]
            and sorted((min(last.factor), min(stage.factor))) == [1, 1]
            and last.function == stage.function
            and (last.factor[0] > 1) != (stage.factor[0] > 1)
        ):
            factor = (last.factor[0] * stage.factor[0], last.factor[1] * stage.factor[1])
            merged[-1] = Stage(last.name, factor, stage.size, last.function, last.words)
        else:
            merged.append(stage)
    return tuple(merged)


def ratio(before: Sequence[int], after: Sequence[int]) -> Factor | None:
    """How many times higher and wider ``after`` is, where that is a whole number above 1 on an axis."""
    (h, w), (high, wide) = before[-2:], after[-2:]
    if high % h or wide % w or (high == h and wide == w):
        return None
    factor = (int(high // h), int(wide // w))
    return factor if max(factor) <= LARGEST_FACTOR else None


def resizing(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> Factor | None:
    """How many times higher and wider the result is than what the call got; None if it does not resize."""
    if name == "__setitem__":
        return _strides_of(args)
    if not spatial(result):
        return None
    if name.startswith("conv_transpose"):
        stride = pair(args[3] if len(args) > 3 else kwargs.get("stride", 1))
        return stride if max(stride) > 1 and spatial(args[0]) else None
    if name == "fold":
        stride = pair(args[5] if len(args) > 5 else kwargs.get("stride", 1))
        return stride if max(stride) > 1 else None
    inputs = [value for value in data_inputs(name, args, kwargs) if not isinstance(value, nn.Parameter)]
    if name in RESHAPES:
        return merging(inputs[0].shape, result.shape) if inputs else None
    sources = [value for value in inputs if spatial(value)]
    if name not in RESIZING or not sources or inputs[0].ndim != result.ndim:
        return None
    largest = max(sources, key=lambda value: value.shape[-2] * value.shape[-1])
    return ratio(largest.shape, result.shape)


def _strides_of(args: Sequence[Any]) -> Factor | None:
    """Of ``out[..., ::2, ::2] = x``: (2, 2)."""
    target, index, value = (*args, None, None, None)[:3]
    places = index if isinstance(index, tuple) else (index,)
    if not spatial(target) or not spatial(value) or len(places) < 2:
        return None
    steps = [(place.step or 1) if isinstance(place, slice) else 1 for place in places[-2:]]
    factor = (int(steps[0]), int(steps[1]))
    return factor if max(factor) > 1 and ratio(value.shape, target.shape) == factor else None


def merging(before: Sequence[int], after: Sequence[int]) -> Factor | None:
    """The places of a patch that a reshape merges into height and width.

    ``(N, C, h, 2, w, 2) -> (N, C, 2 h, 2 w)`` gives (2, 2). Few channels may come last.
    """
    groups = grouped(before, after)
    if groups is None or len(before) <= len(after) or len(after) < 4:
        return None
    last = len(after) - 2
    if after[-1] <= 4 and len(groups[-1]) == 1 and len(groups[-2]) > 1:
        last -= 1  # channels last
    factor = (math.prod(groups[last][1:]), math.prod(groups[last + 1][1:]))
    grid = bool(groups[last] and groups[last + 1])
    return factor if grid and 1 < max(factor) <= LARGEST_FACTOR else None


def grouped(before: Sequence[int], after: Sequence[int]) -> list[list[int]] | None:
    """For every axis after a reshape, the axes before it that it consists of; None if axes are split."""
    left, groups = [int(side) for side in before if side != 1], []
    for side in after:
        group: list[int] = []
        while left and math.prod(group) < side:
            group.append(left.pop(0))
        if math.prod(group) != side:
            return None
        groups.append(group)
    return None if left else groups


def pair(value: Any) -> Factor:
    """One number for both axes, or two."""
    if isinstance(value, tuple | list | torch.Size):
        return int(value[0]), int(value[-1])
    return int(value), int(value)


def words(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """A resizing in words, with what decides whether it can leave a lattice."""
    if name.startswith("conv_transpose"):
        kernel = tuple(args[1].shape[-2:])
        stride = pair(args[3] if len(args) > 3 else kwargs.get("stride", 1))
        even = all(side % step == 0 for side, step in zip(kernel, stride, strict=True))
        divisible = "" if even else " (not divisible)"
        side = str(kernel[0]) if kernel[0] == kernel[1] else f"{kernel[0]}x{kernel[1]}"
        step = str(stride[0]) if stride[0] == stride[1] else f"{stride[0]}x{stride[1]}"
        return f"transposed convolution, kernel {side}, stride {step}{divisible}"
    if name == "interpolate":
        mode = kwargs.get("mode", "nearest")
        return f"interpolate, {mode}" + (", align_corners" if kwargs.get("align_corners") else "")
    if name in RESHAPES:
        return "un-patchify (reshape of patches)"
    return {"__setitem__": "zero insertion", "pixel_shuffle": "pixel shuffle"}.get(name, name)
