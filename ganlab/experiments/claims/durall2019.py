"""Durall et al. 2019: radial profiles and simple classifiers over the number of samples, and a confound."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ganlab.data import ImageSet, array_image_set
from ganlab.experiments.claims.detecting import ACCURACY, Arena
from ganlab.experiments.claims.drawing import curves
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.setting import Setting, pixels
from ganlab.experiments.detection.measure import Record
from ganlab.experiments.detection.tables import over_seeds, select
from ganlab.forensics import NULL, Interval
from ganlab.forensics.features.extract import extract
from ganlab.forensics.protocol.systems import DURALL_FRACTIONS, DURALL_SAMPLES, System
from ganlab.images import UInt8Array

SYSTEMS = {
    "SVM": System("durall_80", "durall_svm"),
    "logistic": System("durall_80", "logistic", {}, {"standardise": False}),
    "k-means": System("durall_80", "kmeans"),
}  # fmt: skip
REPEATS = 10
"""As published: means over ten random splits of 80 and 20 %."""
QUALITY = 75
ENOUGH = 0.95


def run(setting: Setting) -> Outcome:
    """Accuracy over the number of images, the profile itself, and what a codec does in the fakes' place."""
    real, fakes = setting.real, setting.fakes
    arena = Arena(setting, "samples", real, fakes, DURALL_FRACTIONS, min(REPEATS, 3 * setting.scale.repeats))
    counts = [round(DURALL_FRACTIONS[0] * count) for count in DURALL_SAMPLES]
    most = round(DURALL_FRACTIONS[0] * 2 * setting.scale.images)
    tried = sorted({*(count for count in counts if count < most), most})
    records = {
        (source, name): arena.sizes(system, source, tried)
        for source in arena.sources
        for name, system in SYSTEMS.items()
    }
    null = arena.transfer(list(SYSTEMS.values()), [NULL])
    control = _codec(setting, real)
    rows = [
        [source, name, *(_cell(own, count) for count in tried)] for (source, name), own in records.items()
    ]
    rows += [
        [NULL, name, *[""] * (len(tried) - 1), shown(_over(select(null, system=system.name, tested_on=NULL)))]
        for name, system in SYSTEMS.items()
    ]
    table = Table(
        "samples", "Balanced accuracy over the number of training images",
        ("source", "classifier", *map(str, tried)), rows,
        "Reals and fakes together: four fifths of all that are used; the published table counts all.",
    )  # fmt: skip
    confound = Table(
        "codec", "Reals against other reals", ("what differs", *SYSTEMS),
        [
            [what, *(shown(_over(select(own, system=system.name))) for system in SYSTEMS.values())]
            for what, own in control.items()
        ],
        "No generator is involved here.",
    )  # fmt: skip
    feature = SYSTEMS["SVM"].make_feature()
    lines = {one.name: extract(feature, one).mean(0).astype(np.float64) for one in (real, *fakes)}
    count = len(next(iter(lines.values())))
    profile = curves(
        "profile", "Mean 80-point profiles, each divided by its first point (ring means of 20 ln|F|).",
        np.arange(count, dtype=np.float64), {"profiles": lines}, "point", "profile over its first point",
    )  # fmt: skip
    return _judged(records, control, tried, [
        Part("Accuracy over the number of images", tables=[table], drawings=[profile]),
        Part(
            "What else the profile sees",
            ["The published CelebA experiment holds fakes of 128x128 against photos of 178x218, both JPEG; "
             f"here one half of the reals went through JPEG of quality {QUALITY}."],
            [confound],
        ),
    ], arena.warnings)  # fmt: skip


