"""Whether a finished set still is what its manifest says."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from ganlab.errors import GanlabError
from ganlab.util.atomic import json_text
from ganlab.util.hashing import sha256_file, sha256_json
from ganlab.util.reading import read_bytes, read_json, reading

MANIFEST = "manifest.json"
SEAL = "manifest_sha256"
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
        if manifest != sealed(manifest) or read_bytes(path) != json_text(manifest).encode():
            raise GanlabError(f"{path} is not as it was written: its own hash, {SEAL}, is another one")
    return manifest


def sealed(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest that vouches for itself: with the SHA-256 of the canonical JSON of all its other entries."""
    content = {key: value for key, value in manifest.items() if key != SEAL}
    return {**content, SEAL: sha256_json(content)}


def total_sha256(files: dict[str, str]) -> str:
    """One hash for the set: SHA-256 over lines "name hash" in sorted order."""
    lines = "".join(f"{name} {files[name]}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def verify_set(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read every file of a set and hold it against the manifest.

    Returns:
        The manifest.

    Raises:
        GanlabError: the manifest was changed, or files or folders are missing, changed or added; the first
            few are named.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    files: dict[str, str] = manifest["files"]
    with ThreadPoolExecutor() as pool:
        states = dict(
            zip(files, pool.map(lambda name: _state(folder / name, files[name]), files), strict=True)
        )
    bad = [f"{name}: {state}" for name, state in states.items() if state]
    known = {MANIFEST, *files, *(str(above) for name in files for above in PurePosixPath(name).parents)}
    there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    if STAGING in there:
        bad.append(f"{STAGING}/: left by an interrupted call; the same 'ganlab generate' removes it")
    bad += [f"{name}: not in the manifest" for name in there if name not in known and name != STAGING]
    if bad:
        more = f"\n  and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        listed = "\n  ".join(bad[:SHOWN])
        raise GanlabError(f"{folder} is not the set its manifest describes:\n  {listed}{more}")
    return manifest


def _state(path: Path, expected: str) -> str:
    if path.is_symlink() or not path.is_file():
        return "a link, and no file" if path.is_symlink() else "missing"
    with reading(path):
        return "" if sha256_file(path) == expected else "changed"
