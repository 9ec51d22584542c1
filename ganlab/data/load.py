"""From a ``data:`` section to the array the training loop reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ganlab.config.schema import DataConfig
from ganlab.data.arrays import UInt8Array
from ganlab.data.dead_leaves import dead_leaves_source
from ganlab.data.folder import folder_source
from ganlab.data.glyphs import glyphs_source
from ganlab.data.official import (
    celeba_source,
    cifar10_source,
    cifar100_source,
    imagenette_source,
    imagewoof_source,
    lsun_bedroom_source,
    stl10_source,
)
from ganlab.data.pack import Pack, pixels_sha256, read_pack
from ganlab.data.split import limit_indices, split_indices
from ganlab.errors import GanlabError, lookup


def pack_source(data: DataConfig, image_size: int) -> Pack:
    """A pack of ``ganlab data pack``, or an ``.npz`` with images, labels, split and class_names."""
    if data.path is None:
        raise GanlabError("data.source is pack: data.path must name the pack (an .npz or a folder .gpack)")
    return read_pack(Path(data.path).expanduser())


SOURCES: dict[str, Callable[[DataConfig, int], Pack]] = {
    "dead_leaves": dead_leaves_source,
    "glyphs": glyphs_source,
    "pack": pack_source,
    "folder": folder_source,
    "cifar10": cifar10_source,
    "cifar100": cifar100_source,
    "stl10": stl10_source,
    "celeba": celeba_source,
    "lsun_bedroom": lsun_bedroom_source,
    "imagenette": imagenette_source,
    "imagewoof": imagewoof_source,
}
"""Name of a data source -> its loader ``(data, image_size) -> Pack``."""


@dataclass(frozen=True)
class TrainingImages:
    """One array of images, and which of them are used for what."""

    images: UInt8Array
    """uint8 (N, H, W, 3), memory-mapped when large; not only the used ones."""
    labels: npt.NDArray[np.int64] | None
    """Class of each image (N,), or None (also where only some images have one)."""
    class_names: tuple[str, ...]
    """Names of the classes, maybe none."""
    train: npt.NDArray[np.int64]
    """Indices to train on, ascending."""
    val: npt.NDArray[np.int64]
    """Indices held out, ascending."""
    description: dict[str, Any]
    """Source, counts, recipe and pixel hash, as plain JSON values, for the run's records."""
    masks: UInt8Array | None = None
    """uint8 (N, H, W), the class of each pixel; only after `ganlab.data.with_masks`."""

    @property
    def num_classes(self) -> int:
        """How many classes the labels tell apart; 0 without labels."""
        return 0 if self.labels is None else max(int(self.labels.max()) + 1, len(self.class_names))


def load_training_images(data: DataConfig, image_size: int) -> TrainingImages:
    """The images of a source at ``image_size``; made, converted or downloaded on first use.

    Args:
        data: the ``data:`` section of a config.
        image_size: ``model.image_size``, the side in pixels.

    Raises:
        GanlabError: unknown source, missing files, wrong size: with what would be right.
    """
    pack = lookup(SOURCES, data.source, "data source")(data, image_size)
    height, width = pack.images.shape[1:3]
    if (height, width) != (image_size, image_size):
        # Resizing in passing would put the resampling into the spectrum unseen.
        raise GanlabError(
            f"{pack.path}: images are {height}x{width}, but model.image_size is {image_size}; packs are "
            f"never resized: pack the originals with 'ganlab data pack FOLDER OUT --size {image_size}', "
            f"or set model.image_size to {height if height == width else 'the size of a square pack'}"
        )
    count = len(pack.images)
    train, held_out = split_indices(count, pack.split, data.val_fraction, data.seed)
    # dead_leaves and glyphs make exactly num_images, so for them this keeps everything
    train, held_out = limit_indices(train, held_out, data.num_images, data.seed)
    split = "the source's own" if pack.split is not None else f"seeded, {data.val_fraction} held out"
    return TrainingImages(
        images=pack.images,
        labels=None if pack.labels is None or pack.labels.min() < 0 else pack.labels,
        class_names=pack.class_names,
        train=train,
        val=held_out,
        description={
            "source": data.source,
            "path": str(Path(pack.path)),
            "shape": list(pack.images.shape),
            "num_train": len(train),
            "num_val": len(held_out),
            "split": split,
            "class_names": list(pack.class_names),
            "recipe": pack.meta.get("recipe"),
            "skipped": len(pack.meta.get("skipped", ())),
            "notes": list(pack.meta.get("notes", ())),
            "pixels_sha256": pack.meta.get("images_sha256") or pixels_sha256(pack.images),
        },
    )
