"""Which images train and which are held out, and which of them are used when only some are wanted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ganlab.data.rng import permutation
from ganlab.errors import GanlabError

Indices = npt.NDArray[np.int64]


def split_indices(
    count: int, split: npt.NDArray[np.int64] | None, val_fraction: float, seed: int
) -> tuple[Indices, Indices]:
    """(train, held out), each ascending: the source's own split, or else a seeded one.

    The seeded split holds out ``round(val_fraction * count)`` images, at least one of each part where
    there are two images or more.

    Raises:
        GanlabError: the source's split leaves nothing to train on.
    """
    if split is not None:
        train, held_out = np.flatnonzero(split == 0), np.flatnonzero(split == 1)
        if not len(train):
            raise GanlabError(f"all {count} images are held out (split = 1); none is left to train on")
        return train, held_out
    wanted = min(max(round(val_fraction * count), 1), count - 1)
    order = permutation(seed, "split", 0, count)
    return np.sort(order[wanted:]), np.sort(order[:wanted])


def limit_indices(
    train: Indices, held_out: Indices, wanted: int | None, seed: int
) -> tuple[Indices, Indices]:
    """A seeded choice of ``wanted`` images, both parts in proportion; a larger choice contains a smaller.

    Files are mostly ordered by class, so the first so many would be of one class.

    Raises:
        GanlabError: there are fewer images.
    """
    total = len(train) + len(held_out)
    if wanted is None or wanted == total:
        return train, held_out
    if wanted > total:
        raise GanlabError(f"data.num_images is {wanted}, but there are only {total} images")
    of_train = min(max(round(wanted * len(train) / total), 1), wanted)
    first = permutation(seed, "limit_train", 0, len(train))[:of_train]
    second = permutation(seed, "limit_val", 0, len(held_out))[: wanted - of_train]
    return np.sort(train[first]), np.sort(held_out[second])
