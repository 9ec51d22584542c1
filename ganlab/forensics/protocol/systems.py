"""A system = a feature and a detector with their options."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ganlab.errors import GanlabError
from ganlab.forensics.detectors.make import make_detector
from ganlab.forensics.features.base import Feature
from ganlab.forensics.features.make import make_feature
from ganlab.forensics.registry import DETECTORS


@dataclass(frozen=True)
class System:
    """One way to detect.

    Attributes:
        feature: a key of ``FEATURES``.
        detector: a key of ``DETECTORS``.
        feature_options: of the feature.
        detector_options: of the detector.
    """

    feature: str
    detector: str
    feature_options: Mapping[str, Any] = field(default_factory=dict)
    detector_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``feature+detector``, options in parentheses where there are any."""
        return (
            f"{_titled(self.feature, self.feature_options)}+{_titled(self.detector, self.detector_options)}"
        )

    def make_feature(self) -> Feature:
        """The feature."""
        return make_feature(self.feature, **self.feature_options)

    def make_detector(self, seed: int) -> Any:
        """A new detector.

        Raises:
            GanlabError: unknown names or options.
        """
        return make_detector(self.detector, seed=seed, **self.detector_options)

    def with_detector_options(self, options: Mapping[str, Any]) -> System:
        """The same system with these options changed."""
        return replace(self, detector_options={**self.detector_options, **options})

    def with_feature_options(self, options: Mapping[str, Any]) -> System:
        """The same system with these options of the feature changed."""
        return replace(self, feature_options={**self.feature_options, **options})

    @property
    def is_network(self) -> bool:
        """Whether the detector is a network, which is trained in epochs."""
        return "epochs" in inspect.signature(DETECTORS[self.detector]).parameters


def _titled(name: str, options: Mapping[str, Any]) -> str:
    shown = ",".join(f"{key}={value}" for key, value in options.items())
    return f"{name}({shown})" if shown else name


def parse_system(text: str) -> System:
    """``feature+detector``, both by name.

    Raises:
        GanlabError: another form, or unknown names (checked by making both).
    """
    feature, plus, detector = text.partition("+")
    if not plus or not feature or not detector:
        raise GanlabError(f"a system is written feature+detector, such as both+logistic; got {text!r}")
    system = System(feature.strip(), detector.strip())
    system.make_feature()
    system.make_detector(0)
    return system
