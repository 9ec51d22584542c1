"""Whether a finished set still is what its manifest says."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from ganlab.errors import GanlabError
from ganlab.util.hashing import sha256_file
from ganlab.util.reading import read_json, reading

MANIFEST = "manifest.json"
STAGING = ".unfinished"
"""Where unfinished parts are; a kill at the very end may leave it beside the manifest."""
SHOWN = 5


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished set.

    Raises:
        GanlabError: there is none, or it is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise GanlabError(f"{folder}: no {MANIFEST}; only finished sets of `ganlab generate` can be verified")
    manifest: dict[str, Any] = read_json(path, dict)
    with reading(path):
        files = manifest["files"]
        if not all(isinstance(text, str) for text in (*files, *files.values())):
            raise GanlabError(f"{path} is damaged: 'files' is not a name and a hash each")
        if bad := [name for name in files if PurePosixPath(name).is_absolute() or ".." in name.split("/")]:
            raise GanlabError(f"{path} is damaged: it names a file outside of its folder, {bad[0]!r}")
        if total_sha256(files) != manifest["total_sha256"] or "plan" not in manifest:
            raise GanlabError(f"{path} is damaged: its hashes do not add up")
    return manifest


def total_sha256(files: dict[str, str]) -> str:
    """One hash for the set: SHA-256 over lines "name hash" in sorted order."""
    lines = "".join(f"{name} {files[name]}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def verify_set(folder: Path) -> dict[str, Any]:
    """Read every file of a set and hold it against the manifest.

    Returns:
        The manifest.

    Raises:
        GanlabError: files are missing, changed or added; the first few are named.
    """
    manifest = read_manifest(folder)
    files: dict[str, str] = manifest["files"]
    with ThreadPoolExecutor() as pool:
        states = dict(
            zip(files, pool.map(lambda name: _state(folder / name, files[name]), files), strict=True)
        )
    bad = [f"{name}: {state}" for name, state in states.items() if state]
    inside = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    there = {path.as_posix() for path in inside if path.parts[0] != STAGING}
    bad += [f"{name}: not in the manifest" for name in sorted(there - files.keys() - {MANIFEST})]
    if bad:
        more = f"\n  and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        listed = "\n  ".join(bad[:SHOWN])
        raise GanlabError(f"{folder} is not the set its manifest describes:\n  {listed}{more}")
    return manifest


def _state(path: Path, expected: str) -> str:
    if not path.is_file():
        return "missing"
    with reading(path):
        return "" if sha256_file(path) == expected else "changed"
