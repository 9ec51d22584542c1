"""How ``ganlab evade`` works, and how thoroughly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ganlab.errors import GanlabError, lookup
from ganlab.forensics import GUARDS, systems_of


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
        for name in self.allow:
            lookup(dict.fromkeys(GUARDS), name, "guard")
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
