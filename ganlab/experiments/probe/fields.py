"""Fields that are constant along one axis, sent through a network: what makes them vary is a lattice.

Feature maps that do not vary along an axis are put where the network's first feature map arises (its spatial
latents, or what its first layer makes of a vector). Interpolation, convolution, normalisation and
nonlinearities keep them constant along it, to rounding. Whatever does not has phases that differ, a bias by
place, patches whose axes are swapped, tiles, or noise that is the same in every image.

Two things would spoil this and are taken out: padding with zeros becomes padding with the edge's own values,
and noise drawn on the way becomes zero. What enters a resizing is made constant again first, so that every
stage is judged by what it does itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.adapters.trace import BLANK, RESHAPES, Watch, data_inputs, pair, resizing, spatial

MOVES = {"permute", "transpose", "movedim", "moveaxis", "swapaxes", "swapdims", "flip"}
PRODUCTS = {"matmul", "__matmul__", "bmm", "baddbmm", "einsum", "scaled_dot_product_attention", "linear"}
NOISE = {"randn", "randn_like", "normal_", "normal"}
WRITES = {"__setitem__", "masked_write", "copy_", "index_put_", "index_copy_", "scatter_", "masked_fill_"}
"""A tensor that is being filled is no field before it is complete; it is looked at when it is used."""
ENTERED = {"interpolate", "upsample", "pixel_shuffle", "conv_transpose2d", "max_unpool2d", "grid_sample"}
"""Resizings whose input is made constant along the axis first."""
SMOOTH = {"interpolate", "upsample", "grid_sample"}
"""Those that must do the same everywhere, and not only keep a constant."""

ROUNDING = {torch.float64: 1e-18, torch.float32: 1e-9, torch.float16: 3e-6, torch.bfloat16: 2e-4}
"""Variation relative to a tensor's own power that rounding may leave."""
INTERPOLATE = (
    "input", "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias",
)  # fmt: skip
DRIFT = 1e-6
"""Part of the power by which a resizing of a moved input may differ from the moved result."""
PERIODS = (2, 3, 4, 5, 6, 7, 8, 12, 16)
"""Of lattices that are looked for where nothing but the image is seen."""
PERIODIC = 0.9
"""Part of the variation that a period must explain."""
MOVED = 2.0**-8
"""How far, from one value that stands in the map to another, fields go to have their rounding drawn anew."""
MARK = "_ganlab_probe"


@dataclass
class Mark:
    """What is known of a tensor on its way.

    Attributes:
        data: it follows from the call's arguments.
        axes: places of its vertical and horizontal axis; None where it is no feature map.
        field: it follows from a field that was put in.
        births: numbers of the births whose lattice it still carries.
        written: something was written into it, and it has not been looked at since.
    """

    data: bool = False
    axes: tuple[int, int] | None = None
    field: bool = False
    births: frozenset[int] = frozenset()
    written: bool = False


@dataclass
class Birth:
    """A place where a field that was constant along the axis is so no more.

    Attributes:
        event: number of the call, the same in runs along either axis.
        stage: the last resizing before it, or what made it.
        function: the call.
        share: variation over power of the worst channel, for every sample.
        period: in pixels of the tensor; 0 where it does not repeat.
        across: period of its strength along the other axis; 1 where that is the same everywhere.
        size: height and width of the tensor.
        channel: the worst channel.
        varying: its variation, ``(N, across, along)``.
        p: probability that another rounding would agree with it as much; 1 until that was asked.
        survives: whether it reaches the next resizing or the image.
    """

    event: int
    stage: str
    function: str
    share: Tensor
    period: int
    across: int
    size: tuple[int, int]
    channel: int
    varying: Tensor
    p: float = 1.0
    survives: bool = False


@dataclass
class FieldRun:
    """What one run found: births, drifting resizings, wrong sizes, tiles, levels by stage, the image."""

    births: list[Birth] = field(default_factory=list)
    drifts: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, str] = field(default_factory=dict)
    tiles: str = ""
    levels: dict[str, float] = field(default_factory=dict)
    entries: int = 0
    image: Tensor | None = None


