"""A patch detector on a whole set, batch by batch: image scores by every rule, telling patches, mean map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ganlab.data.imageset import ImageSet
from ganlab.forensics import NULL, Interval, NetDetector, Patch, evaluate
from ganlab.forensics.nets.patch import ENSEMBLES, ensemble
from ganlab.forensics.nets.patch_maps import extreme_patches, fake_probability, patch_field, patch_logits
from ganlab.images import to_float
from ganlab.util.progress import bar

BATCH = 128

Floats = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """One set under a patch detector.

    Attributes:
        images: the set.
        scores: probability of fake of every image by each ensembling rule, ``(N,)``.
        most_fake: the patch of highest log-odds of fake of every image.
        most_real: that of lowest.
        mean_map: probability of fake at every place, mean over the images, ``(h, w)``.
    """

    images: ImageSet
    scores: Mapping[str, Scores]
    most_fake: tuple[Patch, ...]
    most_real: tuple[Patch, ...]
    mean_map: Floats


def measure_set(detector: NetDetector, images: ImageSet) -> Measured:
    """Run the detector over a set; memory does not grow with it, but for a few numbers an image.

    Raises:
        GanlabError: not a patch detector, or images that it cannot take.
    """
    field = patch_field(detector)
    scores: dict[str, list[Scores]] = {rule: [] for rule in ENSEMBLES}
    high: list[Patch] = []
    low: list[Patch] = []
    total: Scores | None = None
    with bar(total=len(images), desc=images.name, unit="image") as line:
        for batch in images.batches(BATCH):
            logits = patch_logits(detector, to_float(batch).numpy())
            for rule, parts in scores.items():
                parts.append(ensemble(torch.from_numpy(logits), rule)[:, 1].double().numpy())
            high += extreme_patches(logits, field, fake=True, first=len(high))
            low += extreme_patches(logits, field, fake=False, first=len(low))
            summed = fake_probability(logits).sum(0, dtype=np.float64)
            total = summed if total is None else total + summed
            line.update(len(batch))
    assert total is not None
    joined = {rule: np.clip(np.concatenate(parts), 0, 1) for rule, parts in scores.items()}
    mean = (total / len(images)).astype(np.float32)
    return Measured(images, joined, tuple(high), tuple(low), mean)


@dataclass(frozen=True)
class RuleRecord:
    """How well one ensembling rule does.

    Attributes:
        rule: its name.
        tested_on: the fake set, or the null control.
        reals: number of reals.
        fakes: number of fakes.
        metrics: with intervals.
    """

    rule: str
    tested_on: str
    reals: int
    fakes: int
    metrics: dict[str, Interval]


def compare_rules(real: Measured, fake: Measured, resamples: int, seed: int) -> list[RuleRecord]:
    """Every rule on the fakes, and on one half of the reals against the other, where all is chance."""
    records = []
    for rule in ENSEMBLES:
        reals, fakes = real.scores[rule], fake.scores[rule]
        pairs = {fake.images.name: (reals, fakes), NULL: (reals[::2], reals[1::2])}
        for name, (left, right) in pairs.items():
            labels = np.repeat([0, 1], [len(left), len(right)])
            metrics = evaluate(labels, np.concatenate([left, right]), resamples, seed=seed)
            records.append(RuleRecord(rule, name, len(left), len(right), metrics))
    return records
