"""What an image's pixels say of its past: JPEG's grid, enlarging, filters, tone curves, depth.

Everything is measured image by image, so that two sets can be compared as samples.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.images import UInt8Array, luma

Floats = npt.NDArray[np.float64]

BLOCK = 8
ZERO = 0.5
"""Grey levels. A DCT coefficient below this counts as zero: quantisation makes many of them on its own
grid."""
BANDS = 16
DIRECTIONS = 8
LARGEST_GRID = 128
"""Pixels a side in which a grid is looked for: more add time and no certainty."""


@dataclass(frozen=True)
class Signs:
    """Measurements of N images, an entry (or row) an image.

    Attributes:
        grid: share of vanishing 8 x 8 DCT coefficients with the blocks' corner at each of the 64 places
            ``(N, 8, 8)``, minus the larger of two means: at the three places four pixels further on (what
            repeats every 2 or 4 pixels cancels: enlarging, a generator's layers) and at the four places one
            pixel away (what differs between the middle and the border of an image cancels).
        rows: size of the first and the second difference from row to row ``(N, 2, L)``, mean 1: enlarging
            makes it periodic.
        columns: likewise from column to column ``(N, 2, L)``.
        bands: log power of the luma in `BANDS` rings and in `DIRECTIONS` bands along either axis, nats.
        chroma: log power of the colour differences in the upper half of the frequencies over the luma's.
        colour: means of red, green and blue, 0..255 ``(N, 3)``.
        spread: standard deviation of the luma, 0..255.
        levels: how many values of each level 0..255 each channel has ``(N, 3, 256)``, uint32.
        colours: number of different colours.
        depth: bits a channel on whose levels all values lie, 1 to 8.
        constant: whether every channel holds one value only.
    """

    grid: Floats
    rows: Floats
    columns: Floats
    bands: Floats
    chroma: Floats
    colour: Floats
    spread: Floats
    levels: npt.NDArray[np.uint32]
    colours: npt.NDArray[np.int64]
    depth: npt.NDArray[np.int64]
    constant: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.constant)

    def where(self, chosen: npt.NDArray[np.bool_]) -> Signs:
        """The measurements of some images."""
        return Signs(**{name: getattr(self, name)[chosen] for name in _NAMES})


_NAMES = tuple(field.name for field in fields(Signs))


def joined(parts: list[Signs]) -> Signs:
    """The measurements of several batches as those of one."""
    return Signs(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in _NAMES})


@torch.no_grad()
def signs(images: UInt8Array) -> Signs:
    """Measure images of one size.

    Args:
        images: uint8 ``(N, H, W, 1 or 3)``, at least 16 pixels a side.
    """
    grey = luma(torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float())
    rows, columns = (_steps(grey, axis) for axis in (1, 2))
    bands, chroma, colour, spread = colour_signs(images)
    levels, depth = _levels(images)
    return Signs(
        grid=_grid(grey), rows=rows, columns=columns, bands=bands, chroma=chroma, colour=colour,
        spread=spread, levels=levels, depth=depth, colours=_colours(images),
        constant=(images == images[:, :1, :1]).all((1, 2, 3)),
    )  # fmt: skip


@torch.no_grad()
def colour_signs(images: UInt8Array) -> tuple[Floats, Floats, Floats, Floats]:
    """`Signs.bands`, `Signs.chroma`, `Signs.colour` and `Signs.spread` alone.

    Args:
        images: uint8 ``(N, H, W, 1 or 3)``, at least 16 pixels a side.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    grey = luma(pixels)
    colour = pixels.expand(-1, 3, -1, -1).mean((2, 3)).double().numpy()
    return _bands(grey), _chroma(pixels, grey), colour, grey.std((1, 2)).double().numpy()


def _dct_kernels() -> Tensor:
    """The 63 AC functions of the orthonormal 8 x 8 DCT, ``(63, 1, 8, 8)``."""
    place, frequency = torch.arange(BLOCK), torch.arange(BLOCK)[:, None]
    matrix = torch.cos(torch.pi * (2 * place + 1) * frequency / (2 * BLOCK)) * (2 / BLOCK) ** 0.5
    matrix[0] /= 2**0.5
    return torch.kron(matrix, matrix).reshape(BLOCK**2, 1, BLOCK, BLOCK)[1:]


def _grid(grey: Tensor) -> Floats:
    """Share of zero AC coefficients by the place of the blocks' corner, ``(N, 8, 8)``; see `Signs`."""
    # few images at a time: 63 planes of each must stay in the cache
    parts = torch.split(grey[:, None, :LARGEST_GRID, :LARGEST_GRID], 2)
    kernels = _dct_kernels()
    counts = torch.cat([F.conv2d(part, kernels).abs_().lt_(ZERO).sum(1) for part in parts])
    share = torch.stack(
        [counts[:, y::BLOCK, x::BLOCK].mean((1, 2)) for y in range(BLOCK) for x in range(BLOCK)], 1
    ).reshape(-1, BLOCK, BLOCK) / (BLOCK * BLOCK - 1)
    further, beside = (
        torch.stack([share.roll(shift, (1, 2)) for shift in shifts]).mean(0)
        for shifts in (((4, 0), (0, 4), (4, 4)), ((1, 0), (-1, 0), (0, 1), (0, -1)))
    )
    return (share - torch.maximum(further, beside)).double().numpy()


def _steps(grey: Tensor, axis: int) -> Floats:
    """Mean size of the first and the second difference at every place of an axis, mean 1: ``(N, 2, L)``."""
    # a multiple of 8 places, so that the lines of JPEG's grid fall on single frequencies
    size = (grey.shape[axis] - 2) // BLOCK * BLOCK
    left, centre, right = (grey.narrow(axis, start, size) for start in (0, 1, 2))
    profiles = torch.stack([(centre - left).abs(), (2 * centre - left - right).abs()], 1).mean(4 - axis)
    return (profiles / profiles.mean(2, keepdim=True).clamp_min(1e-3)).double().numpy()


def _power(plane: Tensor) -> Tensor:
    """Power of ``(N, H, W)`` under a Hann window, ``(N, H, W // 2 + 1)``."""
    height, width = plane.shape[-2:]
    window = torch.outer(torch.hann_window(height, periodic=True), torch.hann_window(width, periodic=True))
    centred = plane - plane.mean((-2, -1), keepdim=True)
    power: Tensor = torch.fft.rfft2(centred * window).abs().square_()
    return power


def _frequencies(height: int, width: int) -> tuple[Tensor, Tensor]:
    return torch.fft.fftfreq(height).abs()[:, None], torch.fft.rfftfreq(width)[None]


def _bands(grey: Tensor) -> Floats:
    """Log power in rings, then along the vertical and the horizontal axis."""
    power = _power(grey).flatten(1)
    y, x = _frequencies(*grey.shape[-2:])
    radius = (y**2 + x**2).sqrt()
    masks = []
    for count, values in ((BANDS, radius), (DIRECTIONS, y + 0 * x), (DIRECTIONS, x + 0 * y)):
        edges = torch.linspace(1.5 / min(grey.shape[-2:]), 0.5 + 1e-6, count + 1)
        masks += [(values > low) & (values <= high) for low, high in pairwise(edges.tolist())]
    masks.append(radius > 0.5)
    kept = torch.stack([mask.flatten() / mask.sum() for mask in masks if mask.any()]).float()
    return (power @ kept.T + 1e-3).log().double().numpy()


def _chroma(pixels: Tensor, grey: Tensor) -> Floats:
    if pixels.shape[1] == 1:
        return np.zeros(len(pixels))
    y, x = _frequencies(*grey.shape[-2:])
    high = torch.maximum(y + 0 * x, x + 0 * y) > 0.25
    bright = _power(grey)[:, high].mean(1)
    colour = sum(_power(pixels[:, channel] - grey)[:, high].mean(1) for channel in (0, 2))
    return torch.log((torch.as_tensor(colour) + 1.0) / (bright + 1.0)).double().numpy()


def _levels(images: UInt8Array) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Histograms ``(N, 3, 256)`` and the fewest bits whose levels hold all values."""
    n, channels = len(images), images.shape[3]
    # One image after the other: numbers that `bincount` takes are eight times as large as pixels.
    offset = 256 * np.arange(channels)
    numbers = (np.bincount((image + offset).ravel(), minlength=256 * channels) for image in images)
    counts = np.stack(list(numbers)).reshape(n, channels, 256)
    used = np.any(counts > 0, axis=1)
    depth = np.full(n, 8)
    for bits in range(7, 0, -1):
        top = 2**bits - 1
        value = np.arange(256)
        step = 2 ** (8 - bits)
        replicated = np.arange(top + 1) << (8 - bits)
        for part in range(1, 8):
            replicated = replicated | ((np.arange(top + 1) << (8 - bits)) >> (bits * part))
        lattices = (
            value % step == 0, value % step == step - 1, value % step == step // 2,
            np.isin(value, np.rint(np.arange(top + 1) * 255 / top)),
            np.isin(value, np.arange(top + 1) * 255 // top), np.isin(value, replicated),
        )  # fmt: skip
        for lattice in lattices:
            depth[~used[:, ~lattice].any(1)] = bits
    whole = np.broadcast_to(counts, (n, 3, 256)) if channels == 1 else counts
    return whole.astype(np.uint32), depth


def _colours(images: UInt8Array) -> npt.NDArray[np.int64]:
    counts = np.zeros(len(images), np.int64)
    for number, image in enumerate(images):
        wide = image.astype(np.uint32)
        packed = sum(wide[..., channel] << (8 * channel) for channel in range(wide.shape[2]))
        counts[number] = 1 + (np.diff(np.sort(np.asarray(packed).ravel())) != 0).sum()
    return counts
