"""Which images of a set a saved detector was not trained on, as far as its results folder says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.forensics import Split, load_splits
from ganlab.forensics.protocol.hashes import Hashes
from ganlab.forensics.protocol.split import fingerprint

SPLITS = "splits_0.json"
"""`ganlab detect` keeps the detectors of its first seed in detectors/ and their split beside that folder."""


@dataclass(frozen=True)
class HeldOut:
    """Images to measure on.

    Attributes:
        images: the set, without the images that the detector was trained on where that is known.
        hashes: identity of each of them.
        left_out: how many were removed.
        known: whether the detector's own split names this set.
    """

    images: ImageSet
    hashes: Hashes
    left_out: int
    known: bool

    def sentence(self) -> str:
        """What a reader has to know."""
        number = f"{self.images.name}: {len(self.images)} images"
        if self.known:
            return (
                f"{number}, none of which the detector was trained on ({self.left_out} of its own left out)"
            )
        return f"{number}; no split beside the detector names this set, so it may have been trained on them"


def held_out(model: Path, images: ImageSet, hashes: Hashes, limit: int | None = None) -> HeldOut:
    """The images of a set outside the training and validation parts of the detector's own split.

    The split lies beside the ``detectors`` folder of ``ganlab detect``. A set that it was made with an
    ``--limit`` of is recognised too; images are compared by their pixels.

    Args:
        model: the detector's file.
        images: any set.
        hashes: exact hashes of all its images.
        limit: at most so many of what is left, evenly spaced.

    Raises:
        GanlabError: the split is damaged, or nothing is left.
    """
    split = _split_of(_splits(model), images, hashes)
    if split is None:
        return _limited(HeldOut(images, hashes, 0, known=False), limit)
    whole = hashes[images.spaced(_count(split))]
    seen = whole[np.concatenate([split.train, split.val])]
    kept = np.flatnonzero(~np.isin(hashes, seen))
    if not len(kept):
        raise GanlabError(f"{images.name}: the detector was trained on all of these images; give others")
    return _limited(HeldOut(images.subset(kept), hashes[kept], len(hashes) - len(kept), known=True), limit)


def _limited(found: HeldOut, limit: int | None) -> HeldOut:
    chosen = found.images.spaced(limit)
    return HeldOut(found.images.subset(chosen), found.hashes[chosen], found.left_out, found.known)


def _splits(model: Path) -> Mapping[str, Split]:
    file = model.absolute().parent.parent / SPLITS
    return load_splits(file) if file.is_file() else {}


def _count(split: Split) -> int:
    return len(split.train) + len(split.val) + len(split.test)


def _split_of(splits: Mapping[str, Split], images: ImageSet, hashes: Hashes) -> Split | None:
    """The split of this set, whole or evenly thinned out as ``--limit`` does."""
    for split in splits.values():
        count = _count(split)
        if count <= len(hashes) and fingerprint(hashes[images.spaced(count)]) == split.fingerprint:
            return split
    return None
