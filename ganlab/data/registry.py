"""Names of data sources -> loaders ``(data, image_size) -> Pack``."""

from __future__ import annotations

from collections.abc import Callable

from ganlab.config.schema import DataConfig
from ganlab.data.builtin import dead_leaves_source, pack_source
from ganlab.data.folder import folder_source
from ganlab.data.pack import Pack

SOURCES: dict[str, Callable[[DataConfig, int], Pack]] = {
    "dead_leaves": dead_leaves_source,
    "pack": pack_source,
    "folder": folder_source,
}
