"""Trained generators that differ in one thing only: a name, a file and a card each. No torch.

``zoo:NAME`` stands for the file wherever a run folder or a generator file is asked for. The weights are the
moving averages, the large layers as float16. The card (JSON) says what the generator was trained on and for
how long, by which command and commit, what it draws, and which line stands out most in its spectrum.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganlab.errors import GanlabError, nearest_name
from ganlab.util.reading import read_json

FOLDER = Path(__file__).parent / "generators"
"""Beside this file: NAME.safetensors, NAME.json and NAME.png."""
PREFIX = "zoo:"

__all__ = ["FOLDER", "PREFIX", "card", "names", "zoo_file"]


def names() -> tuple[str, ...]:
    """Names of the generators that are here, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.safetensors")))


def zoo_file(name: str) -> Path:
    """The file of a generator, with or without ``zoo:`` before its name.

    Raises:
        GanlabError: there is none of that name.
    """
    bare = name.removeprefix(PREFIX)
    if bare not in names():
        listed = ", ".join(names()) or "none in this installation"
        raise GanlabError(f"no generator {bare!r} in the zoo; it has {listed}{nearest_name(bare, names())}")
    return FOLDER / f"{bare}.safetensors"


def card(name: str) -> dict[str, Any]:
    """What is known of a generator.

    Returns:
        ``differs`` (in a few words), ``data``, ``steps``, ``seed``, ``parameters``, ``command``, ``commit``,
        ``sha256``, ``curve`` (losses by step), ``spectrum`` (radial profiles in dB, reals and fakes),
        ``strongest_line``, ``samples`` (a PNG beside the card), ``float16`` (what the rounding changed).

    Raises:
        GanlabError: there is none of that name, or its card is damaged.
    """
    known: dict[str, Any] = read_json(zoo_file(name).with_suffix(".json"), dict)
    return known
