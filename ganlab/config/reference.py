"""The table of all keys in ``docs/configuration.md``, made from the schema so that it cannot go stale."""

from __future__ import annotations

from typing import Any

from ganlab.config.errors import dotted
from ganlab.config.tree import NAMED, find, keys, properties, words_of


def markdown_reference() -> str:
    """A Markdown table: key, what it expects, default, meaning. Sections are left out, their keys are in."""
    rows = ["| key | expects | default | meaning |", "|---|---|---|---|"]
    for path in keys():
        node = find(path) or {}
        if not properties(node):
            rows.append(
                f"| `{dotted(path)}` | {_expects(dotted(path), node)} | {_default(node)} | {_meaning(node)} |"
            )
    return "\n".join(rows) + "\n"


def _expects(key: str, node: dict[str, Any]) -> str:
    words = words_of(node)
    return f"{words} (a name of `ganlab list {NAMED[key]}`)" if key in NAMED else words


def _default(node: dict[str, Any]) -> str:
    if "default" not in node:
        return "required"
    value = node["default"]
    return f"`{'null' if value is None else str(value).lower() if isinstance(value, bool) else value}`"


def _meaning(node: dict[str, Any]) -> str:
    return " ".join(str(node.get("description", "")).replace("``", "`").split())
