"""Names of data sources -> loaders ``(data, image_size) -> Pack``."""

from __future__ import annotations

from collections.abc import Callable

from ganlab.config.schema import DataConfig
from ganlab.data.builtin import dead_leaves_source, pack_source
from ganlab.data.folder import folder_source
from ganlab.data.official import (
    celeba_source,
    cifar10_source,
    cifar100_source,
    imagenette_source,
    imagewoof_source,
    lsun_bedroom_source,
    stl10_source,
)
from ganlab.data.pack import Pack

SOURCES: dict[str, Callable[[DataConfig, int], Pack]] = {
    "dead_leaves": dead_leaves_source,
    "pack": pack_source,
    "folder": folder_source,
    "cifar10": cifar10_source,
    "cifar100": cifar100_source,
    "stl10": stl10_source,
    "celeba": celeba_source,
    "lsun_bedroom": lsun_bedroom_source,
    "imagenette": imagenette_source,
    "imagewoof": imagewoof_source,
}
