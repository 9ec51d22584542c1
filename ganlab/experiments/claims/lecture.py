"""The field's lecture task: SNGAN with three upsamplers, axis spectra, five questions on detection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ganlab.data import ImageSet
from ganlab.experiments.claims.detecting import (
    Arena,
    accuracy,
    beyond,
    in_words,
    matrix_drawing,
    own_table,
    systems,
)
from ganlab.experiments.claims.drawing import Floats, bars, curves
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.setting import Setting
from ganlab.experiments.claims.spectral import against, deviation, deviation_table, deviations, profiles
from ganlab.experiments.detection.measure import POOLED, Record
from ganlab.experiments.detection.tables import select, unique
from ganlab.forensics import NULL

PROJECTIONS = ("both+logistic", "both+random_forest", "radial+logistic")
NETWORKS = ("pixels+cnn", "dct+cnn")
TRANSFERRED = "both+logistic"
PLANE = "dct+logistic"
"""A linear rule on the whole plane: what a lattice off the axes cannot hide from."""
PLAIN = "bilinear"
JOINT = {
    "with axis loss": "bilinear-axis", "with Durall's loss": "bilinear-durall",
    "with a spectral discriminator": "bilinear-spectral-discriminator",
}  # fmt: skip
"""What is minimised together with the adversarial loss -> the generator; they differ in nothing else."""


def run(setting: Setting) -> Outcome:
    """Spectra of the three, then the five questions."""
    real, fakes = setting.real, setting.fakes
    arena = Arena(setting, "classical", real, fakes)
    records = arena.transfer(systems(setting, (TRANSFERRED, PLANE)))
    records += arena.transfer(systems(setting, PROJECTIONS[1:]), (*arena.sources, NULL))
    # a network costs as much as twenty of the others: one split
    nets = Arena(setting, "networks", real, fakes, repeats=1)
    records += nets.transfer(systems(setting, NETWORKS), (*nets.sources, NULL, POOLED))
    joint, remedied = _joint(setting, real) if setting.sources else (None, [])
    spectra = _spectra(setting, real, fakes)
    names = arena.sources
    questions = [*_questions(records, names), *remedied]
    own = own_table("systems", "Trained and tested on the same source", records)
    drawn = bars(
        "detectors", "Balanced accuracy of every system on the source that it was trained on.",
        {
            name: {
                record.system: accuracy(records, system=record.system, trained_on=name, tested_on=name)
                for record in select(records, trained_on=name, tested_on=name)
            }
            for name in (*names, NULL)
        },
        "balanced accuracy", 0.5, (0.3, 1.03),
    )  # fmt: skip
    parts = [
        spectra,
        Part("1, 2: projections and networks on each", tables=[own], drawings=[drawn]),
        Part(
            "3, 4: one for another, one for all",
            [
                "Rows: what a detector was trained on, `pooled` all of them, `all but` all others. "
                "Columns: what it was tested on. The null is reals against reals."
            ],
            drawings=[
                matrix_drawing(
                    "transfer", records, TRANSFERRED, "Transfer of a linear rule on the projections."
                ),
                matrix_drawing("transfer-plane", records, PLANE, "Transfer of a linear rule on the log DCT."),
            ],
        ),
        *([joint] if joint else []),
    ]
    return _judged(records, names, questions, parts, arena.warnings)


def _spectra(setting: Setting, real: ImageSet, fakes: Sequence[ImageSet]) -> Part:
    """Row and column spectra, each normalised to its set's own power, and their difference to the reals."""
    panels = {
        title: profiles(real, fakes, kind)
        for title, kind in (("rows", "horizontal"), ("columns", "vertical"))
    }
    shares = {title: {name: _share(own) for name, own in lines.items()} for title, lines in panels.items()}
    count = len(next(iter(shares["rows"].values())))
    x = np.arange(1, count + 1) / (2 * count)
    return Part(
        "Row and column spectra",
        ["Mean power of the luma over horizontal frequency (rows) and vertical (columns), without the mean."],
        [deviation_table("deviations", "Radial and axis deviations", deviations(setting, real, fakes))],
        [
            curves(
                "normalised", "Share of each set's own power at each frequency, in dB.", x, shares,
                "frequency (cycles per pixel)", "share of the power (dB)",
            ),
            against("against", "Rows and columns against the reals; null: their halves.", panels),
        ],
    )  # fmt: skip


