"""A results folder that belongs to one question: made, continued, read, never taken from another."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import ganlab
from ganlab.errors import GanlabError
from ganlab.util.atomic import remove_leftovers, write_json
from ganlab.util.lock import FileLock

PLAN, RESULTS, REPORT, LOCK = "plan.json", "results.json", "report.md", ".lock"
LIBRARIES = ("torch", "numpy", "scikit-learn")


class ResultsFolder:
    """Where one command puts its results.

    Args:
        path: the folder.
        verb: the command, for messages and the plan.
        identity: everything the results depend on, as JSON values.
    """

    def __init__(self, path: Path, verb: str, identity: Mapping[str, Any]) -> None:
        self.path = path
        self.verb = verb
        self.identity: dict[str, Any] = json.loads(json.dumps(dict(identity)))

    @contextlib.contextmanager
    def open(self, command: str) -> Iterator[Path]:
        """Take the folder for this process and write the plan, or hold it against the one there.

        A question that fails before it has written anything leaves no folder behind.

        Raises:
            GanlabError: another process works there, or the folder holds something else.
        """
        self._refuse_foreign()
        lock = FileLock(self.path / LOCK)
        lock.take()
        try:
            remove_leftovers(self.path)
            if not (self.path / PLAN).exists():
                plan = {"verb": self.verb, "identity": self.identity, "command": command}
                write_json(self.path / PLAN, plan)
            yield self.path
        finally:
            self._remove_if_bare()
            lock.release()

    def _remove_if_bare(self) -> None:
        """Take a plan away that nothing followed."""
        with contextlib.suppress(OSError):
            if _named(self.path) == [PLAN]:
                (self.path / PLAN).unlink()
                (self.path / LOCK).unlink()
                self.path.rmdir()

    @property
    def is_complete(self) -> bool:
        """Whether these very results are there."""
        return (self.path / RESULTS).is_file() and (self.path / REPORT).is_file()

    def text(self) -> str:
        """The finished report."""
        return (self.path / REPORT).read_text(encoding="utf-8")

    def finish(self, content: Mapping[str, Any]) -> None:
        """Write results.json, the last file: it says that all others are there."""
        versions = {"ganlab": ganlab.__version__, **{name: metadata.version(name) for name in LIBRARIES}}
        write_json(self.path / RESULTS, {"identity": self.identity, "versions": versions, **content})

    def _refuse_foreign(self) -> None:
        """A folder of another question, or of no question of ours, stays as it is.

        Raises:
            GanlabError: naming what differs.
        """
        if not self.path.exists() or (self.path.is_dir() and not _named(self.path)):
            return
        try:
            plan = json.loads((self.path / PLAN).read_text(encoding="utf-8"))
            there, verb = dict(plan["identity"]), plan["verb"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GanlabError(
                f"{self.path} exists and is no result of 'ganlab {self.verb}': choose another --out"
            ) from error
        if verb != self.verb:
            raise GanlabError(f"{self.path} holds results of 'ganlab {verb}': choose another --out")
        changed = sorted(key for key in {*there, *self.identity} if there.get(key) != self.identity.get(key))
        if changed:
            raise GanlabError(
                f"{self.path} holds other results ({'; '.join(self._change(there, key) for key in changed)})"
                ": choose another --out"
            )

    def _change(self, there: Mapping[str, Any], key: str) -> str:
        """What differs under a key, in a few words."""
        old, new = there.get(key), self.identity.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            inner = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
            pairs = [f"{name} {old.get(name)!r} there, {new.get(name)!r} asked for" for name in inner]
            return "; ".join(pairs)
        return f"another {key}"


def _named(path: Path) -> list[str]:
    """Files other than the lock and unfinished writes."""
    return [one.name for one in path.iterdir() if one.name != LOCK and not one.name.endswith(".tmp")]
