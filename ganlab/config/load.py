"""Loading: find, parse, merge, override, validate, check; all faults in one error."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from ganlab.config import tree
from ganlab.config.checks import problems
from ganlab.config.errors import (
    SHOWN_FAULTS,
    ConfigError,
    Fault,
    KeyPath,
    Origins,
    dotted,
    key_path,
    origin_of,
    shown,
)
from ganlab.config.schema import Config
from ganlab.config.sources import (
    PRESET_LABEL,
    RUN_CONFIG,
    Overrides,
    locate,
    mapping,
    overlay,
    override_documents,
    read,
    tuples,
    with_parents,
)
from ganlab.config.yaml12 import Document, parse


@dataclass(frozen=True)
class Resolved:
    """A configuration with what the command line shows beside it."""

    config: Config
    """The complete, checked configuration."""
    name: str
    """The preset's name, the file's stem, or the run folder's name."""
    warnings: tuple[str, ...] = ()
    """``file:line: key: text`` of options without effect and other doubtful choices."""
    origins: Origins = field(default_factory=dict)
    """Where each key was set."""


def load(source: str | os.PathLike[str], overrides: Overrides = ()) -> Config:
    """Read a configuration.

    Args:
        source: a YAML file, a preset name, or a run folder.
        overrides: ``key.path=value`` texts (values are YAML 1.2), or a mapping from key path to value.

    Returns:
        The checked configuration. Its warnings are in `resolve`.

    Raises:
        ConfigError: everything that is wrong, one line each: ``file:line: key: what; expected ...``.
    """
    return resolve(source, overrides).config


def loads(text: str, overrides: Overrides = (), name: str = "text") -> Config:
    """Read a configuration from YAML text; ``extends`` starts at the working directory.

    Raises:
        ConfigError: as `load`.
    """
    document = with_parents(mapping(parse(text, name)), None)
    return _finish(document, overrides, name).config


def from_mapping(value: Mapping[str, Any], overrides: Overrides = (), name: str = "mapping") -> Config:
    """A configuration from nested mappings, with the same checks and errors as a file; lists may be lists.

    Raises:
        ConfigError: as `load`.
    """
    document = with_parents(mapping(Document(name, tuples(value))), None)
    return _finish(document, overrides, name).config


def resolve(source: str | os.PathLike[str], overrides: Overrides = ()) -> Resolved:
    """Like `load`, with the warnings, the name for the run, and the origin of every key.

    Raises:
        ConfigError: as `load`.
    """
    path = locate(source)
    document = with_parents(read(path), path)
    return _finish(document, overrides, path.parent.name if path.name == RUN_CONFIG else path.stem)


def _finish(document: Document, overrides: Overrides, name: str) -> Resolved:
    for override in override_documents(overrides):
        document = overlay(document, override)
    config, faults, wrong = validate(document)
    sound = config or repaired(document, wrong)
    problem_faults = [
        (problem, Fault(origin_of(document.origins, key_path(problem.key)), problem.key, problem.text))
        for problem in (problems(sound, ignore=wrong) if sound else ())
    ]
    faults += [fault for problem, fault in problem_faults if problem.level == "error"]
    if document.faults or faults or config is None:
        # A key that is written wrongly needs no second fault about its value.
        known = {fault.key for fault in document.faults if fault.key}
        faults = [*document.faults, *(fault for fault in faults if fault.key not in known)]
        faults.sort(key=lambda f: (f.origin.source, f.origin.line or 0) if f.origin else ("", 0))
        raise ConfigError(faults)
    warnings = []
    for problem, fault in problem_faults:
        of_preset = fault.origin is not None and fault.origin.source.startswith(PRESET_LABEL)
        # An option of a preset that the user's choices made moot is nothing the user should change.
        if problem.level == "warning" and not (problem.idle and of_preset):
            warnings.append(str(fault))
    return Resolved(config, name, tuple(warnings), document.origins)


def validate(document: Document) -> tuple[Config | None, list[Fault], list[KeyPath]]:
    """Build the configuration.

    Returns:
        The config (None when something is wrong), the faults, and the key paths they are about.
    """
    try:
        return Config.model_validate(document.value), [], []
    except ValidationError as error:
        details = error.errors(include_url=False)
    text_at: dict[KeyPath, str] = {}
    unknown = 0
    tagged: set[KeyPath] = set()
    for detail in details:
        path = schema_path(detail["loc"])
        if len(path) < len(detail["loc"]):
            tagged.add(path)
        if path not in text_at:
            unknown += detail["type"] == "extra_forbidden"
            text_at[path] = _words(path, dict(detail), suggest=unknown <= SHOWN_FAULTS)
    # Unions report each of their alternatives; only the deepest finding is of use.
    around = {path[:length] for path in text_at for length in range(len(path))}
    wrong = [path for path in text_at if path not in tagged or path not in around]
    faults = [Fault(origin_of(document.origins, path), dotted(path), text_at[path]) for path in wrong]
    return None, faults, wrong


def repaired(document: Document, wrong: list[KeyPath]) -> Config | None:
    """The config that is left when the wrong keys take their defaults; None when they have none.

    Checks across keys run on it, so that one run of the program reports their findings too.
    """
    value = _copied(document.value) if () not in wrong else {}
    for path in wrong:
        _remove(value, path)
    model = value.get("model", {})
    upsampling = model.get("upsampling", {})
    if isinstance(upsampling, dict):
        # Any upsampler where there is none: checks that read it are left out, the others need a whole config.
        value = {**value, "model": {**model, "upsampling": {"name": "nearest", **upsampling}}}
    try:
        return Config.model_validate(value)
    except ValidationError:
        return None


def _copied(value: Any) -> Any:
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value


def _remove(value: Any, path: KeyPath) -> None:
    """Take what is at ``path`` out of nested mappings; a wrong item takes its whole list with it."""
    for depth, part in enumerate(path):
        if not isinstance(value, dict) or part not in value:
            return
        if depth == len(path) - 1 or not isinstance(value[part], dict):
            del value[part]
            return
        value = value[part]


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


def _words(path: KeyPath, detail: dict[str, Any], suggest: bool) -> str:
    """What is wrong and what is expected; near names are looked for only where they will be shown."""
    kind = str(detail["type"])
    if kind == "extra_forbidden":
        around = tree.find(path[:-1]) or {}
        valid = ", ".join(tree.properties(around))
        return f"unknown key; expected one of {valid}{tree.suggestion(path) if suggest else ''}"
    if kind == "missing":
        return f"missing; expected {tree.expected(path)}"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    return f"got {shown(detail['input'])}; expected {tree.expected(path)}"
