"""Where a set's images are stored: an array, a folder of files, or a zip. One small class for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ganlab.data.arrays import UInt8Array, integer_column, open_npy
from ganlab.data.decode import Header, decode, probe, why_unreadable
from ganlab.data.listing import CHUNK, image_suffixes, list_images, ordered_map
from ganlab.data.pack import Pack, read_npz, read_pack
from ganlab.errors import GanlabError
from ganlab.util.progress import bar
from ganlab.util.reading import Archive, open_regular, parse_json, reading

BAR_FROM = 20_000
"""Sets of more files than this get a bar while their headers are read."""
CHANNELS = (1, 3)
CHUNK_BYTES = 2**20
SMALL_PIXELS = 100 * 100
"""Images below this are decoded by one thread: for them several cost more than they bring (measured)."""


class Stored(Protocol):
    """What an image set needs from its storage."""

    shape: tuple[int, int, int]
    """(H, W, C) of every image."""
    names: Sequence[str]
    """Identity of each image."""
    codecs: frozenset[str]
    """Formats of the files; ``raw`` for arrays."""
    quantization: frozenset[int]
    """JPEG: sums of the luminance quantisation tables that occur."""
    labels: npt.NDArray[np.int64] | None
    split: npt.NDArray[np.int64] | None
    class_names: tuple[str, ...]
    recipe: dict[str, Any] | None
    """How the images were made, where recorded."""
    pixels_sha256: str | None
    """Hash of all pixels in order, where recorded."""

    def batches(self, indices: npt.NDArray[np.int64], size: int) -> Iterator[UInt8Array]:
        """The images of these indices in order, uint8 (n, H, W, C), n <= size."""
        ...


class _Numbered(Sequence[str]):
    """``FILE#0``, ``FILE#1``, ... without keeping them."""

    def __init__(self, stem: str, count: int) -> None:
        self._stem, self._count = stem, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        return f"{self._stem}#{range(self._count)[index]}"


@dataclass
class StoredArray:
    """Images in one array, in memory or memory-mapped."""

    images: UInt8Array
    names: Sequence[str]
    labels: npt.NDArray[np.int64] | None = None
    split: npt.NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    recipe: dict[str, Any] | None = None
    pixels_sha256: str | None = None
    codecs: frozenset[str] = frozenset({"raw"})
    quantization: frozenset[int] = frozenset()
    origin: dict[str, Any] | None = None
    """The generator that drew the images for this job, where one did."""

    def __post_init__(self) -> None:
        height, width, channels = self.images.shape[1:]
        self.shape = (height, width, channels)

    def batches(self, indices: npt.NDArray[np.int64], size: int) -> Iterator[UInt8Array]:
        """The images of these indices in order, uint8 (n, H, W, C), copies."""
        for start in range(0, len(indices), size):
            yield np.asarray(self.images[indices[start : start + size]])


@dataclass
class StoredFiles:
    """Images in files, opened by name; their headers are read at once, their pixels when asked for."""

    path: Path
    names: Sequence[str]
    open_file: Callable[[str], Any]
    """Name -> binary stream."""
    labels: npt.NDArray[np.int64] | None = None
    split: npt.NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    recipe: dict[str, Any] | None = None
    pixels_sha256: str | None = None
    mixed: bool = False
    """Images of several sizes are held too; they are read one by one (`single`), and ``shape`` is the least
    height and width."""
    codecs: frozenset[str] = field(init=False)
    quantization: frozenset[int] = field(init=False)
    headers: list[Header] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names: Iterable[str] = self.names
        if len(self.names) >= BAR_FROM:
            names = bar(names, total=len(self.names), desc=f"reading {self.path.name}", unit="file")
        self.headers = headers = [self._guarded(name, probe) for name in names]
        first = headers[0]
        odd = next((i for i, header in enumerate(headers) if header.size != first.size), None)
        if odd is not None and not self.mixed:
            # An analysis never resizes: it would put the resampling into the spectrum.
            sizes = len({header.size for header in headers})
            raise GanlabError(
                f"{self.path}: images of {sizes} sizes; {self.names[odd]} is {headers[odd].size}, the first "
                f"({self.names[0]}) is {first.size}; analysis never resizes: bring them "
                f"to one size first, with 'ganlab data pack {self.path} OUT --size N'"
            )
        height, width = min(h.height for h in headers), min(h.width for h in headers)
        self.shape = (height, width, 1 if all(h.grey for h in headers) else 3)
        self.codecs = frozenset(h.codec for h in headers)
        self.quantization = frozenset(h.quantization for h in headers if h.quantization)

    def _guarded(self, name: str, read: Callable[[Any], Any]) -> Any:
        """``read`` the file's stream; an unreadable file is named."""
        try:
            with self.open_file(name) as stream:
                return read(stream)
        except Exception as error:  # Pillow: of any kind
            raise GanlabError(f"{self.path}: {name} cannot be read: {why_unreadable(error)}") from error

    def single(self, index: int) -> UInt8Array:
        """One image in its own size, uint8 (h, w, C)."""
        pixels: UInt8Array = self._guarded(self.names[index], partial(decode, channels=self.shape[2]))
        return pixels

    def _decode(self, index: int) -> UInt8Array:
        name = self.names[index]
        pixels = self.single(index)
        if pixels.shape != self.shape:
            raise GanlabError(f"{self.path}: {name} decodes to {pixels.shape}, its header says {self.shape}")
        return pixels

    def batches(self, indices: npt.NDArray[np.int64], size: int) -> Iterator[UInt8Array]:
        """The images of these indices in order, uint8 (n, H, W, C), decoded ahead by a few threads."""
        threads = None if self.shape[0] * self.shape[1] >= SMALL_PIXELS else 1
        # What waits to be read stays below some megabytes a thread, however large the images are.
        chunk = max(1, min(CHUNK, CHUNK_BYTES // int(np.prod(self.shape))))
        decoded = ordered_map(self._decode, indices.tolist(), threads, chunk)
        while part := list(islice(decoded, size)):
            yield np.stack(part)


def stored_folder(path: Path, mixed: bool = False) -> StoredFiles:
    """Image files of a folder and its subfolders; class folders give labels, train/ and val/ a split."""
    listing = list_images(path)
    names = [file.name for file in listing.files]
    classes = listing.class_names
    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number[file.class_name or ""] for file in listing.files]) if classes else None
    split = None
    if listing.files[0].split is not None:
        split = np.array([file.split for file in listing.files], dtype=np.int64)
    return StoredFiles(
        path, names, lambda name: open_regular(path / name), labels, split, classes, mixed=mixed
    )


