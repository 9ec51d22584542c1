"""Five levels for every single operator, for robustness curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganlab.errors import GanlabError, lookup
from ganlab.forensics.perturbations.base import Perturbation
from ganlab.forensics.registry import PERTURBATIONS

LEVELS = 5
SEVERITIES: dict[str, tuple[Mapping[str, Any], ...]] = {
    "gaussian_noise": tuple({"variance": v} for v in (2.0, 5.0, 20.0, 80.0, 320.0)),
    "gaussian_blur": tuple({"sigma": s} for s in (0.3, 0.5, 0.75, 1.0, 2.0)),
    "jpeg": tuple({"quality": q} for q in (95, 90, 75, 50, 25)),
    "crop_resize": tuple({"fraction": f} for f in (0.05, 0.1, 0.15, 0.2, 0.3)),
    "rescale": tuple({"factor": f} for f in (1.5, 0.9, 0.75, 0.66, 0.5)),
    "rotation": tuple({"degrees": (-d, d)} for d in (2.0, 5.0, 15.0, 45.0, 180.0)),
    "mirror": ({},) * LEVELS,
    "shift": tuple({"pixels": p} for p in (1, 2, 3, 4, 5)),
    "occlusion": tuple({"fraction": f} for f in (0.1, 0.2, 0.3, 0.4, 0.5)),
    "median": tuple({"size": s} for s in (3, 5, 7, 9, 11)),
    "relight": tuple({"strength": s} for s in (0.1, 0.2, 0.3, 0.5, 0.7)),
}
"""Keyword arguments of every operator from level 1 (barely visible) to level 5. A mirror has no degrees."""


def make_perturbation(name: str, severity: int | None = None, **options: Any) -> Perturbation:
    """A perturbation by name, with options of its own or at one of five severities.

    Raises:
        GanlabError: unknown name, a level outside 1..5, a published mixture (it has no levels), unknown
            options, or options beside a severity.
    """
    factory = lookup(PERTURBATIONS, name, "perturbation")
    if severity is not None:
        options = {**_level(name, severity), **_no_options(name, options)}
    try:
        return factory(**options)
    except TypeError as error:
        raise GanlabError(f"perturbation {name!r}: {error}") from error


def _level(name: str, severity: int) -> Mapping[str, Any]:
    if name not in SEVERITIES:
        raise GanlabError(f"perturbation {name!r} is a published mixture and has no severity levels")
    if not 1 <= severity <= LEVELS:
        raise GanlabError(f"severity runs from 1 to {LEVELS}; got {severity}")
    return SEVERITIES[name][severity - 1]


def _no_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    if options:
        raise GanlabError(
            f"perturbation {name!r}: give a severity or options ({', '.join(options)}), not both"
        )
    return options
