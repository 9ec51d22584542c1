"""What each truncated network sees: the receptive-field table of patch forensics, from the layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ganlab.forensics.nets.patch import DEPTHS, truncated_backbone
from ganlab.forensics.nets.receptive import ReceptiveField, output_side, receptive_field

PUBLISHED_SIDE = {"xception": 299, "resnet18": 224}
"""Pixels to which chail/patch-forensics resizes its images for each backbone."""


@dataclass(frozen=True)
class TableRow:
    """One truncated network.

    Attributes:
        backbone: "xception" or "resnet18".
        depth: blocks or layers kept.
        channels: of the last feature map, which the 1x1 head reads.
        field: what one output sees.
        grids: outputs along one axis for every image side asked for; 0: the image is too small.
    """

    backbone: str
    depth: int
    channels: int
    field: ReceptiveField
    grids: tuple[int, ...]


def receptive_table(sides: Sequence[int] = ()) -> list[TableRow]:
    """Xception blocks 1 to 5 and ResNet-18 layers 1 to 4.

    Args:
        sides: of square images, pixels; the number of outputs is given for each.
    """
    rows = []
    for backbone, depths in DEPTHS.items():
        for depth in range(1, depths + 1):
            # Shapes alone are asked for: the meta device holds no weights.
            with torch.device("meta"):
                body, channels = truncated_backbone(backbone, 3, depth)
            grids = tuple(output_side(body, side) for side in sides)
            rows.append(TableRow(backbone, depth, channels, receptive_field(body), grids))
    return rows
