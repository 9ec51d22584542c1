"""What the last doubling alone would do to the reals: the curve that theory puts beside a fake set.

The reals at half resolution (their spectrum up to 1/4 cycles per pixel, cut off ideally) are enlarged by the
operator and by nothing else. Zero insertion repeats the spectrum, the kernel weighs it: ``|H(f)|^2`` times
the power at the frequency that f is a replica of. Whatever a measured curve has beyond that, the learned
layers around the operator made; a linear one among them can refill everything but an exact null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from ganlab.config import from_mapping
from ganlab.config.architecture import stage_names
from ganlab.data.generated import MANIFEST
from ganlab.errors import GanlabError
from ganlab.experiments.spectra_measure import MeasuredSet
from ganlab.spectra import CONVENTIONS
from ganlab.spectra.rings import FloatArray, multiplicity, orbit_sums, ring_sums
from ganlab.spectra.theory import frequency_response
from ganlab.spectra.transforms import axis_means
from ganlab.upsampling import KERNELS

PARENTS = 3
"""How far above a set its manifest may lie: OUT, OUT/NAME, OUT/train/NAME."""


@dataclass(frozen=True)
class Prediction:
    """Mean power of the reals, halved and enlarged by ``operator`` alone, by kind of profile."""

    operator: str
    sets: tuple[str, ...]
    power: Mapping[str, FloatArray]


def predictions(measured: Sequence[MeasuredSet]) -> tuple[Prediction, ...]:
    """One for each fixed operator that ends a generator of the fake sets.

    None where it would not be well defined: odd sizes, windowed spectra, learned or position-dependent
    upsamplers, sets without a manifest of ``ganlab generate``.
    """
    real = measured[0].all
    if real.sampled.window != "none" or real.sampled.height % 4 or real.sampled.width % 4:
        return ()
    found: dict[str, list[str]] = {}
    for one in measured[1:]:
        operator = last_operator(one.images.path)
        if operator in KERNELS:
            found.setdefault(operator, []).append(one.name)
    return tuple(
        Prediction(operator, tuple(names), enlarged_profiles(real.mean("power"), operator))
        for operator, names in found.items()
    )


def last_operator(path: Path) -> str | None:
    """Name of the upsampler that ends the generator of a set, from its manifest; None where unknown."""
    place = path.absolute()
    for folder in (place, *place.parents[:PARENTS]):
        try:
            plan = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["plan"]
            part = place.with_suffix("") if place.suffix in (".zip", ".npy") else place
            return _operator_in(plan["parts"], PurePosixPath(part.relative_to(folder)))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _operator_in(parts: Sequence[Mapping[str, Any]], wanted: PurePosixPath) -> str | None:
    """Of the part at this relative path, or below it if all there are of one generator."""
    sources = [
        part["source"]
        for part in parts
        if PurePosixPath(part["path"]) == wanted or PurePosixPath(part["path"]).is_relative_to(wanted)
    ]
    try:
        names = {
            stage_names(from_mapping(source["config"]).model)[-1] if source["kind"] == "fake" else None
            for source in sources
        }
    except GanlabError:
        return None
    return names.pop() if len(names) == 1 else None


def enlarged_profiles(power: FloatArray, operator: str) -> dict[str, FloatArray]:
    """Radial, horizontal and vertical profile (linear power) of the reals halved and enlarged.

    Args:
        power: mean power of the reals ``(H, W//2+1)``; H and W divisible by 4, no window.
        operator: a key of ``ganlab.upsampling.KERNELS``.
    """
    height, width = power.shape[0], 2 * (power.shape[1] - 1)
    half = torch.from_numpy(power)[None]
    quarter = orbit_sums(half, width)[0].numpy() / np.outer(multiplicity(height), multiplicity(width))
    gains = [frequency_response(operator, n).numpy() ** 2 for n in (height, width)]
    folds = [_folded(n) for n in (height, width)]
    enlarged = np.outer(*gains) * quarter[np.ix_(*folds)]
    rows = np.minimum(np.arange(height), height - np.arange(height))
    whole = torch.from_numpy(enlarged[rows])[None]
    sums, totals = ring_sums(whole, width, CONVENTIONS["ganlab"].rings)
    horizontal, vertical = axis_means(orbit_sums(whole, width), height, width)
    named = {"radial": sums / totals, "horizontal": horizontal, "vertical": vertical}
    return {kind: values[0].numpy() for kind, values in named.items()}


def _folded(size: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Frequency number that 0..size/2 is a replica of after zero insertion."""
    steps = np.arange(size // 2 + 1)
    return np.minimum(steps, size // 2 - steps)
