"""Sets of images for analysis: folders, packs, arrays and zips opened by one function, read in batches."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from ganlab.data.arrays import UInt8Array
from ganlab.data.decode import Header
from ganlab.data.listing import HELD_OUT, TRAIN, image_suffixes
from ganlab.data.pack import FORMAT
from ganlab.data.stored import (
    Stored,
    StoredFiles,
    in_memory,
    stored_folder,
    stored_image,
    stored_npy,
    stored_npz,
    stored_pack,
    stored_zip,
)
from ganlab.errors import GanlabError, nearest_name
from ganlab.util.memory import release_memory
from ganlab.util.reading import is_unicode, read_json, reading

MANIFEST = "manifest.json"
UNFINISHED = ".unfinished"
BATCH = 256
BATCH_BYTES = 2**24
"""Read at a time where no size is asked for: so many images, fewer when they are larger."""
RELEASE_BYTES = 2**24
"""Read between two calls that give freed memory back."""
ENDINGS = {"folder": "", "zip": ".zip", "npy": ".npy"}


def generated_part(folder: Path) -> Path:
    """The set itself: ``folder`` as it is, or the only set of a generated folder.

    Raises:
        GanlabError: the generated folder is unfinished, its manifest is damaged, or it holds several sets
            (reals and fakes, say), which must not be taken for one.
    """
    if (folder / UNFINISHED).exists():
        raise GanlabError(f"{folder} is an unfinished set; the 'ganlab generate' that began it completes it")
    if not (folder / MANIFEST).is_file():
        return folder
    try:
        plan = read_json(folder / MANIFEST)["plan"]
        parts, ending = [str(part["path"]) for part in plan["parts"]], ENDINGS[plan["format"]]
    except (KeyError, TypeError):
        return folder  # somebody else's
    split = [PurePosixPath(part).parts for part in parts]
    if any(".." in part or not part or PurePosixPath(*part).is_absolute() for part in split):
        raise GanlabError(f"{folder / MANIFEST} is damaged: it names sets outside of its folder")
    # train/NAME and test/NAME of one name are one set, a folder with a split.
    one_name = len({part[1:] for part in split}) == 1 and all(part[0] in ("train", "test") for part in split)
    if not parts or (not ending and len(parts) > 1 and one_name):
        return folder
    if len(parts) == 1:
        return folder / f"{parts[0]}{ending}"
    named = ", ".join(str(folder / f"{part}{ending}") for part in parts)
    raise GanlabError(f"{folder} holds {len(parts)} sets of images; name one of them: {named}")


Indices = npt.NDArray[np.int64]

PARTS = (TRAIN, *HELD_OUT)
_OPENERS: dict[str, Callable[[Path], Stored]] = {".npz": stored_npz, ".npy": stored_npy, ".zip": stored_zip}


class ImageSet:
    """Images of one size in a fixed order, read in batches.

    Args:
        name: short name for tables and legends.
        path: where the set is.
        stored: its storage.
        indices: which images of the storage belong to the set, in order.
    """

    def __init__(self, name: str, path: Path, stored: Stored, indices: Indices) -> None:
        self.name = name
        self.path = path
        self._stored = stored
        self._indices = indices
        self._fingerprint: str | None = None
        self._hashes: dict[int | None, dict[bytes, int]] = {}

    @property
    def num_images(self) -> int:
        """How many images."""
        return len(self._indices)

    def __len__(self) -> int:
        return self.num_images

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every image; C is 1 where all files are grey, otherwise 3."""
        return self._stored.shape

    @property
    def codecs(self) -> frozenset[str]:
        """File formats that occur (Pillow's names: PNG, JPEG, ...); ``raw`` for arrays and packs."""
        return self._stored.codecs

    @property
    def quantization(self) -> frozenset[int]:
        """Sums of the JPEG luminance quantisation tables that occur: equal sums, equal quality."""
        return self._stored.quantization

    @property
    def headers(self) -> list[Header] | None:
        """What every image's file says of itself, in the set's order; None for arrays and packs."""
        held = getattr(self._stored, "headers", None)
        return None if held is None else [held[int(index)] for index in self._indices]

    def singly(self) -> Iterator[UInt8Array]:
        """Every image in its own size, uint8 (h, w, C): also of a set opened with ``mixed``.

        Raises:
            GanlabError: a file is damaged; it is named.
        """
        if not isinstance(self._stored, StoredFiles):
            yield from (image for batch in self.batches() for image in batch)
            return
        digest = hashlib.sha256()
        for image in _releasing(map(self._stored.single, self._indices.tolist())):
            digest.update(np.ascontiguousarray(image).data)
            yield image
        self._fingerprint = digest.hexdigest()

    @property
    def recipe(self) -> dict[str, Any] | None:
        """How the images were made (crop, resampling filter, ...), where a pack records it."""
        return self._stored.recipe

    @property
    def origin(self) -> dict[str, Any] | None:
        """The generator that drew the images for this job, its hashes and seed; None for images as stored."""
        origin: dict[str, Any] | None = getattr(self._stored, "origin", None)
        return origin

    @property
    def labels(self) -> Indices | None:
        """Class of each image, int64 (N,), or None."""
        return None if self._stored.labels is None else self._stored.labels[self._indices]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, maybe none."""
        return self._stored.class_names

    @property
    def paths(self) -> list[str]:
        """Identity of each image: its path below the folder or in the zip, or ``FILE#index``."""
        return [self._stored.names[int(index)] for index in self._indices]

    def batches(self, size: int | None = None) -> Iterator[UInt8Array]:
        """All images in order: uint8 (n, H, W, C). A full pass also yields the fingerprint.

        Args:
            size: images at a time; by default 256, or as many as are 16 MiB where that is fewer.

        Raises:
            GanlabError: a file is damaged; it is named.
        """
        digest = hashlib.sha256()
        size = size or max(1, min(BATCH, BATCH_BYTES // int(np.prod(self.shape))))
        for images in _releasing(self._stored.batches(self._indices, size)):
            digest.update(np.ascontiguousarray(images).data)
            yield images
        self._fingerprint = digest.hexdigest()

    def read(self, indices: Sequence[int] | Indices) -> UInt8Array:
        """The images at these places of the set, uint8 (n, H, W, C)."""
        chosen = self._indices[np.asarray(indices, dtype=np.int64)]
        return next(self._stored.batches(chosen, max(len(chosen), 1)), np.empty((0, *self.shape), np.uint8))

    def subset(self, indices: Sequence[int] | Indices, name: str | None = None) -> ImageSet:
        """The set of the images at these places, in this order."""
        chosen = self._indices[np.asarray(indices, dtype=np.int64)]
        return ImageSet(name or self.name, self.path, self._stored, chosen)

    def fingerprint(self) -> str:
        """SHA-256 of the pixels in order, the same for the same images in any lossless storage.

        Taken from the pack's record, or from a pass that was made anyway, or else by reading the set once.
        """
        if self._fingerprint is None and np.array_equal(self._indices, np.arange(len(self._stored.names))):
            self._fingerprint = self._stored.pixels_sha256
        if self._fingerprint is None:
            for _ in self.singly():
                pass
        assert self._fingerprint is not None
        return self._fingerprint

    def pixel_hashes(self, sample: int | None = None) -> dict[bytes, int]:
        """Hash of an image's pixels (BLAKE2b, 16 bytes) -> its place in the set; kept after the first call.

        Args:
            sample: only so many images, evenly spaced; None: all.
        """
        if sample not in self._hashes:
            positions = self.spaced(sample)
            place_of: dict[bytes, int] = {}
            images = (image for batch in self.subset(positions).batches() for image in batch)
            for position, image in zip(positions.tolist(), images, strict=True):
                place_of.setdefault(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), position)
            self._hashes[sample] = place_of
        return self._hashes[sample]

    def spaced(self, count: int | None) -> Indices:
        """Places of at most ``count`` images, evenly spaced over the set."""
        return _spaced(np.arange(self.num_images), count)


def _releasing(arrays: Iterable[UInt8Array]) -> Iterator[UInt8Array]:
    """The same arrays; now and then what their reader has freed goes back to the system."""
    since = 0
    for array in arrays:
        yield array
        since += array.nbytes
        if since >= RELEASE_BYTES:
            release_memory()
            since = 0


def open_image_set(path: str | os.PathLike[str], limit: int | None = None, mixed: bool = False) -> ImageSet:
    """Open a folder, pack, ``.npz``, ``.npy`` or StyleGAN zip for analysis. Nothing is resized or cropped.

    One image file is a set of one image.

    A folder of ``ganlab generate`` with one set in it means that set; with several, one must be named.

    ``PATH@train`` and ``PATH@val`` select one part where the set has a split (a pack's own, or train/ and
    val/ subfolders). Without that all images are taken.

    Args:
        path: the set, with or without ``@train`` or ``@val`` (``@test`` is ``@val``).
        limit: at most so many images, evenly spaced over the set (files are mostly ordered by class).
        mixed: take files of several sizes too. Such a set is read by ``singly``, not in batches.

    Raises:
        GanlabError: nothing there, no images, damaged, several image sizes: says which file and what to do.
    """
    text = os.fspath(path)
    if not is_unicode(text):
        raise GanlabError(f"the name {text!a} is not UTF-8 text; rename it")
    with reading(text):
        location, part = _split_off(text)
        stored = _opened(location, mixed)
    indices = np.arange(len(stored.names))
    if part is not None:
        if stored.split is None:
            raise GanlabError(
                f"{location} has no split, so that @{part} selects nothing; use {location} alone"
            )
        indices = np.flatnonzero(stored.split == (0 if part == TRAIN else 1))
        if not len(indices):
            raise GanlabError(f"{location}@{part}: no image is in this part of the set")
    return ImageSet(location.stem + (f"@{part}" if part else ""), location, stored, _spaced(indices, limit))


def _spaced(indices: Indices, count: int | None) -> Indices:
    """At most ``count`` of the indices, evenly spaced."""
    if count is None or count >= len(indices):
        return indices
    chosen: Indices = indices[np.arange(count) * len(indices) // max(count, 1)]
    return chosen


def array_image_set(images: UInt8Array, name: str, origin: dict[str, Any] | None = None) -> ImageSet:
    """A set of images that are in memory: uint8 (N, H, W, C); ``origin`` says which generator drew them.

    Raises:
        GanlabError: no array of uint8, or of another shape.
    """
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        shape = f"{images.dtype} of shape {tuple(images.shape)}" if hasattr(images, "dtype") else type(images)
        raise GanlabError(
            f"{name}: {shape}; expected a NumPy array, uint8 (N, H, W, C): ganlab.images.to_uint8 makes one "
            "of a float tensor (N, C, H, W) in [-1, 1]"
        )
    stored = in_memory(images, name)
    stored.origin = origin
    return ImageSet(name, Path(name), stored, np.arange(len(images)))


def _split_off(text: str) -> tuple[Path, str | None]:
    """(path, part) of ``PATH@part``; a path that exists is taken as it is."""
    stem, mark, part = text.rpartition("@")
    if not mark or Path(text).expanduser().exists():
        return Path(text).expanduser(), None
    if part not in PARTS:
        raise GanlabError(
            f"{text}: no such file or folder, and after '@' only {', '.join(PARTS)} can stand"
            f"{nearest_name(part, PARTS)}"
        )
    return Path(stem).expanduser(), part


def _opened(path: Path, mixed: bool = False) -> Stored:
    """The storage behind a path."""
    if path.is_dir():
        if is_pack(path):
            return stored_pack(path)
        meant = generated_part(path)
        return stored_folder(path, mixed) if meant == path else _opened(meant, mixed)
    if not path.exists():
        nearby = sorted(entry.name for entry in path.parent.glob("*")) if path.parent.is_dir() else []
        raise GanlabError(f"{path}: no such file or folder{nearest_name(path.name, nearby)}")
    if not path.is_file():
        raise GanlabError(f"{path} is a pipe, a socket or a device; expected a file or a folder")
    ending = path.suffix.lower()
    if ending in image_suffixes():
        return stored_image(path)
    if ending not in _OPENERS:
        raise GanlabError(
            f"{path}: expected a folder of images, a pack (folder), one image, or a file ending in "
            f"{', '.join(_OPENERS)}"
        )
    return stored_zip(path, mixed) if ending == ".zip" else _OPENERS[ending](path)


def is_pack(path: Path) -> bool:
    """Whether a folder's meta.json says that it is a pack."""
    if not (path / "meta.json").is_file():
        return False
    try:
        meta = read_json(path / "meta.json")
    except GanlabError:
        # A pack that is damaged is named; elsewhere the file may be of any kind.
        return (path / "images.npy").is_file()
    return isinstance(meta, dict) and meta.get("format") == FORMAT
