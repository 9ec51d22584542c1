"""Pairs of images with their difference: exaggerated ones, and a generator's before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from ganlab.data.imageset import ImageSet
from ganlab.experiments.patch_figures import SMALL, draw_picture
from ganlab.experiments.style import PAGE, new_figure, styled
from ganlab.forensics import NetDetector, exaggerate
from ganlab.images import UInt8Array, to_float, to_uint8

GAINS = (1, 2, 5, 10, 20, 50, 100)
TOWARDS = {"real": False, "fake": True}


@dataclass(frozen=True)
class Exaggerated:
    """Images of one set, moved along what the detector sees.

    Attributes:
        label: "real" or "fake".
        places: of the images in their set.
        images: uint8 ``(n, H, W, C)`` as they were and as they became: "original", "real", "fake".
        p_fake: probability of fake of each of these, after rounding to bytes.
        rms: root mean square change in grey levels, for "real" and "fake".
    """

    label: str
    places: tuple[int, ...]
    images: dict[str, UInt8Array]
    p_fake: dict[str, npt.NDArray[np.float64]]
    rms: dict[str, npt.NDArray[np.float64]]


def exaggerate_set(
    detector: NetDetector, label: str, images: ImageSet, count: int, strength: float, steps: int
) -> Exaggerated:
    """Evenly spaced images of a set, amplified towards real and towards fake."""
    places = tuple(int(place) for place in images.spaced(count))
    original = images.read(list(places))
    found = {"original": original}
    for name, fake in TOWARDS.items():
        moved = exaggerate(detector, to_float(original).numpy(), strength, steps, fake)
        found[name] = to_uint8(torch.from_numpy(moved))
    scores = {
        name: np.asarray(detector.predict_proba(to_float(one).numpy())[:, 1], np.float64)
        for name, one in found.items()
    }
    rms = {name: grey_levels(found[name], original) for name in TOWARDS}
    return Exaggerated(label, places, found, scores, rms)


def grey_levels(images: UInt8Array, others: UInt8Array) -> npt.NDArray[np.float64]:
    """Root mean square difference of every image, in grey levels of 0 to 255, ``(N,)``."""
    apart = images.astype(np.float64) - others
    rms: npt.NDArray[np.float64] = np.sqrt((apart**2).mean((1, 2, 3)))
    return rms


def gain(differences: npt.NDArray[np.float64]) -> int:
    """The largest of `GAINS` with which 99 % of the differences (grey levels) stay visible as they are."""
    reach = float(np.percentile(np.abs(differences), 99))
    fitting = [one for one in GAINS if one * reach <= 127.5]
    return max(fitting, default=GAINS[0])


def difference_image(image: UInt8Array, other: UInt8Array, factor: int) -> UInt8Array:
    """``image - other`` times a factor, around middle grey; clipped."""
    apart = factor * (image.astype(np.float64) - other) + 127.5
    shown: UInt8Array = np.clip(np.round(apart), 0, 255).astype(np.uint8)
    return shown


@styled()
def draw_exaggeration(sets: Sequence[Exaggerated], strength: float, steps: int) -> Figure:
    """A row an image: more real, as it is, more fake, and both changes."""
    rows = sum(len(one.places) for one in sets)
    factor = gain(np.concatenate([_changes(one) for one in sets]))
    side = (PAGE - 1.0) / 5
    # One row would be taller than wide pictures need; many must still fit a page.
    side = min(side, 1.05)
    tall = side * sets[0].images["original"].shape[1] / sets[0].images["original"].shape[2]
    figure = new_figure(5 * side + 1.0, rows * (tall + 0.13) + 0.6)
    grid = figure.subplots(rows, 5, squeeze=False)
    heads = ("towards real", "original", "towards fake", f"change\ntowards real, x{factor}",
             f"change\ntowards fake, x{factor}")  # fmt: skip
    for axes, head in zip(grid[0], heads, strict=True):
        axes.set_title(head, fontsize=7)
    lines = iter(grid)
    for one in sets:
        for k in range(len(one.places)):
            _draw_line(next(lines), one, k, factor)
    figure.suptitle(
        f"{strength:g} root mean square in [-1, 1] ({127.5 * strength:.3g} grey levels) in {steps} steps;\n"
        "below: probability of fake; root mean square change in grey levels",
        fontsize=7,
    )
    return figure


def _changes(one: Exaggerated) -> npt.NDArray[np.float64]:
    apart = [one.images[name].astype(np.float64) - one.images["original"] for name in TOWARDS]
    return np.concatenate([change.ravel() for change in apart])


def _draw_line(line: Any, one: Exaggerated, k: int, factor: int) -> None:
    for axes, name in zip(line, ("real", "original", "fake"), strict=False):
        draw_picture(axes, one.images[name][k])
        axes.set_xlabel(f"{one.p_fake[name][k]:.3f}", fontsize=SMALL, labelpad=1.5)
    for axes, name in zip(line[3:], TOWARDS, strict=True):
        draw_picture(axes, difference_image(one.images[name][k], one.images["original"][k], factor))
        axes.set_xlabel(f"{one.rms[name][k]:.1f}", fontsize=SMALL, labelpad=1.5)
    line[0].set_ylabel(f"{one.label} #{one.places[k]}", fontsize=7)
