"""Guarnera et al. 2020: who made the image, by convolutional traces; and naming sources in general."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ganlab.data import ImageSet
from ganlab.experiments.claims.detecting import Arena, in_words, own_table, systems
from ganlab.experiments.claims.drawing import confusion
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.setting import Setting
from ganlab.experiments.detection.sources import fit_sources, measure_sources
from ganlab.experiments.detection.tables import over_seeds, unique
from ganlab.forensics import NULL, Interval, System
from ganlab.forensics.features.extract import extract

TRACES = ("traces+knn", "traces+lda", "traces+random_forest")
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


def run(setting: Setting) -> Outcome:
    """Each source against the reals, and all of them named, by the kernels of convolutional traces."""
    real, fakes = setting.real, setting.fakes
    chosen = systems(setting, TRACES)
    arena = Arena(setting, "traces", real, fakes, repeats=1)
    records = arena.transfer(chosen, (*arena.sources, NULL))
    found = named(setting, "sources", [real, *fakes], chosen)
    best = max(found, key=lambda name: accuracy(found[name]).value)
    counts = np.array(found[best]["confusion"], float)
    shares = counts / counts.sum(1, keepdims=True)
    classes = found[best]["names"]
    chance = 1 / len(classes)
    own = own_table("binary", "Each source against the reals", records)
    naming = Table(
        "naming", f"All {len(classes)} classes named", ("system", "mean recall"),
        [[name, shown(accuracy(entry), 3)] for name, entry in found.items()], f"Chance is {chance:.2f}.",
    )  # fmt: skip
    caption = f"{best}: share of each class's images (row) by what they are called (column)."
    drawn = confusion("confusion", caption, classes, shares)
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


EXPERIMENT = Experiment(
    title="Convolutional traces: ten sources found and named",
    source="Guarnera et al. 2020, arXiv 2004.10448 and 2008.04095",
    published=(Published("Ten architectures are named with an overall accuracy above 98 %", "abstract"),),
    minutes=0.7,
    needs="nothing: generators of the zoo (or --real with --fake)",
    run=run,
    generators=(
        *KINDS, "dcgan-bicubic", "dcgan-pixel_shuffle", "dcgan-bed_of_nails", "sngan-transposed",
        "sngan-nearest", "sngan-bilinear",
    ),
)  # fmt: skip