def stored_image(path: Path) -> StoredFiles:
    """One image file, a set of one."""
    return StoredFiles(path.parent, [path.name], lambda name: open_regular(path))


def stored_zip(path: Path, mixed: bool = False) -> StoredFiles:
    """A zip of images (StyleGAN's dataset_tool): sorted names, labels from dataset.json if it has any."""
    archive = Archive(path)
    names = sorted(n for n in archive.names if Path(n).suffix.lower() in image_suffixes())
    if not names:
        raise GanlabError(
            f"{path}: no image in this zip; expected PNG files as StyleGAN's dataset_tool writes"
        )
    return StoredFiles(path, names, archive.open, zip_labels(archive, names), mixed=mixed)


LABELS = "dataset.json"


def zip_labels(archive: Archive, names: list[str]) -> npt.NDArray[np.int64] | None:
    """Class of each image from ``dataset.json``: ``{"labels": [[name, class], ...]}`` or null.

    Raises:
        GanlabError: not JSON, or labels that do not cover the images.
    """
    if LABELS not in archive.names:
        return None
    listing = parse_json(archive.read(LABELS), f"{archive.path}: {LABELS}", dict)
    expected = '{"labels": [["00000/img00000000.png", 3], ...]} with every image, or {"labels": null}'
    with reading(archive.path, LABELS, expected):
        if listing["labels"] is None:
            return None
        table = {str(name): label for name, label in listing["labels"]}
        classes = np.array([table[name] for name in names])
    return integer_column(archive.path, "labels", classes, len(names))


def stored_pack(path: Path) -> StoredArray:
    """A pack folder; the identity of an image is the file it was made from, where recorded."""
    return _from_pack(read_pack(path))


def _from_pack(pack: Pack) -> StoredArray:
    names = pack.files or _Numbered(pack.path.name, len(pack.images))
    return StoredArray(
        pack.images, names, pack.labels, pack.split, pack.class_names,
        pack.meta.get("recipe"), pack.meta.get("images_sha256"),
    )  # fmt: skip


def stored_npz(path: Path) -> StoredArray:
    """An ``.npz`` with ``images`` (N, H, W, 3) or grey (N, H, W, 1), and what else a pack may hold."""
    return _from_pack(read_npz(path, CHANNELS))


def stored_npy(path: Path) -> StoredArray:
    """A ``.npy`` of uint8 (N, H, W, C), or (N, H, W) grey; memory-mapped."""
    images = open_npy(path)
    if not images.size:
        raise GanlabError(f"{path}: holds no image, shape {images.shape}; expected uint8 (N, H, W, 3)")
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in CHANNELS:
        raise GanlabError(
            f"{path}: {images.dtype} of shape {images.shape}, expected uint8 (N, H, W, 3), (N, H, W, 1) or "
            "(N, H, W); floats in [-1, 1] become bytes with ganlab.images.to_uint8"
        )
    return StoredArray(images, _Numbered(path.name, len(images)))


def in_memory(images: UInt8Array, name: str) -> StoredArray:
    """An array that is already there: uint8 (N, H, W, C)."""
    return StoredArray(images, _Numbered(name, len(images)))
