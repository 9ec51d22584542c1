"""A folder that ``ganlab generate`` made: which of the sets in it is meant."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

from ganlab.errors import GanlabError

MANIFEST = "manifest.json"
UNFINISHED = ".unfinished"
ENDINGS = {"folder": "", "zip": ".zip", "npy": ".npy"}


def generated_part(folder: Path) -> Path:
    """The set itself: ``folder`` as it is, or the only set of a generated folder.

    Raises:
        GanlabError: the generated folder is unfinished, or holds several sets (reals and fakes, say), which
            must not be taken for one.
    """
    if (folder / UNFINISHED).exists():
        raise GanlabError(f"{folder} is an unfinished set; the 'ganlab generate' that began it completes it")
    parts, ending = _parts(folder)
    if not parts or (not ending and _one_set_in_parts(parts)):
        return folder
    if len(parts) == 1:
        return folder / f"{parts[0]}{ending}"
    named = ", ".join(str(folder / f"{part}{ending}") for part in parts)
    raise GanlabError(f"{folder} holds {len(parts)} sets of images; name one of them: {named}")


def _parts(folder: Path) -> tuple[list[str], str]:
    """(relative paths of the sets, ending of their files) by the manifest; nothing where there is none."""
    try:
        plan = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["plan"]
        return [str(part["path"]) for part in plan["parts"]], ENDINGS[plan["format"]]
    except (OSError, ValueError, KeyError, TypeError):
        return [], ""


def _one_set_in_parts(parts: list[str]) -> bool:
    """Whether the sets are train/NAME and test/NAME of one name: a folder with a split."""
    split = [PurePosixPath(part).parts for part in parts]
    return (
        len(parts) > 1
        and len({one[1:] for one in split}) == 1
        and all(one[0] in ("train", "test") for one in split)
    )
