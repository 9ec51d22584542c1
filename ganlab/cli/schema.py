"""``ganlab schema``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ganlab.config import json_schema
from ganlab.config.tree import markdown_reference


def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The table of keys in the documentation.")
    ] = False,
) -> None:
    """Print the JSON schema of configuration files, for editors that complete and check YAML."""
    print(markdown_reference() if markdown else json.dumps(json_schema(), indent=2))
