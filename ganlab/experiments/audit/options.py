"""What an audit is asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ganlab.errors import GanlabError


@dataclass(frozen=True)
class AuditOptions:
    """Options of ``ganlab audit``.

    Attributes:
        limit: at most so many images of each set, evenly spaced; None: all.
        names: of the sets for the table, the reals' first; empty: their own.
    """

    limit: int | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 4:
            raise GanlabError(f"an audit needs 4 images of each set at least; --limit is {self.limit}")

    def as_json(self) -> dict[str, Any]:
        """For the plan of the results folder."""
        return asdict(self)
