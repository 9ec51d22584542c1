"""The numbers behind ``ganlab patches`` as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ganlab.experiments.patches.measure import Floats, Measured, RuleRecord
from ganlab.experiments.spectra.tables import number, write_csv
from ganlab.forensics import METRICS, Patch, ReceptiveField
from ganlab.forensics.nets.patch import ENSEMBLES, PUBLISHED_SIDE, TableRow

BOX = ("image", "path", "top", "bottom", "left", "right", "patch_top", "patch_left", "patch_size")
ROWS = {
    "fakes, most fake": ("fake", True),
    "reals, most real": ("real", False),
    "reals, most fake": ("real", True),
    "fakes, most real": ("fake", False),
}
"""Rows of the gallery: whose patches, and whether the most fake or the most real ones. The last two hold the
most wrong ones."""


def write_image_scores(path: Path, sets: Sequence[tuple[str, Measured]]) -> None:
    """A line for every image: probability of fake by each rule, and of its most and least fake patch."""
    header = ("set", "label", "image", "path", *(f"p_fake_{rule}" for rule in ENSEMBLES))
    ends = ("p_fake_highest_patch", "p_fake_lowest_patch")

    def lines() -> Iterable[Sequence[object]]:
        for label, one in sets:
            for place, name in enumerate(one.images.paths):
                scores = [number(float(one.scores[rule][place]), 6) for rule in ENSEMBLES]
                extremes = (one.most_fake[place].probability, one.most_real[place].probability)
                yield one.images.name, label, place, name, *scores, *(number(p, 6) for p in extremes)

    write_csv(path, (*header, *ends), lines())


def write_rules(path: Path, records: Sequence[RuleRecord]) -> None:
    """A line for every rule and test: every metric with the ends of its interval."""
    ends = [f"{name}{end}" for name in METRICS for end in ("", "_low", "_high")]
    lines = [
        [one.rule, one.tested_on, one.reals, one.fakes,
         *(f"{value:.6f}" for name in METRICS for value in one.metrics[name].as_list())]
        for one in records
    ]  # fmt: skip
    write_csv(path, ["rule", "tested_on", "reals", "fakes", *ends], lines)


def write_patches(path: Path, gallery: dict[str, list[Patch]], sets: dict[str, Measured]) -> None:
    """A line for every patch of the gallery.

    ``top`` to ``right`` is its part inside the image (rows and columns from 0, bottom and right exclusive);
    ``patch_top``, ``patch_left`` and ``patch_size`` are the whole patch, which may reach into the padding.
    """

    def lines() -> Iterable[Sequence[object]]:
        for row, patches in gallery.items():
            label = ROWS[row][0]
            images = sets[label].images
            for rank, patch in enumerate(patches, 1):
                box = patch.inside(*images.shape[:2])
                where = (patch.image, images.paths[patch.image], *box, patch.top, patch.left, patch.size)
                yield row, rank, label, *where, number(patch.probability, 6), number(patch.log_odds, 6)

    write_csv(path, ("row", "rank", "label", *BOX, "p_fake", "log_odds_fake"), lines())


def write_maps(
    path: Path, sets: Sequence[tuple[str, Measured, Sequence[int], Floats]], field: ReceptiveField
) -> None:
    """A line for every cell of the maps drawn; image "mean" is the mean over the whole set."""
    header = ("set", "label", "image", "row", "column", "centre_row", "centre_column", "p_fake")

    def lines() -> Iterable[Sequence[object]]:
        for label, one, places, maps in sets:
            for name, values in zip(["mean", *places], [one.mean_map, *maps], strict=True):
                for (row, column), value in np.ndenumerate(values):
                    centre = field.centre(row), field.centre(column)
                    yield one.images.name, label, name, row, column, *centre, number(float(value), 6)

    write_csv(path, header, lines())


def write_fields(path: Path, rows: Sequence[TableRow], side: int) -> None:
    """The receptive-field table, with the number of patches at the published size and at this one."""
    header = (
        "backbone", "depth", "patch_pixels", "stride_pixels", "first_edge_pixel", "channels",
        "published_side", "patches_across_at_published_side", f"patches_across_at_{side}",
    )  # fmt: skip
    sides = [*PUBLISHED_SIDE.values(), side]
    write_csv(path, header, [
        (row.backbone, row.depth, row.field.size, row.field.stride, row.field.start, row.channels,
         PUBLISHED_SIDE[row.backbone], row.grids[sides.index(PUBLISHED_SIDE[row.backbone])], row.grids[-1])
        for row in rows
    ])  # fmt: skip
