"""Image files -> a pack by a recipe that is written down."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

from ganlab.config.schema import DataConfig
from ganlab.data.arrays import UInt8Array
from ganlab.data.decode import (
    LOSSY,
    Cut,
    Header,
    cut_tiles,
    one_square,
    open_image,
    probe,
    resize_recipe,
    tile_recipe,
    why_unreadable,
)
from ganlab.data.listing import DataWarning, Listing, list_images, ordered_map
from ganlab.data.pack import Pack, PackWriter, cache_folder, cached_pack
from ganlab.data.split import split_indices
from ganlab.errors import GanlabError
from ganlab.util.hashing import sha256_json
from ganlab.util.progress import bar
from ganlab.util.reading import open_regular

OnError = Literal["skip", "fail"]
SHOWN = 5
"""How many files a message lists by name."""
TOO_SMALL = " is smaller than "


@dataclass(frozen=True)
class Item:
    """One file to be packed."""

    name: str
    """Its identity in messages and in the pack."""
    open: Callable[[], IO[bytes]]
    """Opens it."""
    label: int | None = None
    split: int | None = None


@dataclass(frozen=True)
class Refused:
    """A file that is not in the pack, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class PackReport:
    """What became of a folder."""

    path: Path
    num_images: int
    skipped: tuple[Refused, ...]
    notes: tuple[str, ...]
    """Sentences about codecs and sizes that a user should know."""


def pack_items(
    writer: PackWriter,
    items: Sequence[Item],
    origin: str,
    on_error: OnError = "fail",
    cut: Cut = one_square,
) -> PackReport:
    """Put files into an open pack, in order, with a bar; the report is also written into the pack.

    All headers are read first, so that sizes and formats are known before the long work starts.

    Args:
        writer: the open pack; its ``size`` is the target.
        items: the files.
        origin: where the files come from, for messages.
        on_error: ``fail``: the first unreadable or too small file stops; ``skip``: it is counted.
        cut: what is made of a file.

    Raises:
        GanlabError: unreadable or too small files under ``fail``, or nothing is left.
    """
    headers = list(bar(ordered_map(_header, items), len(items), "reading headers", "image"))
    # Unreadable files first, then those that are too small, the smallest ahead.
    refused = [header for header in headers if isinstance(header, Refused)]
    kept: list[tuple[Item, Header]] = []
    small: list[tuple[int, Refused]] = []
    for item, header in zip(items, headers, strict=True):
        if isinstance(header, Header):
            side = min(header.width, header.height)
            if side >= writer.size:
                kept.append((item, header))
            else:
                what = f"{header.size}{TOO_SMALL}{writer.size}x{writer.size}"
                small.append((side, Refused(item.name, what)))
    refused += [too_small for _, too_small in sorted(small, key=lambda pair: pair[0])]
    _fail_if_asked(refused, len(items), origin, on_error)
    notes = _notes([header for _, header in kept], writer.size if cut is one_square else None)
    files = [item for item, _ in kept]
    results = bar(ordered_map(partial(_pixels, writer.size, cut), files), len(files), "packing", "image")
    for item, result in zip(files, results, strict=True):
        if isinstance(result, Refused):
            refused.append(result)
            _fail_if_asked([result], len(items), origin, on_error)
        else:
            for number, pixels in enumerate(result):
                writer.add(pixels, item.label, item.split, f"{item.name}#{number}" if number else item.name)
    if not writer.count:
        raise GanlabError(f"{origin}: none of {len(items)} images could be used; {_listed(refused)}")
    writer.meta["skipped"] = [[file.name, file.reason] for file in refused]
    writer.meta["notes"] = notes
    return PackReport(writer.path, writer.count, tuple(refused), tuple(notes))


def _header(item: Item) -> Header | Refused:
    """The file's header, or why it has none."""
    try:
        with item.open() as stream:
            return probe(stream)
    except Exception as error:  # Pillow: of any kind
        return Refused(item.name, why_unreadable(error))


def _pixels(size: int, cut: Cut, item: Item) -> list[UInt8Array] | Refused:
    """The file's images by the recipe, or why it has none."""
    try:
        with item.open() as stream, open_image(stream) as image:
            return cut(image, size)
    except Exception as error:  # Pillow: of any kind
        return Refused(item.name, why_unreadable(error))


def _fail_if_asked(refused: list[Refused], total: int, origin: str, on_error: OnError) -> None:
    """Under ``fail`` the refused files become one error: unreadable ones and too small ones apart."""
    if not refused or on_error != "fail":
        return
    small = [file for file in refused if TOO_SMALL in file.reason]
    broken = [file for file in refused if TOO_SMALL not in file.reason]
    parts = []
    if broken:
        parts.append(f"{len(broken)} of {total} images cannot be read: {_listed(broken)}")
    if small:
        what = "images are too small and are never enlarged; the smallest"
        parts.append(f"{len(small)} of {total} {what}: {_listed(small)}")
    raise GanlabError(f"{origin}: {'; '.join(parts)}. on_error: skip (--on-error skip) leaves them out")


def _listed(refused: Sequence[Refused]) -> str:
    """The first few files with their reasons, and how many more."""
    shown = ", ".join(f"{file.name} ({file.reason})" for file in refused[:SHOWN])
    return shown + (f" and {len(refused) - SHOWN} more" if len(refused) > SHOWN else "")


