"""What is said about a value of a configuration: where it came from, what is wrong or doubtful about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
        # A file that was pasted into a key should not fill the screen.
        return ": ".join(part if len(part) <= 900 else f"{part[:400]} ..." for part in parts if part)


SHOWN_FAULTS = 20
"""A file of another program has thousands of unknown keys: the first few say so as well."""


class ConfigError(GanlabError):
    """Every fault of a configuration at once, one line each; of very many the first `SHOWN_FAULTS`.

    Attributes:
        faults: the faults in the order of the lines.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(dict.fromkeys(faults))
        lines = [str(fault) for fault in self.faults[:SHOWN_FAULTS]]
        if len(self.faults) > 1:
            lines.insert(0, f"{len(self.faults)} things are wrong with the configuration:")
        if len(self.faults) > SHOWN_FAULTS:
            lines.append(f"and {len(self.faults) - SHOWN_FAULTS} more")
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


def shown(value: Any) -> str:
    """A value as a message shows it: its kind where that is likely the trouble."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # A file that was pasted into one key should not fill the screen.
        return f"text {value if len(value) <= 80 else value[:40] + '...'!r}"
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, tuple):
        return f"a list ({', '.join(shown(item) for item in value)})"
    if isinstance(value, int) and value.bit_length() > 64:
        # Python refuses to write integers of more than 4,300 digits.
        return f"an integer of {value.bit_length()} bits"
    return repr(value)


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


def error(key: str, text: str) -> Problem:
    """A problem that stops."""
    return Problem(key, "error", text)


def warning(key: str, text: str) -> Problem:
    """A problem that is shown."""
    return Problem(key, "warning", text)


def no_effect(key: str, reason: str) -> Problem:
    """The warning for an option that changes nothing."""
    return Problem(key, "warning", f"has no effect: {reason}", idle=True)
