"""Features of whole sets in constant memory, kept on disk under the hash of what they were computed from."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.forensics.features.base import Feature
from ganlab.forensics.perturbations.base import Perturbation, describe, perturb
from ganlab.images import UInt8Array, to_float
from ganlab.util.atomic import atomic_path, write_json
from ganlab.util.hashing import sha256_json
from ganlab.util.progress import bar

Matrix = npt.NDArray[np.float32]

FORMAT = 1
"""Part of every key: raised when a feature's definition changes."""
BATCH_PIXELS = 2**19
"""Pixel values computed at once: few enough to stay in a processor's cache."""
BAR_FROM = 5000


def extract(
    feature: Feature,
    images: ImageSet,
    cache: str | os.PathLike[str] | None = None,
    perturbation: Perturbation | None = None,
    seed: int = 0,
) -> Matrix:
    """One feature of every image of a set.

    Args:
        feature: what is computed.
        images: the set.
        cache: folder for results; a later call with the same pixels, feature, perturbation and seed reads the
            file instead. The result is then memory-mapped (read-only), and memory stays constant in the
            number of images.
        perturbation: applied to the images first; image i gets the random numbers of (seed, i).
        seed: of the perturbation.

    Returns:
        float32 ``(N, *dims)``.

    Raises:
        GanlabError: the feature does not fit the images, or yields NaN or infinite values for one of them.
    """
    return extract_many({"": feature}, images, cache, perturbation, seed)[""]


def extract_many(
    features: Mapping[str, Feature],
    images: ImageSet,
    cache: str | os.PathLike[str] | None = None,
    perturbation: Perturbation | None = None,
    seed: int = 0,
) -> dict[str, Matrix]:
    """Several features of every image of a set, reading (and perturbing) each image once.

    Arguments and errors are those of `extract`; the result has the names of ``features``.
    """
    if cache is None:
        out = {name: np.empty(_shape(f, images), np.float32) for name, f in features.items()}
        _fill(out, features, images, perturbation, seed)
        return out
    folder = Path(cache)
    files = {
        name: folder / f"{key(feature, images, perturbation, seed)}.npy" for name, feature in features.items()
    }
    missing = {name: feature for name, feature in features.items() if not files[name].is_file()}
    if missing:
        _write(files, missing, images, perturbation, seed)
    return {name: np.load(file, mmap_mode="r") for name, file in files.items()}


def key(feature: Feature, images: ImageSet, perturbation: Perturbation | None = None, seed: int = 0) -> str:
    """Name of a cached result: SHA-256 over pixels, feature, perturbation and seed."""
    return sha256_json(_record(feature, images, perturbation, seed))[:40]


def _record(
    feature: Feature, images: ImageSet, perturbation: Perturbation | None, seed: int
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "format": FORMAT,
        "pixels": images.fingerprint(),
        "images": images.num_images,
        "shape": list(images.shape),
        "feature": feature.spec(),
    }
    if perturbation is not None:
        record |= {"perturbation": describe(perturbation), "seed": seed}
    return record


def _shape(feature: Feature, images: ImageSet) -> tuple[int, ...]:
    return (images.num_images, *feature.dims(images.shape))


def _write(
    files: Mapping[str, Path],
    features: Mapping[str, Feature],
    images: ImageSet,
    perturbation: Perturbation | None,
    seed: int,
) -> None:
    """Compute into files of a temporary name, which get their own when all is done."""
    with ExitStack() as stack:
        out = {
            name: np.lib.format.open_memmap(
                stack.enter_context(atomic_path(files[name])), "w+", np.float32, _shape(feature, images)
            )
            for name, feature in features.items()
        }
        _fill(out, features, images, perturbation, seed)
        for matrix in out.values():
            matrix.flush()
    for name, feature in features.items():
        write_json(files[name].with_suffix(".json"), _record(feature, images, perturbation, seed))


def _fill(
    out: Mapping[str, Matrix],
    features: Mapping[str, Feature],
    images: ImageSet,
    perturbation: Perturbation | None,
    seed: int,
) -> None:
    for start, batch in _batches(images):
        pixels = batch if perturbation is None else perturb(batch, perturbation, seed, start)
        tensor = to_float(pixels)
        for name, feature in features.items():
            out[name][start : start + len(batch)] = _checked(feature, tensor, images, start)


def _batches(images: ImageSet) -> Iterator[tuple[int, UInt8Array]]:
    """Batches with the place of their first image, behind a bar when there are many."""
    size = max(1, BATCH_PIXELS // math.prod(images.shape))
    start = 0
    shown = images.num_images >= BAR_FROM
    progress = (
        bar(total=images.num_images, desc=f"features of {images.name}", unit="image") if shown else None
    )
    for batch in images.batches(size):
        yield start, batch
        start += len(batch)
        if progress is not None:
            progress.update(len(batch))
    if progress is not None:
        progress.close()


def _checked(feature: Feature, tensor: torch.Tensor, images: ImageSet, start: int) -> Matrix:
    with torch.inference_mode():
        values: Matrix = feature(tensor).numpy()
    if not np.isfinite(values).all():
        broken = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(1))
        raise GanlabError(
            f"{images.name}: {type(feature).__name__} is not finite for image {start + int(broken[0])} "
            f"({images.paths[start + int(broken[0])]})"
        )
    return values
