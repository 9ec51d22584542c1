"""Which images of a set a saved detector was not trained on, as far as its results folder says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.forensics import NULL, Interval, NetDetector, Patch, Split, evaluate, load_splits
from ganlab.forensics.nets.patch import ENSEMBLES, ensemble
from ganlab.forensics.nets.patch_maps import extreme_patches, fake_probability, patch_field, patch_logits
from ganlab.forensics.protocol.near import Hashes
from ganlab.images import to_float
from ganlab.util.progress import bar

PLAN, SPLITS = "plan.json", "splits_0.json"
"""`ganlab detect` keeps the detectors of its first seed in detectors/; their plan and split lie beside it."""


@dataclass(frozen=True)
class HeldOut:
    """Images to measure on.

    Attributes:
        images: the set, without the images that the detector was trained on where that is known.
        hashes: identity of each of them, as given.
        left_out: how many were removed.
        known: whether the detector's own split names this set.
    """

    images: ImageSet
    hashes: Hashes
    left_out: int
    known: bool

    def sentence(self) -> str:
        """What a reader has to know."""
        number = f"{self.images.name}: {len(self.images)} images"
        if self.known:
            return (
                f"{number}, none of which the detector was trained on ({self.left_out} of its own left out)"
            )
        return f"{number}; no split beside the detector names this set, so it may have been trained on them"


def held_out(model: Path, images: ImageSet, identities: Hashes, limit: int | None = None) -> HeldOut:
    """The images of a set outside the training and validation parts of the detector's own split.

    The split lies beside the ``detectors`` folder of ``ganlab detect``. A set that it was made with a
    ``--limit`` of is recognised too, by its pixels.

    Args:
        model: the detector's file.
        images: any set.
        identities: of all its images; what shares one with a training image is left out as well, so that
            those of the guards leave out near-duplicates.
        limit: at most so many of what is left, evenly spaced.

    Raises:
        GanlabError: plan or split are damaged, or nothing is left.
    """
    split = _split_of(model.absolute().parent.parent, images)
    if split is None:
        return _limited(HeldOut(images, identities, 0, known=False), limit)
    seen = identities[images.spaced(_count(split))][np.concatenate([split.train, split.val])]
    kept = np.flatnonzero(~np.isin(identities, seen))
    if not len(kept):
        raise GanlabError(f"{images.name}: the detector was trained on all of these images; give others")
    found = HeldOut(images.subset(kept), identities[kept], len(identities) - len(kept), known=True)
    return _limited(found, limit)


def _limited(found: HeldOut, limit: int | None) -> HeldOut:
    chosen = found.images.spaced(limit)
    return HeldOut(found.images.subset(chosen), found.hashes[chosen], found.left_out, found.known)


def _count(split: Split) -> int:
    return len(split.train) + len(split.val) + len(split.test)


def _split_of(folder: Path, images: ImageSet) -> Split | None:
    """The split of this set, whole or evenly thinned out as ``--limit`` does; None where there is none.

    Raises:
        GanlabError: plan or split are damaged.
    """
    if not ((folder / PLAN).is_file() and (folder / SPLITS).is_file()):
        return None
    splits = load_splits(folder / SPLITS)
    try:
        plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        pixels = {str(name): str(value) for name, value in plan["identity"]["sets"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GanlabError(f"{folder / PLAN} is no plan of 'ganlab detect': {error}") from error
    for name, split in splits.items():
        count = _count(split)
        if count <= len(images) and images.subset(images.spaced(count)).fingerprint() == pixels.get(name):
            return split
    return None


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
