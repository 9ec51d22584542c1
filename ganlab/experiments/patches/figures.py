"""Figures of ``ganlab patches``: heat maps and the gallery of telling patches."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from ganlab.experiments.patches.measure import TOWARDS, Exaggerated, Floats, Measured
from ganlab.experiments.patches.tables import ROWS
from ganlab.forensics import Patch, ReceptiveField
from ganlab.images import UInt8Array
from ganlab.results.style import BLACK, DIVERGING, PAGE, new_figure, styled

BEYOND = "#D9D9D9"
"""Grey where a patch reaches beyond its image."""
SMALL = 6.5
LETTERS = 18
"""Of a set's name on a line of the first column."""
GAINS = (1, 2, 5, 10, 20, 50, 100)
"""Factors by which a change of pixels is shown."""


@styled()
def draw_heat_maps(
    sets: Sequence[tuple[str, Measured, Sequence[int], Floats]], field: ReceptiveField, rule: str
) -> Figure:
    """Images of each set with their maps below; the first column is the mean map of the whole set.

    Args:
        sets: label, measurement, places of the images shown and their maps ``(n, h, w)``; one entry a set.
        field: places the cells on the image: each is drawn where its patch has its middle.
        rule: ensembling rule of the probabilities written below the maps.
    """
    columns = 1 + max(len(places) for _, _, places, _ in sets)
    side = (PAGE - 1.5) / columns
    tall = side * sets[0][1].images.shape[0] / sets[0][1].images.shape[1]
    figure = new_figure(PAGE, len(sets) * (2 * tall + 0.3) + 0.45)
    grid = figure.subplots(2 * len(sets), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for pair, (label, one, places, maps) in enumerate(sets):
        pictures, cells = grid[2 * pair], grid[2 * pair + 1]
        size = one.images.shape[:2]
        mappable = draw_map(cells[0], one.mean_map, field, size)
        _caption(cells[0], "mean map")
        # Not matplotlib's own wrapping: it takes a name with dollars for a formula, whatever the style says.
        name = textwrap.fill(one.images.name, LETTERS)
        title = f"{label}s\n{name}\n{len(one.images)} images"
        pictures[0].text(
            0.5, 0.5, title, transform=pictures[0].transAxes, ha="center", va="center", fontsize=7
        )
        images = one.images.read(list(places))
        for axes, below, place, image, values in zip(pictures[1:], cells[1:], places, images, maps):  # noqa: B905
            draw_picture(axes, image)
            draw_map(below, values, field, size)
            _caption(below, f"#{place}: {one.scores[rule][place]:.2f}")
    figure.colorbar(
        mappable, ax=list(grid.flat), label="probability of fake", shrink=0.6, pad=0.015, aspect=30
    )
    figure.suptitle(
        f"each cell: the patch of {field.size}x{field.size} pixels around it; grey: no patch has its middle "
        f"there; below: image, its probability of fake ({rule.replace('_', ' ')})",
        fontsize=7,
    )
    return figure


def draw_map(axes: Any, values: Floats, field: ReceptiveField, size: tuple[int, ...]) -> Any:
    """A map on the scale 0 to 1, each cell where its patch has its middle, within the image's frame."""
    height, width = size
    half, (rows, columns) = field.stride / 2, values.shape
    extent = (
        field.centre(0) - half, field.centre(columns - 1) + half,
        field.centre(rows - 1) + half, field.centre(0) - half,
    )  # fmt: skip
    axes.set_axis_on()
    axes.set_facecolor(BEYOND)
    picture = axes.imshow(values, cmap=DIVERGING, vmin=0, vmax=1, extent=extent)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    _frame(axes)
    return picture


def draw_picture(axes: Any, image: UInt8Array) -> None:
    """An image with hard pixels and a thin frame."""
    axes.set_axis_on()
    shown = image[..., 0] if image.shape[-1] == 1 else image
    axes.imshow(shown, cmap="gray", vmin=0, vmax=255)
    _frame(axes)


def _frame(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(0.4)


def _caption(axes: Any, text: str) -> None:
    axes.set_xlabel(text, fontsize=SMALL, labelpad=1.5)


@styled()
def draw_gallery(gallery: Mapping[str, Sequence[Patch]], sets: Mapping[str, Measured]) -> Figure:
    """The most telling patches, a row a question, with what surrounds the image in grey."""
    columns = max(len(patches) for patches in gallery.values())
    title = 0.95
    side = (PAGE - title) / columns
    figure = new_figure(PAGE, len(gallery) * (side + 0.16) + 0.35)
    grid = figure.subplots(
        len(gallery), columns + 1, squeeze=False, width_ratios=[title / side, *[1] * columns]
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for line, (name, patches) in zip(grid, gallery.items(), strict=True):
        line[0].text(0, 0.5, name.replace(", ", ",\n"), transform=line[0].transAxes, va="center", fontsize=7)
        images = sets[ROWS[name][0]].images
        pixels = images.read([patch.image for patch in patches])
        for axes, patch, image in zip(line[1:], patches, pixels, strict=False):
            draw_picture(axes, cut(image, patch))
            digits = 0 if abs(patch.log_odds) >= 10 else 1
            _caption(axes, f"{patch.probability:.2f} ({patch.log_odds:+.{digits}f})")
    size = next(iter(gallery.values()))[0].size
    whole = shown_side(size, sets["real"].images.shape)
    around = "" if whole == size else f" (shown: {whole}x{whole} around their middle)"
    figure.suptitle(
        f"patches of {size}x{size} pixels{around}, one an image; below: probability of fake (log-odds); "
        "grey: beyond the image",
        fontsize=7,
        color=BLACK,
    )
    return figure


def shown_side(size: int, shape: tuple[int, ...]) -> int:
    """Side of what is shown of a patch: all of it, or the longer side of an image that it is larger than."""
    return min(size, max(shape[:2]))


def cut(image: UInt8Array, patch: Patch) -> UInt8Array:
    """The patch out of its image ``(H, W, C)``, grey where it reaches beyond.

    Of a patch larger than the image, the pixels around its middle are shown: ``(side, side, C)`` with side of
    `shown_side`.
    """
    side = shown_side(patch.size, image.shape)
    inset = (patch.size - side) // 2
    window = replace(patch, top=patch.top + inset, left=patch.left + inset, size=side)
    found = np.full((side, side, image.shape[2]), int(BEYOND[1:3], 16), np.uint8)
    top, bottom, left, right = window.inside(*image.shape[:2])
    rows = slice(top - window.top, bottom - window.top)
    found[rows, left - window.left : right - window.left] = image[top:bottom, left:right]
    return found


def gain(differences: npt.NDArray[np.float64]) -> int:
    """The largest of `GAINS` with which 99 % of the differences (grey levels) stay visible as they are."""
    reach = float(np.percentile(np.abs(differences), 99))
    return max((factor for factor in GAINS if factor * reach <= 127.5), default=GAINS[0])


def difference_image(image: UInt8Array, other: UInt8Array, factor: int) -> UInt8Array:
    """``image - other`` times a factor, around middle grey; clipped."""
    apart = factor * (image.astype(np.float64) - other) + 127.5
    shown: UInt8Array = np.clip(np.round(apart), 0, 255).astype(np.uint8)
    return shown


@styled()
def draw_exaggeration(sets: Sequence[Exaggerated], strength: float, steps: int) -> Figure:
    """A row an image: more real, as it is, more fake, and both changes."""
    rows = sum(len(one.places) for one in sets)
    changes = [
        one.images[name].astype(np.float64) - one.images["original"] for one in sets for name in TOWARDS
    ]
    factor = gain(np.concatenate([change.ravel() for change in changes]))
    # One row would be taller than wide pictures need; many must still fit a page.
    side = min((PAGE - 1.0) / 5, 1.05)
    tall = side * sets[0].images["original"].shape[1] / sets[0].images["original"].shape[2]
    figure = new_figure(5 * side + 1.0, rows * (tall + 0.13) + 0.6)
    grid = figure.subplots(rows, 5, squeeze=False)
    heads = ("towards real", "original", "towards fake", f"change\ntowards real, x{factor}",
             f"change\ntowards fake, x{factor}")  # fmt: skip
    for axes, head in zip(grid[0], heads, strict=True):
        axes.set_title(head, fontsize=7)
    shown = ((one, k) for one in sets for k in range(len(one.places)))
    for line, (one, k) in zip(grid, shown, strict=True):
        for axes, name in zip(line, ("real", "original", "fake"), strict=False):
            draw_picture(axes, one.images[name][k])
            _caption(axes, f"{one.p_fake[name][k]:.3f}")
        for axes, name in zip(line[3:], TOWARDS, strict=True):
            draw_picture(axes, difference_image(one.images[name][k], one.images["original"][k], factor))
            _caption(axes, f"{one.rms[name][k]:.1f}")
        line[0].set_ylabel(f"{one.label} #{one.places[k]}", fontsize=7)
    figure.suptitle(
        f"{strength:g} root mean square in [-1, 1] ({127.5 * strength:.3g} grey levels) in {steps} steps;\n"
        "below: probability of fake; root mean square change in grey levels",
        fontsize=7,
    )
    return figure
