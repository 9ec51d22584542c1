"""The schema as a tree of keys: which keys exist, what each expects, which one was probably meant."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from ganlab.config.errors import KeyPath, dotted
from ganlab.config.names import names
from ganlab.config.schema import Config
from ganlab.errors import nearest_name

Node = dict[str, Any]

NAMED: dict[str, str] = {
    "data.source": "sources",
    "model.architecture": "generators",
    "model.upsampling.name": "upsamplers",
    "model.upsampling.last": "upsamplers",
    "loss.adversarial": "adversarial",
    "loss.penalty": "penalties",
    "training.augment": "augmentations",
    "loss.spectral[0].kind": "spectral",
    "loss.spectral[0].convention": "conventions",
    "model.spectral_discriminator.input": "spectral_inputs",
    "model.spectral_discriminator.convention": "conventions",
}
"""Keys whose values are names of a registry; ``[0]`` stands for every item of a list of sections."""

OF_IMAGES = {"generators": "decoders", "upsamplers": "unpoolers"}
"""Kinds of names -> kind of those that only another task than gan can have."""


@functools.cache
def root() -> Node:
    """JSON schema of `Config` with its references resolved."""
    schema = plain_schema()
    resolved = _resolve(schema, schema.get("$defs", {}))
    assert isinstance(resolved, dict)
    return resolved


def plain_schema() -> Node:
    """Pydantic's JSON schema of `Config`, references always as ``$ref`` (before 2.9: ``allOf``)."""
    schema = Config.model_json_schema()
    sections = [schema, *schema["$defs"].values()]
    for node in (node for section in sections for node in section["properties"].values()):
        if "allOf" in node:
            node.update(node.pop("allOf")[0])
    return schema


