"""How a command ended, and where the repository is: for what runs commands as a user does."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
"""The repository's folder."""


class Done(NamedTuple):
    """Exit status, standard output, standard error."""

    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both, standard output first."""
        return self.stdout + self.stderr
