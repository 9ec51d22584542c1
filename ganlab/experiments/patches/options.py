"""How ``ganlab patches`` works, and how thoroughly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ganlab.errors import GanlabError, lookup
from ganlab.forensics import GUARDS

MOST_SHOWN = 16


@dataclass(frozen=True)
class PatchOptions:
    """Options of ``ganlab patches``; what they are named here they are named on the command line.

    Attributes:
        shown: images of each set in the figure of heat maps.
        gallery: patches in each row of the gallery.
        pairs: images of each set in the figure of exaggerated images.
        strength: length of the exaggeration, root mean square over an image with values in [-1, 1].
        steps: gradient steps of the exaggeration.
        resamples: bootstrap draws of every interval.
        seed: of the bootstrap.
        allow: guards whose findings are tolerated.
        limit: at most so many images of each set, evenly spaced; chosen after those that the detector was
            trained on are left out.
    """

    shown: int = 7
    gallery: int = 10
    pairs: int = 3
    strength: float = 0.1
    steps: int = 10
    resamples: int = 1000
    seed: int = 0
    allow: tuple[str, ...] = ()
    limit: int | None = None

    def __post_init__(self) -> None:
        for name in self.allow:
            lookup(dict.fromkeys(GUARDS), name, "guard")
        if self.limit is not None and self.limit < 2:
            raise GanlabError(f"limit is at least 2; got {self.limit}")
        for name in ("shown", "gallery", "pairs"):
            value = getattr(self, name)
            if not 1 <= value <= MOST_SHOWN:
                raise GanlabError(f"{name} is 1 to {MOST_SHOWN}, or nothing could be seen; got {value}")
        if not 0 < self.strength <= 2 or self.steps < 1 or self.resamples < 0:
            raise GanlabError(
                "strength is above 0 and at most 2 (images lie in [-1, 1]), steps at least 1, resamples at "
                f"least 0; got {self.strength}, {self.steps}, {self.resamples}"
            )

    def as_json(self) -> Mapping[str, Any]:
        """What the results depend on; a tolerated guard changes no number."""
        return {name: value for name, value in asdict(self).items() if name != "allow"}
