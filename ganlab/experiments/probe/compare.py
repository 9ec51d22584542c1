"""Two implementations of one generator, the same latents: where do pixels, spectra and stages part?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.adapters import Generator, source_generator
from ganlab.adapters.trace import Finder, Stage, resizing
from ganlab.adapters.wrap import drawing_from
from ganlab.errors import GanlabError
from ganlab.experiments.probe.content import lattice, windowed

ALIKE = 1e-5
"""Root mean square difference over that of the signal up to which two calls are the same but for rounding."""


@dataclass(frozen=True)
class Comparison:
    """How two generators differ on the same latents.

    Attributes:
        pixels: root mean square difference of images in [-1, 1].
        worst: largest difference of a pixel.
        spectrum_db: largest difference of the mean power spectra over all coefficients, in dB, where there is
            power.
        line_db: largest difference at multiples of 1/2, 1/4, 1/8 and 1/16.
        stages: (name, relative difference of its output) by stage, where both show their stages.
        first: name of the first stage that differs by more than the tolerance; "" if none, or none is seen.
        same: whether the pixels agree to the tolerance.
    """

    pixels: float
    worst: float
    spectrum_db: float
    line_db: float
    stages: tuple[tuple[str, float], ...]
    first: str
    same: bool

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if self.same:
            return f"the same but for rounding (root mean square difference {self.pixels:.2g})"
        where = f", first at `{self.first}`" if self.first else ""
        return (
            f"they part{where}: root mean square difference {self.pixels:.3g}, spectra by up to "
            f"{self.spectrum_db:.1f} dB, lattice lines by up to {self.line_db:.1f} dB"
        )


def compare_generators(
    a: Any, b: Any, seed: int = 0, count: int = 16, tolerance: float = ALIKE
) -> Comparison:
    """The same latents through two implementations: torch and its export, before and after a refactoring.

    Args:
        a: a generator or a source; its latents are given to both.
        b: the other; its own latent rule is not used.
        seed: of the latents.
        count: images.
        tolerance: root mean square difference over that of the signal that rounding may leave.

    Raises:
        GanlabError: images of different shapes, or not finite.
    """
    first, second = source_generator(a), source_generator(b)
    block = first.fixed_batch or second.fixed_batch or count
    images, outputs = [], []
    for generator in (first, second):
        parts, seen = [], None
        for start in range(0, count, block):
            part, watched = _images(generator, first, seed, start, block)
            parts.append(part)
            seen = seen or watched
        images.append(torch.cat(parts)[:count])
        outputs.append(seen or {})
    if images[0].shape != images[1].shape:
        raise GanlabError(
            f"images of {tuple(images[0].shape[1:])} and {tuple(images[1].shape[1:])} cannot be compared"
        )
    difference = images[0] - images[1]
    power = [windowed(batch).abs().square().mean(0).numpy() for batch in images]
    floor = max(float(power[0].max()) * 1e-12, 1e-20)
    gap = np.abs(10 * np.log10((power[0] + floor) / (power[1] + floor)))
    height, width = gap.shape
    places = {place for period in (2, 4, 8, 16) for place in lattice(period, height, width)}
    stages = tuple(
        (name, _relative(x, outputs[1][name])) for name, x in outputs[0].items() if name in outputs[1]
    )
    scale = float(images[0].std()) + 1e-12
    rms = float(difference.square().mean().sqrt())
    parted = next((name for name, value in stages if value > tolerance), "")
    return Comparison(
        rms, float(difference.abs().max()), float(gap.max()),
        max((float(gap[place]) for place in places), default=0.0), stages, parted,
        rms <= tolerance * max(scale, 1e-6),
    )  # fmt: skip


def _images(
    generator: Generator, latents: Generator, seed: int, start: int, count: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Images in [-1, 1] of another generator's latents, and every stage's output."""
    low, high = generator.value_range
    with generator.quiet(), latents.quiet(), drawing_from(seed + start), torch.no_grad():
        arguments, keywords = latents.arguments(seed, start, count)
        arguments = tuple(generator._moved(value) for value in arguments)
        keywords = {key: generator._moved(value) for key, value in keywords.items()}
        with _Outputs(generator.modules) as watch:
            raw = generator.picked(generator.called(arguments, keywords), count)
    if not bool(torch.isfinite(raw).all()):
        raise GanlabError(f"{generator.name}: the output holds NaN or infinite values")
    return ((raw - low) / (high - low)).mul(2).sub(1).cpu(), watch.outputs


class _Outputs(Finder):
    """Keeps every stage's output."""

    def __init__(self, modules: Any) -> None:
        super().__init__(modules)
        self.outputs: dict[str, Tensor] = {}

    def seen(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = super().seen(func, name, args, kwargs)
        if resizing(name, args, kwargs, result) is not None and self.stages:
            stage: Stage = self.stages[-1]
            self.outputs.setdefault(
                stage.name, (args[0] if name == "__setitem__" else result).detach().clone()
            )
        return result


def _relative(x: Tensor, y: Tensor) -> float:
    if x.shape != y.shape:
        return float("inf")
    a, b = x.double().cpu(), y.double().cpu()
    return float((a - b).square().mean().sqrt() / (a.square().mean().sqrt() + 1e-30))