def _share(level: Floats) -> Floats:
    """A profile in dB over the sum of its powers, DC left out."""
    shares: Floats = level[1:] - 10 * np.log10((10 ** (level[1:] / 10)).sum())
    return shares


def _joint(setting: Setting, real: ImageSet) -> tuple[Part, list[tuple[str, str]]]:
    """The same generator with a spectral loss beside the adversarial one: its spectrum, its detectors."""
    # the zoo has them as DCGANs; who has to train them trains the family that the others are of
    kinds = {"without": PLAIN, **JOINT}
    family = "dcgan" if setting.in_zoo([f"dcgan-{kind}" for kind in kinds.values()]) else "sngan"
    sources = setting.named([f"{family}-{kind}" for kind in kinds.values()])
    fakes = [setting.fake(source, title) for title, source in zip(kinds, sources.values(), strict=True)]
    arena = Arena(setting, "joint", real, fakes)
    records = arena.transfer(systems(setting, (TRANSFERRED, PLANE)), (*arena.sources, NULL))
    found = deviations(setting, real, fakes)
    old = {
        name: accuracy(records, system=PLANE, trained_on="without", tested_on=name) for name in arena.sources
    }
    table = own_table("joint-systems", "Detectors trained on each", records)
    frozen = Table(
        "joint-frozen", "A detector that was trained on the generator without it",
        ("tested on", PLANE, TRANSFERRED),
        [
            [name, *(
                shown(accuracy(records, system=system, trained_on="without", tested_on=name))
                for system in (PLANE, TRANSFERRED)
            )]
            for name in arena.sources
        ],
    )  # fmt: skip
    answers = []
    for name in JOINT:
        before, after = (deviation(found[key], "mean_db") for key in ("without", name))
        own = accuracy(records, system=PLANE, trained_on=name, tested_on=name)
        moved = "changed" if before.low > after.high or after.low > before.high else "not told apart"
        answers.append((
            f"5. {name}?",
            f"Mean deviation {shown(before, unit='dB')} without, {shown(after, unit='dB')} with ({moved}); "
            f"the detector of the plane trained without it {shown(old[name])}, a fresh one {shown(own)}.",
        ))  # fmt: skip
    text = (
        f"{family} with {PLAIN} upsampling, of one seed and length, once without and once with each term. "
        "The detectors are linear rules; a frozen one saw only images of the generator without it."
    )
    panels = {"rows": profiles(real, fakes, "horizontal"), "radial": profiles(real, fakes, "radial")}
    drawn = against("joint", "What each term does to the spectrum, against the reals.", panels)
    deviated = deviation_table("joint-deviations", "Deviations", found)
    return Part("5: joint optimisation", [text], [deviated, table, frozen], [drawn]), answers


