"""Mean 2-D power spectra of one cell: its reals, its fakes, and reals against reals (the null control)."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ganlab.config import Config
from ganlab.generation.sources import choose_reals
from ganlab.images import UInt8Array, to_float
from ganlab.spectra import CONVENTIONS, summaries
from ganlab.spectra.rings import FloatArray, orbit_sums, ring_sums
from ganlab.spectra.transforms import axis_means
from ganlab.util.atomic import atomic_path

SPECTRA = "spectra.npz"
PROFILES = ("radial", "horizontal", "vertical")
CHUNK = 256
"""Images turned into floats at a time."""


@dataclass(frozen=True)
class MeanSpectra:
    """Mean luma power, linear, half planes ``(H, W//2+1)`` as of `ganlab.spectra.power_spectrum`.

    Attributes:
        real: of the reals that the fakes were measured against.
        fake: of the fakes.
        null: of one set of reals, and
        null_against: of the reals that share no image with it.
        counts: name of each of these -> number of images.
    """

    real: FloatArray
    fake: FloatArray
    null: FloatArray
    null_against: FloatArray
    counts: dict[str, int]


NAMES = ("real", "fake", "null", "null_against")


def mean_power(images: UInt8Array) -> FloatArray:
    """Mean power of the luma, ``(H, W//2+1)``, of uint8 ``(N, H, W, 3)``."""
    parts = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    sums = [summaries(to_float(part)).mean_power.numpy() * len(part) for part in parts]
    mean: FloatArray = np.sum(sums, axis=0) / len(images)
    return mean


def null_pair(real: UInt8Array, fakes: int, config: Config, seed: int) -> tuple[UInt8Array, UInt8Array]:
    """Two sets of reals without a common image, of the sizes that were compared where there are so many.

    Args:
        real: the reals of the comparison, the first ones of the seeded order.
        fakes: number of fakes.
        config: says where the other reals are.
        seed: of the order.

    Returns:
        As many further reals as there are fakes, and ``real``; where there are too few, its two halves.
    """
    everything = choose_reals(config, 1, seed).images
    if len(real) + fakes <= len(everything.val) + len(everything.train):
        further = choose_reals(config, len(real) + fakes, seed)
        return np.stack([further.images.images[index] for index in further.order[len(real) :]]), real
    half = len(real) // 2
    return real[half : 2 * half], real[:half]


def mean_spectra(
    real: UInt8Array, fake: UInt8Array, null: UInt8Array, null_against: UInt8Array
) -> MeanSpectra:
    """Mean power of all four sets."""
    base = mean_power(real)
    against = base if null_against is real else mean_power(null_against)
    sets = dict(zip(NAMES, (real, fake, null, null_against), strict=True))
    counts = {name: len(images) for name, images in sets.items()}
    return MeanSpectra(base, mean_power(fake), mean_power(null), against, counts)


def save_spectra(path: Path, spectra: MeanSpectra) -> None:
    """Write them, complete or not at all.

    Raises:
        GanlabError: the file cannot be written.
    """
    arrays = {name: getattr(spectra, name) for name in NAMES}
    arrays |= {f"num_{name}": np.array(count) for name, count in spectra.counts.items()}
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **arrays)


def read_spectra(path: Path) -> MeanSpectra | None:
    """What `save_spectra` wrote; None where there is no such file, or a damaged one."""
    try:
        with np.load(path) as file:
            counts = {name: int(file[f"num_{name}"]) for name in NAMES}
            real, fake, null, against = (file[name] for name in NAMES)
            return MeanSpectra(real, fake, null, against, counts)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def profiles_of_power(power: FloatArray) -> dict[str, FloatArray]:
    """Radial, horizontal and vertical mean profiles, linear, of a half plane; W is even."""
    height, width = power.shape[0], 2 * (power.shape[1] - 1)
    half = torch.from_numpy(power)[None]
    sums, totals = ring_sums(half, width, CONVENTIONS["ganlab"].rings)
    horizontal, vertical = axis_means(orbit_sums(half, width), height, width)
    return {
        name: values[0].numpy()
        for name, values in zip(PROFILES, (sums / totals, horizontal, vertical), strict=True)
    }
