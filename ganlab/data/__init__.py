"""Real images: sources, packs, the training read path, and sets of images for analysis.

Importing the room loads no torch; the names are imported on first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganlab.data.batches import Batch, BatchReader
    from ganlab.data.dead_leaves import DeadLeaves
    from ganlab.data.folder import PackReport, pack_folder
    from ganlab.data.glyphs import Glyphs
    from ganlab.data.guards import SetWarning, compare_sets, require_comparable
    from ganlab.data.imageset import ImageSet, array_image_set, open_image_set
    from ganlab.data.listing import DataWarning
    from ganlab.data.load import SOURCES, TrainingImages, load_training_images
    from ganlab.data.pack import Pack, PackWriter, read_pack
    from ganlab.data.pairs import with_masks

_HOME = {
    "DataWarning": "listing", "PackReport": "folder", "pack_folder": "folder",
    "SetWarning": "guards", "compare_sets": "guards", "require_comparable": "guards",
    "ImageSet": "imageset", "array_image_set": "imageset", "open_image_set": "imageset",
    "Batch": "batches", "BatchReader": "batches", "DeadLeaves": "dead_leaves", "Glyphs": "glyphs",
    "Pack": "pack", "PackWriter": "pack", "SOURCES": "load", "TrainingImages": "load",
    "load_training_images": "load", "read_pack": "pack", "with_masks": "pairs",
}  # fmt: skip

__all__ = [
    "SOURCES",
    "Batch",
    "BatchReader",
    "DataWarning",
    "DeadLeaves",
    "Glyphs",
    "ImageSet",
    "Pack",
    "PackReport",
    "PackWriter",
    "SetWarning",
    "TrainingImages",
    "array_image_set",
    "compare_sets",
    "load_training_images",
    "open_image_set",
    "pack_folder",
    "read_pack",
    "require_comparable",
    "with_masks",
]


def __getattr__(name: str) -> Any:
    """Import the file a public name lives in when the name is first asked for."""
    if name in _HOME:
        return getattr(importlib.import_module(f"ganlab.data.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ganlab.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
