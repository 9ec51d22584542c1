"""Dead leaves: images of occluding discs whose sizes follow r^-3, the built-in data set.

Discs fall one over the other, front to back, until no sample of the image is bare. With the density of
radii proportional to r^-3 every octave of sizes covers the same area, which gives the edges, the occlusions
and the roughly power-law spectrum of photographs (Matheron 1968; Lee, Mumford and Huang, "Occlusion models
for natural images", IJCV 2001). No file, no licence, any size.

Image ``i`` depends on ``(seed, i)`` and the recipe alone: not on how many are made, or by how many processes.
No torch.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import ganlab
from ganlab.config.schema import DataConfig
from ganlab.data.arrays import UInt8Array
from ganlab.data.listing import default_workers
from ganlab.data.pack import Pack, PackWriter, cache_folder, cached_pack
from ganlab.data.split import bit_stream, uniforms
from ganlab.errors import GanlabError
from ganlab.util.progress import bar

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STREAM = "dead_leaves"
FIRST_COVER = 5.0
"""Mean number of discs over a sample in the first block: all but exp(-5) of the samples are then covered."""
SAMPLES_AT_ONCE = 2**22
"""Bound on the entries of one painting step, so that large images need no large temporaries."""
ALONE_BELOW = 2**20
"""Fewer pixels than this in all are made here: starting helpers would take longer."""
DEFAULT_COUNT = 10_000
"""Images of a training set unless ``data.num_images`` says otherwise."""


@dataclass(frozen=True)
class DeadLeaves:
    """The recipe of a set of dead-leaves images.

    The radii lie between one pixel and half the side. Each pixel is the mean of ``supersample``² point
    samples (a box filter): with that the power falls smoothly to Nyquist, without a step or a bump.
    """

    size: int
    """Side of the square images in pixels."""
    seed: int = 0
    """All images descend from (seed, index)."""
    r_min: float = 1.0
    """Smallest radius in pixels."""
    r_max: float | None = None
    """Largest radius in pixels; half the side when absent."""
    supersample: int = 4
    """Point samples per pixel and axis, 1 to 15."""

    def __post_init__(self) -> None:
        if not (self.size >= 1 and 1 <= self.supersample <= 15 and 0 < self.r_min < self.largest):
            raise GanlabError(
                f"dead leaves need size >= 1, supersample 1..15 and 0 < r_min < r_max; got size {self.size}, "
                f"supersample {self.supersample}, r_min {self.r_min}, r_max {self.largest}"
            )

    @property
    def largest(self) -> float:
        """Largest radius in pixels."""
        return self.size / 2 if self.r_max is None else self.r_max

    @property
    def block(self) -> int:
        """How many discs are drawn at a time: enough for ``FIRST_COVER`` discs over every sample."""
        a, b = self.r_min, self.largest
        mean_area = 2 * math.pi * math.log(b / a) / (a**-2 - b**-2)
        return math.ceil(FIRST_COVER * (self.size + 2 * b) ** 2 / mean_area)

    def recipe(self) -> dict[str, Any]:
        """Everything the pixels depend on, besides the image's index. Plain JSON values."""
        return {
            "kind": "dead_leaves", "version": 1, "size": self.size, "seed": self.seed, "r_min": self.r_min,
            "r_max": self.largest, "radius_density": "r^-3", "supersample": self.supersample,
            "colours": "uniform in the RGB cube", "filter": "box",
        }  # fmt: skip


@dataclass(frozen=True)
class Discs:
    """Discs in front-to-back order: centres and radii in pixels, colours as 0x00BBGGRR."""

    x: Floats
    y: Floats
    radius: Floats
    colour: npt.NDArray[np.uint32]

    def select(self, keep: npt.NDArray[Any]) -> Discs:
        """The discs of an index array or mask, order kept."""
        return Discs(self.x[keep], self.y[keep], self.radius[keep], self.colour[keep])


def radii(u: Floats, r_min: float, r_max: float) -> Floats:
    """Radii of density proportional to r^-3 on [r_min, r_max], from uniform ``u`` in [0, 1).

    The inverse of the distribution function F(r) = (r_min^-2 - r^-2) / (r_min^-2 - r_max^-2).
    """
    result: Floats = 1.0 / np.sqrt(r_min**-2.0 - u * (r_min**-2.0 - r_max**-2.0))
    return result


