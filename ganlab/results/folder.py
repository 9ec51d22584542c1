"""A results folder: one question, one process at a time, complete or known to be incomplete.

Every job that writes results does it in the same way::

    folder = ResultsFolder(out, "patches", identity, inputs=describe_sets([real, fake]))
    with folder.open(command, force) as place:
        if not folder.is_complete:
            ...                               # write tables and figures below ``place``
            folder.finish(results, warnings)  # results.json, then provenance.json: all is there

``plan.json`` (what is asked) is there from the beginning, ``provenance.json`` (what made it) comes last.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import ganlab
from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.util.atomic import LEFTOVER, remove_leftovers, write_json
from ganlab.util.hashing import sha256_file
from ganlab.util.lock import FileLock
from ganlab.util.reading import read_json

FORMAT = "ganlab-results-1"
PLAN, RESULTS, PROVENANCE, PAGE = "plan.json", "results.json", "provenance.json", "index.html"
LOCK, STAGING, CACHE = ".lock", ".unfinished", "cache"
LIBRARIES = ("torch", "numpy", "scikit-learn", "matplotlib")


class ResultsFolder:
    """Where one command puts its results.

    Args:
        path: the folder.
        verb: the command, for messages and the plan.
        identity: everything the results depend on, as JSON values: options, and inputs by their hashes.
        staged: the outputs appear all at once: what the job writes lies in ``.unfinished/`` until `finish`,
            and older results stay until then. Otherwise the next call goes on with what a killed one wrote.
        inputs: what was read and where, for the record (`describe_sets`); not compared.
        unlisted: folders that keep books of their own (runs, fake sets): provenance does not vouch for them.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        verb: str,
        identity: Mapping[str, Any],
        staged: bool = False,
        inputs: Sequence[Mapping[str, Any]] = (),
        unlisted: Sequence[str] = (),
    ) -> None:
        self.path = Path(path)
        self.verb = verb
        # By way of JSON, so that what is compared is what a file holds (tuples become lists).
        self.identity: dict[str, Any] = json.loads(json.dumps(dict(identity)))
        self.inputs = [dict(entry) for entry in inputs]
        self._place = self.path / STAGING if staged else self.path
        self._unlisted = {STAGING, CACHE, *unlisted}
        self._plan: dict[str, Any] = {}
        self._force = False

    @contextlib.contextmanager
    def open(self, command: str, force: bool = False) -> Iterator[Path]:
        """Take the folder for this process; yields where the job writes.

        A question that fails before it has written anything leaves no folder behind.

        Args:
            command: what the user typed, for the record.
            force: make the results anew, also in the place of another experiment of the same verb.

        Raises:
            GanlabError: another process works there, it cannot be written, or it holds something else;
                nothing was changed then.
        """
        try:
            self._refuse(force)
            made = not self.path.exists()
            with FileLock(self.path / LOCK):
                try:
                    self._refuse(force)  # again: another process may have begun before the lock was taken
                    remove_leftovers(self.path, inside=True)
                    self._begin(command, force)
                    yield self._place
                finally:
                    with contextlib.suppress(OSError):
                        self._tidy(made)
        except OSError as error:
            file = f" ({error.filename})" if error.filename else ""
            raise GanlabError(f"cannot write {self.path}: {error.strerror or error}{file}") from error

    @property
    def is_complete(self) -> bool:
        """Whether these very results are there, every file as it was written; nothing is changed.

        Raises:
            GanlabError: a file changed or vanished since; it is named.
        """
        if self._force or not (self.path / PROVENANCE).is_file():
            return False
        stored = read_folder(self.path)
        if stored.provenance is None or stored.provenance.get("identity") != self.identity:
            return False
        damaged = stored.damaged()
        if damaged:
            raise GanlabError(
                f"{self.path}: {', '.join(damaged)} changed or vanished since they were written; "
                "--force makes all anew"
            )
        return True

    def finish(self, results: Mapping[str, Any] | None = None, warnings: Sequence[str] = ()) -> None:
        """Write results.json, and last provenance.json: identity, inputs, versions, hashes of all files.

        Args:
            results: the numbers, as JSON values.
            warnings: what a reader must know beside the numbers.

        Raises:
            GanlabError: a file cannot be written.
        """
        place = self._place
        if results is not None:
            write_json(place / RESULTS, dict(results))
        if place != self.path:
            write_json(place / PLAN, self._plan)
        kept = [path for path in place.iterdir() if path.name not in self._unlisted]
        files = [file for path in kept for file in (path, *path.rglob("*")) if file.is_file()]
        names = sorted(file.relative_to(place).as_posix() for file in files)
        provenance = {
            "format": FORMAT, **self._plan, "inputs": self.inputs, "warnings": list(warnings),
            "versions": {
                "ganlab": ganlab.__version__,
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in LIBRARIES},
            },
            "files": {name: sha256_file(place / name) for name in names if _is_listed(name)},
        }  # fmt: skip
        write_json(place / PROVENANCE, provenance)
        if place != self.path:
            self._publish()

    def _publish(self) -> None:
        """Put the staged files in the place of older ones; a kill leaves plan without provenance."""
        (self.path / PROVENANCE).unlink(missing_ok=True)
        os.replace(self._place / PLAN, self.path / PLAN)
        self._clear()
        names = [path.name for path in self._place.iterdir() if path.name != PROVENANCE]
        for name in [*names, PROVENANCE]:
            os.replace(self._place / name, self.path / name)

    def _begin(self, command: str, force: bool) -> None:
        """Empty staging and, except where older results still have to stay, the plan."""
        staged, self._force = self._place != self.path, force
        self._plan = {"verb": self.verb, "identity": self.identity, "command": command}
        shutil.rmtree(self.path / STAGING, ignore_errors=True)
        if staged:
            self._place.mkdir()
        elif force:
            self._clear()
        if (force and not staged) or not (self.path / PLAN).exists():
            write_json(self.path / PLAN, self._plan)

    def _clear(self) -> None:
        """Remove the older results, which are this verb's own (`_refuse` saw to that); their plan stays.

        Without one, what a kill leaves of them would be nobody's, and no next call could go on.
        """
        (self.path / PROVENANCE).unlink(missing_ok=True)
        for path in self.path.iterdir():
            if path.name in (LOCK, STAGING, PLAN):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _tidy(self, made: bool) -> None:
        """Remove the staging folder, and a plan that nothing followed."""
        shutil.rmtree(self.path / STAGING, ignore_errors=True)
        if _names(self.path) == [PLAN]:
            (self.path / PLAN).unlink()
            (self.path / LOCK).unlink()
            if made:
                self.path.rmdir()

    def _refuse(self, force: bool) -> None:
        """A folder of another question, or of no question of ours, stays as it is.

        Raises:
            GanlabError: naming what differs.
        """
        if not os.path.lexists(self.path) or (self.path.is_dir() and not _names(self.path)):
            return
        try:
            there = read_folder(self.path)
        except GanlabError as error:
            raise GanlabError(
                f"{self.path} exists and is no result of 'ganlab {self.verb}': choose another --out"
            ) from error
        if there.verb != self.verb:
            raise GanlabError(f"{self.path} holds results of 'ganlab {there.verb}': choose another --out")
        changed = differences(there.identity, self.identity)
        if changed and not force:
            # What a person can read comes first: a set that is another one has another name, mostly.
            changed.sort(key=lambda leaf: leaf[0].endswith("sha256"))
            shown = "; ".join(
                f"{key} {_short(old)} there, {_short(new)} asked for" for key, old, new in changed[:4]
            )
            more = f"; and {len(changed) - 4} more" if len(changed) > 4 else ""
            raise GanlabError(
                f"{self.path} holds other results of 'ganlab {self.verb}' ({shown}{more}): "
                "choose another --out, or replace them with --force"
            )


