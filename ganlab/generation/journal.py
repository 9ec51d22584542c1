"""Which blocks of an unfinished part are complete: a line each, written after the block's files."""

from __future__ import annotations

import json
from pathlib import Path


class Journal:
    """Append-only record of finished blocks with the SHA-256 of each file they wrote."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blocks = self._read()

    def _read(self) -> dict[int, dict[str, str]]:
        """Complete lines only: the last one may have been cut off by a kill."""
        blocks: dict[int, dict[str, str]] = {}
        if not self.path.exists():
            return blocks
        for line in self.path.read_text().splitlines():
            try:
                entry = json.loads(line)
                blocks[int(entry["block"])] = dict(entry["files"])
            except (ValueError, KeyError, TypeError):
                continue
        return blocks

    def add(self, block: int, files: dict[str, str]) -> None:
        """Record that every file of the block is on disk."""
        new_line = "\n" if self.path.exists() and not self.path.read_bytes().endswith(b"\n") else ""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(new_line + json.dumps({"block": block, "files": files}) + "\n")
        self.blocks[block] = files

    def files(self) -> dict[str, str]:
        """File name -> SHA-256 over all blocks, in the order of the blocks."""
        return {name: value for block in sorted(self.blocks) for name, value in self.blocks[block].items()}
