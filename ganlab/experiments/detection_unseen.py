"""False alarms on reals of another kind, which no training image resembles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.detection_trials import Fitted
from ganlab.forensics import Bench, Interval
from ganlab.forensics.features.extract import extract
from ganlab.util.seeding import derive_seed


@dataclass(frozen=True)
class Unseen:
    """Share of never-seen reals that a detector calls fake, with a binomial bootstrap interval."""

    system: str
    trained_on: str
    tested_on: str
    seed: int
    images: int
    rate: Interval

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**self.__dict__, "rate": self.rate.as_list()}


def unseen_rates(fitted: Fitted, bench: Bench, sets: Sequence[ImageSet], resamples: int) -> Iterator[Unseen]:
    """The rate on each set.

    Raises:
        GanlabError: a set of another size than the training images.
    """
    for images in sets:
        if images.shape != bench.real.shape:
            raise GanlabError(f"{images.name} has images of {images.shape}, the reals are {bench.real.shape}")
        features = extract(fitted.system.make_feature(), images, bench.cache)
        alarms = float((fitted.scores(features) >= 0.5).mean())
        interval = _interval(alarms, images.num_images, resamples, fitted.seed)
        yield Unseen(
            fitted.system.name, fitted.trained_on, images.name, fitted.seed, images.num_images, interval
        )


def _interval(rate: float, count: int, resamples: int, seed: int) -> Interval:
    if resamples == 0:
        return Interval(rate, rate, rate)
    rng = np.random.default_rng(derive_seed(seed, "unseen_bootstrap"))
    low, high = np.percentile(rng.binomial(count, rate, resamples) / count, [2.5, 97.5])
    return Interval(rate, float(low), float(high))
