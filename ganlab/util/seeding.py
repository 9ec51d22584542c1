"""Every random number descends from (seed, stream, index), so nothing depends on batch size or restart."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, stream: str, index: int = 0) -> int:
    """A 63-bit seed for draw ``index`` of the named stream.

    The first eight bytes of SHA-256 over ``"seed/stream/index"``, top bit cleared: neighbouring seeds and
    indices share nothing, and the rule can be re-written in any language from this line.
    """
    digest = hashlib.sha256(f"{seed}/{stream}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
