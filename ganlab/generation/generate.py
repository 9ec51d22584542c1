"""A fake dataset from trained generators: planned, written part by part, sealed by its manifest."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch

from ganlab.errors import GanlabError
from ganlab.generation.plan import Plan, Request, make_plan
from ganlab.generation.verify import MANIFEST, STAGING, read_manifest, sealed, total_sha256, verify_set
from ganlab.generation.write import PartWriter
from ganlab.util.atomic import write_json
from ganlab.util.lock import FileLock
from ganlab.util.reading import read_json

PLAN, DONE, LOCK = "plan.json", "done.json", ".lock"


def generate(request: Request, out: str | Path, batch_size: int = 256, workers: int = 4) -> dict[str, Any]:
    """Make the set ``out``, continue an interrupted one, or verify a finished one.

    Image i of a generator depends only on (weights, seed, i): ``batch_size``, ``workers`` and interruptions
    change nothing.

    Args:
        request: generators, counts, format.
        out: folder of the set; new, or of an earlier call with the same request.
        batch_size: images that may wait for the encoders; memory, not content.
        workers: encoding threads.

    Returns:
        The manifest.

    Raises:
        GanlabError: a generator is missing or damaged, ``out`` holds something else, reals are too few, the
            disk is full, another process works on ``out``, or a finished set no longer has its bytes.
    """
    plan, folder = make_plan(request), Path(out)
    if (folder / MANIFEST).exists():
        _refuse_another(read_manifest(folder)["plan"], plan, folder)
        if (folder / STAGING).is_dir():  # a kill came between the manifest and the end
            with _locked(folder) as staging:
                shutil.rmtree(staging, ignore_errors=True)
        return verify_set(folder)
    # An existing folder that no call of `generate` began may be somebody's data.
    begun = (folder / STAGING / PLAN).exists() or not os.path.lexists(folder)
    if not begun and (not folder.is_dir() or any(path.name != STAGING for path in folder.iterdir())):
        raise GanlabError(f"{folder} exists and is no set of ganlab's; use another --out")
    with _locked(folder) as staging:
        return _write(plan, staging, folder, batch_size, workers)


def _write(plan: Plan, staging: Path, folder: Path, batch_size: int, workers: int) -> dict[str, Any]:
    """Every part that is not done, then the manifest."""
    done = _settle(plan, staging, folder)
    for part in plan.parts:
        if part.path not in done:
            done[part.path] = PartWriter(part, plan.format, staging, folder).run(batch_size, workers)
            write_json(staging / DONE, done)
    manifest = _manifest(plan, {name: value for files in done.values() for name, value in files.items()})
    # Written inside and moved out: whatever a kill leaves is below the staging folder.
    write_json(staging / MANIFEST, manifest)
    os.replace(staging / MANIFEST, folder / MANIFEST)
    shutil.rmtree(staging, ignore_errors=True)
    return manifest


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """The folder for unfinished parts, for this process alone."""
    staging = folder / STAGING
    with FileLock(staging / LOCK, guarded=folder):
        yield staging


def _settle(plan: Plan, staging: Path, folder: Path) -> dict[str, dict[str, str]]:
    """Write the plan, or hold it against the interrupted one; which parts are done, with their files."""
    if (staging / PLAN).exists():
        try:
            began = read_json(staging / PLAN, dict)
            done: dict[str, dict[str, str]] = read_json(staging / DONE, dict)
            if not all(isinstance(files, dict) for files in done.values()):
                raise GanlabError(f"{staging / DONE} holds no files")
        except GanlabError as error:
            raise GanlabError(f"{staging} is damaged ({error}); remove {folder} to start again") from error
        _refuse_another(began, plan, folder)
        return done
    write_json(staging / DONE, {})
    write_json(staging / PLAN, plan.identity())
    return {}


def _refuse_another(there: dict[str, Any], plan: Plan, folder: Path) -> None:
    wanted = json.loads(json.dumps(plan.identity()))
    changed = [
        f"{where}: {old!r} there, {new!r} asked for" for where, old, new in _differences(there, wanted)
    ]
    if changed:
        listed = "\n  ".join(changed[:6])
        raise GanlabError(f"{folder} holds another set; use another --out. It differs in\n  {listed}")


def _differences(old: Any, new: Any, where: str = "") -> list[tuple[str, Any, Any]]:
    """Leaves of two JSON values that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            d for key in keys for d in _differences(old.get(key), new.get(key), f"{where}.{key}".strip("."))
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            d
            for i, pair in enumerate(zip(old, new, strict=True))
            for d in _differences(*pair, f"{where}[{i}]")
        ]
    return [] if old == new else [(where, old, new)]


def _manifest(plan: Plan, files: dict[str, str]) -> dict[str, Any]:
    return sealed({
        "plan": plan.identity(),
        "versions": {
            "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
            "pillow": PIL.__version__,
        },
        # Classes of the images in their order, for the parts that have classes.
        "labels": {
            part.path: labels
            for part in plan.parts
            if (labels := part.source.labels(part.first, part.count)) is not None
        },
        "files": files,
        "total_sha256": total_sha256(files),
    })  # fmt: skip
