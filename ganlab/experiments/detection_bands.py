"""Which frequencies a detector uses: shuffle a band of the test images, or learn from one band alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganlab.experiments.detection_options import DetectionOptions
from ganlab.experiments.detection_trials import Fitted, Record, measure
from ganlab.forensics import Bench
from ganlab.util.seeding import derive_seed

Mask = npt.NDArray[np.bool_]

SHUFFLED, ALONE = "without", "only"


@dataclass(frozen=True)
class Band:
    """Frequencies from ``low`` to ``high`` in cycles per pixel, and which entries they are."""

    low: float
    high: float
    members: Mask

    @property
    def name(self) -> str:
        """``low-high``."""
        return f"{self.low:.3f}-{self.high:.3f}"


def bands_of(frequencies: npt.NDArray[np.float64], count: int) -> list[Band]:
    """Equal bands of 0 to 1/2 cycle per pixel; corners beyond belong to the last; empty ones are left out."""
    edges = np.linspace(0.0, 0.5, count + 1)
    place = np.clip(np.digitize(frequencies, edges[1:-1]), 0, count - 1)
    bands = [Band(float(edges[i]), float(edges[i + 1]), place == i) for i in range(count)]
    return [band for band in bands if band.members.any()]


def band_records(fitted: Fitted, bench: Bench, options: DetectionOptions) -> Iterator[Record]:
    """For every band: the detector with the band shuffled among images, and a new one on the band alone.

    Nothing is yielded where the feature has no frequencies.
    """
    frequencies = fitted.system.make_feature().frequencies(bench.real.shape)
    if frequencies is None or options.bands == 0:
        return
    source = fitted.trained_on
    train, labels = bench.training(fitted.system, [source])
    test, truth = bench.testing(fitted.system, source)
    yield measure(fitted, (test, truth), "band", source, options, "all")
    for band in bands_of(frequencies, options.bands):
        shuffled = _shuffled(test, band.members, fitted.seed)
        yield measure(fitted, (shuffled, truth), "band", source, options, f"{SHUFFLED} {band.name}")
        seed = derive_seed(fitted.seed, f"band/{band.name}") % 2**31
        detector = fitted.system.make_detector(seed).fit(train[:, band.members], labels)
        alone = Fitted(detector, fitted.system, source, len(labels), fitted.seed)
        yield measure(alone, (test[:, band.members], truth), "band", source, options, f"{ALONE} {band.name}")


def _shuffled(features: npt.NDArray[np.float32], members: Mask, seed: int) -> npt.NDArray[np.float32]:
    """The band's entries exchanged between images, all entries of an image together."""
    order = np.random.default_rng(derive_seed(seed, "band_shuffle")).permutation(len(features))
    out = features.copy()
    out[:, members] = features[order][:, members]
    return out
