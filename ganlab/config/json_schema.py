"""The schema for editors: keys, types, ranges, defaults, descriptions, and the names of the registries."""

from __future__ import annotations

from typing import Any

from ganlab.config.registries import names
from ganlab.config.tree import NAMED, plain_schema

_OWNER = {
    "data": "DataConfig",
    "model": "ModelConfig",
    "model.upsampling": "UpsamplingConfig",
    "loss": "LossConfig",
    "loss.spectral[0]": "SpectralTermConfig",
    "model.spectral_discriminator": "SpectralDiscriminatorConfig",
}


def json_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a configuration file, with its short forms and ``extends``."""
    schema = plain_schema()
    definitions = schema["$defs"]
    for key, kind in NAMED.items():
        section, _, name = key.rpartition(".")
        _name_values(definitions[_OWNER[section]]["properties"][name], list(names(kind)))
    upsampling = definitions["ModelConfig"]["properties"]["upsampling"]
    name = definitions["UpsamplingConfig"]["properties"]["name"]
    full = {"$ref": upsampling.pop("$ref")}
    upsampling["anyOf"] = [full, *name["anyOf"]]
    schema["properties"]["extends"] = {
        "type": "string",
        "description": "A preset, or a YAML file beside this one.",
    }
    _require_unless_extended(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _require_unless_extended(schema: dict[str, Any]) -> None:
    """What is required may stand in the parent."""
    del schema["$defs"]["ModelConfig"]["required"]
    schema["if"] = {"not": {"required": ["extends"]}}
    schema["then"] = {
        "required": schema.pop("required"),
        "properties": {"model": {"required": ["upsampling"]}},
    }


def _name_values(node: dict[str, Any], valid: list[str]) -> None:
    """Limit the text in ``node`` (alone, in a list, or beside null) to the valid names, if there are any."""
    for option in (node, *node.get("anyOf", ())):
        for text in (option, option.get("items", {})):
            if valid and text.get("type") == "string":
                text["enum"] = valid