class Fields(Watch):
    """Replaces entries by fields and watches them; ``found`` holds what it saw.

    Args:
        modules: paths of the modules that are called.
        axis: -2: fields vary along x alone; -1: along y alone; 0: not at all, and nothing else is changed.
        count: samples of the call, by which a batch is known.
        scale: height and width of the fields over those that arise by themselves.
        alias: name of a resizing -> the stage it is part of.
        again: make the input of every resizing constant again.
        seed: of the fields.
        before: births of such a run. The fields are moved a little: a lattice stays, rounding is drawn
            anew, and how far both agree gives every birth its ``p``.
    """

    def __init__(
        self, modules: Mapping[str, nn.Module], axis: int, count: int, scale: float = 1.0,
        alias: Mapping[str, str] | None = None, again: bool = True, seed: int = 0,
        before: Sequence[Birth] = (),
    ) -> None:  # fmt: skip
        super().__init__(modules)
        self.axis, self.count, self.scale, self.again = axis, count, scale, again
        self.alias = dict(alias or {})
        self.found = FieldRun()
        self.stage, self.event = "", 0
        self.factor = (1, 1)
        self.before = {(birth.event, birth.function): birth for birth in before}
        self._random = torch.Generator().manual_seed(seed)
        self._moved = torch.Generator().manual_seed(seed + 1)

    # ---------------------------------------------------------------------------------------- what goes in

    def enter(self, value: Any) -> Any:
        """An argument of the call: a field in place of a feature map."""
        if not isinstance(value, Tensor):
            return value
        if spatial(value) and value.ndim == 4 and len(value) == self.count:
            return self._field(value)
        setattr(value, MARK, Mark(data=True))
        return value

    def _field(self, value: Tensor, axes: tuple[int, int] = (-2, -1)) -> Tensor:
        """Values that stand somewhere in the map, all channels of a place together, the same along the axis.

        Channels must stay together: those of one sub-pixel convolution may be equal, and what shuffles them
        relies on it.
        """
        self.found.entries += 1
        y, x = (axis % value.ndim for axis in axes)
        last = value.detach().movedim((y, x), (-2, -1))
        places = last.flatten(-2)
        # Token grids keep their size: whatever split them knows it.
        scale = self.scale if value.ndim == 4 and (y, x) == (2, 3) else 1.0
        high, wide = (max(2, round(side * scale)) for side in last.shape[-2:])
        rows = 1 if self.axis in (0, -2) else high
        columns = 1 if self.axis in (0, -1) else wide
        chosen = torch.randint(places.shape[-1], (rows * columns,), generator=self._random)
        field = places[..., chosen.to(places.device)]
        if self.before:
            other = torch.randint(places.shape[-1], (rows * columns,), generator=self._moved)
            field = field.lerp(places[..., other.to(places.device)], MOVED)
        field = field.reshape(*field.shape[:-1], rows, columns)
        made: Tensor = field.expand(*field.shape[:-2], high, wide).movedim((-2, -1), (y, x)).contiguous()
        setattr(made, MARK, Mark(True, (y, x), True))
        return made

    # ------------------------------------------------------------------------------------------- the calls

    def seen(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make the call with the edge's values for padding, and see what became of the fields."""
        self.event += 1
        sources = data_inputs(name, args, kwargs)
        for value in sources:
            written = self._mark(value)
            if written.written and self.axis and not (name in WRITES and value is args[0]):
                written.written = False
                if written.axes is not None:
                    self._judge(value, written, "write")
        marks = [mark for mark in (getattr(value, MARK, None) for value in sources) if mark is not None]
        fields = [mark for mark in marks if mark.field]
        if fields and self.axis and args:
            place = self._entering(name, args, self.factor)
            if place is not None and self._mark(args[place]).field:
                entered = self._entered(args[place])
                args = (*args[:place], entered, *args[place + 1 :])
                fields = [self._mark(entered)]
        result = self._padded(func, name, args, kwargs) if fields and self.axis else func(*args, **kwargs)
        if name in NOISE and isinstance(result, Tensor) and self.axis:
            return result.zero_()
        self._note_stage(func, name, args, kwargs, result)
        if isinstance(result, tuple | list):
            for part in result:
                self._follow(name, args, sources, marks, fields, part)
            return result
        return self._follow(name, args, sources, marks, fields, result)

    def _follow(
        self, name: str, args: tuple[Any, ...], sources: list[Tensor], marks: list[Mark], fields: list[Mark],
        result: Any,
    ) -> Any:  # fmt: skip
        """Give the result its mark, or put a field in its place; a lattice that is new is noted."""
        target = args[0] if name in WRITES and args else result
        if not isinstance(target, Tensor) or not target.is_floating_point():
            return result
        data = any(mark.data for mark in marks)
        if not fields:
            entry = self._entry_axes(name, sources, data, target)
            if entry is not None:
                return self._field(target, entry)
            if data:
                setattr(target, MARK, Mark(data=True))
            return result
        if self.axis and self.again and self._splits_tokens(name, sources, target):
            # What enters an un-patchify, as what enters any resizing: positions' codes are no lattice.
            for mark in fields:
                self._survive(mark)
            return self._field(target, (1, 2))
        births = frozenset().union(*(mark.births for mark in fields))
        mark = Mark(True, self._axes(name, args, sources, target), True, births, name in WRITES)
        setattr(target, MARK, mark)
        if name not in WRITES and mark.axes is not None and self.axis:
            self._judge(target, mark, name)
        return result

    def _entry_axes(
        self, name: str, sources: list[Tensor], data: bool, result: Tensor
    ) -> tuple[int, int] | None:
        """Axes of a feature map that arises here from what is none; None if it does not."""
        if len(result) != self.count if result.ndim else True:
            return None
        if data and self._splits_tokens(name, sources, result):
            return 1, 2
        if not spatial(result) or result.ndim != 4:
            return None
        constant = not self.found.entries and name in (
            "repeat",
            "expand",
            "tile",
            "expand_as",
            "broadcast_to",
        )
        return (2, 3) if data or constant else None

    @staticmethod
    def _splits_tokens(name: str, sources: list[Tensor], result: Tensor) -> bool:
        """Whether tokens ``(N, h w, D)`` become a grid of patches ``(N, h, w, p, p, C)``."""
        if name not in RESHAPES or result.ndim < 5 or sources[0].ndim != 3:
            return False
        high, wide = result.shape[1:3]
        return bool(sources[0].shape[1] == high * wide and min(high, wide) > 1)

    def _axes(
        self, name: str, args: tuple[Any, ...], sources: list[Tensor], result: Tensor
    ) -> tuple[int, int] | None:
        """Where the axes of the first field among the sources are in the result."""
        source = next(value for value in sources if self._mark(value).field)
        axes = self._mark(source).axes
        if name in WRITES:
            return axes if axes is not None and result.ndim == source.ndim else None
        if name in PRODUCTS:
            return None
        if name in MOVES and axes is not None:
            # Sides that tell the axes apart, sent through the same call.
            sides = [2 + place for place in range(source.ndim)]
            moved = list(getattr(torch.empty(sides, device="meta"), name)(*args[1:]).shape)
            return moved.index(2 + axes[0]), moved.index(2 + axes[1])
        if name in RESHAPES or axes is None:
            if result.ndim != 4 or not spatial(result):
                return None
            if resizing(name, (source, *args[1:]), {}, result) or axes is None:
                return (1, 2) if result.shape[-1] <= 4 and result.shape[1] > 4 else (2, 3)
            same = tuple(result.shape[-2:]) == tuple(source.shape[axis] for axis in axes)
            return (2, 3) if same else None
        return axes if result.ndim == source.ndim else None

    @staticmethod
    def _mark(value: Any) -> Mark:
        mark: Mark | None = getattr(value, MARK, None)
        return mark or Mark()

    @staticmethod
    def _entering(name: str, args: tuple[Any, ...], last: tuple[int, int]) -> int | None:
        """Which argument is made larger by a call, or by what begins with it; None where nothing is.

        ``last`` is the factor of the resizing before.
        """
        if name in ENTERED:
            return 0
        if name == "__setitem__" and getattr(args[0], BLANK, False) and isinstance(args[2], Tensor):
            # What is written first of all: zeros stay between its pixels, or other phases come. Zeros between
            # columns after those between rows are one insertion, and the low-pass is still to come.
            axes = [side > 1 for side in resizing(name, args, {}, None) or (2, 2)]
            return None if sorted(axes) == [False, True] and axes != [side > 1 for side in last] else 2
        if name in RESHAPES and isinstance(args[0], Tensor) and args[0].ndim == 4:
            # Channels that become places of a patch, two axes of them: an un-patchify begins.
            shape = args[1] if isinstance(args[1], tuple | list | torch.Size) else args[1:]
            sides = [side for side in shape if side != 1]
            if len(sides) >= 6 and tuple(sides[-2:]) == tuple(args[0].shape[-2:]):
                return 0
        return None

    def _entered(self, value: Tensor) -> Tensor:
        """What enters a resizing, constant along the axis again; the lattices it carried have survived."""
        mark = self._mark(value)
        self._survive(mark)
        if not self.again or mark.axes is None:
            return value
        axis = mark.axes[0] if self.axis == -2 else mark.axes[1]
        side = value.shape[axis]
        # The middle alone: what a border of its own kind leaves would reach further with every stage.
        inner = value.float().narrow(axis, side // 4, max(1, side - 2 * (side // 4)))
        clean = inner.mean(axis, keepdim=True).expand(value.shape).to(value.dtype).contiguous()
        setattr(clean, MARK, Mark(True, mark.axes, True))
        return clean

    def _survive(self, mark: Mark) -> None:
        for birth in self.found.births:
            birth.survives |= birth.event in mark.births

    def _padded(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The call, with the edge's own values where it would pad with a constant."""
        if name == "conv2d":
            given = _named(
                args, kwargs, ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
            )
            edges = _edges(given)
            if any(edges) and given["input"].ndim == 4:
                given |= {"input": self._continued(given["input"], edges), "padding": 0}
                return func(**given)
        elif name == "conv_transpose2d":
            names = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
            given = _named(args, kwargs, names)
            stride, dilation = pair(given.get("stride", 1)), pair(given.get("dilation", 1))
            sides = given["weight"].shape[-2:]
            more = [math.ceil(d * (k - 1) / s) + 1 for k, s, d in zip(sides, stride, dilation, strict=True)]
            if given["input"].ndim == 4:
                wide = F.pad(given["input"], (more[1], more[1], more[0], more[0]), mode="replicate")
                out = func(**{**given, "input": wide})
                top, left = more[0] * stride[0], more[1] * stride[1]
                return out[..., top : out.shape[-2] - top, left : out.shape[-1] - left]
        elif (
            name == "pad" and len(args) > 1 and args[0].ndim == 4 and len(args[1]) == 4 and min(args[1]) >= 0
        ) and kwargs.get("mode", args[2] if len(args) > 2 else "constant") == "constant":
            return self._continued(args[0], args[1])
        return func(*args, **kwargs)

    def _continued(self, value: Tensor, edges: Sequence[int]) -> Tensor:
        """A field with more of itself around: its edge's values, or, of zeros between pixels, its mirror."""
        room = max(edges[:2]) < value.shape[-1] and max(edges[2:]) < value.shape[-2]
        mirrored = room and bool(self._mark(value).births)
        return F.pad(value, list(edges), mode="reflect" if mirrored else "replicate")

    # ------------------------------------------------------------------------------------- what is noticed

    def _note_stage(
        self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        factor = resizing(name, args, kwargs, result)
        if factor is None:
            grown = name in ("cat", "concat", "concatenate") and spatial(result)
            inputs = data_inputs(name, args, kwargs)
            written = name == "__setitem__" and spatial(args[0]) and spatial(args[2])
            if (grown and inputs[0].shape[-2:] != result.shape[-2:]) or written:
                self.found.tiles = f"{self.path}.{'cat' if grown else 'tiles'}".lstrip(".")
            return
        stage = self.stage_name(name)
        self.stage, self.factor = self.alias.get(stage, stage), factor
        if name.startswith("conv_transpose") and args:
            expected = tuple(side * f for side, f in zip(args[0].shape[-2:], factor, strict=True))
            actual = tuple(result.shape[-2:])
            if expected != actual:
                self.found.sizes[self.stage] = (
                    f"{args[0].shape[-2]}x{args[0].shape[-1]} becomes {actual[0]}x{actual[1]} and not "
                    f"{expected[0]}x{expected[1]}"
                )
        if name in SMOOTH and self.axis and self.stage not in self.found.drifts and args:
            self.found.drifts[self.stage] = self._drift(func, args, kwargs, factor)

    def _drift(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], factor: tuple[int, int]
    ) -> float:
        """How far the result for an input that moved is from the moved result, as a part of its power."""
        like = args[0][:1, :4] if args[0].ndim == 4 else args[0][:1]
        if func is F.interpolate:
            # Large enough that no border reaches the middle.
            shape = (*like.shape[:2], 32, 32) if like.ndim == 4 else tuple(like.shape)
            kwargs = _named(args, kwargs, INTERPOLATE)
            del kwargs["input"]
            kwargs |= {"size": None, "scale_factor": tuple(map(float, factor)) if like.ndim == 4 else None}
            args = (like,)
        elif min(like.shape[-2:]) < 16:
            return 0.0
        else:
            shape = tuple(like.shape)
        noise = torch.randn(shape, generator=self._random).to(like)
        step = factor[0] if self.axis == -2 else factor[1]
        try:
            # A grid to sample at comes for every image.
            args = (noise, *(x[:1] if isinstance(x, Tensor) and x.ndim == 4 else x for x in args[1:]))
            first = func(noise, *args[1:], **kwargs).float().roll(step, self.axis)
            second = func(noise.roll(1, self.axis), *args[1:], **kwargs).float()
        except RuntimeError:
            return 0.0
        inner = middle(first - second, (-2, -1)).square().mean() / first.square().mean().clamp_min(1e-30)
        return float(inner)

    def _judge(self, value: Tensor, mark: Mark, name: str) -> None:
        """Compare a field with itself along the axis; what it inherits is no news."""
        assert mark.axes is not None
        share, varying, channel = variation(value.detach(), mark.axes, self.axis)
        if share is None:
            return
        asked = self.before.get((self.event, name))
        if asked is not None:
            again = variation(value.detach(), mark.axes, self.axis, asked.channel)[1]
            if again.shape == asked.varying.shape:
                asked.p = agreement(asked.varying, again)
        level = float(share.mean())
        self.found.levels[self.stage] = level
        if not level > ROUNDING.get(value.dtype, 1e-9):
            mark.births = frozenset()
        elif not mark.births:
            size = (int(value.shape[mark.axes[0]]), int(value.shape[mark.axes[1]]))
            stage = self.stage or self.path or name
            period = period_of(varying)
            if name == "output" or (not period and name in RESHAPES):
                # Tokens differ by their positions' codes, and borders reach far where padding cannot be
                # replaced; a lattice is what all patches have in common.
                tried = PERIODS if name == "output" else (self.factor[0 if self.axis == -2 else 1],)
                parts = {length: common(varying, length) for length in tried}
                period = next(length for length in tried if parts[length] >= 0.5 * max(parts.values()))
                share = share * parts[period]
                if not float(share.mean()) > ROUNDING.get(value.dtype, 1e-9):
                    mark.births = frozenset({-1})
                    return
            across = strength_period(varying)
            born = Birth(self.event, stage, name, share, period, across, size, channel, varying)
            self.found.births.append(born)
            mark.births = frozenset({self.event})

    def finish(self, image: Tensor) -> FieldRun:
        """Look at the image, ``(N, C, H, W)``; what shows nothing inside is judged by it alone."""
        self.found.image = image
        if not self.axis:
            return self.found
        mark = self._mark(image)
        if mark.field and mark.axes is not None:
            self._survive(mark)
        elif self.found.entries:
            self.event += 1
            last = Mark(True, (2, 3), True)
            self._judge(image, last, "output")
            self._survive(last)
        return self.found


def _named(args: tuple[Any, ...], kwargs: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _edges(given: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Left, right, top and bottom padding of a convolution."""
    padding = given.get("padding", 0)
    if padding == "same":
        dilation, sides = pair(given.get("dilation", 1)), given["weight"].shape[-2:]
        high, wide = (d * (int(k) - 1) for k, d in zip(sides, dilation, strict=True))
        return wide // 2, wide - wide // 2, high // 2, high - high // 2
    high, wide = (0, 0) if padding == "valid" else pair(padding)
    return wide, wide, high, high


def middle(value: Tensor, axes: tuple[int, int]) -> Tensor:
    """The middle half along both axes: what a border does not reach."""
    for axis in axes:
        side = value.shape[axis]
        value = value.narrow(axis, side // 4, max(1, side - 2 * (side // 4)))
    return value


def variation(
    value: Tensor, axes: tuple[int, int], axis: int, channel: int | None = None
) -> tuple[Tensor | None, Tensor, int]:
    """How much a tensor varies along the axis, over its power, and how.

    Returns:
        ``(N,)`` share of the worst channel (or of the one that was asked for), None where there is too little
        to see; that channel's variation, the axis last; and its number.
    """
    along, across = axes if axis == -2 else axes[::-1]
    # In double precision: the mean of equal values is that value then, and no variation of its own.
    inner = middle(value, axes).double()
    inner = inner.movedim((along, across), (-1, -2))
    inner = inner.reshape(len(inner), -1, *inner.shape[-2:])
    if inner.shape[-1] < 2 or not bool(torch.isfinite(inner).all()):
        return None, inner, 0
    varying = inner - inner.mean(-1, keepdim=True)
    moving, power = varying.square().mean((-2, -1)), inner.square().mean((-2, -1))
    # A channel that is all but silent cannot be the worst by its own measure.
    floor = power.mean().clamp_min(1e-30)
    if channel is None:
        channel = int((moving.mean(0) / power.mean(0).clamp_min(floor)).argmax())
    share = moving[:, channel] / torch.maximum(power[:, channel].mean(), floor)
    return share, varying[:, channel], channel


def agreement(first: Tensor, second: Tensor) -> float:
    """Probability that two variations ``(N, rows, along)`` agree as much if both are rounding.

    What varies for another reason does the same in fields that are almost the same. Rounding does not know
    its former sign: the rows' correlations are then as often negative as positive (a sign-flip test in its
    normal approximation, which never goes below the share of one among all signs).
    """
    products, sizes = (first * second).sum(-1), first.norm(dim=-1) * second.norm(dim=-1)
    rows = products[sizes > 0] / sizes[sizes > 0]
    if not len(rows):
        return 1.0
    normal = 0.5 * math.erfc(float(rows.sum()) / float(rows.norm().clamp_min(1e-30)) / math.sqrt(2))
    return max(normal, 0.5 ** len(rows))


def period_of(varying: Tensor) -> int:
    """Smallest period along the last axis that explains the variation; 0 if none does."""
    length = varying.shape[-1]
    rows = varying.reshape(-1, length)
    for period in range(2, length // 2 + 1):
        turns = length // period
        used = rows[:, : turns * period]
        folded = used.reshape(len(rows), turns, period).mean(1)
        if float(folded.square().sum() * turns) >= PERIODIC * float(used.square().sum()):
            return period
    return 0


def common(varying: Tensor, period: int) -> float:
    """Part of the variation that two halves of the patches have in common; 0 where chance explains it."""
    rows = varying.reshape(-1, varying.shape[-1])
    turns = rows.shape[-1] // period
    if turns < 2:
        return 0.0
    patches = rows[:, : turns * period].reshape(len(rows), turns, period)
    first, second = patches[:, ::2].mean(1), patches[:, 1::2].mean(1)
    products = (first * second).mean(1)
    chance = 3 * float(products.std()) / math.sqrt(len(products)) if len(products) > 1 else 0.0
    mean = float(products.mean())
    return mean / float(rows.square().mean().clamp_min(1e-30)) if mean > chance else 0.0


def strength_period(varying: Tensor) -> int:
    """Period along the other axis of how strong the variation is; 1 if it is as strong everywhere."""
    power = varying.square().mean((0, 2))
    for period in range(2, min(8, len(power) // 4) + 1):
        turns = len(power) // period
        folded = power[: turns * period].reshape(turns, period).mean(0)
        if float(folded.min()) < 0.05 * float(folded.max()):
            return period
    return 1


def run_fields(
    fields: Fields, arguments: Sequence[Any], keywords: Mapping[str, Any], call: Callable[..., Tensor]
) -> FieldRun:
    """One call under `Fields`; ``call`` gets the arguments and returns the image.

    Raises:
        Whatever the network raises, for example because it takes one size alone.
    """
    # Before the watch begins: it would silence the noise that fields are made of.
    put = [fields.enter(value) for value in arguments]
    named = {key: fields.enter(value) for key, value in keywords.items()}
    with fields, torch.no_grad():
        image = call(*put, **named)
    return fields.finish(image)
