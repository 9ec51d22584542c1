"""What a patch detector says about sets: of images it was not trained on, patch by patch, and moved by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.detection.measure import compare
from ganlab.forensics import NULL, Interval, NetDetector, Patch, exaggerate, load_splits, odds_of
from ganlab.forensics.nets.patch import ENSEMBLES, ensemble
from ganlab.forensics.nets.patch_maps import extreme_patches, fake_probability, patch_field, patch_logits
from ganlab.forensics.protocol.near import Hashes
from ganlab.images import UInt8Array, to_float, to_uint8
from ganlab.util.progress import bar
from ganlab.util.reading import read_json, reading

PLAN, SPLITS = "plan.json", "splits_0.json"
"""`ganlab detect` keeps the detectors of its first seed in detectors/; their plan and split lie beside it."""
BATCH = 128
TOWARDS = {"real": False, "fake": True}
"""Directions of an exaggeration, and whether they make an image more fake."""

Floats = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]


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
    folder, kept, known = model.absolute().parent.parent, np.arange(len(images)), False
    if (folder / PLAN).is_file() and (folder / SPLITS).is_file():
        splits = load_splits(folder / SPLITS)
        with reading(folder / PLAN, expected="the plan of 'ganlab detect'"):
            plan = read_json(folder / PLAN, dict)
            pixels = {str(name): str(value) for name, value in plan["identity"]["sets"].items()}
        for name, split in splits.items():
            count = len(split.train) + len(split.val) + len(split.test)
            thinned = images.spaced(count)  # as --limit does
            if count > len(images) or images.subset(thinned).fingerprint() != pixels.get(name):
                continue
            seen = identities[thinned][np.concatenate([split.train, split.val])]
            kept, known = np.flatnonzero(~np.isin(identities, seen)), True
            break
    if not len(kept):
        raise GanlabError(f"{images.name}: the detector was trained on all of these images; give others")
    left_out = len(images) - len(kept)
    kept = kept[images.subset(kept).spaced(limit)]
    return HeldOut(images.subset(kept), identities[kept], left_out, known)


@dataclass(frozen=True)
class Measured:
    """One set under a patch detector.

    Attributes:
        images: the set.
        scores: probability of fake of every image by each ensembling rule, ``(N,)``.
        odds: their log-odds, which rank images where probabilities round to 0 or 1.
        most_fake: the patch of highest log-odds of fake of every image.
        most_real: that of lowest.
        mean_map: probability of fake at every place, mean over the images, ``(h, w)``.
    """

    images: ImageSet
    scores: Mapping[str, Scores]
    odds: Mapping[str, Scores]
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
    odds: dict[str, list[Scores]] = {rule: [] for rule in ENSEMBLES}
    high: list[Patch] = []
    low: list[Patch] = []
    total: Scores = np.zeros(())
    with bar(total=len(images), desc=images.name, unit="image") as line:
        for batch in images.batches(BATCH):
            logits = patch_logits(detector, to_float(batch).numpy())
            for rule, parts in scores.items():
                parts.append(ensemble(torch.from_numpy(logits), rule)[:, 1].double().numpy())
                odds[rule].append(odds_of(ensemble(torch.from_numpy(logits).double(), rule).double().numpy()))
            high += extreme_patches(logits, field, fake=True, first=len(high))
            low += extreme_patches(logits, field, fake=False, first=len(low))
            total = total + fake_probability(logits).sum(0, dtype=np.float64)
            line.update(len(batch))
    joined = {rule: np.clip(np.concatenate(parts), 0, 1) for rule, parts in scores.items()}
    mean = (total / len(images)).astype(np.float32)
    ranks = {rule: np.concatenate(parts) for rule, parts in odds.items()}
    return Measured(images, joined, ranks, tuple(high), tuple(low), mean)


Rules = dict[tuple[str, str], tuple[int, int, dict[str, Interval]]]
"""By ensembling rule and test set: number of reals, number of fakes, metrics."""


def compare_rules(real: Measured, fake: Measured, resamples: int, seed: int) -> Rules:
    """Every rule on the fakes, and on one half of the reals against the other, where all is chance."""
    rules: Rules = {}
    for rule in ENSEMBLES:
        reals, fakes = (np.stack([one.scores[rule], one.odds[rule]]) for one in (real, fake))
        pairs = {fake.images.name: (reals, fakes), NULL: (reals[:, ::2], reals[:, 1::2])}
        for name, (left, right) in pairs.items():
            rules[rule, name] = left.shape[1], right.shape[1], compare(left, right, resamples, seed)
    return rules


@dataclass(frozen=True)
class Exaggerated:
    """Images of one set, moved along what the detector sees.

    Attributes:
        label: "real" or "fake".
        places: of the images in their set.
        images: uint8 ``(n, H, W, C)`` as they were and as they became: "original", "real", "fake".
        p_fake: probability of fake of each of these, after rounding to bytes.
        log_odds: of fake, likewise: mean over the patches.
        rms: root mean square change in grey levels; of "original" none.
    """

    label: str
    places: Sequence[int]
    images: dict[str, UInt8Array]
    p_fake: dict[str, Scores]
    log_odds: dict[str, Floats]
    rms: dict[str, Scores]


def exaggerate_set(
    detector: NetDetector, label: str, images: ImageSet, count: int, strength: float, steps: int
) -> Exaggerated:
    """Evenly spaced images of a set, amplified towards real and towards fake."""
    places = [int(place) for place in images.spaced(count)]
    original = images.read(places)
    moved = {"original": original}
    for name, fake in TOWARDS.items():
        pixels = exaggerate(detector, to_float(original).numpy(), strength, steps, fake)
        moved[name] = to_uint8(torch.from_numpy(pixels))
    p_fake, log_odds, rms = {}, {}, {}
    for name, own in moved.items():
        pixels = to_float(own).numpy()
        p_fake[name] = np.asarray(detector.predict_proba(pixels)[:, 1], np.float64)
        logits = patch_logits(detector, pixels)
        log_odds[name] = (logits[:, 1] - logits[:, 0]).mean((1, 2))
        rms[name] = grey_levels(own, original)
    return Exaggerated(label, places, moved, p_fake, log_odds, rms)


def grey_levels(images: UInt8Array, others: UInt8Array) -> Scores:
    """Root mean square difference of every image, in grey levels of 0 to 255, ``(N,)``."""
    apart = images.astype(np.float64) - others
    rms: Scores = np.sqrt((apart**2).mean((1, 2, 3)))
    return rms