def _codec(setting: Setting, real: ImageSet) -> dict[str, list[Record]]:
    """Reals against reals that went through JPEG, by the same classifiers."""
    images = pixels(real)
    half = len(images) // 2
    coded = np.stack([_jpeg(image) for image in images[half:]])
    sets = array_image_set(images[:half], "real"), array_image_set(coded, "jpeg")
    # what the guards are for is what is measured here: they look away
    blind = ("jpeg_history", "duplicates", "near_duplicates", "enlarged", "brightness", "jpeg_grid")
    arena = Arena(setting, "codec", sets[0], sets[1:], DURALL_FRACTIONS, allow=blind)
    records = arena.transfer(list(SYSTEMS.values()), ["jpeg", NULL])
    return {
        f"JPEG of quality {QUALITY}": select(records, trained_on="jpeg", tested_on="jpeg"),
        "nothing (null)": select(records, trained_on=NULL, tested_on=NULL),
    }


def _jpeg(image: UInt8Array) -> UInt8Array:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="JPEG", quality=QUALITY)
    return np.asarray(Image.open(stream))


def _over(records: Sequence[Record]) -> Interval:
    return over_seeds([record.metrics[ACCURACY] for record in records])


def _cell(records: Sequence[Record], count: int) -> str:
    own = select(records, setting=str(count))
    return shown(_over(own)) if own else ""


def _judged(
    records: dict[tuple[str, str], list[Record]],
    control: dict[str, list[Record]],
    tried: Sequence[int],
    parts: list[Part],
    warnings: list[str],
) -> Outcome:
    """Whether a simple classifier of the profile is near perfect, and with how few images."""
    last = {
        key: _over(select(own, setting=str(max(int(r.setting) for r in own)))) for key, own in records.items()
    }
    first = {key: _over(select(own, setting=str(tried[0]))) for key, own in records.items()}
    best = {
        source: max((name for s, name in last if s == source), key=lambda name: last[source, name].value)
        for source in dict.fromkeys(source for source, _ in records)
    }
    strong = [source for source, name in best.items() if last[source, name].value >= ENOUGH]
    coded, null = (max((_over(select(own, system=s.name)) for s in SYSTEMS.values()), key=lambda i: i.value)
                   for own in control.values())  # fmt: skip
    found = [source for source, name in best.items() if last[source, name].low > max(0.5, null.value)]
    here = [
        f"{source}: {name} {shown(last[source, name])} with all images, "
        f"{shown(first[source, name])} with {tried[0]}."
        for source, name in best.items()
    ]
    here.append(
        f"The same classifiers on reals of which half were JPEG files: {shown(coded)}; null {shown(null)}."
    )
    if len(strong) == len(best):
        verdict = Verdict.AT_THIS_SCALE
        because = "A simple classifier of the profile is right on nearly every image."
    elif found:
        verdict = Verdict.SHARPENED
        because = (
            f"The profile gives away {len(found)} of {len(best)} sources beyond the null, but a classifier "
            f"is nearly perfect (from {ENOUGH:.0%} on) on {len(strong)}, and 20 images are not enough."
        )
    else:
        verdict, because = Verdict.REFUTED, "On no source does the profile give the fakes away."
    if coded.low > null.value:
        because += " A codec alone is seen by the profile too: equal preparation is part of the claim."
    numbers = {
        "all": {f"{source}, {name}": i for (source, name), i in last.items()},
        "few": {f"{source}, {name}": i for (source, name), i in first.items()},
        "jpeg": coded, "null": null,
    }  # fmt: skip
    return Outcome(here, verdict, because, parts, numbers, warnings)


EXPERIMENT = Experiment(
    title="Radial profiles with SVM, logistic regression and k-means over the number of images",
    source="Durall et al. 2019, arXiv 1911.00686",
    published=(
        Published("Faces-HQ with 4000, 1000, 100 and 20 images: SVM and logistic regression 100 %", "README"),
        Published("Faces-HQ, k-means: 82, 82, 81 and 75 %", "README"),
        Published("CelebA, 2000 images: SVM 100 %, logistic regression 100 %, k-means 96 %", "README"),
        Published("Video frames, 2000 to 20 images: SVM 85, 82, 77, 66 %", "README"),
        Published("The CelebA fakes are 128x128 files, its reals 178x218", "the repository's files"),
    ),
    minutes=0.4,
    needs="nothing: generators of the zoo (or --real with --fake)",
    run=run,
    generators=("dcgan-transposed", "dcgan-nearest", "dcgan-bilinear"),
)
