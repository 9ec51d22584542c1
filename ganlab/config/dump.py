"""Writing a configuration back, comparing two, and the part of it that decides the result."""

from __future__ import annotations

from typing import Any

import yaml

from ganlab.config.errors import dotted
from ganlab.config.schema import Config
from ganlab.config.yaml12 import core_tag

BYSTANDERS: tuple[str, ...] = (
    "out", "data.cache", "data.download", "training.device", "training.compile_mode", "training.tf32",
    "training.deterministic", "training.threads", "training.max_minutes", "logging",
)  # fmt: skip
"""Keys (or sections) that change where, how fast, how rounded or how visibly a run computes, but not what."""


def _flow_list(dumper: Any, value: Any) -> yaml.Node:
    node: yaml.Node = dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)
    return node


def _text(dumper: Any, value: str) -> yaml.Node:
    # Line breaks of other alphabets survive only as escapes.
    style = '"' if any(char in value for char in "\n\r\x85\u2028\u2029") else None
    node: yaml.Node = dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)
    return node


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or 1.2 would read as something else; lists stay on one line."""

    yaml_representers = {**yaml.SafeDumper.yaml_representers, tuple: _flow_list, list: _flow_list, str: _text}  # noqa: RUF012

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        tag = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        if kind is yaml.ScalarNode and implicit[0] and str(tag).endswith(":str"):
            return core_tag(value)
        return tag

    def ignore_aliases(self, data: Any) -> bool:
        """Equal lists are written out, never as anchors and aliases."""
        return True


def dump(config: Config) -> str:
    """YAML 1.2 text with every field, defaults included; ``loads(dump(config)) == config``."""
    return dump_mapping(config.model_dump())


def dump_mapping(value: dict[str, Any]) -> str:
    """Any plain mapping as YAML 1.2 text in its own key order; tuples and lists on one line."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))


def flat(config: Config) -> dict[str, Any]:
    """Dotted key -> value for every field; ``model.upsampling.tail.convs`` only where there is a tail."""
    return dict(_leaves(config.model_dump(), ()))


def _leaves(value: dict[str, Any], path: tuple[str, ...]) -> list[tuple[str, Any]]:
    result: list[tuple[str, Any]] = []
    for key, item in value.items():
        below = (*path, key)
        result += _leaves(item, below) if isinstance(item, dict) else [(dotted(below), item)]
    return result


def differences(a: Config, b: Config) -> list[tuple[str, Any, Any]]:
    """``(key, value in a, value in b)`` of every field that differs, in the schema's order."""
    left, right = flat(a), flat(b)
    keys = [*left, *(key for key in right if key not in left)]
    return [(key, left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)]


def identity(config: Config, exclude_defaults: bool = False) -> dict[str, Any]:
    """The fields that define the numbers of a run, dotted key -> JSON value.

    Two configurations with equal identity describe the same run: `BYSTANDERS` are left out. Meant for the
    resume check and for content hashes (``ganlab.util.hashing.sha256_json``).

    Args:
        config: the configuration.
        exclude_defaults: leave out what is as it would be anyway: fields that a later version adds do not
            change the identity of an older run.
    """
    leaves = _leaves(config.model_dump(mode="json", exclude_defaults=exclude_defaults), ())
    return {
        key: value
        for key, value in leaves
        if not any(key == name or key.startswith(f"{name}.") for name in BYSTANDERS)
    }
