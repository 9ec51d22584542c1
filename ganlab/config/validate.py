"""From a merged document to a `Config`: pydantic's findings as faults with origin and advice."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from ganlab.config import tree
from ganlab.config.errors import Fault, KeyPath, dotted, origin_of
from ganlab.config.schema import Config
from ganlab.config.yaml12 import Document


def validate(document: Document) -> tuple[Config | None, list[Fault], list[KeyPath]]:
    """Build the configuration.

    Returns:
        The config (None when something is wrong), the faults, and the key paths they are about.
    """
    try:
        return Config.model_validate(document.value), [], []
    except ValidationError as error:
        found = _by_path(error)
        faults = [
            Fault(origin_of(document.origins, path), dotted(path), text) for path, text in found.items()
        ]
        return None, faults, list(found)


def repaired(document: Document, wrong: list[KeyPath]) -> Config | None:
    """The config that is left when the wrong keys take their defaults; None when they have none.

    Checks across keys run on it, so that one run of the program reports their findings too.
    """
    value = document.value
    for path in wrong:
        value = _without(value, path)
    try:
        return Config.model_validate(_with_required(value))
    except ValidationError:
        return None


def _with_required(value: dict[str, Any]) -> dict[str, Any]:
    """Any upsampler where there is none: checks that read it are left out, the others need a whole config."""
    model = value.get("model", {})
    upsampling = model.get("upsampling", {})
    if not isinstance(upsampling, dict):
        return value
    return {**value, "model": {**model, "upsampling": {"name": "nearest", **upsampling}}}


def _without(value: Any, path: KeyPath) -> Any:
    if not path:
        return {}
    if not isinstance(value, dict) or path[0] not in value:
        return value
    inside = value[path[0]]
    # A wrong item of a list takes the whole list with it.
    if len(path) == 1 or not isinstance(inside, dict):
        return {key: item for key, item in value.items() if key != path[0]}
    return {**value, path[0]: _without(inside, path[1:])}


def _by_path(error: ValidationError) -> dict[KeyPath, str]:
    """One text per place. Unions report each alternative; only the deepest finding of them is of use."""
    found: dict[KeyPath, str] = {}
    tagged: list[KeyPath] = []
    for detail in error.errors(include_url=False):
        path = schema_path(detail["loc"])
        if len(path) < len(detail["loc"]):
            tagged.append(path)
        found.setdefault(path, _text(path, dict(detail)))
    deeper = [path for path in tagged if any(len(p) > len(path) and p[: len(path)] == path for p in found)]
    return {path: text for path, text in found.items() if path not in deeper}


def schema_path(location: tuple[str | int, ...]) -> KeyPath:
    """The key path in pydantic's location, without the tags that it adds for union members."""
    path: list[str | int] = []
    node: dict[str, Any] | None = tree.root()
    for index, part in enumerate(location):
        below = tree.child(node, part) if node is not None else None
        if below is None and index < len(location) - 1:
            continue
        if below is None and node is not None and not tree.properties(node):
            continue
        path.append(part)
        node = below
    return tuple(path)


def _text(path: KeyPath, detail: dict[str, Any]) -> str:
    kind = str(detail["type"])
    if kind == "extra_forbidden":
        around = tree.find(path[:-1]) or {}
        valid = ", ".join(tree.properties(around))
        return f"unknown key; expected one of {valid}{tree.suggestion(path)}"
    if kind == "missing":
        return f"missing; expected {tree.expected(path)}"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    return f"got {shown(detail['input'])}; expected {tree.expected(path)}"


def shown(value: Any) -> str:
    """A value as a message shows it: its kind where that is likely the trouble."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"text {value!r}"
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, tuple):
        return f"a list ({', '.join(shown(item) for item in value)})"
    return repr(value)
