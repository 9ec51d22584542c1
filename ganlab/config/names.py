"""What can be named in a configuration or an option, known without importing torch.

Every room keeps its names as keys of a plain dict (`REGISTRIES` says where). ``names.json`` beside this file
is a copy of their keys, with the first docstring line of what they name. ``tests/config/test_names.py``
compares the two; ``python tests/config/test_names.py`` writes the copy anew after a registry has got a line.
Once a room is imported its live dict counts instead, so that an upsampler registered from a notebook is a
valid name at once.
"""

from __future__ import annotations

import functools
import inspect
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

TABLE = Path(__file__).with_name("names.json")
"""JSON: kind -> name -> one line about it."""


class Registry(NamedTuple):
    """Where a dict of names lives, and what one of its entries is called in messages."""

    module: str
    attribute: str
    entry: str


REGISTRIES: dict[str, Registry] = {
    "upsamplers": Registry("ganlab.upsampling", "UPSAMPLERS", "upsampler"),
    "unpoolers": Registry("ganlab.upsampling", "UNPOOLERS", "upsampler"),
    "decoders": Registry("ganlab.models", "DECODERS", "architecture"),
    "generators": Registry("ganlab.models", "GENERATORS", "architecture"),
    "discriminators": Registry("ganlab.models", "DISCRIMINATORS", "architecture"),
    "adversarial": Registry("ganlab.losses", "ADVERSARIAL", "adversarial loss"),
    "penalties": Registry("ganlab.losses", "PENALTIES", "penalty"),
    "augmentations": Registry("ganlab.losses", "AUGMENTATIONS", "augmentation"),
    "spectral": Registry("ganlab.losses", "SPECTRAL", "spectral loss"),
    "spectral_inputs": Registry("ganlab.models", "SPECTRAL_INPUTS", "input of the spectral discriminator"),
    "sources": Registry("ganlab.data.load", "SOURCES", "data source"),
    "conventions": Registry("ganlab.spectra", "CONVENTIONS", "spectrum convention"),
    "features": Registry("ganlab.forensics", "FEATURES", "feature"),
    "detectors": Registry("ganlab.forensics", "DETECTORS", "detector"),
    "perturbations": Registry("ganlab.forensics", "PERTURBATIONS", "perturbation"),
    "methods": Registry("ganlab.forensics", "PRESETS", "published method"),
}
"""Kind of name, as ``ganlab list KIND`` takes it -> the dict that holds such names."""


def names(kind: str) -> tuple[str, ...]:
    """Valid names of one of `REGISTRIES`, in the order of its dict."""
    return tuple(entries(kind))


def entries(kind: str) -> dict[str, str]:
    """Name -> first docstring line of one of `REGISTRIES`; imports nothing."""
    registry = REGISTRIES[kind]
    # vars() and not getattr(): a room that imports its parts late must not do so because of a question.
    live = vars(sys.modules.get(registry.module, object)).get(registry.attribute)
    # None also while the room is being imported and has not come to its registry yet.
    return _table()[kind] if live is None else {name: summary(value) for name, value in live.items()}


@functools.cache
def _table() -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


def summary(value: Any) -> str:
    """One line about a registry's value: its ``summary``, or its docstring's first line without full stop.

    A ``functools.partial`` is described by its function, an object by its class. A ``description`` is
    taken as it is, and may have a second line, as a published method has for its trap.
    """
    if isinstance(described := getattr(value, "description", None), str):
        return described
    stated = getattr(value, "summary", None)
    text = stated if isinstance(stated, str) else inspect.getdoc(getattr(value, "func", value))
    return (text or "").strip().partition("\n")[0].strip().removesuffix(".").replace("``", "")
