"""SHA-256 of files and values."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Hexadecimal SHA-256 of a value's canonical JSON (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def derive_seed(seed: int, stream: str, index: int = 0) -> int:
    """A 63-bit seed for draw ``index`` of the named stream.

    The first eight bytes of SHA-256 over ``"seed/stream/index"``, top bit cleared: neighbouring seeds and
    indices share nothing, and the rule can be re-written in any language from this line.
    """
    digest = hashlib.sha256(f"{seed}/{stream}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
