"""Many dead-leaves images, made by several processes.

One small image is a hundred numpy calls on small arrays: threads only wait for the interpreter lock there.
The helpers are plain ``python -m`` processes that send pixels through a pipe (no ``multiprocessing``, which
would run a user's unguarded script again in every helper). Helper ``w`` of ``W`` makes the images ``w``,
``w + W``, ...; a full pipe stops it, so that memory stays constant.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

import ganlab
from ganlab.config.schema import DataConfig
from ganlab.data.dead_leaves import DeadLeaves, render
from ganlab.data.listing import default_workers
from ganlab.data.pack import Pack, PackWriter, cache_folder, cached_pack, read_pack
from ganlab.errors import GanlabError
from ganlab.util.progress import bar

ALONE_BELOW = 2**20
"""Fewer pixels than this in all are made here: starting helpers would take longer."""


def dead_leaves(
    leaves: DeadLeaves, indices: range, workers: int | None = None
) -> Iterator[npt.NDArray[np.uint8]]:
    """The images of ``indices`` in order, one by one: uint8 (size, size, 3).

    Args:
        leaves: the recipe.
        indices: which images; every range gives the same image for the same index.
        workers: processes; one for each core (at most eight) when absent. The pixels are the same.
    """
    count = workers or default_workers()
    if count == 1 or not sys.executable or (workers is None and _is_little(leaves, indices)):
        return (render(leaves, index) for index in indices)
    return _by_helpers(leaves, indices, min(count, max(len(indices), 1)))


def _is_little(leaves: DeadLeaves, indices: range) -> bool:
    return len(indices) * leaves.size**2 < ALONE_BELOW


def _by_helpers(leaves: DeadLeaves, indices: range, count: int) -> Iterator[npt.NDArray[np.uint8]]:
    """One image from each helper in turn."""
    helpers = [_start(leaves, indices[number::count]) for number in range(count)]
    size = leaves.size * leaves.size * 3
    try:
        for place in range(len(indices)):
            pixels = _receive(helpers[place % count], size)
            yield np.frombuffer(pixels, dtype=np.uint8).reshape(leaves.size, leaves.size, 3)
    finally:
        for helper in helpers:
            helper.kill()
            helper.communicate()


def _start(leaves: DeadLeaves, indices: range) -> subprocess.Popen[bytes]:
    """A helper for every ``indices.step``-th image."""
    task = json.dumps([asdict(leaves), indices.start, indices.stop, indices.step])
    package = str(Path(ganlab.__file__).parent.parent)
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    # -P: a file in the working directory cannot take the place of a module
    command = [sys.executable, "-P", "-m", "ganlab.data.builtin", task]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path})


def _receive(helper: subprocess.Popen[bytes], size: int) -> bytes:
    """Exactly ``size`` bytes from a helper.

    Raises:
        GanlabError: it ended early; its own message is on standard error.
    """
    assert helper.stdout is not None
    pixels = helper.stdout.read(size)
    if len(pixels) < size:
        raise GanlabError(f"a helper process that makes dead leaves ended early (status {helper.wait()})")
    return pixels


def _help(task: str) -> None:
    """What a helper does: render and send until all is sent or nobody reads on."""
    recipe, start, stop, step = json.loads(task)
    leaves = DeadLeaves(**recipe)
    try:
        for index in range(start, stop, step):
            sys.stdout.buffer.write(render(leaves, index).tobytes())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit has a reader


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one ends this one
    _help(sys.argv[1])


DEFAULT_COUNT = 10_000


def dead_leaves_source(data: DataConfig, image_size: int) -> Pack:
    """Occluding discs with the r^-3 size law, made and cached on first use; 10,000 unless told otherwise."""
    leaves = DeadLeaves(size=image_size, seed=data.seed)
    count = data.num_images or DEFAULT_COUNT
    key = {**leaves.recipe(), "count": count}
    build = partial(write_dead_leaves, leaves, count)
    return cached_pack(cache_folder(data.cache), f"dead_leaves_{image_size}", key, build)


def write_dead_leaves(leaves: DeadLeaves, count: int, path: Path) -> None:
    """Make ``count`` images and write them as a pack at ``path``, with a bar."""
    with PackWriter(path, leaves.size, yield_to_existing=True) as writer:
        writer.meta["recipe"] = leaves.recipe()
        for image in bar(dead_leaves(leaves, range(count)), total=count, desc="dead leaves", unit="image"):
            writer.add(image)


def pack_source(data: DataConfig, image_size: int) -> Pack:
    """A pack of ``ganlab data pack``, or an ``.npz`` with images, labels, split and class_names."""
    if data.path is None:
        raise GanlabError("data.source is pack: data.path must name the pack (an .npz or a folder .gpack)")
    return read_pack(Path(data.path).expanduser())
