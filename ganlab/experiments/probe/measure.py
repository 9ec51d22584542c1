"""A generator in, findings out: fields through every stage, real images for what only they show."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganlab.adapters.trace import Finder, Stage, Watch, data_inputs, merged_axes, resizing, spatial
from ganlab.adapters.wrap import Generator, drawing_from
from ganlab.errors import GanlabError
from ganlab.experiments.probe.fields import ROUNDING, Birth, FieldRun, Fields, middle, run_fields
from ganlab.experiments.probe.findings import Finding, decibel

COUNT = 5
"""Samples of a field. No number of channels is likely to be 5, and by its size a batch is known."""
LARGEST = 256
USUAL = 64
"""Side of an image that fields are sent through for, at most and if it can be had."""
SEAM = 20.0
"""How far a seam's jump must exceed all jumps near it."""
BORDER = 1e3
"""Power of a border over that of the middle which padding does not explain."""
ADVICE = {
    "conv_transpose2d": "replace by a kernel divisible by the stride with equal phase sums, or by nearest "
    "and a convolution",
    "pixel_shuffle": "start it by ICNR with its bias copied, or replace by nearest and a convolution",
    "__setitem__": "zeros between pixels need a low-pass after them",
}


class Probe:
    """The calls of a probe of one generator."""

    def __init__(self, generator: Generator, seed: int) -> None:
        self.generator, self.seed = generator, seed
        self.notes: list[str] = []
        self.count = generator.fixed_batch or COUNT
        with generator.quiet(), drawing_from(seed):
            self.arguments, self.keywords = generator.arguments(seed, 0, self.count)
            with Finder(generator.modules) as finder, torch.no_grad():
                native = self.call(*self.arguments, **self.keywords)
        self.height, self.width = (int(side) for side in native.shape[-2:])
        self.inputs = finder.inputs
        # The coarsest feature map that is made larger: fields need some pixels there.
        sides = [min(s.size[0] // s.factor[0], s.size[1] // s.factor[1]) for s in finder.stages]
        self.coarse = min(sides, default=min(self.height, self.width))
        first = list({stage.name: stage for stage in finder.stages}.values())
        self.stages = merged_axes(first)
        self.alias: dict[str, str] = {}
        kept = {stage.name for stage in self.stages}
        last = ""
        for stage in first:
            # One axis after the other is one stage, the first's.
            last = stage.name if stage.name in kept else last
            self.alias[stage.name] = last

    def call(self, *arguments: Any, **keywords: Any) -> Tensor:
        """The images of one call, in the module's own range."""
        return self.generator.picked(self.generator.called(arguments, keywords), self.count)

    def tested(self, axis: int, native: bool = False) -> FieldRun:
        """As `fields`; whatever varies is held against a second run, which gives it a p."""
        run = self.fields(axis, native=native)
        if run.births:
            self.fields(axis, native=native, before=run.births)
        return run

    def fields(
        self, axis: int, again: bool = True, native: bool = False, before: Sequence[Birth] = ()
    ) -> FieldRun:
        """Fields along one axis, as large as the network takes, or of their own size."""
        generator = self.generator
        for scale in [1.0] if native else self.scales():
            fields = Fields(generator.modules, axis, self.count, scale, self.alias, again, self.seed, before)
            try:
                with generator.quiet(), drawing_from(self.seed):
                    run = run_fields(fields, self.arguments, self.keywords, self.call)
            except (RuntimeError, ValueError, IndexError, AssertionError, TypeError, GanlabError):
                if scale == 1:
                    raise
                continue
            assert run.image is not None
            if scale == 1 or not run.entries:
                return run
            # A network that brings everything to one size in the end is not what it is at its own.
            if abs(run.image.shape[-2] - self.height * scale) <= scale * 2:
                return run
        raise AssertionError("the last scale is 1")

    def scales(self) -> list[float]:
        """Sizes of the fields to try, over their own: larger for small images, smaller for large ones."""
        side = max(self.height, self.width)
        scale = 1.0
        while side * scale > LARGEST:
            scale /= 2
        while side * scale * 2 <= USUAL or (
            scale < 4 and side * scale * 2 <= 2 * USUAL and self.coarse * scale < 8
        ):
            scale *= 2
        steps = [scale]
        while steps[-1] > 2:
            steps.append(steps[-1] / 2)
        return [*[step for step in steps if step != 1], 1.0]


def structure(probe: Probe) -> tuple[list[Finding], FieldRun | None]:
    """Findings of kind "structure", and the run of a constant field."""
    runs = {axis: probe.tested(axis) for axis in (-2, -1)}
    if not any(run.entries for run in runs.values()):
        probe.notes.append(
            "nothing inside can be seen and the input is no feature map: structure cannot be told from "
            "content"
        )
        return [], None
    # Only what a lattice becomes on its way needs runs in which it goes on.
    free = {axis: probe.fields(axis, again=False) for axis, run in runs.items() if run.births}
    constant = probe.fields(0)
    lattices = _lattices(probe, runs, free)
    if runs[-2].image is not None and runs[-2].image.shape[-2] != probe.height:
        # What stands at one place of an image of the usual size is beside the middle of a larger one.
        own = _lattices(probe, {axis: probe.tested(axis, native=True) for axis in (-2, -1)}, free)
        lattices += [finding for finding in own if finding.stage not in {other.stage for other in lattices}]
    longest = max((finding.period for finding in lattices), default=1)
    findings = [
        *lattices, *_drifts(probe, runs), *_sizes(probe, runs), *_seams(probe, constant, longest),
    ]  # fmt: skip
    return findings, constant


def _lattices(probe: Probe, runs: Mapping[int, FieldRun], free: Mapping[int, FieldRun]) -> list[Finding]:
    """One finding an event: what its two runs say along the two axes."""
    born: dict[tuple[str, int], dict[int, Birth]] = {}
    for axis, run in runs.items():
        for birth in run.births:
            if birth.survives:
                born.setdefault((birth.stage, birth.event), {})[axis] = birth
    findings = []
    tests = sum(birth.survives for run in runs.values() for birth in run.births)
    for (name, _), births in born.items():
        stage = next((stage for stage in probe.stages if stage.name == name), None)
        periods, what = {}, "lattice"
        for axis in (-2, -1):
            periods[axis], kind = _period(axis, births, runs, stage)
            what = kind if what == "lattice" else what
        if 0 in periods.values():
            continue
        strongest = max(births.values(), key=lambda birth: float(birth.share.mean()))
        later = _later(probe, name, free)
        p = min(1.0, tests * min(birth.p for birth in births.values()))
        words = _words(stage, strongest)
        findings.append(_finding(name, strongest.share, periods, what, words, later, p))
    return findings


def _period(
    axis: int, births: Mapping[int, Birth], runs: Mapping[int, FieldRun], stage: Stage | None
) -> tuple[int, str]:
    """Period of a lattice along an axis, in pixels of the image, and what it is."""
    place = axis + 2
    seen = axis if axis in births else -3 - axis
    birth, image = births[seen], runs[seen].image
    assert image is not None
    left = max(1, round(image.shape[axis] / birth.size[place]))
    if seen != axis:
        # Seen along one axis alone: the other has a period where its strength goes up and down.
        return (birth.across * left if birth.across > 1 else 1), "lattice"
    if birth.period:
        return birth.period * left, "lattice"
    if stage is None:
        return 0, "lattice"  # before all resizing: a position's own code, which need not be a lattice
    if birth.size[place] // 4 < stage.factor[place]:
        return stage.factor[place] * left, "lattice"  # too small to be seen to repeat
    return int(image.shape[axis]), "pattern"


def _finding(
    stage: str, share: Tensor, periods: Mapping[int, int], what: str, words: str,
    later: tuple[tuple[str, float], ...] = (), p: float = 0.0,
) -> Finding:  # fmt: skip
    """A finding of structure, with the interval of its samples; p is 0 for what rounding cannot make."""
    levels = share.double().clamp_min(1e-30).log10().mul(10)
    mean = decibel(float(share.mean()))
    spread = float(levels.std()) / math.sqrt(len(levels)) if len(levels) > 1 else 0.0
    reach = 2.776 * spread  # Student's t for five samples
    return Finding(
        stage, "structure", periods[-2], periods[-1], mean, mean - reach, mean + reach,
        p, what, words, later=later,
    )  # fmt: skip


def _later(probe: Probe, name: str, free: Mapping[int, FieldRun]) -> tuple[tuple[str, float], ...]:
    """How each later stage changed the level of what varies, in dB."""
    names = [stage.name for stage in probe.stages]
    if name not in names:
        return ()
    here = names[names.index(name) :]
    levels = {
        stage: max((run.levels.get(stage, 0.0) for run in free.values()), default=0.0) for stage in here
    }
    changes, last = [], levels[name]
    for stage in list(levels)[1:]:
        if last > 1e-12 and levels[stage] > 1e-12:
            changes.append((stage, 10 * math.log10(levels[stage] / last)))
        last = levels[stage]
    return tuple(changes)


def _words(stage: Stage | None, birth: Birth) -> str:
    if birth.function == "output":
        return "the program shows nothing inside, so that no stage can be named"
    if stage is None:
        return f"made by {birth.function} before any resizing"
    advice = ADVICE.get(stage.function, "")
    return stage.words + (f"; {advice}" if advice else "")


def _drifts(probe: Probe, runs: Mapping[int, FieldRun]) -> list[Finding]:
    """Resamplers whose phase drifts with the position, beside others whose phase stays.

    Where all resizings drift alike (``align_corners=True`` throughout) that is a convention, and noted.
    """
    levels = {stage: max(run.drifts.get(stage.name, 0.0) for run in runs.values()) for stage in probe.stages}
    drifting = {stage: level for stage, level in levels.items() if level > 1e-6}
    if drifting and len(drifting) == len(probe.stages):
        probe.notes.append(
            "every resizing aligns corners: the phase drifts with the position alike everywhere, no fault"
        )
        return []
    return [
        _finding(
            stage.name, torch.full((COUNT,), min(level, 1.0)), _nominal(probe, stage), "drift",
            f"{stage.words}, beside resizings that do not; use align_corners=False",
        )
        for stage, level in drifting.items()
    ]  # fmt: skip


def _nominal(probe: Probe, stage: Stage) -> dict[int, int]:
    """Period of a lattice that the stage's own phases would leave, in output pixels."""
    left = (max(1, round(probe.height / stage.size[0])), max(1, round(probe.width / stage.size[1])))
    return {-2: stage.factor[0] * left[0], -1: stage.factor[1] * left[1]}


def _sizes(probe: Probe, runs: Mapping[int, FieldRun]) -> list[Finding]:
    """Transposed convolutions that do not multiply the size by their stride."""
    found = []
    for stage in probe.stages:
        text = next((run.sizes[stage.name] for run in runs.values() if stage.name in run.sizes), None)
        left = [
            side / (own * f)
            for side, own, f in zip(
                (probe.height, probe.width),
                probe.inputs.get(stage.name, stage.size),
                stage.factor,
                strict=True,
            )
        ]
        # A surplus that is cut off or filtered away later is a design; one that is still there is a fault.
        if text is not None and any(ratio != round(ratio) for ratio in left):
            share = torch.ones(COUNT)
            words = f"{stage.words}: {text}; check padding and output_padding"
            found.append(_finding(stage.name, share, _nominal(probe, stage), "size", words))
    return found


def _seams(probe: Probe, constant: FieldRun, lattice: int) -> list[Finding]:
    """Jumps in the middle of an image of a constant field, as tiles that were decoded alone leave them."""
    if constant.image is None or not constant.entries:
        return []
    periods, levels = {-2: 1, -1: 1}, []
    for axis in (-2, -1):
        jumps = jump_profile(constant.image, axis)
        places = seams(jumps)
        turn, level = tiles(constant.image, axis)
        if turn > lattice:
            # Every tile has the borders that the image has.
            periods[axis] = turn
            levels.append(level)
        elif places:
            gaps = np.diff([0, *places, len(jumps) + 1])
            periods[axis] = int(np.median(gaps[:-1]))
            levels += [float(jumps[place - 1]) for place in places]
    if not levels:
        return []
    stage = constant.tiles or (probe.stages[-1].name if probe.stages else "output")
    share = torch.full((COUNT,), max(levels))
    return [
        _finding(stage, share, periods, "seam", "decode tiles with an overlap as wide as the receptive field")
    ]


def tiles(image: Tensor, axis: int) -> tuple[int, float]:
    """Period along an axis, borders included, of an image of a constant field; 0 if there is none.

    A border is at the end of an image. What repeats it with all the rest was decoded tile by tile.
    """
    rows = image.double().movedim(axis, -1)
    rows = rows.reshape(-1, rows.shape[-1])
    length = rows.shape[-1]
    varying = rows - rows.mean(-1, keepdim=True)
    share = float(varying.square().mean() / rows.square().mean().clamp_min(1e-30))
    if not share > 1e-5:
        return 0, 0.0
    for period in range(2, length // 2 + 1):
        if length % period == 0:
            folded = varying.reshape(len(rows), -1, period).mean(1)
            if float(folded.square().mean()) >= 0.98 * float(varying.square().mean()):
                return period, share
    return 0, 0.0


def jump_profile(image: Tensor, axis: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Mean square of the step from each row (column) to the next over the signal's power, ``(H - 1)``."""
    wide = image.double()
    other = -1 if axis == -2 else -2
    side = wide.shape[other]
    # Along the other axis the middle half only: its own borders are no seams.
    wide = wide.narrow(other, side // 4, max(1, side - 2 * (side // 4)))
    steps = wide.diff(dim=axis).square().mean(dim=(0, 1, wide.ndim + other))
    return (steps / wide.square().mean().clamp_min(1e-30)).numpy()


def seams(jumps: np.ndarray[Any, np.dtype[np.float64]], reach: int = 12) -> list[int]:
    """Places ``k`` (between pixels k - 1 and k) whose jump exceeds everything near it on both sides."""
    found: list[int] = []
    for place in range(reach, len(jumps) - reach):
        near = max(jumps[place - reach : place - 3].max(), jumps[place + 4 : place + reach + 1].max())
        own = jumps[place]
        peak = own >= jumps[place - 3 : place + 4].max()
        # The least of both sides: the border's reach decays inwards, a seam stands alone.
        if peak and own > 1e-5 and own > SEAM * near and (not found or place + 1 - found[-1] > 3):
            found.append(place + 1)
    return found


class Health(Watch):
    """Watches a call on real latents for values that are not finite and borders that stand far out."""

    def __init__(self, modules: Mapping[str, nn.Module], alias: Mapping[str, str]) -> None:
        super().__init__(modules)
        self.alias, self.stage = alias, ""
        self.found: dict[str, tuple[str, float, str]] = {}

    def seen(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make the call and look at its feature map."""
        result = func(*args, **kwargs)
        if resizing(name, args, kwargs, result) is not None:
            stage = self.stage_name(name)
            self.stage = self.alias.get(stage, stage)
        value = args[0] if name == "__setitem__" else result
        if not spatial(value) or value.ndim != 4 or isinstance(value, nn.Parameter):
            return result
        where = self.stage or self.path or name
        if not bool(torch.isfinite(value).all()):
            inputs = data_inputs(name, args, kwargs)
            fresh = all(bool(torch.isfinite(x).all()) for x in inputs if x.is_floating_point())
            if (fresh or name == "__setitem__") and "overflow" not in self.found:
                self.found["overflow"] = (where, 1.0, name)
        elif "border" not in self.found and min(value.shape[-2:]) >= 8 and name in LOOKED_AT_BORDERS:
            power = value.detach().double().square().mean((0, 1))
            inner = float(middle(power, (0, 1)).mean())
            rows = (power[0], power[-1], power[:, 0], power[:, -1])
            ring = max(float(row.mean()) for row in rows)
            if inner > 0 and ring / inner > BORDER:
                self.found["border"] = (where, ring / inner, name)
        return result


LOOKED_AT_BORDERS = {
    "conv2d", "conv_transpose2d", "add", "mul", "__add__", "__mul__", "__setitem__", "interpolate", "relu",
    "silu", "group_norm", "batch_norm", "mul_", "__imul__", "__iadd__", "add_", "div", "to", "half", "float",
    "clamp", "nan_to_num", "tanh", "sigmoid", "leaky_relu", "pixel_shuffle", "cat", "where",
}  # fmt: skip
"""Calls whose results are feature maps of a size that a border can be told in."""


def health(probe: Probe) -> list[Finding]:
    """Overflows and borders on real latents, in the module's own precision."""
    generator = probe.generator
    with generator.quiet(), drawing_from(probe.seed):
        arguments, keywords = generator.arguments(probe.seed, 0, probe.count)
        watch = Health(generator.modules, probe.alias)
        with watch, torch.no_grad():
            image = probe.call(*arguments, **keywords)
    if not bool(torch.isfinite(image).all()):
        watch.found.setdefault("overflow", (watch.stage or "output", 1.0, "output"))
    findings = []
    for what, (name, excess, function) in watch.found.items():
        stage = next((stage for stage in probe.stages if stage.name == name), None)
        periods = _nominal(probe, stage) if stage else {-2: probe.height, -1: probe.width}
        words = {
            "overflow": f"the result of {function} holds NaN or infinite values; compute it in float32",
            "border": f"the border of the result of {function} has {excess:.3g} times the middle's power",
        }[what]
        finding = _finding(name, torch.ones(COUNT), periods, what, words)
        findings.append(replace(finding, db=decibel(min(excess, 1e6))) if what == "border" else finding)
    return findings


def same(findings: Sequence[Finding]) -> list[Finding]:
    """Strongest first; of one stage and kind of fault with the same periods, one."""
    kept: dict[tuple[str, str, int, int], Finding] = {}
    for finding in sorted(findings, key=lambda finding: -finding.db):
        key = (finding.stage, finding.what, finding.period_y, finding.period_x)
        kept.setdefault(key, finding)
    return list(kept.values())


Images = Callable[[int, int], Tensor]
__all__ = ["COUNT", "ROUNDING", "Probe", "health", "same", "structure"]
