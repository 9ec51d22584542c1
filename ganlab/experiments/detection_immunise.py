"""Naming sources when images are perturbed, before and after networks were trained on with perturbed images.

After Yu et al., ICCV 2019, arXiv 1811.08180: an immunised network for every perturbation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ganlab.experiments.detection_options import DetectionOptions
from ganlab.experiments.detection_sources import SourceDetector, balanced, confusion_of
from ganlab.forensics import Bench, Interval, NetDetector, immunised
from ganlab.forensics.perturbations.base import Perturbation
from ganlab.forensics.perturbations.published import OneOf
from ganlab.forensics.perturbations.severity import make_perturbation
from ganlab.util.seeding import derive_seed

PIXELS = "pixels"


@dataclass(frozen=True)
class Immunity:
    """Balanced accuracy of naming the source under one perturbation.

    Attributes:
        system: name of the system.
        seed: of split, detector and perturbation.
        setting: perturbation, with its severity where it has one.
        before: fitted on clean images.
        after: trained on with perturbed images; None for what is no network on pixels.
        clean_after: of the same on clean test images.
    """

    system: str
    seed: int
    setting: str
    before: Interval
    after: Interval | None = None
    clean_after: Interval | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        found = {"before": self.before, "after": self.after, "clean_after": self.clean_after}
        return {
            "system": self.system, "seed": self.seed, "setting": self.setting,
            **{name: None if one is None else one.as_list() for name, one in found.items()},
        }  # fmt: skip


def perturbed_sources(fitted: SourceDetector, bench: Bench, options: DetectionOptions) -> Iterator[Immunity]:
    """Every perturbation at every severity; immunised against all severities of one perturbation at once."""
    for name, levels in options.severities().items():
        tuned, clean = _tuned(fitted, bench, options, name, levels)
        for level in levels:
            perturbation = make_perturbation(name, level)
            parts = [bench.perturbed_set(fitted.system, n, perturbation, fitted.seed) for n in fitted.names]
            before = _accuracy(fitted, fitted.detector, parts, options)
            after = None if tuned is None else _accuracy(fitted, tuned, parts, options)
            setting = name if level is None else f"{name} {level}"
            yield Immunity(fitted.system.name, fitted.seed, setting, before, after, clean)


def _tuned(
    fitted: SourceDetector, bench: Bench, options: DetectionOptions, name: str, levels: tuple[int | None, ...]
) -> tuple[NetDetector | None, Interval | None]:
    """The network after immunisation and its accuracy on clean images; nothing for other systems."""
    detector = fitted.detector
    if not options.immunise or not isinstance(detector, NetDetector) or fitted.system.feature != PIXELS:
        return None, None
    seed = derive_seed(fitted.seed, f"immunise/{name}")
    tuned = immunised(detector, fitted.features, fitted.labels, _drawn(name, levels), seed=seed)
    clean = [bench.features(fitted.system, n)[bench.splits[n].test] for n in fitted.names]
    return tuned, _accuracy(fitted, tuned, clean, options)


def _drawn(name: str, levels: tuple[int | None, ...]) -> Perturbation:
    """The perturbation, at one of its severities drawn for each image."""
    return OneOf(tuple(make_perturbation(name, level) for level in levels))


def _accuracy(fitted: SourceDetector, detector: Any, parts: list[Any], options: DetectionOptions) -> Interval:
    return balanced(confusion_of(detector, parts), options.resamples, fitted.seed)
