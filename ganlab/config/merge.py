"""Laying one configuration over another: mappings are merged key by key, everything else is replaced."""

from __future__ import annotations

from typing import Any

from ganlab.config.errors import KeyPath, Origin
from ganlab.config.yaml12 import Document

SHORT_FORMS: dict[KeyPath, str] = {("model", "upsampling"): "name"}
"""Where a name alone stands for a mapping with one key: ``upsampling: nearest`` is ``{name: nearest}``."""


def overlay(parent: Document, child: Document) -> Document:
    """``child`` over ``parent``.

    A short form in the child replaces the parent's whole mapping; a mapping in the child over the parent's
    short form keeps the name.
    """
    origins = dict(parent.origins)
    value = _merge(parent.value, child.value, (), origins, child.origins)
    return Document(child.source, value, origins, [*parent.faults, *child.faults])


def _merge(
    old: Any, new: Any, path: KeyPath, origins: dict[KeyPath, Origin], fresh: dict[KeyPath, Origin]
) -> Any:
    if path in SHORT_FORMS and isinstance(new, dict) and isinstance(old, str | tuple):
        old = {SHORT_FORMS[path]: old}
        origins[(*path, SHORT_FORMS[path])] = origins[path]
    if not (isinstance(old, dict) and isinstance(new, dict)):
        _replace_origins(path, origins, fresh)
        return new
    result = dict(old)
    if path in fresh:
        origins.setdefault(path, fresh[path])
    for key, value in new.items():
        result[key] = _merge(old.get(key), value, (*path, key), origins, fresh)
    return result


def _replace_origins(path: KeyPath, origins: dict[KeyPath, Origin], fresh: dict[KeyPath, Origin]) -> None:
    depth = len(path)
    for stale in [key for key in origins if key[:depth] == path]:
        del origins[stale]
    origins.update({key: origin for key, origin in fresh.items() if key[:depth] == path})
