"""PNG bytes: lossless, no metadata, the same for the same pixels."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
import threading
import zipfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from ganlab.errors import GanlabError
from ganlab.generation.plan import Part
from ganlab.images import UInt8Array
from ganlab.models.latents import BLOCK
from ganlab.util.atomic import atomic_path
from ganlab.util.hashing import sha256_file
from ganlab.util.progress import bar
from ganlab.util.reading import read_json_lines

COMPRESSION = {"folder": 1, "zip": 0, "npy": 0}
"""zlib level by set format; StyleGAN's zip holds uncompressed PNG."""


def png_bytes(image: UInt8Array, level: int) -> bytes:
    """One uint8 image as a PNG file: ``(H, W, 3)``, or ``(H, W, 1)``, which is grey."""
    buffer = io.BytesIO()
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=level)
    return buffer.getvalue()


def file_name(index: int, sub_folders: bool) -> str:
    """``img00000042.png``; in a zip below a folder per thousand, as StyleGAN's dataset tool names them."""
    name = f"img{index:08d}.png"
    return f"{index // 1000:05d}/{name}" if sub_folders else name


class Journal:
    """Append-only record of finished blocks with the SHA-256 of each file they wrote."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blocks = self._read()

    def _read(self) -> dict[int, dict[str, str]]:
        """Complete lines only: the last one may have been cut off by a kill."""
        blocks: dict[int, dict[str, str]] = {}
        for entry in read_json_lines(self.path) if self.path.exists() else ():
            block, files = entry.get("block"), entry.get("files")
            if isinstance(block, int) and isinstance(files, dict):
                blocks[block] = files
        return blocks

    def add(self, block: int, files: dict[str, str]) -> None:
        """Record that every file of the block is on disk."""
        new_line = "\n" if self.path.exists() and not self.path.read_bytes().endswith(b"\n") else ""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(new_line + json.dumps({"block": block, "files": files}) + "\n")
        self.blocks[block] = files

    def files(self) -> dict[str, str]:
        """File name -> SHA-256 over all blocks, in the order of the blocks."""
        return {name: value for block in sorted(self.blocks) for name, value in self.blocks[block].items()}


Work = tuple[int, Future[dict[str, str]]]


@contextlib.contextmanager
def quick_switching(seconds: float = 2e-4) -> Iterator[None]:
    """Let threads hand over the interpreter often: the network needs it briefly, between its layers.

    At Python's 5 ms the encoders' Python keeps the network waiting; the whole then takes 1.3 to 1.4 times the
    slower of the two alone, with this at most 1.1 times.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class PartWriter:
    """Writes a part below ``staging`` and moves it to ``target`` when it is complete."""

    def __init__(self, part: Part, format: str, staging: Path, target: Path) -> None:
        self.part, self.format = part, format
        self.folder = staging / part.path
        suffix = "" if format == "folder" else f".{format}"
        self.target = (target / part.path).with_name(Path(part.path).name + suffix)
        self._lock = threading.Lock()
        self.journal = Journal(self.folder.with_name(self.folder.name + ".journal"))

    def run(self, batch_size: int, workers: int) -> dict[str, str]:
        """Write what is missing; a part that a killed process had already moved to its place is kept.

        Args:
            batch_size: images between network and disk at most (whole blocks).
            workers: encoding threads.

        Returns:
            Path relative to the set -> SHA-256 of every file of the part.

        Raises:
            GanlabError: a file cannot be written; finished blocks stay for the next try.
        """
        try:
            if not self.target.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                self._blocks(batch_size, workers)
                self._publish()
            return self._files()
        except OSError as error:
            reason = error.strerror or error
            raise GanlabError(
                f"cannot write {self.target}: {reason}; the same command goes on from here"
            ) from error

    def _blocks(self, batch_size: int, workers: int) -> None:
        part = self.part
        numbers = range(part.first // BLOCK, (part.first + part.count - 1) // BLOCK + 1)
        todo = [number for number in numbers if not self._is_done(number)]
        in_flight: deque[Work] = deque()
        with (
            quick_switching(),
            ThreadPoolExecutor(workers) as pool,
            bar(
                total=len(numbers) * BLOCK,
                initial=(len(numbers) - len(todo)) * BLOCK,
                desc=part.path,
                unit="img",
            ) as line,
        ):
            for number in todo:
                images, first = self._rows(number)
                in_flight.append((number, pool.submit(self._write, images, first)))
                while len(in_flight) * BLOCK > max(batch_size, BLOCK):
                    self._finish(in_flight.popleft())
                line.update(BLOCK)
            while in_flight:
                self._finish(in_flight.popleft())

    def _is_done(self, number: int) -> bool:
        """Journalled, and its files are still there."""
        files = self.journal.blocks.get(number)
        expected = ["images.npy"] if self.format == "npy" else files
        return files is not None and all((self.folder / name).exists() for name in expected or ())

    def _finish(self, work: Work) -> None:
        number, future = work
        self.journal.add(number, future.result())

    def _rows(self, number: int) -> tuple[UInt8Array, int]:
        """The block's images that belong to this part, and the first one's index in the source."""
        part, start = self.part, number * BLOCK
        images = part.source.block(number)
        low, high = max(part.first, start), min(part.first + part.count, start + BLOCK)
        return images[low - start : high - start], low

    def _write(self, images: UInt8Array, first: int) -> dict[str, str]:
        if self.format == "npy":
            return self._write_array(images, first)
        return {
            name: value
            for index, image in enumerate(images, first)
            for name, value in [self._png(index, image)]
        }

    def _png(self, index: int, image: UInt8Array) -> tuple[str, str]:
        data = png_bytes(image, COMPRESSION[self.format])
        name = file_name(index, self.format == "zip")
        path = self.folder / name
        if self.format == "zip":
            path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return name, hashlib.sha256(data).hexdigest()

    def _write_array(self, images: UInt8Array, first: int) -> dict[str, str]:
        """Rows of a file that has its full size from the start."""
        path = self.folder / "images.npy"
        with self._lock:
            self._make_array(path, (self.part.count, *images.shape[1:]))
        # Written as a file, not through a map: on a full disk a map ends the process with a bus error.
        before = path.stat().st_size - (self.part.count + self.part.first - first) * images[0].nbytes
        with path.open("r+b") as stream:
            stream.seek(before)
            stream.write(images.tobytes())
        return {}

    @staticmethod
    def _make_array(path: Path, shape: tuple[int, ...]) -> None:
        if not path.exists():
            with atomic_path(path) as temporary:
                np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape).flush()

    def _publish(self) -> None:
        """Move the complete part to its place, in one step."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        if self.format == "folder":
            os.replace(self.folder, self.target)
        elif self.format == "npy":
            os.replace(self.folder / "images.npy", self.target)
        else:
            self._archive(self.folder / self.target.name)
            os.replace(self.folder / self.target.name, self.target)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _archive(self, path: Path) -> None:
        """All images as one uncompressed zip."""
        with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for name in self.journal.files():
                archive.writestr(_entry(name), (self.folder / name).read_bytes())
            archive.writestr(_entry("dataset.json"), json.dumps({"labels": self._labelled()}))

    def _labelled(self) -> list[tuple[str, int]] | None:
        """Name and class of every image, as StyleGAN's dataset.json has them; None without classes."""
        part = self.part
        labels = part.source.labels(part.first, part.count)
        if labels is None:
            return None
        return [(file_name(index, True), label) for index, label in enumerate(labels, part.first)]

    def _files(self) -> dict[str, str]:
        """Path relative to the set -> SHA-256 of what is in place now."""
        path = Path(self.part.path)
        if self.format != "folder":
            return {path.with_name(self.target.name).as_posix(): sha256_file(self.target)}
        known = self.journal.files()
        names = sorted(file.name for file in self.target.iterdir())
        return {f"{path.as_posix()}/{n}": known.get(n) or sha256_file(self.target / n) for n in names}


def _entry(name: str) -> zipfile.ZipInfo:
    """A member with a fixed date, so that the archive's bytes depend on the images alone."""
    return zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
