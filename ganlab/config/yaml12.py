"""YAML as its version 1.2 says: ``2e-4`` is a number, ``off`` is text, a key may stand only once.

PyYAML implements version 1.1; this subclass of its safe loader resolves plain scalars by the 1.2 core
schema (https://yaml.org/spec/1.2.2/#103-core-schema) and builds the value itself, so that it can keep the
line of every key and report all structural faults of a file together. Sequences become tuples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from ganlab.config.errors import ConfigError, Fault, KeyPath, Origin, dotted

MAX_NODES = 100_000
"""Aliases are expanded; a file that grows beyond this many values is an accident or an attack."""

_TAG = "tag:yaml.org,2002:"
_CORE_SCHEMA = {
    "null": re.compile(r"^(?:~|null|Null|NULL|)$"),
    "bool": re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    "int": re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"),
    "float": re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    "merge": re.compile(r"^<<$"),
}


def core_tag(text: str) -> str:
    """Full tag of a plain scalar by the core schema: of null, bool, int, float, merge or str."""
    return _TAG + next((name for name, rule in _CORE_SCHEMA.items() if rule.match(text)), "str")


class Yaml12Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2's core schema (and merge keys)."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """Tag of a node; plain scalars by the core schema, everything else as PyYAML does."""
        if kind is yaml.ScalarNode and implicit[0]:
            return core_tag(value)
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


@dataclass
class Document:
    """A parsed file: its value, the origin of every key path in it, and its structural faults."""

    source: str
    value: Any = None
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def parse(text: str, source: str) -> Document:
    """Parse YAML 1.2 text.

    Args:
        text: one YAML document.
        source: its name in messages, usually the path.

    Returns:
        The document; mappings are dicts with text keys, sequences tuples. Duplicate keys, unknown tags and
        the like are in ``faults``, for the caller to raise together with what else is wrong.

    Raises:
        ConfigError: the text is not YAML at all; with line and column.
    """
    document = Document(source)
    try:
        node = _compose(text, source)
        if node is not None:
            document.value = _Builder(document).build(node, ())
    except RecursionError as error:
        raise ConfigError([Fault(Origin(source), "", "nested too deeply to be read")]) from error
    return document


def load_yaml(text: str, source: str) -> Any:
    """The value of YAML 1.2 text alone.

    Raises:
        ConfigError: not YAML, or a duplicate key, an unknown tag, ...
    """
    document = parse(text, source)
    if document.faults:
        raise ConfigError(document.faults)
    return document.value


def _compose(text: str, source: str) -> yaml.Node | None:
    loader = None
    try:
        loader = Yaml12Loader(text.removeprefix("\ufeff"))
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax_fault(error, source)]) from error
    except yaml.YAMLError as error:
        what = " ".join(str(error).split())
        raise ConfigError([Fault(Origin(source), "", f"not readable as YAML: {what}")]) from error
    finally:
        if loader is not None:
            loader.dispose()


def _syntax_fault(error: yaml.MarkedYAMLError, source: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    where = Origin(source, mark.line + 1 if mark else None)
    column = f"column {mark.column + 1}: " if mark else ""
    what = ", ".join(part for part in (error.context, error.problem) if part)
    return Fault(where, "", f"{column}not valid YAML: {what}")


class _Builder:
    """Turns one node graph into values, noting origins and faults in the document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.open: list[int] = []
        self.count = 0

    def build(self, node: yaml.Node, path: KeyPath, line: int | None = None) -> Any:
        """The value of ``node``; ``line`` is that of its key where it has one."""
        self.count += 1
        self.document.origins.setdefault(path, self._origin(node, line))
        if id(node) in self.open:
            return self._fault(node, path, "an alias inside its own anchor; expected a value that ends")
        if self.count > MAX_NODES:
            return self._too_many(node)
        self.open.append(id(node))
        try:
            return self._dispatch(node, path)
        finally:
            self.open.pop()

    def _too_many(self, node: yaml.Node) -> None:
        if self.count == MAX_NODES + 1:
            self._fault(node, (), f"more than {MAX_NODES} values after expanding aliases")

    def _dispatch(self, node: yaml.Node, path: KeyPath) -> Any:
        name = str(node.tag).removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and name == "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and name == "seq":
            return tuple(self.build(item, (*path, index)) for index, item in enumerate(node.value))
        if isinstance(node, yaml.ScalarNode) and name in _SCALARS:
            return self._scalar(node, name, path)
        tag = str(node.tag).replace(_TAG, "!!")
        return self._fault(node, path, f"unknown tag {tag!r}; expected plain YAML without tags")

    def _scalar(self, node: yaml.ScalarNode, name: str, path: KeyPath) -> Any:
        text = str(node.value)
        if (
            name in _CORE_SCHEMA
            and not _CORE_SCHEMA[name].match(text)
            and not (name == "float" and _is_int(text))
        ):
            return self._fault(node, path, f"{text!r} is no {name} as its tag '!!{name}' says")
        try:
            return _SCALARS[name](text)
        except ValueError as error:
            return self._fault(node, path, f"number out of range: {error}")

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                continue
            key = self._key(key_node, path)
            line = key_node.start_mark.line + 1
            if key is None:
                continue
            if key in lines:
                text = f"duplicate key, first on line {lines[key]}; expected each key once"
                self._fault(key_node, (*path, key), text)
                continue
            lines[key] = line
            result[key] = self.build(value_node, (*path, key), line)
        return {**self._merged(node, path), **result}

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "str":
            return str(node.value)
        shown = repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"
        self._fault(node, path, f"{shown} as a key; expected text (put quotes around it)")
        return None

    def _merged(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        """Values of ``<<:`` keys; the mapping's own keys and earlier merged mappings win."""
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag != _TAG + "merge":
                continue
            value = self.build(value_node, (*path, "<<"))
            for index, part in enumerate(value if isinstance(value, tuple) else (value,)):
                if isinstance(part, dict):
                    result = {**part, **result}
                    self._keep_lines(path, index if isinstance(value, tuple) else None)
                else:
                    self._fault(value_node, path, "'<<' merges mappings; expected an alias of a mapping")
        return result

    def _keep_lines(self, path: KeyPath, index: int | None) -> None:
        """What was merged in keeps the line where it is written, at its new place."""
        inside = (*path, "<<") if index is None else (*path, "<<", index)
        for place, origin in list(self.document.origins.items()):
            if place[: len(inside)] == inside and place != inside:
                self.document.origins.setdefault((*path, *place[len(inside) :]), origin)

    def _origin(self, node: yaml.Node, line: int | None = None) -> Origin:
        return Origin(self.document.source, line or node.start_mark.line + 1)

    def _fault(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        fault = Fault(self._origin(node), dotted(path), text)
        if fault not in self.document.faults:
            self.document.faults.append(fault)


def _is_int(text: str) -> bool:
    return bool(_CORE_SCHEMA["int"].match(text))


def _integer(text: str) -> int:
    bases = {"0o": 8, "0x": 16}
    return int(text[2:], bases[text[:2]]) if text[:2] in bases else int(text)


def _real(text: str) -> float:
    # Python writes inf and nan without YAML's dot.
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_SCALARS: dict[str, Any] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": _integer,
    "float": _real,
    "str": str,
    "merge": str,
}
