"""Where packs made on first use are kept, and how they are found again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganlab.data.pack import SUFFIX, Pack, read_pack
from ganlab.util.hashing import sha256_json


def cache_folder(configured: str | None) -> Path:
    """``data.cache``, else the environment's GANLAB_CACHE, else the platform's cache folder for a user."""
    if configured or os.environ.get("GANLAB_CACHE"):
        return Path(configured or os.environ["GANLAB_CACHE"]).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "ganlab"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "ganlab" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganlab"


def cached_pack(folder: Path, name: str, key: dict[str, Any], build: Callable[[Path], None]) -> Pack:
    """The pack of a key, built by ``build(path)`` if it is not in the cache yet.

    Args:
        folder: the cache folder.
        name: first part of the pack's name, for people.
        key: everything the pack's content depends on; its SHA-256 is the second part of the name.
        build: writes the pack, with ``PackWriter(path, ..., yield_to_existing=True)``.
    """
    path = folder / f"{name}-{sha256_json(key)[:16]}{SUFFIX}"
    if not path.exists():
        build(path)
    return read_pack(path)