def _resolve(node: Any, definitions: Node) -> Any:
    if isinstance(node, list):
        return [_resolve(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    target = definitions[reference.rsplit("/", 1)[1]] if reference else {}
    merged = {**target, **{key: value for key, value in node.items() if key not in ("$ref", "$defs")}}
    return {key: value if key == "default" else _resolve(value, definitions) for key, value in merged.items()}


def child(node: Node, part: str | int) -> Node | None:
    """The node under one key or index, or None when there is none."""
    for option in (node, *node.get("anyOf", ())):
        if isinstance(part, str) and part in option.get("properties", {}):
            return dict(option["properties"][part])
        if isinstance(part, int) and option.get("type") == "array":
            fixed = option.get("prefixItems", [])
            return dict(fixed[part]) if part < len(fixed) else dict(option.get("items") or {})
    return None


def find(path: KeyPath) -> Node | None:
    """The node at ``path``, or None when the schema has no such key."""
    node: Node | None = root()
    for part in path:
        node = child(node, part) if node is not None else None
    return node


def properties(node: Node) -> Node:
    """Keys of a section, also when it may be null or has a short form."""
    for option in (node, *node.get("anyOf", ())):
        if "properties" in option:
            return dict(option["properties"])
    return {}


def keys(node: Node | None = None, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key path of the schema, sections before their keys; those of a list of sections with index 0."""
    for name, below in properties(root() if node is None else node).items():
        yield (*path, name)
        yield from keys(below, (*path, name))
        if "items" in below:
            yield from keys(below["items"], (*path, name, 0))


@functools.cache
def all_keys() -> tuple[KeyPath, ...]:
    """`keys` of the whole schema."""
    return tuple(keys())


def first_item(path: KeyPath) -> KeyPath:
    """The path with every index 0, as `NAMED` and `keys` have it: loss.spectral[2] -> loss.spectral[0]."""
    return tuple(0 if isinstance(part, int) else part for part in path)


def suggestion(path: KeyPath) -> str:
    """``"; did you mean 'x'?"`` for an unknown key: a sibling, else the same or a near name elsewhere."""
    path = first_item(path)
    # The same word in another section is surer than a like one in this: betas is no misspelt task.
    elsewhere = [dotted(key) for key in all_keys() if key[-1] == str(path[-1]).replace("-", "_")]
    if elsewhere:
        return f"; did you mean '{elsewhere[0]}'?"
    siblings = [str(key[-1]) for key in all_keys() if key[:-1] == path[:-1]]
    near = nearest_name(str(path[-1]), siblings)
    return near or nearest_name(dotted(path), map(dotted, all_keys()))


def expected(path: KeyPath) -> str:
    """What the key expects, in words: ``an integer >= 1``, ``one of nearest, bilinear, ...``."""
    node, path = find(path), first_item(path)
    kind = NAMED.get(dotted(path)) or NAMED.get(dotted(path[:-1]))
    registered = names(kind) if kind else ()
    if not registered:
        return words_of(node or {})
    options = [option.get("type") for option in (node or {}).get("anyOf", ())]
    more = {"array": " or a list of them", "null": " or null"}
    return f"one of {', '.join(registered)}" + "".join(
        words for kind, words in more.items() if kind in options
    )


def words_of(node: Node) -> str:
    """What a schema node expects, in words, without the names of registries."""
    if "anyOf" in node:
        lists = any(option.get("type") == "array" for option in node["anyOf"])
        return (", or " if lists else " or ").join(words_of(option) for option in node["anyOf"])
    if "enum" in node:
        return "one of " + ", ".join(str(value) for value in node["enum"])
    if "properties" in node:
        return "a section with the keys " + ", ".join(node["properties"])
    if "prefixItems" in node:
        return f"a list of {len(node['prefixItems'])}: " + ", ".join(map(words_of, node["prefixItems"]))
    if node.get("type") == "array":
        return f"a list, each {words_of(node.get('items', {}))}"
    plain = {"integer": "an integer", "number": "a number", "string": "text", "boolean": "true or false"}
    words = plain.get(str(node.get("type")), str(node.get("type", "a value")))
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    limits = [f"{sign} {node[name]:.10g}" for name, sign in signs.items() if name in node]
    return f"{words} {' and '.join(limits)}" if limits else words


def markdown_reference() -> str:
    """A Markdown table: key, what it expects, default, meaning. Sections are left out, their keys are in."""
    rows = ["| key | expects | default | meaning |", "|---|---|---|---|"]
    for path in keys():
        node, key = find(path) or {}, dotted(path)
        if properties(node):
            continue
        expects = words_of(node) + (f" (a name of `ganlab list {NAMED[key]}`)" if key in NAMED else "")
        default = "required"
        if "default" in node:
            value = node["default"]
            default = (
                f"`{'null' if value is None else str(value).lower() if isinstance(value, bool) else value}`"
            )
        meaning = " ".join(str(node.get("description", "")).replace("``", "`").split())
        rows.append(f"| `{key}` | {expects} | {default} | {meaning} |")
    return "\n".join(rows) + "\n"


_OWNER = {
    "data": "DataConfig",
    "model": "ModelConfig",
    "model.upsampling": "UpsamplingConfig",
    "loss": "LossConfig",
    "loss.spectral[0]": "SpectralTermConfig",
    "model.spectral_discriminator": "SpectralDiscriminatorConfig",
    "training": "TrainingConfig",
}


def json_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a configuration file, with its short forms and ``extends``."""
    schema = plain_schema()
    definitions = schema["$defs"]
    for key, kind in NAMED.items():
        section, _, name = key.rpartition(".")
        node = definitions[_OWNER[section]]["properties"][name]
        # The text stands alone, beside null, or in a list.
        for option in (node, *node.get("anyOf", ())):
            for text in (option, option.get("items", {})):
                if text.get("type") == "string":
                    text["enum"] = [*names(kind), *(names(OF_IMAGES[kind]) if kind in OF_IMAGES else ())]
    upsampling = definitions["ModelConfig"]["properties"]["upsampling"]
    name = definitions["UpsamplingConfig"]["properties"]["name"]
    full = {"$ref": upsampling.pop("$ref")}
    upsampling["anyOf"] = [full, *name["anyOf"]]
    schema["properties"]["extends"] = {
        "type": "string",
        "description": "A preset, or a YAML file beside this one.",
    }
    # What is required may stand in the parent.
    del definitions["ModelConfig"]["required"]
    schema["if"] = {"not": {"required": ["extends"]}}
    schema["then"] = {
        "required": schema.pop("required"),
        "properties": {"model": {"required": ["upsampling"]}},
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
