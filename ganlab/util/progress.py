"""A bar for people, a line every ten seconds for log files."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BEFORE_BAR = 1.0


def bar(
    iterable: Iterable[Item] | None = None,
    total: int | None = None,
    desc: str = "",
    unit: str = "it",
    initial: int = 0,
    position: int | None = None,
) -> tqdm[Item]:
    """A tqdm bar on standard error with rate and time left.

    On a terminal it redraws, on line ``position`` where several run at once; without one (log file, CI) it
    prints a full line at most every ten seconds. Work of less than a second shows nothing.
    """
    terminal = sys.stderr.isatty()
    # Without a terminal every bar is at position 0: other positions are reached by cursor movements.
    lines: dict[str, Any] = {"mininterval": SECONDS_BETWEEN_LINES, "ascii": True, "position": 0}
    options: dict[str, Any] = {"position": position} if terminal else lines
    return tqdm(
        iterable, total=total, desc=desc, unit=unit, initial=initial,
        file=sys.stderr if terminal else _LineWriter(), dynamic_ncols=terminal,
        delay=SECONDS_BEFORE_BAR, **options,
    )  # fmt: skip


def duration(seconds: float) -> str:
    """A length of time for people: ``40 s``, ``6 min``, ``5 h 30 min``, ``3.2 days``."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    if minutes < 48 * 60:
        hours, rest = divmod(10 * round(minutes / 10), 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{minutes / 60 / 24:.1f} days"


class _LineWriter:
    """Standard error where each redraw of a bar becomes a line of its own."""

    def write(self, text: str) -> int:
        line = text.strip("\r\n ")
        if line:
            sys.stderr.write(line + "\n")
        return len(text)

    def flush(self) -> None:
        sys.stderr.flush()