def _notes(headers: list[Header], size: int | None) -> list[str]:
    """What mixed formats, and mixed sizes where images are reduced to ``size``, leave in the spectrum."""
    notes = []
    codecs = Counter(header.codec for header in headers)
    if len(codecs) > 1 and not LOSSY.isdisjoint(codecs):
        counts = ", ".join(f"{count} {codec}" for codec, count in codecs.most_common())
        notes.append(
            f"files of several formats ({counts}): lossy compression leaves its own trace in the spectrum "
            "(JPEG: 8x8 blocks), so part of the set differs from the rest for a reason that is not the scene"
        )
    sides = sorted(min(header.width, header.height) for header in headers)
    if size is None or not sides or sides[0] == sides[-1]:
        return notes
    if native := sides.count(size):
        notes.append(
            f"{native} of {len(headers)} images already have the size {size} and are copied, the others are "
            "reduced: the two kinds differ in their high frequencies"
        )
    notes.append(
        f"images of several sizes: shorter sides {sides[0]} to {sides[-1]} px, so that each is reduced by "
        f"its own factor ({sides[0] / size:.2f} to {sides[-1] / size:.2f})"
    )
    return notes


def folder_items(listing: Listing) -> list[Item]:
    """The files of a folder as items; classes are numbered in the order of their sorted names.

    Raises:
        GanlabError: some images lie in class folders and others do not.
    """
    loose = [file.name for file in listing.files if file.class_name is None]
    if loose and len(loose) < len(listing.files):
        raise GanlabError(
            f"{listing.root}: {len(loose)} images lie beside the class folders (the first: {loose[0]}); "
            "expected all images in one folder, or all in class folders"
        )
    number = {name: label for label, name in enumerate(listing.class_names)}
    return [
        Item(
            file.name,
            partial(open_regular, listing.root / file.name),
            number.get(file.class_name or ""),
            file.split,
        )
        for file in listing.files
    ]


def pack_folder(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    size: int,
    on_error: OnError = "fail",
    val_fraction: float | None = None,
    seed: int = 0,
    overwrite: bool = False,
    tiles: bool = False,
) -> PackReport:
    """Pack a folder of images: flat, in class folders, or either below train/ and val/ (or test/).

    Args:
        folder: the images, anything Pillow reads.
        out: the pack's folder, made now.
        size: side of the packed images in pixels.
        on_error: what to do with unreadable and too small files.
        val_fraction: hold out so much, by ``seed``; only for a folder without a split of its own.
        seed: see ``val_fraction``.
        overwrite: replace a pack at ``out``.
        tiles: cut every image into all tiles that fit, never resized, instead of reducing its centre square.

    Raises:
        GanlabError: no images, unusable images, or something is at ``out``.
    """
    folder, out = Path(folder), Path(out)
    listing = list_images(folder)
    items = folder_items(listing)
    if val_fraction is not None:
        if not 0 < val_fraction < 1:
            raise GanlabError(f"val_fraction is {val_fraction}; expected a part between 0 and 1")
        if items[0].split is not None:
            raise GanlabError(f"{folder} has train/ and held-out subfolders already; leave val_fraction out")
        held_out = set(split_indices(len(items), None, val_fraction, seed)[1].tolist())
        items = [replace(item, split=int(index in held_out)) for index, item in enumerate(items)]
    with PackWriter(out, size, overwrite=overwrite) as writer:
        if tiles:
            return _fill_from(writer, listing, items, on_error, tile_recipe(size), cut_tiles)
        return _fill_from(writer, listing, items, on_error)


def _fill_from(
    writer: PackWriter,
    listing: Listing,
    items: list[Item],
    on_error: OnError,
    recipe: dict[str, Any] | None = None,
    cut: Cut = one_square,
) -> PackReport:
    """Fill an open pack from a folder and describe it."""
    writer.meta.update(
        recipe=recipe or resize_recipe(writer.size),
        class_names=list(listing.class_names),
        source={
            "kind": "folder",
            "files": len(listing.files),
            "other_files": listing.others,
            "names_sha256": sha256_json([file.name for file in listing.files]),
        },
    )
    return pack_items(writer, items, str(listing.root), on_error, cut)


def warn_about(pack: Pack) -> None:
    """Say once more what was noted and left out when the pack was made."""
    for note in pack.meta.get("notes", ()):
        warnings.warn(f"{pack.path.name}: {note}", DataWarning, stacklevel=2)
    skipped = [Refused(*entry) for entry in pack.meta.get("skipped", ())]
    if skipped:
        warnings.warn(
            f"{pack.path.name}: {len(skipped)} images were left out: {_listed(skipped)}",
            DataWarning,
            stacklevel=2,
        )


def folder_source(data: DataConfig, image_size: int) -> Pack:
    """A folder of images, flat or in class folders; packed on first use: RGB, centre crop, Lanczos."""
    if data.path is None:
        raise GanlabError("data.source is folder: data.path must name the folder of images")
    listing = list_images(Path(data.path).expanduser())
    return packed_listing(listing, data, image_size, listing.root.name or "folder")


def packed_listing(listing: Listing, data: DataConfig, image_size: int, name: str) -> Pack:
    """The cached pack of a folder's files; made again when a name, a size or a time of change differs."""
    stats = [(file.name, (listing.root / file.name).stat()) for file in listing.files]
    state = sha256_json([[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats])
    key = {"recipe": resize_recipe(image_size), "on_error": data.on_error, "files": state}

    def build(path: Path) -> None:
        with PackWriter(path, image_size, yield_to_existing=True) as writer:
            _fill_from(writer, listing, folder_items(listing), data.on_error)

    pack = cached_pack(cache_folder(data.cache), f"{name}_{image_size}", key, build)
    warn_about(pack)
    return pack
