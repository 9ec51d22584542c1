"""What a verb is given: sets of images, or generators whose images are drawn for it (torch comes then)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ganlab.data.imageset import ENDINGS, ImageSet, array_image_set, open_image_set
from ganlab.data.listing import image_suffixes
from ganlab.errors import GanlabError

if TYPE_CHECKING:
    from ganlab.adapters import Generator

FILES = (
    "generator.safetensors",
    "model.safetensors",
    "model_index.json",
    "diffusion_pytorch_model.safetensors",
)
"""Files that make a folder a generator's, whatever images it holds beside them."""
STORES = {*ENDINGS.values(), ".npz", ".npy"} - {""}
BLOCK = 64
"""Images drawn at a time."""


def may_be_generator(text: str) -> bool:
    """Whether an argument may name a generator rather than images, by what lies there; nothing is read."""
    path = Path(text)
    if path.is_dir():
        return any((path / name).is_file() for name in FILES)
    if path.is_file():
        return path.suffix.lower() not in STORES | set(image_suffixes())
    return ":" in text


def run_or_generator(text: str, trust: Sequence[str] = ()) -> Path | Generator:
    """A run of ganlab by its path, which is read when it is needed; anything else as a generator.

    Raises:
        GanlabError: as `ganlab.load_generator`.
    """
    from ganlab.adapters import ADAPTERS, chosen_trust, source_generator
    from ganlab.models.store import FILE_NAME
    from ganlab.zoo import PREFIX

    path = Path(text)
    if text.startswith(PREFIX) or (path / FILE_NAME).is_file():
        return path
    if path.suffix == ".safetensors" and ADAPTERS["stylegan"](text, None) is None:
        return path
    return source_generator(text, chosen_trust(text, trust))


def open_sets(
    paths: Sequence[str], limit: int | None = None, trust: Sequence[str] = (), mixed: bool = False
) -> list[ImageSet]:
    """Every set of images, and for every generator as many images as the first set has.

    Args:
        paths: folders, packs, arrays, zips; or what `ganlab.load_generator` takes.
        limit: at most so many images of each.
        trust: SHA-256 of sources that can run code.
        mixed: take images of several sizes in one set.

    Raises:
        GanlabError: nothing there, damaged, not trusted; a generator comes first and there is no limit.
    """
    sets: list[ImageSet] = []
    for text in paths:
        count = limit if not sets else len(sets[0])
        drawn = draw(text, count, trust) if may_be_generator(text) else None
        sets.append(open_image_set(text, limit, mixed) if drawn is None else drawn)
    return sets


def draw(text: str, count: int | None, trust: Sequence[str] = (), seed: int = 0) -> ImageSet | None:
    """The first images of a generator, those of ``ganlab generate`` with the same seed; None if it is none.

    Raises:
        GanlabError: as `ganlab.load_generator`; no ``count``; images that are neither grey nor coloured.
    """
    # Late: sets of images are checked before torch is there.
    import numpy as np

    from ganlab.adapters import as_generator, chosen_trust, find_generator
    from ganlab.images import to_uint8
    from ganlab.util.progress import bar

    found = find_generator(text, chosen_trust(text, trust))
    if found is None:
        return None
    generator = as_generator(found)
    if count is None:
        raise GanlabError(f"{text} is a generator: say how many images it is to draw, --limit N")
    channels = generator.shape[0]
    if channels not in (1, 3):
        raise GanlabError(f"{text} draws {channels} channels; images have 1 (grey) or 3 (colour)")
    parts = []
    with bar(total=count, desc=f"drawing {generator.name}", unit="img") as line:
        for first in range(0, count, BLOCK):
            number = min(BLOCK, count - first)
            parts.append(to_uint8(generator.sample(seed, first, number)))
            line.update(number)
    return array_image_set(np.concatenate(parts), generator.name, {**generator.identity(), "seed": seed})
