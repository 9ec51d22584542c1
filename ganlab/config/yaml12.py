"""YAML as its version 1.2 says: ``2e-4`` is a number, ``off`` is text, a key may stand only once.

PyYAML implements version 1.1; this subclass of its safe loader resolves plain scalars by the 1.2 core
schema (https://yaml.org/spec/1.2.2/#103-core-schema) and builds the value itself, so that it can keep the
line of every key and report all structural faults of a file together. Sequences become tuples.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from ganlab.config.errors import ConfigError, Fault, KeyPath, Origin, dotted

MAX_NODES = 100_000
"""Aliases are expanded; a file that grows beyond this many values is an accident or an attack."""

LARGEST = 2**18
"""Characters of a text: reading so many takes a second or two, and no configuration has a tenth of them."""

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
    if len(text) > LARGEST:
        raise ConfigError(
            [Fault(Origin(source), "", f"has {len(text)} characters; expected at most {LARGEST}")]
        )
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
        mark = error.problem_mark or error.context_mark
        column = f"column {mark.column + 1}: " if mark else ""
        what = ", ".join(part for part in (error.context, error.problem) if part)
        origin = Origin(source, mark.line + 1 if mark else None)
        raise ConfigError([Fault(origin, "", f"{column}not valid YAML: {what}")]) from error
    except yaml.YAMLError as error:
        what = " ".join(str(error).split())
        raise ConfigError([Fault(Origin(source), "", f"not readable as YAML: {what}")]) from error
    except (ValueError, OverflowError) as error:
        # PyYAML hands the number of an escape such as "\U00110000" to chr() unseen.
        line = loader.line + 1 if loader else None
        text = f"not valid YAML: an escape that is no character ({error})"
        raise ConfigError([Fault(Origin(source, line), "", text)]) from error
    finally:
        if loader is not None:
            loader.dispose()


class _Builder:
    """Turns one node graph into values, noting origins and faults in the document.

    Attributes:
        open: ids of the nodes around the present one.
        count: values built so far, those of aliases as often as they stand.
        seen: the faults of the document; an anchor that is used often reports its faults once.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.open: set[int] = set()
        self.count = 0
        self.seen: set[Fault] = set()

    def build(self, node: yaml.Node, path: KeyPath, line: int | None = None) -> Any:
        """The value of ``node``; ``line`` is that of its key where it has one."""
        self.count += 1
        if self.count > MAX_NODES:
            # Said once. Every further value is None and builds nothing, so that the rest costs little.
            if self.count == MAX_NODES + 1:
                self._fault(node, (), f"more than {MAX_NODES} values after expanding aliases")
            return None
        self.document.origins.setdefault(path, Origin(self.document.source, line or node.start_mark.line + 1))
        if id(node) in self.open:
            return self._fault(node, path, "an alias inside its own anchor; expected a value that ends")
        self.open.add(id(node))
        try:
            name = str(node.tag).removeprefix(_TAG)
            if isinstance(node, yaml.MappingNode) and name == "map":
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode) and name == "seq":
                return tuple(self.build(item, (*path, index)) for index, item in enumerate(node.value))
            if isinstance(node, yaml.ScalarNode) and name in _SCALARS:
                return self._scalar(node, name, path)
            tag = str(node.tag).replace(_TAG, "!!")
            return self._fault(node, path, f"unknown tag {tag!r}; expected plain YAML without tags")
        finally:
            self.open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode, name: str, path: KeyPath) -> Any:
        text = str(node.value)
        # An explicit !!float may stand before an integer.
        kinds = ("float", "int") if name == "float" else (name,)
        if name in _CORE_SCHEMA and not any(_CORE_SCHEMA[kind].match(text) for kind in kinds):
            return self._fault(node, path, f"{text!r} is no {name} as its tag '!!{name}' says")
        try:
            return _SCALARS[name](text)
        except ValueError as error:
            return self._fault(node, path, f"number out of range: {error}")

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        own: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merges = []
        for key_node, value_node in node.value:
            key = key_node.value
            if key_node.tag == _TAG + "merge":
                merges.append(value_node)
            elif not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _TAG + "str":
                what = repr(key) if isinstance(key_node, yaml.ScalarNode) else "a list or mapping"
                self._fault(key_node, path, f"{what} as a key; expected text (put quotes around it)")
            elif key in lines:
                text = f"duplicate key, first on line {lines[key]}; expected each key once"
                self._fault(key_node, (*path, key), text)
            else:
                lines[key] = key_node.start_mark.line + 1
                own[key] = self.build(value_node, (*path, key), lines[key])
        return {**self._merged(merges, path), **own} if merges else own

    def _merged(self, merges: list[yaml.Node], path: KeyPath) -> dict[str, Any]:
        """Values of ``<<:`` keys; earlier merged mappings win.

        They are built at ``path`` itself, after the mapping's own keys: so each keeps the line where it is
        written, unless there is an own key.
        """
        parts = []
        for value_node in merges:
            several = isinstance(value_node, yaml.SequenceNode)
            for part_node in value_node.value if several else [value_node]:
                part = self.build(part_node, path)
                if isinstance(part, dict):
                    parts.append(part)
                elif self.count <= MAX_NODES:
                    self._fault(value_node, path, "'<<' merges mappings; expected an alias of a mapping")
        result: dict[str, Any] = {}
        for part in reversed(parts):
            result.update(part)
        return result

    def _fault(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        fault = Fault(Origin(self.document.source, node.start_mark.line + 1), dotted(path), text)
        if fault not in self.seen:
            self.seen.add(fault)
            self.document.faults.append(fault)


_SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": lambda text: int(text, 0 if text[:2] in ("0o", "0x") else 10),
    # Python writes inf and nan without YAML's dot.
    "float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
    "str": str,
    "merge": str,
}
"""Kind of a plain scalar -> its value; ValueError where Python has no such number."""
