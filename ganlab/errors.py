"""The one error that means "this input cannot be used", and the nearest-name helper behind its texts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

Value = TypeVar("Value")

LONGEST_LINE = 2000
"""Characters of a message's line."""
LONGEST_NAME = 100
"""Characters: nothing longer was meant to be a name, and to compare it takes quadratic time."""


class GanlabError(ValueError):
    """Something a user can cause: the message says what, where, and what would be right.

    The command line prints the message without a traceback and exits with status 2. What a file holds may be
    part of a message: a line of more than `LONGEST_LINE` characters is shortened.
    """

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(_shortened(item) if isinstance(item, str) else item for item in arguments))


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_LINE:
        return text
    half = LONGEST_LINE // 2
    lines = text.split("\n")
    return "\n".join(s if len(s) <= LONGEST_LINE else f"{s[:half]} ... {s[-half:]}" for s in lines)


def nearest_name(name: str, valid: Iterable[str]) -> str:
    """``"; did you mean 'nearest'?"`` when one valid name is close to ``name``, otherwise ``""``."""
    if len(name) > LONGEST_NAME:
        return ""
    close = difflib.get_close_matches(str(name).lower().replace("-", "_"), list(valid), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


def names_of(given: str | Iterable[str]) -> tuple[str, ...]:
    """One name, or several: text is a name and not its letters."""
    return (given,) if isinstance(given, str) else tuple(given)


def lookup(registry: Mapping[str, Value], name: str, kind: str) -> Value:
    """Entry ``name`` of a registry.

    Raises:
        GanlabError: the name is unknown; the message lists every valid one and the nearest.
    """
    if name in registry:
        return registry[name]
    names = ", ".join(registry)
    raise GanlabError(f"unknown {kind} {name!r}: expected one of {names}{nearest_name(name, registry)}")