@dataclass(frozen=True)
class StoredResults:
    """What a results folder says of itself.

    Attributes:
        path: the folder.
        verb: the command that made it.
        identity: what the results depend on.
        command: what the user typed.
        provenance: the content of provenance.json; None while the job is unfinished.
    """

    path: Path
    verb: str
    identity: Mapping[str, Any]
    command: str
    provenance: Mapping[str, Any] | None

    def damaged(self) -> list[str]:
        """Names of listed files that changed or vanished since they were written."""
        files = (self.provenance or {}).get("files", {})
        return [
            name
            for name, digest in files.items()
            if not (self.path / name).is_file() or sha256_file(self.path / name) != digest
        ]


def read_folder(path: str | os.PathLike[str]) -> StoredResults:
    """Plan and provenance of a results folder.

    Raises:
        GanlabError: it is none, or what it says of itself cannot be read.
    """
    folder = Path(path)
    plan = read_json(folder / PLAN, dict)
    provenance = read_json(folder / PROVENANCE, dict) if (folder / PROVENANCE).exists() else None
    try:
        verb, identity, command = str(plan["verb"]), dict(plan["identity"]), str(plan["command"])
        if provenance is not None:
            dict(provenance["files"]), dict(provenance["identity"])
    except (KeyError, TypeError, ValueError) as error:
        raise GanlabError(
            f"{folder} is no results folder: its {PLAN} or {PROVENANCE} lacks {error}"
        ) from error
    return StoredResults(folder, verb, identity, command, provenance)


def describe_sets(sets: Sequence[ImageSet]) -> list[dict[str, Any]]:
    """Name, place, size and pixels (by their SHA-256) of sets of images, for the record."""
    return [
        {
            "name": images.name, "path": str(images.path), "images": images.num_images,
            "shape": list(images.shape), "sha256": images.fingerprint(), "codecs": sorted(images.codecs),
            "recipe": images.recipe, **({"generator": images.origin} if images.origin else {}),
        }
        for images in sets
    ]  # fmt: skip


def differences(old: Any, new: Any, where: str = "") -> list[tuple[str, Any, Any]]:
    """Leaves of two JSON values that differ: dotted place, old value, new value; what is absent is None."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            leaf
            for key in dict.fromkeys([*old, *new])
            for leaf in differences(old.get(key), new.get(key), f"{where}.{key}".lstrip("."))
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [leaf for place, pair in pairs for leaf in differences(*pair, f"{where}[{place}]")]
    return [] if old == new else [(where, old, new)]


def _short(value: Any) -> str:
    """A value as an error shows it: of a hash the beginning."""
    return repr(f"{value[:8]}..." if isinstance(value, str) and len(value) == 64 else value)


def _is_listed(name: str) -> bool:
    """Whether provenance vouches for a file: not the page, which any later version may write anew."""
    last = Path(name).name
    return last != LOCK and not LEFTOVER.fullmatch(last) and name not in (PAGE, PROVENANCE)


def _names(folder: Path) -> list[str]:
    """What is in a folder, beside the lock and unfinished writes."""
    return [
        path.name
        for path in folder.iterdir()
        if path.name not in (LOCK, STAGING) and not LEFTOVER.fullmatch(path.name)
    ]
