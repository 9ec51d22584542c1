"""``key.path=value`` from the command line, as small documents laid over the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ganlab.config.errors import ConfigError, Fault, KeyPath, Origin, dotted, key_path
from ganlab.config.yaml12 import Document, parse

Overrides = Iterable[str] | Mapping[str, Any]
"""``["optimizer.lr=1e-4"]`` as typed, or ``{"optimizer.lr": 1e-4}`` from a program."""


def override_documents(overrides: Overrides) -> list[Document]:
    """One document per override, in order; malformed ones carry a fault.

    The text after the first ``=`` is YAML 1.2: ``[nearest, transposed]`` is a list, nothing at all is null.
    """
    if isinstance(overrides, Mapping):
        return [_from_value(key, value) for key, value in overrides.items()]
    return [_from_text(text) for text in overrides]


def _from_text(text: str) -> Document:
    source = f"override '{text}'"
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        return _faulty(source, "expected key.path=value, for example optimizer.lr=1e-4")
    try:
        parsed = parse(value, source)
    except ConfigError as error:
        return _faulty(source, f"the value is not valid YAML: {error.faults[0].text}", key.strip())
    return _nested(source, key.strip(), parsed)


def _from_value(key: str, value: Any) -> Document:
    shown = dotted(key_path(key))
    return _nested(f"override '{shown}'", shown, Document("", tuples(value)))


def tuples(value: Any) -> Any:
    """A value from a program as the YAML reader would give it: lists become tuples, mappings dicts."""
    if isinstance(value, list | tuple):
        return tuple(tuples(item) for item in value)
    if isinstance(value, Mapping):
        return {key: tuples(item) for key, item in value.items()}
    return value


def _nested(source: str, key: str, parsed: Document) -> Document:
    """The document ``{a: {b: value}}`` for key ``a.b``; every place in it has the override as origin."""
    path: KeyPath = tuple(key.split("."))
    value = parsed.value
    for part in reversed(path):
        value = {part: value}
    origin = Origin(source)
    origins: dict[KeyPath, Origin] = {path[:length]: origin for length in range(1, len(path) + 1)}
    origins |= {(*path, *inner): origin for inner in parsed.origins}
    faults = [Fault(origin, ".".join(filter(None, (key, fault.key))), fault.text) for fault in parsed.faults]
    return Document(source, value, origins, faults)


def _faulty(source: str, text: str, key: str = "") -> Document:
    return Document(source, {}, {}, [Fault(Origin(source), key, text)])