def _questions(records: list[Record], names: Sequence[str]) -> list[tuple[str, str]]:
    """Each question with its answer in numbers."""

    def best(chosen: Sequence[str]) -> str:
        own = [
            max((accuracy(records, system=s, trained_on=n, tested_on=n) for s in _called(records, chosen)),
                key=lambda interval: interval.value)
            for n in names
        ]  # fmt: skip
        return ", ".join(f"{name} {shown(interval)}" for name, interval in zip(names, own, strict=True))

    def crossed(system: str) -> str:
        pairs = {
            (row, column): accuracy(records, system=system, trained_on=row, tested_on=column)
            for row in names for column in names if row != column
        }  # fmt: skip
        if not pairs:
            return "one source alone"
        worst, top = min(pairs, key=lambda k: pairs[k].value), max(pairs, key=lambda k: pairs[k].value)
        # a threshold that nobody sets again may be wrong where the ranking is right
        areas = [
            r.metrics["roc_auc"].value for row, column in pairs
            for r in select(records, system=system, trained_on=row, tested_on=column)
        ]  # fmt: skip
        return (
            f"from {shown(pairs[worst])} ({worst[0]} to {worst[1]}) to {shown(pairs[top])} "
            f"({top[0]} to {top[1]}), ROC-AUC {min(areas):.2f} to {max(areas):.2f}"
        )

    def pooled(system: str) -> str:
        own = [accuracy(records, system=system, trained_on=POOLED, tested_on=name) for name in names]
        return ", ".join(f"{name} {shown(interval)}" for name, interval in zip(names, own, strict=True))

    answers = [
        ("1. How well do projections detect each?", f"The best of {len(PROJECTIONS)}: {best(PROJECTIONS)}."),
        ("2. How well do neural networks?", f"The best of {len(NETWORKS)}: {best(NETWORKS)}."),
        ("3. Does one generator's detector find another's?",
         f"Projections: {crossed(TRANSFERRED)}; the plane: {crossed(PLANE)}; "
         + "; ".join(f"{name}: {crossed(name)}" for name in _called(records, NETWORKS)) + "."),
    ]  # fmt: skip
    if len(names) > 1:
        several = f"Projections: {pooled(TRANSFERRED)}; the plane: {pooled(PLANE)}."
        answers.append(("4. One detector for all?", several))
    return answers


def _called(records: list[Record], names: Sequence[str]) -> list[str]:
    """Names of systems as the records have them, options included."""
    return [s for s in unique(records, "system") if any(s.startswith(name) for name in names)]


def _judged(
    records: list[Record],
    names: Sequence[str],
    questions: Sequence[tuple[str, str]],
    parts: list[Part],
    warnings: list[str],
) -> Outcome:
    """Whether projections and networks find every upsampling."""
    null = accuracy(records, system=TRANSFERRED, trained_on=NULL, tested_on=NULL)
    own = {n: accuracy(records, system=TRANSFERRED, trained_on=n, tested_on=n) for n in names}
    seen = [name for name, interval in own.items() if beyond(interval, null)]
    here = [f"{question} {answer}" for question, answer in questions]
    here.append(
        f"A linear rule on the projections: {in_words(records, TRANSFERRED, names)}; null {shown(null)}."
    )
    if len(seen) == len(names):
        verdict = Verdict.AT_THIS_SCALE
        because = "Rows and columns alone give away every one of these upsamplings."
    elif seen:
        verdict = Verdict.SHARPENED
        because = f"Rows and columns give away {', '.join(seen)} and not the others."
    else:
        verdict = Verdict.UNDECIDED
        because = "Rows and columns give away none of them at this number of images."
    if any(name.startswith("dcgan") for name in names):
        because += " DCGANs of the zoo stand in the place of SNGANs."
    because += " One seed of each generator: what is said about an upsampler is said about one generator."
    numbers = {"found": seen, "null": null, "own": own}
    return Outcome(here, verdict, because, parts, numbers, warnings)


EXPERIMENT = Experiment(
    title="SNGAN with bilinear, bicubic, pixel shuffle: axis spectra, five questions on detection",
    source="the field's lecture task",
    published=(
        Published(
            "Generators leave traces in rows and columns of the spectrum by which they are found", "task"
        ),
        Published("No public code was found that answers the five questions together", "our search, 2026"),
    ),
    minutes=1.1,
    needs="nothing: the zoo's, DCGANs where it has no such SNGANs (or --real: trains; or with --fake)",
    run=run,
    generators=("sngan-bilinear", "sngan-bicubic", "sngan-pixel_shuffle"),
    instead=("dcgan-bilinear", "dcgan-bicubic", "dcgan-pixel_shuffle"),
)
