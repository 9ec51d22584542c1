"""What the fine-tuning did to the images: quality, spectra, change; each beside real against real."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ganlab.experiments.patch_fresh import AFTER, BEFORE
from ganlab.experiments.quality import sliced_wasserstein
from ganlab.forensics import NULL
from ganlab.images import UInt8Array, to_float
from ganlab.spectra import DEVIATIONS, POWER_FLOOR, Deviation, ProfileSet, profile_set, spectral_deviation
from ganlab.util.progress import bar
from ganlab.util.seeding import derive_seed

DRAWS = 5
"""Random halves on which the sliced Wasserstein distance is computed."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spectra:
    """Spectra of the images before and after against the reals.

    Attributes:
        deviations: by set, then by name.
        frequencies: cycles per pixel, DC left out.
        difference: mean radial profile over that of the reals, dB, by set; the null control is one half of
            the reals over the other.
    """

    deviations: dict[str, dict[str, Deviation]]
    frequencies: Floats
    difference: dict[str, Floats]

    def as_json(self) -> dict[str, Any]:
        """The deviations as plain values; what is no number becomes null."""
        return {
            name: {key: {k: _plain(v) for k, v in asdict(one).items()} for key, one in found.items()}
            for name, found in self.deviations.items()
        }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def wasserstein_draws(
    real: UInt8Array, before: UInt8Array, after: UInt8Array, seed: int
) -> dict[str, list[dict[str, float]]]:
    """Sliced Wasserstein distance to one random half of the reals, draw by draw.

    Of equally many images before and after (of the same latents), and of the reals' other half. Distances of
    finite sets depend on their size: here all three have the same.

    Args:
        real: uint8 ``(N, S, S, C)``.
        before: uint8 ``(M, S, S, C)``.
        after: uint8 ``(M, S, S, C)``.
        seed: of the draws.
    """
    size = min(len(real) // 2, len(before))
    found: dict[str, list[dict[str, float]]] = {BEFORE: [], AFTER: [], NULL: []}
    for draw in bar(range(DRAWS), total=DRAWS, desc="sliced Wasserstein", unit="draw"):
        rng = np.random.default_rng(derive_seed(seed, "evade/halves", draw))
        reals = real[rng.permutation(len(real))]
        chosen = rng.permutation(len(before))[:size]
        others = {BEFORE: before[chosen], AFTER: after[chosen], NULL: reals[size : 2 * size]}
        for name, images in others.items():
            found[name].append(sliced_wasserstein(reals[:size], images, draw))
    return found


def compare_spectra(
    real: UInt8Array, before: UInt8Array, after: UInt8Array, resamples: int, seed: int
) -> Spectra:
    """Named deviations with intervals and null control, and radial profiles relative to the reals'."""
    sets = {name: profile_set(to_float(one)) for name, one in
            (("real", real), (BEFORE, before), (AFTER, after))}  # fmt: skip
    deviations = {
        name: dict(spectral_deviation(
            sets["real"], sets[name], metrics=list(DEVIATIONS), resamples=resamples, seed=seed
        ))
        for name in (BEFORE, AFTER)
    }  # fmt: skip
    halves = sets["real"].profiles["radial"].double()
    level = {name: _level(sets[name]) for name in (BEFORE, AFTER, "real")}
    difference = {name: level[name] - level["real"] for name in (BEFORE, AFTER)}
    even, odd = (_decibels(part.mean(0).numpy()) for part in (halves[::2], halves[1::2]))
    difference[NULL] = odd - even
    frequencies = np.arange(1, len(level["real"]) + 1) / min(real.shape[1:3])
    return Spectra(deviations, frequencies, difference)


def _level(one: ProfileSet) -> Floats:
    return _decibels(one.means["radial"][0].numpy())


def _decibels(profile: Floats) -> Floats:
    level: Floats = 10 * np.log10(np.maximum(profile[1:].astype(np.float64), POWER_FLOOR))
    return level
