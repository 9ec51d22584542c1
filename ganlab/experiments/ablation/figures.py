"""Pictures of the report: sheets of samples and 2-D spectra as data URIs, no larger than they need be."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from PIL import Image

from ganlab.experiments.spectra.figures import closed, pooled
from ganlab.images import UInt8Array
from ganlab.results.style import DIVERGING, SEQUENTIAL
from ganlab.spectra import SpectrumStatistics
from ganlab.spectra.rings import FloatArray
from ganlab.spectra.transforms import full_plane
from ganlab.training.monitor import grid

PICTURE_BUDGET = 9_000_000
"""Characters that all sheets of samples together may take; photos barely compress."""
SAMPLE_COUNTS = (32, 16, 8, 4, 2, 1)
MAP_CELLS = 129
"""A side up to which a map is drawn cell by cell; larger ones are reduced, keeping the peaks."""
LEVEL_STEP = 5.0
NICE_BOUNDS = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0)
BAR_STEPS = 128
PREDICTABLE = 4 / 3
"""Characters of base64 a byte."""


def samples_shown(runs: int, pixels: int) -> int:
    """How many samples of each run keep the page small: 32 at most, 1 at least.

    Args:
        runs: number of runs with pictures.
        pixels: values in one image, ``H W 3``.
    """
    room = PICTURE_BUDGET / (max(runs, 1) * pixels * PREDICTABLE)
    return next((count for count in SAMPLE_COUNTS if count <= room), SAMPLE_COUNTS[-1])


def sheet(images: UInt8Array, count: int) -> str:
    """The first images side by side, eight a row, as a PNG."""
    return _png(Image.fromarray(np.ascontiguousarray(grid(images[:count], min(8, count)))))


def plane_db(spectra: SpectrumStatistics) -> FloatArray:
    """Mean power in dB over the whole plane, zero frequency in the middle.

    Both ends of each axis are Nyquist; vertical frequencies rise from the first row to the last.
    """
    return closed(full_plane(spectra.power.db, spectra.width))


def level_range(levels: Iterable[FloatArray]) -> tuple[float, float]:
    """One range in dB for all maps, in steps of 5; the peak at zero frequency is not what it is made for."""
    ends = [np.percentile(level, (0.5, 99.5)) for level in levels]
    if not ends:
        return (-LEVEL_STEP, LEVEL_STEP)
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    low = LEVEL_STEP * math.floor(low / LEVEL_STEP)
    return low, max(LEVEL_STEP * math.ceil(high / LEVEL_STEP), low + LEVEL_STEP)


def difference_bound(differences: Sequence[FloatArray]) -> float:
    """One range -b to b in dB for all differences: holds 98 of 100 cells of three runs in four."""
    ends = sorted(float(np.percentile(np.abs(difference), 98)) for difference in differences)
    needed = ends[max(0, math.ceil(0.75 * len(ends)) - 1)] if ends else 0.0
    return next((bound for bound in NICE_BOUNDS if bound >= needed), NICE_BOUNDS[-1])


def map_picture(level: FloatArray, ends: tuple[float, float], diverging: bool = False) -> str:
    """A map as a PNG of one pixel a cell, 256 colours over ``ends``, highest frequency at the top."""
    low, high = ends
    shown = pooled(level, diverging, MAP_CELLS)[::-1]
    scaled = np.clip((shown - low) / (high - low), 0.0, 1.0)
    return _indexed(np.round(255 * scaled).astype(np.uint8), DIVERGING if diverging else SEQUENTIAL)


def colour_bar(diverging: bool = False) -> str:
    """A strip of one pixel's height from the lowest to the highest colour."""
    steps = np.round(np.linspace(0, 255, BAR_STEPS)).astype(np.uint8)
    return _indexed(steps[None], DIVERGING if diverging else SEQUENTIAL)


def _indexed(indices: UInt8Array, name: str) -> str:
    picture = Image.fromarray(np.ascontiguousarray(indices))
    picture = picture.convert("P")
    colours: Any = colormaps[name](np.arange(256), bytes=True)[:, :3]
    picture.putpalette(colours.tobytes())
    return _png(picture)


def _png(picture: Image.Image) -> str:
    """A data URI."""
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
