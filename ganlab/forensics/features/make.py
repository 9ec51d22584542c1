"""From a name and options to a feature, from features to one matrix."""

from __future__ import annotations

from typing import Any

from ganlab.errors import GanlabError, lookup
from ganlab.forensics.features.base import Feature
from ganlab.forensics.registry import FEATURES


def make_feature(name: str, **options: Any) -> Feature:
    """A feature of the registry.

    Raises:
        GanlabError: unknown name, unknown option, or a value out of range.
    """
    factory = lookup(FEATURES, name, "feature")
    try:
        return factory(**options)
    except TypeError as error:
        raise GanlabError(f"feature {name!r}: {error}") from error
