"""The results folder: complete or absent, never overwritten silently, and it says what made it."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import ganlab
from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.spectra.options import SpectraOptions
from ganlab.util.hashing import sha256_file

PROVENANCE = "provenance.json"
FORMAT = "ganlab-spectra-1"
LIBRARIES = ("torch", "numpy", "matplotlib")


def identity(names: Sequence[str], sets: Sequence[ImageSet], options: SpectraOptions) -> dict[str, Any]:
    """What the results depend on, apart from the pixels."""
    counts = [[name, images.num_images, list(images.shape)] for name, images in zip(names, sets, strict=True)]
    return {"options": options.identity(), "sets": counts}


def provenance(
    wanted: Mapping[str, Any], sets: Sequence[ImageSet], command: str | None, warnings: Sequence[str]
) -> dict[str, Any]:
    """Everything needed to repeat the comparison; the pixels by their hash."""
    return {
        "format": FORMAT,
        "command": command,
        "identity": dict(wanted),
        "fingerprints": [images.fingerprint() for images in sets],
        "paths": [str(images.path) for images in sets],
        "codecs": [sorted(images.codecs) for images in sets],
        "recipes": [images.recipe for images in sets],
        "warnings": list(warnings),
        "versions": {
            "ganlab": ganlab.__version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in LIBRARIES},
        },
    }


def read_provenance(out: Path) -> dict[str, Any] | None:
    """What made the folder, or None where it is no results folder of this command."""
    try:
        found = json.loads((out / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("format") == FORMAT else None


def is_complete(out: Path, wanted: Mapping[str, Any], sets: Sequence[ImageSet], force: bool) -> bool:
    """Whether the folder already holds exactly these results.

    Raises:
        GanlabError: something else is there, and it may not be replaced.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    found = read_provenance(out) if out.is_dir() else None
    if found is None:
        raise GanlabError(f"{out} exists and is no result of 'ganlab spectra': choose another --out")
    if force:
        return False
    difference = _difference(found, wanted, sets)
    if difference:
        raise GanlabError(
            f"{out} holds another comparison ({difference}): choose another --out, or replace it with --force"
        )
    return _files_there(out, found)


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any], sets: Sequence[ImageSet]) -> str:
    """What differs, in words; empty if nothing does. Pixels are read only when all else agrees."""
    before = found["identity"]
    changed = [key for key in wanted["options"] if before["options"].get(key) != wanted["options"][key]]
    if changed:
        pairs = [f"{key} {before['options'].get(key)!r}, now {wanted['options'][key]!r}" for key in changed]
        return "; ".join(pairs)
    if before["sets"] != wanted["sets"]:
        shown = [", ".join(f"{s[0]} ({s[1]})" for s in one) for one in (before["sets"], wanted["sets"])]
        return f"of {shown[0]}; now {shown[1]}"
    if before["stages"] != wanted["stages"]:
        return f"stages of {list(before['stages'])}; now {list(wanted['stages'])}, or their weights changed"
    changed = [
        images.name
        for images, old in zip(sets, found["fingerprints"], strict=True)
        if images.fingerprint() != old
    ]
    return f"the images of {', '.join(changed)} have changed" if changed else ""


def _files_there(out: Path, found: Mapping[str, Any]) -> bool:
    """Whether every file is as it was written; otherwise the results are made again.

    Raises:
        GanlabError: a file was changed or removed.
    """
    damaged = [
        name
        for name, digest in found["files"].items()
        if not (out / name).is_file() or sha256_file(out / name) != digest
    ]
    if damaged:
        raise GanlabError(
            f"{out}: {', '.join(damaged)} changed or vanished since they were written; --force makes all anew"
        )
    return True


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder to write into that becomes ``out`` on success and vanishes on failure.

    Raises:
        GanlabError: the operating system refused; what was at ``out`` is still there.
    """
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        _swap(temporary, out)
    except OSError as error:
        raise GanlabError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap(new: Path, out: Path) -> None:
    """Put ``new`` in the place of ``out``; the old results go last."""
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    if out.exists():
        os.replace(out, old)
    os.replace(new, out)
    shutil.rmtree(old, ignore_errors=True)
