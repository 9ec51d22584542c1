"""What a detection experiment does, and how thoroughly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ganlab.errors import GanlabError, lookup
from ganlab.forensics import GUARDS, LEVELS, PERTURBATIONS, PRESETS, SEVERITIES, systems_of
from ganlab.forensics.protocol.split import DEFAULT_FRACTIONS

DEFAULT_SYSTEMS = ("both+logistic", "radial+logistic", "dct+ridge", "pixels+ridge", "both+random_forest")


@dataclass(frozen=True)
class DetectionOptions:
    """Options of ``detect``; what they are named here they are named on the command line.

    Attributes:
        systems: presets and ``feature+detector`` texts.
        seeds: repetitions: split, training and bootstrap are drawn anew in each.
        fractions: of train, validation, test.
        perturbations: names whose effect on a fitted detector is measured: single operators at their five
            severities, published mixtures once.
        sizes: training-set sizes (images in all) of the sample-size curve; empty: none.
        bands: number of frequency bands of the importance figure; 0: none.
        resamples: bootstrap draws of every interval.
        attribution: also learn to name the source of an image.
        optimize: candidates of hyper-parameters tried for each system on validation images; 0: none.
        allow: guards whose findings are tolerated.
    """

    systems: tuple[str, ...] = DEFAULT_SYSTEMS
    seeds: int = 3
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS
    perturbations: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    bands: int = 8
    resamples: int = 1000
    attribution: bool = False
    optimize: int = 0
    allow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        systems_of(self.systems)
        for name in self.perturbations:
            lookup(PERTURBATIONS, name, "perturbation")
        for name in self.allow:
            lookup(dict.fromkeys(GUARDS), name, "guard")
        if min(self.seeds, len(self.systems)) < 1 or min(self.bands, self.resamples, self.optimize) < 0:
            raise GanlabError(f"at least one system and one seed, and no negative numbers; got {self}")

    def severities(self) -> dict[str, tuple[int | None, ...]]:
        """Levels of every perturbation; None where it has none."""
        return {
            name: tuple(range(1, LEVELS + 1)) if SEVERITIES.get(name, ({},))[0] else (None,)
            for name in self.perturbations
        }

    def as_json(self) -> Mapping[str, Any]:
        """For results."""
        return asdict(self)


def preset_options(name: str, **changes: Any) -> DetectionOptions:
    """The options of a published preset: its systems, its perturbations, attribution where it has it.

    Raises:
        GanlabError: an unknown preset.
    """
    preset = lookup(PRESETS, name, "preset of systems")
    chosen: dict[str, Any] = {
        "systems": (name,), "perturbations": preset.perturbations, "attribution": preset.attribution,
    }  # fmt: skip
    return DetectionOptions(**{**chosen, **changes})
