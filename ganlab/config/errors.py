"""Where a value came from, and the one error that lists everything wrong with a configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ganlab.errors import GanlabError

KeyPath = tuple[str | int, ...]
"""A place in the configuration: ``("optimizer", "betas", 1)``."""


@dataclass(frozen=True)
class Origin:
    """A file with a line (counted from 1), or an override of the command line (no line)."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


Origins = Mapping[KeyPath, Origin]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where, which key (``""`` for the whole file), what, and what is expected."""

    origin: Origin | None
    key: str
    text: str

    def __str__(self) -> str:
        parts = [str(self.origin) if self.origin else "", self.key, self.text]
        return ": ".join(part for part in parts if part)


class ConfigError(GanlabError):
    """Every fault of a configuration at once, one line each.

    Attributes:
        faults: the faults in the order of the lines.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(dict.fromkeys(faults))
        lines = [str(fault) for fault in self.faults]
        if len(lines) > 1:
            lines.insert(0, f"{len(lines)} things are wrong with the configuration:")
        super().__init__("\n".join(lines))


def dotted(path: KeyPath) -> str:
    """``optimizer.betas[1]`` for ``("optimizer", "betas", 1)``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def key_path(key: str) -> KeyPath:
    """``("optimizer", "betas", 1)`` for ``optimizer.betas[1]``: the inverse of `dotted`."""
    parts = key.replace("[", ".").replace("]", "").split(".")
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def origin_of(origins: Origins, path: KeyPath) -> Origin | None:
    """The origin of ``path``, or of the nearest mapping around it (a missing key has no line of its own)."""
    for length in range(len(path), -1, -1):
        if path[:length] in origins:
            return origins[path[:length]]
    return None
