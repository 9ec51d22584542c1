"""What the protocol needs to know of a set of images, and the smallest set there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ganlab.errors import GanlabError
from ganlab.images import UInt8Array


class ImageSet(Protocol):
    """Images of one origin in a stable order; ``ganlab.data.open_image_set`` returns one."""

    @property
    def name(self) -> str:
        """Short name for tables."""
        ...

    @property
    def num_images(self) -> int:
        """How many there are."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels of every image."""
        ...

    @property
    def codecs(self) -> set[str]:
        """File formats the pixels come from, such as {"PNG"}."""
        ...

    def batches(self, size: int) -> Iterator[UInt8Array]:
        """uint8 ``(n, H, W, C)``, n <= size, all images in their order."""
        ...


@dataclass(frozen=True)
class ArraySet:
    """A set that is already in memory.

    Attributes:
        name: short name for tables.
        images: uint8 ``(N, H, W, C)``.
    """

    name: str
    images: UInt8Array

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or not len(self.images):
            raise GanlabError(
                f"set {self.name!r}: expected uint8 (N, H, W, C) with N >= 1; "
                f"got {self.images.dtype} of shape {self.images.shape}"
            )

    @property
    def num_images(self) -> int:
        """How many there are."""
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels of every image."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @property
    def codecs(self) -> set[str]:
        """An array was never coded."""
        return {"raw"}

    def batches(self, size: int) -> Iterator[UInt8Array]:
        """Views of the array."""
        for start in range(0, len(self.images), size):
            yield self.images[start : start + size]
