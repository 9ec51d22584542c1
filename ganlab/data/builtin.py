"""The sources that need no download: dead leaves and packs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ganlab.config.schema import DataConfig
from ganlab.data.cache import cache_folder, cached_pack
from ganlab.data.dead_leaves import DeadLeaves
from ganlab.data.leaf_workers import dead_leaves
from ganlab.data.pack import Pack, read_pack
from ganlab.data.writer import PackWriter
from ganlab.errors import GanlabError
from ganlab.util.progress import bar

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