def draw_discs(bits: np.random.Philox, leaves: DeadLeaves) -> Discs:
    """The next block of discs: centres uniform on the image widened by the largest radius on each side."""
    u = uniforms(bits, 6 * leaves.block).reshape(6, leaves.block)
    width = leaves.size + 2 * leaves.largest
    red, green, blue = (u[3:] * 256).astype(np.uint32)
    return Discs(
        x=u[1] * width - leaves.largest,
        y=u[2] * width - leaves.largest,
        radius=radii(u[0], leaves.r_min, leaves.largest),
        colour=red | green << np.uint32(8) | blue << np.uint32(16),
    )


def _segments(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """For each pair: its number, repeated, and the integers first..last (none when last < first)."""
    length = np.maximum(last - first + 1, 0)
    number = np.repeat(np.arange(len(first)), length)
    start = np.cumsum(length) - length - first
    return number, np.arange(len(number)) - np.repeat(start, length)


def _first_last(centre: Floats, half: Floats, side: int) -> tuple[Ints, Ints]:
    """First and last sample (at integer + 1/2) inside centre ± half, cut to 0..side - 1."""
    first = np.maximum(np.ceil(centre - half - 0.5), 0).astype(np.int64)
    last = np.minimum(np.floor(centre + half - 0.5), side - 1).astype(np.int64)
    return first, last


def _paint(discs: Discs, leaves: DeadLeaves) -> npt.NDArray[np.int64]:
    """Number of the frontmost disc at each sample, or the number of discs where none covers it."""
    side, count = leaves.size * leaves.supersample, len(discs.x)
    front = np.full(side * side, count, dtype=np.int64)
    area = math.pi * float(np.sum(discs.radius**2)) * leaves.supersample**2
    for part in np.array_split(np.arange(count), math.ceil(area / SAMPLES_AT_ONCE) or 1):
        few = discs.select(part)
        x, y, radius = (lengths * leaves.supersample for lengths in (few.x, few.y, few.radius))
        # Every sample inside a disc: the rows that it crosses first, then its span of each row.
        disc, row = _segments(*_first_last(y, radius, side))
        half = np.sqrt(np.maximum(radius[disc] ** 2 - (row + 0.5 - y[disc]) ** 2, 0.0))
        span, column = _segments(*_first_last(x[disc], half, side))
        np.minimum.at(front, row[span] * side + column, part[disc[span]])
    return front


def _in_reach(discs: Discs, low: tuple[float, float], high: tuple[float, float]) -> Discs:
    """The discs that may touch the rectangle from ``low`` to ``high`` (x, y in pixels)."""
    near_x = (discs.x > low[0] - discs.radius) & (discs.x < high[0] + discs.radius)
    near_y = (discs.y > low[1] - discs.radius) & (discs.y < high[1] + discs.radius)
    return discs.select(near_x & near_y)


def _fill(colour: npt.NDArray[np.uint32], holes: Ints, discs: Discs, leaves: DeadLeaves) -> Ints:
    """Colour the holes that further discs cover; return those still bare.

    Few holes are held against every disc; where that would be a large table, the block is painted instead.
    """
    side = leaves.size * leaves.supersample
    x, y = (holes % side + 0.5) / leaves.supersample, (holes // side + 0.5) / leaves.supersample
    near = _in_reach(discs, (x.min(), y.min()), (x.max(), y.max()))
    if not len(near.x):
        return holes
    if len(holes) * len(near.x) > SAMPLES_AT_ONCE // 4:
        front = _paint(near, leaves)[holes]
    else:
        inside = (near.x[:, None] - x) ** 2 + (near.y[:, None] - y) ** 2 <= near.radius[:, None] ** 2
        front = np.where(inside.any(axis=0), inside.argmax(axis=0), len(near.x))
    hit = front < len(near.x)
    colour[holes[hit]] = near.colour[front[hit]]
    return holes[~hit]


def _box_mean(colour: npt.NDArray[np.uint32], leaves: DeadLeaves) -> npt.NDArray[np.uint8]:
    """Mean of supersample² samples per pixel, rounded half up: packed samples -> uint8 (size, size, 3).

    Red and blue are summed in one word (16 bits apart: 225 * 255 < 2^16), green in another.
    """
    step, rows = leaves.supersample, colour.reshape(leaves.size, leaves.supersample, -1)

    def total(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        lines = sum((words[:, k] for k in range(1, step)), start=words[:, 0])
        return sum((lines[:, k::step] for k in range(1, step)), start=lines[:, 0::step])

    red_blue = total(rows & np.uint32(0x00FF00FF))
    green = total(rows >> np.uint32(8) & np.uint32(0xFF))
    sums = np.stack([red_blue & np.uint32(0xFFFF), green, red_blue >> np.uint32(16)], axis=-1)
    return ((sums + step * step // 2) // (step * step)).astype(np.uint8)


def render(leaves: DeadLeaves, index: int) -> npt.NDArray[np.uint8]:
    """Image ``index`` of the set: uint8 (size, size, 3), covered everywhere."""
    bits = bit_stream(leaves.seed, STREAM, index)
    discs = _in_reach(draw_discs(bits, leaves), (0.0, 0.0), (leaves.size, leaves.size))
    front = _paint(discs, leaves)
    holes = np.flatnonzero(front == len(discs.x))
    colour = np.append(discs.colour, np.uint32(0))[front]
    while len(holes):
        holes = _fill(colour, holes, draw_discs(bits, leaves), leaves)
    return _box_mean(colour, leaves)


def dead_leaves(leaves: DeadLeaves, indices: range, workers: int | None = None) -> Iterator[UInt8Array]:
    """The images of ``indices`` in order, one by one: uint8 (size, size, 3).

    Many are made by several processes: one small image is a hundred numpy calls on small arrays, and threads
    would only wait for the interpreter lock. The helpers are plain ``python -m`` processes that send pixels
    through a pipe (``multiprocessing`` would run a user's unguarded script again in every helper).

    Args:
        leaves: the recipe.
        indices: which images; every range gives the same image for the same index.
        workers: processes; one for each core (at most eight) when absent. The pixels are the same.
    """
    count = workers or default_workers()
    little = workers is None and len(indices) * leaves.size**2 < ALONE_BELOW
    if count == 1 or little or not sys.executable:
        return (render(leaves, index) for index in indices)
    return _by_helpers(leaves, indices, min(count, max(len(indices), 1)))


def _by_helpers(leaves: DeadLeaves, indices: range, count: int) -> Iterator[UInt8Array]:
    """One image from each of ``count`` helpers in turn; a full pipe stops a helper: memory stays constant."""
    package = str(Path(ganlab.__file__).parent.parent)
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    helpers = []
    size = leaves.size * leaves.size * 3
    try:
        for number in range(count):
            share = indices[number::count]
            task = json.dumps([asdict(leaves), share.start, share.stop, share.step])
            # -P: a file in the working directory cannot take the place of a module.
            command = [sys.executable, "-P", "-m", "ganlab.data.dead_leaves", task]
            helpers.append(subprocess.Popen(command, stdout=subprocess.PIPE, env=environment))
        for position in range(len(indices)):
            helper = helpers[position % count]
            assert helper.stdout is not None
            pixels = helper.stdout.read(size)
            if len(pixels) < size:
                # What went wrong stands on standard error, in the helper's own words.
                raise GanlabError(
                    f"a helper process that makes dead leaves ended early (status {helper.wait()})"
                )
            yield np.frombuffer(pixels, dtype=np.uint8).reshape(leaves.size, leaves.size, 3)
    finally:
        for helper in helpers:
            helper.kill()
            helper.communicate()


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


def _help(task: str) -> None:
    """What a helper process does: render and send until all is sent or nobody reads on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one ends this one.
    recipe, start, stop, step = json.loads(task)
    leaves = DeadLeaves(**recipe)
    try:
        for index in range(start, stop, step):
            sys.stdout.buffer.write(render(leaves, index).tobytes())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # The flush at exit has a reader.


if __name__ == "__main__":
    _help(sys.argv[1])
