"""Features of whole sets in constant memory, kept on disk under the hash of what they were computed from."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ganlab.data.arrays import open_npy
from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.forensics.features.base import Feature
from ganlab.forensics.perturbations.base import Perturbation, describe, perturb
from ganlab.images import to_float
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
    shapes = {name: (images.num_images, *f.dims(images.shape)) for name, f in features.items()}
    if cache is None:
        out = {name: np.empty(shape, np.float32) for name, shape in shapes.items()}
        _fill(out, features, images, perturbation, seed)
        return out
    records = {name: _record(feature, images, perturbation, seed) for name, feature in features.items()}
    files = {name: Path(cache) / f"{sha256_json(record)[:40]}.npy" for name, record in records.items()}
    missing = {name: feature for name, feature in features.items() if not files[name].is_file()}
    if missing:
        with ExitStack() as stack:  # files have a temporary name until all of them are complete
            mapped = {
                name: np.lib.format.open_memmap(
                    stack.enter_context(atomic_path(files[name])), "w+", np.float32, shapes[name]
                )
                for name in missing
            }
            _fill(mapped, missing, images, perturbation, seed)
            for matrix in mapped.values():
                matrix.flush()
        for name in missing:
            write_json(files[name].with_suffix(".json"), records[name])
    return {name: _stored(file, shapes[name]) for name, file in files.items()}


def _stored(file: Path, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Features of an earlier call, memory-mapped.

    Raises:
        GanlabError: the file is damaged, or was not written by `_extract`.
    """
    array = open_npy(file)
    if array.dtype != np.float32 or array.shape != shape:
        raise GanlabError(
            f"{file} holds {array.dtype} of shape {array.shape} where features of shape {shape} belong: "
            "delete it, and they are computed again"
        )
    return array


def _record(
    feature: Feature, images: ImageSet, perturbation: Perturbation | None, seed: int
) -> dict[str, Any]:
    """All that a result depends on; its hash is the name of the file."""
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


def _fill(
    out: Mapping[str, Matrix],
    features: Mapping[str, Feature],
    images: ImageSet,
    perturbation: Perturbation | None,
    seed: int,
) -> None:
    """Compute batch after batch, behind a bar when there are many images."""
    batches = images.batches(max(1, BATCH_PIXELS // math.prod(images.shape)))
    start = 0
    with ExitStack() as stack:
        progress = None
        if images.num_images >= BAR_FROM:
            title = f"features of {images.name}"
            progress = stack.enter_context(bar(total=images.num_images, desc=title, unit="image"))
        for batch in batches:
            pixels = batch if perturbation is None else perturb(batch, perturbation, seed, start)
            tensor = to_float(pixels)
            for name, feature in features.items():
                out[name][start : start + len(batch)] = _computed(feature, tensor, images, start)
            start += len(batch)
            if progress is not None:
                progress.update(len(batch))


def _computed(feature: Feature, tensor: torch.Tensor, images: ImageSet, start: int) -> Matrix:
    """The feature of one batch; an image without a finite value is named."""
    with torch.inference_mode():
        values: Matrix = feature(tensor).numpy()
    finite = np.isfinite(values.reshape(len(values), -1)).all(1)
    if not finite.all():
        broken = start + int(np.argmin(finite))
        raise GanlabError(
            f"{images.name}: {type(feature).__name__} is not finite for image {broken} "
            f"({images.paths[broken]})"
        )
    return values
