"""Which image files a folder holds, in a fixed order; classes and splits are read off its subfolders."""

from __future__ import annotations

import functools
import os
import re
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from PIL import Image

from ganlab.errors import GanlabError, nearest_name
from ganlab.util.reading import is_unicode

TRAIN = "train"
HELD_OUT = ("val", "valid", "validation", "test")
REAL = frozenset({"real", "reals"})
FAKE = frozenset({"fake", "fakes", "generated", "synthetic"})
"""Words in the names of folders by which people keep reals and fakes apart."""
# Formats that Pillow only knows by name, or that need an external program: a file of another name must not
# start one either (`image_formats`)
_NO_PHOTOS = {"BUFR", "GRIB", "HDF5", "WMF", "MPEG", "EPS", "PDF", "FITS"}


class DataWarning(UserWarning):
    """Something about the images that can be seen in their spectrum, or that was left out."""


@dataclass(frozen=True)
class ImageFile:
    """One file of a folder."""

    name: str
    """Path below the folder, with forward slashes: the image's identity."""
    class_name: str | None
    """First subfolder (below train/ or val/ where there are such), None for a loose file."""
    split: int | None
    """0 below train/, 1 below val/, valid/, validation/ or test/; None in a folder without these two."""


@dataclass(frozen=True)
class Listing:
    """The image files of a folder, sorted by name, and how many other files there are."""

    root: Path
    files: tuple[ImageFile, ...]
    others: int
    """Files whose name is not that of an image; hidden ones are not counted."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Sorted names of the classes; empty where any file is loose."""
        names = {file.class_name for file in self.files}
        return () if None in names else tuple(sorted(name for name in names if name))


@functools.cache
def image_suffixes() -> frozenset[str]:
    """File name endings, lower case with the dot, of what Pillow can read."""
    return frozenset(
        suffix.lower()
        for suffix, kind in Image.registered_extensions().items()
        if kind in Image.OPEN and kind not in _NO_PHOTOS
    )


@functools.cache
def image_formats() -> tuple[str, ...]:
    """Pillow's names of these formats, for its ``open``, which goes by the content and takes all it knows."""
    kinds = {*Image.registered_extensions().values(), "MPO"} - _NO_PHOTOS
    # Tried in this order: the usual ones first.
    return tuple(kind for kind in dict.fromkeys(("PNG", "JPEG", "WEBP", *Image.ID)) if kind in kinds)


def _refuse_folder(error: OSError) -> None:
    """What lies in a folder that cannot be opened must not be left out unseen."""
    raise GanlabError(f"{error.filename}: this folder cannot be read: {error.strerror}") from error


def _warn_of_both(root: Path, names: Sequence[str]) -> None:
    """Say in one line that a folder of reals and a folder of fakes beside it are read as one set."""
    # A set of a million files has few folders; sorted, so that the same pair is named on every machine.
    holding = {PurePosixPath(name.rpartition("/")[0]) for name in names}
    folders = sorted({folder for path in holding for folder in (path, *path.parents)})
    words = {folder: set(re.split(r"[^a-z]+", folder.name.lower())) for folder in folders}
    for real in (folder for folder in folders if words[folder] & REAL):
        beside = (folder for folder in folders if folder.parent == real.parent and folder != real)
        fake = next((folder for folder in beside if words[folder] & FAKE), None)
        if fake is not None:
            text = f"{root}: {real}/ and {fake}/ are read as one set; if they are reals and fakes, give them "
            warnings.warn(f"{text}apart: {root / real} {root / fake}", DataWarning, stacklevel=3)
            return


def list_images(root: Path) -> Listing:
    """All image files below ``root``, sorted by their path; hidden files and folders are left out.

    Folders of reals and of fakes side by side (``real/`` and ``fake/``, ``0_real/`` and ``1_fake/``) are one
    set like any others, with a `DataWarning`: whoever has such a folder mostly means two sets.

    Raises:
        GanlabError: no such folder, no image file in it (says what is there instead), or a name that is no
            text: it could not stand in any table.
    """
    if not root.is_dir():
        nearby = sorted(path.name for path in root.parent.glob("*")) if root.parent.is_dir() else []
        raise GanlabError(
            f"{root}: no such folder; expected a folder of images (a configuration names it as data.path)"
            f"{nearest_name(root.name, nearby)}"
        )
    suffixes, names, others = image_suffixes(), [], Counter[str]()
    for folder, below, files in os.walk(root, onerror=_refuse_folder):
        below[:] = [name for name in below if not name.startswith(".")]
        below_root = Path(folder).relative_to(root)
        bad = next((name for name in (*below, *files) if not is_unicode(name)), None)
        if bad is not None:
            raise GanlabError(f"{root}: the name {bad!a} is not UTF-8 text; rename it")
        for file in files:
            ending = os.path.splitext(file)[1].lower()
            if ending in suffixes and not file.startswith("."):
                names.append((below_root / file).as_posix())
            elif not file.startswith("."):
                others[ending or "(no ending)"] += 1
    if not names:
        kinds = ", ".join(f"{count} {ending}" for ending, count in others.most_common(4))
        held = f"{sum(others.values())} other files ({kinds}); expected files such as .png or .jpg"
        raise GanlabError(
            f"{root}: no image in this folder or below; it {f'holds {held}' if others else 'is empty'}"
        )
    _warn_of_both(root, names)
    # A split: all images lie below train/ and a held-out folder, with at least one in each.
    tops = {PurePosixPath(name).parts[0].lower() if "/" in name else "" for name in names}
    split = TRAIN in tops and len(tops) > 1 and tops <= {TRAIN, *HELD_OUT}
    listed = []
    for name in sorted(names):
        folders = PurePosixPath(name).parts[:-1]
        part = int(folders[0].lower() != TRAIN) if split else None
        classes = folders[1:] if split else folders
        listed.append(ImageFile(name, classes[0] if classes else None, part))
    return Listing(root, tuple(listed), sum(others.values()))


Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 16
"""Items of one task: starting a task costs about as much as decoding one small image."""


def default_workers() -> int:
    """Threads for decoding: one for each usable core, at most eight."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, usable))


def ordered_map(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None, chunk: int = CHUNK
) -> Iterator[Result]:
    """``map(work, items)`` by threads: the same results in the same order, whatever the number of threads.

    Pillow and zlib release the interpreter lock while they decode. At most two chunks of ``chunk`` items per
    thread are waiting, so memory does not grow with the number of items.
    """
    threads = workers or default_workers()
    chunks = (items[start : start + chunk] for start in range(0, len(items), chunk))
    if threads == 1 or len(items) <= chunk:
        yield from map(work, items)
        return
    waiting: deque[Future[list[Result]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for part in chunks:
                waiting.append(pool.submit(lambda part: [work(item) for item in part], part))
                if len(waiting) > 2 * threads:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            # A reader that stops early must not wait for what nobody will read.
            for future in waiting:
                future.cancel()
