"""What a generator's own upsampling layers do to a spectrum by theory: from their weights alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.adapters.trace import Stage, Watch, pair, resizing, words
from ganlab.adapters.wrap import TRIED, Generator, drawing_from
from ganlab.experiments.theory.page import LAYERS
from ganlab.results.tables import aligned
from ganlab.spectra import decibels, effective_response
from ganlab.spectra.layers import (
    LayerKernel,
    impulse_kernel,
    interpolated_kernel,
    lattice_shares,
    subpixel_kernel,
    transposed_kernel,
)
from ganlab.spectra.rings import FloatArray
from ganlab.util.hashing import derive_seed

FINE = 32
"""Points of the grid of a response."""
MODES = ("nearest", "bilinear", "bicubic")


@dataclass(frozen=True)
class LearnedRow:
    """One layer that enlarges and has weights of its own, or takes a convolution's.

    Attributes:
        generator: its name.
        stage: the layer's.
        layer: what it is, in words.
        kernel: size of its equivalent kernel, "4x4".
        lattice_db: power at the replicas of zero, (1/2, 0), (0, 1/2) and (1/2, 1/2) of a doubling, over the
            whole, when the input is constant and its channels are independent; -inf where the phases have
            equal sums.
        used_db: the same for the mean activations that the generator feeds the layer.
        nyquist_db: gain at 1/2 along the axes that the layer enlarges over that at 0, for white input.
        response: gain along the horizontal axis at ``k / FINE``.
    """

    generator: str
    stage: str
    layer: str
    kernel: str
    lattice_db: float
    used_db: float
    nyquist_db: float
    response: FloatArray

    def cells(self) -> list[str]:
        """The row as text."""
        levels = (self.lattice_db, self.used_db, self.nyquist_db)
        shown = ["none" if math.isinf(level) else f"{level:+.1f}" for level in levels]
        return [self.generator, self.stage, self.layer, self.kernel, *shown]


class _Beside(Watch):
    """Resizings of one call with the convolution beside each, known by the tensor that both hold."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__(modules)
        self.convolutions: list[tuple[Tensor, Tensor, Tensor, Tensor | None]] = []
        self.resizings: list[tuple[Stage, Tensor, Tensor, Any]] = []
        self._padded: dict[int, int] = {}
        # A tensor that is let go may give its number to another.
        self._kept: list[Any] = []

    def seen(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make the call, and keep what it shares with others."""
        result = func(*args, **kwargs)
        self._kept.append((args, result))
        if name == "pad":
            self._padded[id(result)] = self.origin(args[0])
        if name == "conv2d" and _option(args, kwargs, 6, "groups", 1) == 1:
            self.convolutions.append((args[0], result, args[1], _option(args, kwargs, 2, "bias", None)))
        factor = resizing(name, args, kwargs, result)
        if factor is not None and isinstance(result, Tensor) and name != "__setitem__":
            details: Any = kwargs.get("mode", "nearest")
            if kwargs.get("align_corners"):
                details = "align_corners"
            if name == "conv_transpose2d":
                padding = pair(_option(args, kwargs, 4, "padding", 0))
                grouped = _option(args, kwargs, 6, "groups", 1) != 1
                details = None if grouped else (args[1], padding, _option(args, kwargs, 2, "bias", None))
            size = (int(result.shape[-2]), int(result.shape[-1]))
            stage = Stage(self.stage_name(name), factor, size, name, words(name, args, kwargs))
            self.resizings.append((stage, args[0], result, details))
        return result

    def origin(self, value: Tensor) -> int:
        """Number of a tensor, or of what was padded to make it."""
        return self._padded.get(id(value), id(value))


def _option(args: Sequence[Any], kwargs: Mapping[str, Any], place: int, name: str, default: Any) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


@torch.no_grad()
def learned_rows(generator: Generator, seed: int = 0) -> list[LearnedRow]:
    """One row for every resizing whose weights are known; others have none.

    Args:
        generator: from `ganlab.wrap` or `ganlab.load_generator`.
        seed: of the latents whose mean activations are asked about.
    """
    watch = _Beside(generator.modules)
    with generator.quiet(), drawing_from(derive_seed(seed, "theory")), watch:
        arguments, keywords = generator.arguments(seed, 0, generator.fixed_batch or TRIED)
        generator.called(arguments, keywords)
    rows: dict[str, LearnedRow] = {}
    for stage, entering, leaving, details in watch.resizings:
        known = None if stage in rows else _kernel(watch, stage, entering, leaving, details)
        if known is None:
            continue
        kernel, activation = known
        mean, used = lattice_shares(kernel, activation)
        # A multiple of both, so that every kernel fits: longer ones are rare.
        points = FINE * -(-max(kernel.size) // FINE)
        gain = effective_response(kernel, points)[:: points // FINE, :: points // FINE]
        ends = torch.stack([gain[FINE // 2, 0], gain[0, FINE // 2]])[[side > 1 for side in stage.factor]]
        nyquist = ends.square().mean().sqrt() / gain[0, 0].clamp_min(1e-30)
        # Along the horizontal axis, unless the layer enlarges the other one alone.
        along = gain[0] if stage.factor[1] > 1 else gain[: FINE // 2 + 1, 0]
        rows[stage] = LearnedRow(
            generator.name, stage.name, stage.words, "x".join(map(str, kernel.size)), _level(mean),
            _level(used), float(20 * nyquist.clamp_min(1e-15).log10()), along.numpy(),
        )  # fmt: skip
    return list(rows.values())


def _level(share: float) -> float:
    # What equal phases leave is rounding: 1e-13 of the power, and less.
    return 10 * math.log10(share) if share > 1e-12 else -math.inf


def _kernel(
    watch: _Beside, stage: Stage, entering: Tensor, leaving: Tensor, details: Any
) -> tuple[LayerKernel, Tensor] | None:
    """A resizing's kernel and the mean of what enters it; None where no weights belong to it."""
    if stage.function == "conv_transpose2d":
        if details is None:
            return None
        weight, padding, bias = details
        return transposed_kernel(_wide(weight), padding, _wide(bias), stage.factor), _means(entering)
    if stage.function == "pixel_shuffle":
        before = next((c for c in watch.convolutions if c[1] is entering), None)
        if before is None:
            return None
        kernel = subpixel_kernel(_wide(before[2]), None, _wide(before[3]), stage.factor[0])
        return kernel, _means(before[0])
    after = next((c for c in watch.convolutions if watch.origin(c[0]) == id(leaving)), None)
    if after is None or details not in MODES or any(side % 2 == 0 for side in after[2].shape[2:]):
        return None
    align = None if details == "nearest" else False
    scale = tuple(float(side) for side in stage.factor)

    def enlarge(x: Tensor) -> Tensor:
        return F.interpolate(x.double(), scale_factor=scale, mode=details, align_corners=align)

    fixed = impulse_kernel(enlarge, 1, 16, stage.factor)
    return interpolated_kernel(_wide(after[2]), fixed, _wide(after[3])), _means(entering)


def _wide(value: Any) -> Any:
    return None if value is None else value.detach().cpu().double()


def _means(entering: Tensor) -> Tensor:
    return entering.detach().cpu().double().mean((0, 2, 3))


def learned_text(rows: Iterable[LearnedRow]) -> str:
    """The table for a terminal, and how to read it."""
    lines = [row.cells() for row in rows]
    if not lines:
        return "no resizing of this generator has weights that can be seen\n"
    return aligned([LAYERS, *lines]) + (
        "\nlattice: power at the replicas of zero (1/2 along either axis or both for a doubling), over the\n"
        "whole, for a constant input; none: equal phase sums. as used: for the mean activations of this\n"
        "generator. at 1/2: gain over 0.\n"
    )


def response_lines(rows: Iterable[LearnedRow]) -> list[tuple[object, ...]]:
    """Generator, stage, frequency and gain in dB, for a CSV file."""
    return [
        (row.generator, row.stage, k / FINE, float(level))
        for row in rows
        for k, level in enumerate(2 * decibels(row.response, 1e-15))
    ]
