"""Yu et al. 2019: who made the image? By seeds and kinds, by bands of frequency, by small patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.data import ImageSet
from ganlab.experiments.claims.detecting import systems
from ganlab.experiments.claims.drawing import bars
from ganlab.experiments.claims.guarnera2020 import KINDS, accuracy, named
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.seeds import SEEDS, seeded
from ganlab.experiments.claims.separation import features
from ganlab.experiments.claims.setting import Setting, floats
from ganlab.experiments.detection.measure import mean_share
from ganlab.forensics import Interval, parse_system

NAMING = ("dct+logistic", "pixels+eigenfaces", "residual+prnu")
RULE = "dct+logistic"
"""What names images in bands and patches: it takes any size."""
HALVINGS = (1, 2)
"""How often images are halved for the bands."""
TWICE = "null: one generator twice"
PATCHES = (16, 8, 4)
"""Sides of the patches, pixels."""


def halved(images: Tensor, times: int) -> Tensor:
    """Images filtered with the 5x5 binomial [1, 4, 6, 4, 1]^2 and every other pixel kept, ``times`` over.

    Source: `predownscale` of ningyu1991/GANFingerprints.
    """
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = torch.outer(taps, taps).expand(images.shape[1], 1, 5, 5)
    for _ in range(times):
        images = F.conv2d(F.pad(images, (2, 2, 2, 2), "reflect"), kernel, stride=2, groups=images.shape[1])
    return images


def without_coarse(images: Tensor, times: int) -> Tensor:
    """What halving takes away: the images less their halved selves, enlarged again bilinearly."""
    coarse = F.interpolate(halved(images, times), images.shape[-2:], mode="bilinear", align_corners=False)
    return images - coarse


def patches_of(images: Tensor, side: int) -> Tensor:
    """Every image cut into patches that do not overlap, ``(N * K, C, side, side)``, image by image."""
    count, channels = images.shape[:2]
    cut = F.unfold(images, side, stride=side).transpose(1, 2)
    return cut.reshape(-1, channels, side, side) if count else images


def named_from(sets: Sequence[Tensor], side: int | None = None, seed: int = 0) -> Interval:
    """Mean recall of naming each image's set; every other image is for training.

    Args:
        sets: float ``(N, C, H, W)``, the classes.
        side: name patches of so many pixels; an image is called what its patches say together (the published
            network pools what it sees in them).
        seed: of the detector.
    """
    system = parse_system(RULE)
    counts = [len(images) for images in sets]
    values = [features(system, images if side is None else patches_of(images, side)) for images in sets]
    each = [len(own) // count for own, count in zip(values, counts, strict=True)]
    # Patches of one image stay together: image by image is trained on or tested.
    grouped = [own.reshape(n, k, *own.shape[1:]) for own, n, k in zip(values, counts, each, strict=True)]
    learn = np.concatenate([own[::2].reshape(-1, *own.shape[2:]) for own in grouped])
    truth = np.repeat(np.arange(len(sets)), [len(own[::2]) * own.shape[1] for own in grouped])
    detector = system.make_detector(seed).fit(learn, truth)
    hits, totals = [], []
    for place, own in enumerate(grouped):
        test = own[1::2]
        shares = detector.predict_proba(test.reshape(-1, *test.shape[2:]))
        together = np.log(np.maximum(shares, 1e-12)).reshape(len(test), test.shape[1], -1).mean(1)
        hits.append(int((together.argmax(1) == place).sum()))
        totals.append(len(test))
    return mean_share(np.array(hits), np.array(totals))


def views(size: int) -> dict[str, tuple[Callable[[Tensor], Tensor], int | None]]:
    """Name -> how images are changed before they are named, and the side of the patches, if any."""
    found: dict[str, tuple[Callable[[Tensor], Tensor], int | None]] = {"whole images": (lambda x: x, None)}
    for times in HALVINGS:
        below = f"below 1/{2 ** (times + 1)} cycle per pixel ({size >> times} px)"
        found[below] = (partial(halved, times=times), None)
        found[f"without what lies {below.partition(' (')[0]}"] = (partial(without_coarse, times=times), None)
    for side in PATCHES:
        found[f"patches of {side} px"] = (lambda x: x, side)
    return found


def run(setting: Setting) -> Outcome:
    """Three seeds of one generator, three kinds of one seed, and kinds on seeds that were never seen."""
    real, chosen = setting.real, systems(setting, NAMING)
    generators = seeded(setting, KINDS)
    by_seed = {s: {kind: own[s] for kind, own in generators.items()} for s in SEEDS}
    first = KINDS[0]
    seeds = [setting.fake(by_seed[s][first], f"seed {s}") for s in SEEDS]
    # other latents of one generator: who can name these names the draw, not the generator
    twin = setting.fake(by_seed[0][first], "seed 0 again", seed=1)
    kinds = [setting.fake(source, name) for name, source in by_seed[0].items()]
    fresh = [
        setting.fake(source, f"{name}, seed {s}") for s in SEEDS[1:] for name, source in by_seed[s].items()
    ]
    classes = {"seeds": [real, *seeds], "kinds": [real, *kinds], TWICE: [seeds[0], twin]}
    results = {
        question: named(setting, question, sets, chosen, fresh if question == "kinds" else ())
        for question, sets in classes.items()
    }
    chances = {question: 1 / len(sets) for question, sets in classes.items()}
    seen, bands = _bands(setting, classes)
    rows = [
        [question, name, shown(accuracy(entry), 3), f"{chances[question]:.2f}"]
        for question, own in results.items() for name, entry in own.items()
    ]  # fmt: skip
    best = max(results["kinds"], key=lambda name: accuracy(results["kinds"][name]).value)
    entry = results["kinds"][best]
    right = {
        name: shares[entry["names"].index(name.partition(",")[0])] for name, shares in entry["fresh"].items()
    }
    unseen = [[name, f"{share:.3f}"] for name, share in right.items()]
    drawn = bars(
        "naming", "Mean recall of every question and system.",
        {question: {name: accuracy(e) for name, e in own.items()} for question, own in results.items()},
        "mean recall", None, (0.0, 1.02),
    )  # fmt: skip
    tables = [
        Table("naming", "Who made it", ("question", "system", "mean recall", "chance"), rows, "One split."),
        Table("unseen", f"{best} on seeds that it never saw", ("set", "share named as its kind"), unseen),
    ]
    tops = {
        question: max((accuracy(e) for e in own.values()), key=lambda i: i.value)
        for question, own in results.items()
    }
    parts = [Part("Naming", tables=tables, drawings=[drawn]), bands]
    return _judged(first, tops, chances, right, seen, parts)


def _judged(
    first: str, tops: Mapping[str, Interval], chances: Mapping[str, float], right: Mapping[str, float],
    seen: Mapping[str, Mapping[str, Interval]], parts: list[Part],
) -> Outcome:  # fmt: skip
    """Are seeds and kinds told apart, and does what is known of kinds hold for new seeds?"""
    apart, kinds_held = tops["seeds"].low > chances["seeds"], tops["kinds"].low > chances["kinds"]
    mean = float(np.mean(list(right.values())))
    each_view = [f"{view} {shown(own['seeds'])} and {shown(own['kinds'])}" for view, own in seen.items()]
    here = [
        f"Reals and three seeds of {first}: {shown(tops['seeds'], 3)} (chance {chances['seeds']:.2f}).",
        f"Reals and three kinds of one seed: {shown(tops['kinds'], 3)} (chance {chances['kinds']:.2f}).",
        f"The best rule on kinds names {mean:.2f} of images of unseen seeds as their kind.",
        f"Null, one generator twice: {shown(tops[TWICE], 3)} (chance 0.5).",
        f"Seeds and kinds by what is seen: {'; '.join(each_view)}.",
    ]
    if apart and kinds_held and mean < tops["kinds"].low:
        verdict = Verdict.SHARPENED
        because = (
            "Kinds and seeds are told apart, and so a rule on kinds is worse on seeds that it never saw."
        )
    elif apart and kinds_held:
        verdict, because = (
            Verdict.AT_THIS_SCALE,
            "Generators that differ in their seed alone are told apart.",
        )
    else:
        verdict, because = Verdict.UNDECIDED, "Seeds or kinds are not told apart beyond chance."
    held = sum(own["seeds"].low > chances["seeds"] for own in seen.values())
    kept = f"{held} of {len(seen)} bands and sizes of patches"
    because += f" Seeds are still told apart in {kept}. Classical rules and a sensor's residual stand in "
    because += "the place of the published network."
    numbers = {"tops": tops, "unseen": right, "seen": seen}
    return Outcome(here, verdict, because, parts, numbers)


def _bands(
    setting: Setting, classes: Mapping[str, Sequence[ImageSet]]
) -> tuple[dict[str, dict[str, Interval]], Part]:
    """View -> question -> mean recall, and the part of the page."""

    def name(change: Callable[[Tensor], Tensor], side: int | None, sets: Sequence[ImageSet]) -> list[float]:
        return named_from([change(floats(images)) for images in sets], side).as_list()

    seen = {
        view: {
            question: Interval(*setting.once(f"{view}-{question}", partial(name, *how, sets)))
            for question, sets in classes.items()
        }
        for view, how in views(setting.real.shape[0]).items()
    }
    note = "Chance: " + ", ".join(f"{question} {1 / len(sets):.2f}" for question, sets in classes.items())
    rows = [[view, *(shown(own[question], 3) for question in classes)] for view, own in seen.items()]
    text = (
        f"{RULE} on what is left of the images. Halving: a binomial filter, then every other pixel, as the "
        "published network's images; what halving takes away is the rest. Of patches all of an image's say "
        "together whose it is. One half of the images is for training."
    )
    title = "Mean recall by what is seen of an image"
    return seen, Part(
        "Bands of frequency, and patches", [text],
        [Table("bands", title, ("seen", *classes), rows, f"{note}.")],
        [bars("bands-drawn", f"{title}.", seen, "mean recall", None, (0.0, 1.02))],
    )  # fmt: skip


EXPERIMENT = Experiment(
    title="Attribution: three seeds, three kinds, kinds on seeds never seen; bands and patches",
    source="Yu et al. 2019, arXiv 1811.08180",
    published=(
        Published("Even minor differences of the training leave different fingerprints",
                  "abstract"),
        Published("Ten ProGANs of different seeds are ten classes of their own", "README"),
        Published("Frequencies are tested by halving the images first, patches by pooling early", "code"),
    ),
    minutes=0.6,
    needs="nothing: generators of the zoo (--real: trains 9)",
    run=run,
    generators=KINDS,
    takes_fakes=False,
)  # fmt: skip
