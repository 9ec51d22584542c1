"""Loading: find, parse, merge, override, validate, check; all faults in one error."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ganlab.config.checks import problems
from ganlab.config.checks.problem import Problem
from ganlab.config.errors import ConfigError, Fault, Origins, key_path, origin_of
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
from ganlab.config.validate import repaired, validate
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
    found = problems(sound, ignore=wrong) if sound else []
    errors = [*faults, *_faults(found, "error", document.origins)]
    if document.faults or errors or config is None:
        raise ConfigError(_sorted(document.faults, errors))
    chosen = [problem for problem in found if not _presets_own(problem, document.origins)]
    warnings = tuple(str(fault) for fault in _faults(chosen, "warning", document.origins))
    return Resolved(config, name, warnings, document.origins)


def _sorted(structural: list[Fault], others: list[Fault]) -> list[Fault]:
    """By file and line; a key that is written wrongly needs no second fault about its value."""
    known = {fault.key for fault in structural if fault.key}
    faults = [*structural, *(fault for fault in others if fault.key not in known)]
    return sorted(faults, key=lambda f: (f.origin.source, f.origin.line or 0) if f.origin else ("", 0))


def _presets_own(problem: Problem, origins: Origins) -> bool:
    """An option of a preset that the user's choices made moot is nothing the user should change."""
    origin = origin_of(origins, key_path(problem.key))
    return problem.idle and origin is not None and origin.source.startswith(PRESET_LABEL)


def _faults(found: list[Problem], level: str, origins: Origins) -> list[Fault]:
    chosen = [problem for problem in found if problem.level == level]
    return [Fault(origin_of(origins, key_path(p.key)), p.key, p.text) for p in chosen]
