"""What a check across keys reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from ganlab.config.schema import Config


@dataclass(frozen=True)
class Problem:
    """A finding about a schema-valid configuration: ``error`` stops, ``warning`` is shown and goes on."""

    key: str
    """Dotted key that the reader should change."""
    level: Literal["error", "warning"]
    text: str
    """What is wrong and what would be right."""
    idle: bool = False
    """The option changes nothing; not shown when a preset set it and somebody's own choice made it moot."""


Check = Callable[[Config], Iterator[Problem]]


def error(key: str, text: str) -> Problem:
    """A problem that stops."""
    return Problem(key, "error", text)


def warning(key: str, text: str) -> Problem:
    """A problem that is shown."""
    return Problem(key, "warning", text)


def no_effect(key: str, reason: str) -> Problem:
    """The warning for an option that changes nothing."""
    return Problem(key, "warning", f"has no effect: {reason}", idle=True)
