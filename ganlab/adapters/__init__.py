"""Anybody's generator: wrapped in a line, or read from what others have (`ADAPTERS`)."""

from __future__ import annotations

from ganlab.adapters.sources import ADAPTERS, chosen_trust, find_generator, load_generator, source_generator
from ganlab.adapters.trace import Stage
from ganlab.adapters.wrap import Generator, as_generator, wrap

__all__ = [
    "ADAPTERS", "Generator", "Stage", "as_generator", "chosen_trust", "find_generator", "load_generator",
    "source_generator", "wrap",
]  # fmt: skip
