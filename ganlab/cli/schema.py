"""``ganlab schema``."""

from __future__ import annotations

import json

from ganlab.config import json_schema


def schema() -> None:
    """Print the JSON schema of configuration files, for editors that complete and check YAML."""
    print(json.dumps(json_schema(), indent=2))
