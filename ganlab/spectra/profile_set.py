"""What a comparison needs of a set of images: the profiles of its images, their means, size and range."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class ProfileSet:
    """Profiles of one set of images.

    Attributes:
        count: number of images in the set.
        height: H.
        width: W.
        channels: C, None where unknown.
        window: name of the window, "none" without.
        minimum: smallest value seen, and
        maximum: the largest.
        means: name -> ``(1, K)`` float64, over all images.
        profiles: name -> ``(n, K)`` of all images or a uniform sample of them; empty where none were kept.
        images: the images themselves ``(N, C, H, W)``, where a tensor was given.
    """

    count: int
    height: int
    width: int
    channels: int | None
    window: str
    minimum: float
    maximum: float
    means: dict[str, Tensor]
    profiles: dict[str, Tensor] = field(repr=False)
    images: Tensor | None = field(default=None, repr=False)

    @property
    def sampled(self) -> int:
        """Number of images whose profiles are at hand."""
        return len(next(iter(self.profiles.values()))) if self.profiles else 0
