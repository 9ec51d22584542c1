"""How ``ganlab patches`` and ``ganlab evade`` work, and how thoroughly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ganlab.errors import GanlabError, lookup
from ganlab.forensics import GUARDS, systems_of

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
        _check_allowed(self.allow)
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


@dataclass(frozen=True)
class EvadeOptions:
    """Options of ``ganlab evade``; what they are named here they are named on the command line.

    Attributes:
        num: images generated before and after, and reals used at most.
        steps: of the fine-tuning.
        batch: latents in a step.
        rate: of Adam.
        closeness: weight of the mean squared change of the images.
        weights: which weights of the run are tuned, "ema" or "raw".
        seeds: fresh detectors of each kind, each with its own split.
        epochs: at most so many passes of a fresh detector of the frozen one's kind.
        systems: further fresh detectors, as ``feature+detector``.
        resamples: bootstrap draws of every interval.
        seed: of latents, splits and draws.
        allow: guards whose findings are tolerated.
    """

    num: int = 1000
    steps: int = 300
    batch: int = 32
    rate: float = 1e-4
    closeness: float = 1.0
    weights: str = "ema"
    seeds: int = 3
    epochs: int = 30
    systems: tuple[str, ...] = ("both+logistic",)
    resamples: int = 1000
    seed: int = 0
    allow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_allowed(self.allow)
        systems_of(self.systems)
        if min(self.steps, self.batch, self.seeds, self.epochs) < 1 or self.resamples < 0:
            raise GanlabError(f"steps, batch, seeds and epochs are at least 1, resamples 0; got {self}")
        if self.rate <= 0 or self.closeness < 0:
            raise GanlabError(f"rate is above 0, closeness at least 0; got {self.rate}, {self.closeness}")
        if self.num < 2:
            raise GanlabError(f"num is at least 2; got {self.num}")

    def as_json(self) -> Mapping[str, Any]:
        """What the results depend on; a tolerated guard changes no number."""
        return {name: value for name, value in asdict(self).items() if name != "allow"}


def _check_allowed(names: tuple[str, ...]) -> None:
    for name in names:
        lookup(dict.fromkeys(GUARDS), name, "guard")
