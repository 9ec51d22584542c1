"""Guarnera 2020 and Yu 2019: who made the image, by convolutional traces, by seeds, by kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ganlab.data import ImageSet
from ganlab.experiments.claims.detecting import Arena, in_words, own_table, systems
from ganlab.experiments.claims.drawing import bars, planes
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.setting import Setting
from ganlab.experiments.detection.sources import fit_sources, measure_sources
from ganlab.experiments.detection.tables import over_seeds, unique
from ganlab.forensics import NULL, Interval, System
from ganlab.forensics.features.extract import extract

TRACES = ("traces+knn", "traces+lda", "traces+random_forest")
NAMING = ("dct+logistic", "pixels+eigenfaces", "residual+prnu")
SEEDS = (0, 1, 2)
KINDS = ("dcgan-transposed", "dcgan-nearest", "dcgan-bilinear")


def named(
    setting: Setting,
    key: str,
    sets: Sequence[ImageSet],
    chosen: Sequence[System],
    fresh: Sequence[ImageSet] = (),
) -> dict[str, dict[str, Any]]:
    """Every system learns to name the sets (the first one is the reals); one split, kept.

    Args:
        setting: of the experiment.
        key: under which it is kept.
        sets: the classes.
        chosen: systems.
        fresh: sets that nothing was learned from; how often each class is named on them is kept too.

    Returns:
        System -> what ``measure_sources`` says, and ``fresh``: set -> share of every class.
    """
    arena = Arena(setting, key, sets[0], sets[1:], repeats=1, allow=("duplicates",))

    def make(system: System) -> dict[str, Any]:
        bench = arena.bench(setting.seed)
        fitted = fit_sources(bench, system, setting.seed)
        shares = {}
        for images in fresh:
            called = fitted.detector.predict(extract(system.make_feature(), images))
            shares[images.name] = (np.bincount(called, minlength=len(sets)) / len(images)).tolist()
        return {**measure_sources(fitted, bench), "fresh": shares}

    return {
        system.name: setting.once(f"{key}-named-{system.name}", partial(make, system)) for system in chosen
    }


def accuracy(entry: Mapping[str, Any]) -> Interval:
    """Mean recall over the classes."""
    return Interval(*entry["balanced_accuracy"])


def guarnera2020(setting: Setting) -> Outcome:
    """Each source against the reals, and all of them named, by the kernels of convolutional traces."""
    real, fakes = setting.real, setting.fakes
    chosen = systems(setting, TRACES)
    arena = Arena(setting, "traces", real, fakes, repeats=1)
    records = arena.transfer(chosen, (*arena.sources, NULL))
    found = named(setting, "sources", [real, *fakes], chosen)
    best = max(found, key=lambda name: accuracy(found[name]).value)
    confusion = np.array(found[best]["confusion"], float)
    shares = confusion / confusion.sum(1, keepdims=True)
    classes = found[best]["names"]
    chance = 1 / len(classes)
    own = own_table("binary", "Each source against the reals", records)
    naming = Table(
        "naming", f"All {len(classes)} classes named", ("system", "mean recall"),
        [[name, shown(accuracy(entry), 3)] for name, entry in found.items()], f"Chance is {chance:.2f}.",
    )  # fmt: skip
    drawn = planes(
        "confusion",
        f"{best}: share of each class's images (row) by what they are called (column): {', '.join(classes)}.",
        [(best, shares)], "share", centred=False,
    )  # fmt: skip
    worst = min((max(_values(records, s, n) for s in unique(records, "system")), n) for n in arena.sources)
    top = accuracy(found[best])
    here = [
        f"Against the reals, {unique(records, 'system')[0]}: "
        f"{in_words(records, unique(records, 'system')[0], arena.sources)}.",
        f"The hardest source for the best classifier is {worst[1]}: {worst[0]:.2f}.",
        f"Naming {len(classes)} classes: {best} {shown(top, 3)}; chance {chance:.2f}.",
    ]
    if top.low > 0.9:
        verdict, because = Verdict.AT_THIS_SCALE, "Traces name nearly all images."
    elif top.low > chance:
        verdict = Verdict.SHARPENED
        because = "Traces name sources far beyond chance, and far from all images."
    else:
        verdict, because = Verdict.REFUTED, "Traces name no sources here."
    because += " Kernels of 3x3 on small images; one seed of each generator."
    parts = [
        Part("Found, and named", tables=[own, naming], drawings=[drawn]),
    ]
    return Outcome(here, verdict, because, parts, {"named": top, "chance": chance}, arena.warnings)


def _values(records: Sequence[Any], system: str, source: str) -> float:
    own = [r for r in records if (r.system, r.trained_on, r.tested_on) == (system, source, source)]
    return over_seeds([r.metrics["balanced_accuracy"] for r in own]).value


def yu2019(setting: Setting) -> Outcome:
    """Three seeds of one generator, three kinds of one seed, and kinds on seeds that were never seen."""
    real, chosen = setting.real, systems(setting, NAMING)
    if setting.in_zoo(KINDS, SEEDS[-1]):
        by_seed = {seed: setting.named(KINDS, seed) for seed in SEEDS}
    else:
        changed = {f"{kind} s{s}": (kind, (f"seed={s}",)) for s in SEEDS for kind in KINDS}
        trained = setting.trained(changed)
        by_seed = {s: {kind: trained[f"{kind} s{s}"] for kind in KINDS} for s in SEEDS}
    first = KINDS[0]
    seeds = [setting.fake(by_seed[s][first], f"seed {s}") for s in SEEDS]
    # other latents of one generator: who can name these names the draw, not the generator
    twin = setting.fake(by_seed[0][first], "seed 0 again", seed=1)
    kinds = [setting.fake(source, name) for name, source in by_seed[0].items()]
    fresh = [
        setting.fake(source, f"{name}, seed {s}") for s in SEEDS[1:] for name, source in by_seed[s].items()
    ]
    results = {
        "seeds": named(setting, "seeds", [real, *seeds], chosen),
        "kinds": named(setting, "kinds", [real, *kinds], chosen, fresh),
        "null: one generator twice": named(setting, "twins", [seeds[0], twin], chosen),
    }
    chances = {"seeds": 1 / (1 + len(SEEDS)), "kinds": 1 / (1 + len(KINDS)), "null: one generator twice": 0.5}
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
    apart, kinds_held = tops["seeds"].low > chances["seeds"], tops["kinds"].low > chances["kinds"]
    mean = float(np.mean(list(right.values())))
    here = [
        f"Reals and three seeds of {first}: {shown(tops['seeds'], 3)} (chance {chances['seeds']:.2f}).",
        f"Reals and three kinds of one seed: {shown(tops['kinds'], 3)} (chance {chances['kinds']:.2f}).",
        f"The best rule on kinds names {mean:.2f} of images of unseen seeds as their kind.",
        f"Null, one generator twice: {shown(tops['null: one generator twice'], 3)} (chance 0.5).",
    ]
    if apart and kinds_held and mean < tops["kinds"].low:
        verdict = Verdict.SHARPENED
        because = (
            "Kinds and seeds are told apart, and so a rule on kinds is worse on seeds that it never saw."
        )
    elif apart and kinds_held:
        verdict, because = Verdict.AT_THIS_SCALE, "Generators that differ in their seed alone are told apart."
    else:
        verdict, because = Verdict.UNDECIDED, "Seeds or kinds are not told apart beyond chance."
    because += " Classical rules and a sensor's residual stand in the place of the published network."
    numbers = {"tops": tops, "unseen": right}
    return Outcome(here, verdict, because, [Part("Naming", tables=tables, drawings=[drawn])], numbers)


GUARNERA2020 = Experiment(
    title="Convolutional traces: ten sources found and named",
    source="Guarnera et al. 2020, arXiv 2004.10448 and 2008.04095",
    published=(Published("Ten architectures are named with an overall accuracy above 98 %", "abstract"),),
    minutes=3,
    needs="nothing: generators of the zoo (or --real with --fake)",
    run=guarnera2020,
    generators=(
        *KINDS, "dcgan-bicubic", "dcgan-pixel_shuffle", "dcgan-bed_of_nails", "sngan-transposed",
        "sngan-nearest", "sngan-bilinear",
    ),
)  # fmt: skip
YU2019 = Experiment(
    title="Attribution: three seeds, three kinds, kinds on seeds never seen",
    source="Yu et al. 2019, arXiv 1811.08180",
    published=(
        Published("Even minor differences of the training leave different fingerprints",
                  "abstract"),
        Published("Ten ProGANs of different seeds are ten classes of their own", "README"),
    ),
    minutes=0.5,
    needs="nothing: generators of the zoo (--real: trains 9)",
    run=yu2019,
    generators=KINDS,
    takes_fakes=False,
)  # fmt: skip
