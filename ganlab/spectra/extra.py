"""Several profiles of one batch: the luma, which most of them start from, is taken once."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from ganlab.images import luma
from ganlab.spectra.conventions import LUMA_FOUR_DIGITS
from ganlab.spectra.decay import decay_profile
from ganlab.spectra.transforms import as_convention, radial_profile

DECAY = "decay"
"""Stands among the names of conventions for Dzanic's amplitudes, ``decay_profile``."""

Weights = tuple[float, float, float]


def _luma_of(name: str) -> Weights | None:
    """Luma weights that a profile starts from; None where it needs the channels."""
    if name == DECAY:
        return LUMA_FOUR_DIGITS
    convention = as_convention(name)
    return None if convention.integer_luma or convention.value_range == "standardised" else convention.luma


def extra_profiles(images: Tensor, names: Iterable[str], window: str | None) -> dict[str, Tensor]:
    """Radial profiles by name of their convention, and "decay" (never windowed): name -> ``(N, K)``.

    Raises:
        GanlabError: as ``radial_profile``.
    """
    greys: dict[Weights, Tensor] = {}
    found = {}
    for name in names:
        weights = _luma_of(name)
        if weights is not None and weights not in greys:
            greys[weights] = luma(images, weights).unsqueeze(1)
        planes = images if weights is None else greys[weights]
        found[name] = decay_profile(planes) if name == DECAY else radial_profile(planes, name, window)
    return found
