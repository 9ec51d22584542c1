"""Jung and Keuper 2021: a second discriminator on the radial profile, and the cloaking score."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ganlab.data import ImageSet
from ganlab.experiments.claims.detecting import Arena, accuracy, own_table, systems
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.setting import Setting, floats
from ganlab.experiments.claims.spectral import against, deviation, deviation_table, deviations, profiles
from ganlab.experiments.detection.measure import Record
from ganlab.forensics import NULL
from ganlab.results.tables import plain, with_interval
from ganlab.spectra import spectral_deviation

WITHOUT, WITH = "dcgan-transposed", "dcgan-transposed-spectral-discriminator"
EPOCHS = (100, 1000)
"""Of the published score's classifier; both are reported there."""
SYSTEMS = ("radial+logistic", "both+logistic", "dct+logistic")


def run(setting: Setting) -> Outcome:
    """The generator with and without it: cloaking, profiles, detectors that see more than the profile."""
    real, fakes = setting.real, setting.fakes
    found = deviations(setting, real, fakes)
    scores = {
        fake.name: setting.once(f"cloaking-{fake.name}", partial(_cloaking, setting, real, fake))
        for fake in fakes
    }
    arena = Arena(setting, "detect", real, fakes)
    records = arena.transfer(systems(setting, SYSTEMS), (*arena.sources, NULL))
    parts = [
        Part(
            "The profile that the second discriminator sees",
            ["The convention jung2021: min-max of log power per image. Beside it the radial power in dB."],
            [_score_table(scores, real, fakes), deviation_table("deviations", "Deviations", found)],
            [
                against(
                    "radial",
                    "Radial profiles against the reals.",
                    {"radial": profiles(real, fakes, "radial")},
                )
            ],
        ),
        Part(
            "Detectors that see more",
            ["A linear rule on the profile, on rows and columns, and on the log DCT of the whole plane."],
            [own_table("systems", "Detectors trained on each", records)],
        ),
    ]
    return _judged(found, scores, records, [fake.name for fake in fakes], parts, arena.warnings)


def _cloaking(setting: Setting, real: ImageSet, fake: ImageSet) -> Any:
    """The published score after both numbers of epochs, and a converged classifier's on held-out images."""
    reals, fakes = floats(real), floats(fake)
    found = {}
    for epochs in EPOCHS:
        report = spectral_deviation(
            reals, fakes, 0, metrics=["cloaking_published"], seed=setting.seed, cloaking_epochs=epochs
        )
        found[f"published, {epochs} epochs"] = plain(report.as_dict()["deviations"]["cloaking_published"])
    report = spectral_deviation(
        reals,
        fakes,
        setting.scale.resamples,
        metrics=["cloaking_held_out", "minmax_l1"],
        seed=setting.seed,
    )
    entries = plain(report.as_dict()["deviations"])
    return {**found, "held out": entries["cloaking_held_out"], "L1 of the profiles": entries["minmax_l1"]}


def _score_table(scores: dict[str, Any], real: ImageSet, fakes: Sequence[ImageSet]) -> Table:
    """Cloaking scores; the null is that of reals against reals, where there is one."""
    names = list(next(iter(scores.values())))
    rows = [
        [fake.name, *(_number(scores[fake.name][name], ("value", "low", "high")) for name in names)]
        for fake in fakes
    ]
    first = scores[fakes[0].name]
    rows.append([NULL, *(_number(first[name], ("null_mean", "null_low", "null_high")) for name in names)])
    note = "1: cannot be told apart, 0: always told apart. The published score is taken on training images."
    return Table("cloaking", f"Cloaking scores against {real.name}", ("set", *names), rows, note)


def _number(entry: dict[str, Any], ends: tuple[str, str, str]) -> str:
    value, low, high = (entry[end] for end in ends)
    return with_interval(value, low, high)


def _judged(
    found: dict[str, Any],
    scores: dict[str, Any],
    records: list[Record],
    names: list[str],
    parts: list[Part],
    warnings: list[str],
) -> Outcome:
    """Does the profile come nearer, is it cloaked, and is it found elsewhere?"""
    held = {name: scores[name]["held out"] for name in names}
    plane = {n: accuracy(records, system="dct+logistic", trained_on=n, tested_on=n) for n in names}
    radial = {n: accuracy(records, system="radial+logistic", trained_on=n, tested_on=n) for n in names}
    mean = {n: deviation(found[n], "mean_db") for n in names}
    here = [
        f"{n}: cloaking {_number(held[n], ('value', 'low', 'high'))} held out, published score "
        f"{scores[n]['published, 100 epochs']['value']:.2f} after 100 and "
        f"{scores[n]['published, 1000 epochs']['value']:.2f} after 1000 epochs; mean deviation "
        f"{shown(mean[n])} dB; found by the profile {shown(radial[n])}, by the DCT {shown(plane[n])}."
        for n in names
    ]
    if len(names) != 2:
        because = "The claim is about one generator with it and one without."
        return Outcome(here, Verdict.UNDECIDED, because, parts, {"held_out": held}, warnings)
    before, after = names
    nearer, further = mean[after].high < mean[before].low, mean[after].low > mean[before].high
    seen = plane[after].low > 0.5
    if nearer and seen:
        verdict = Verdict.SHARPENED
        because = (
            "The profile comes nearer to the reals', but what it does not show still gives the fakes away."
        )
    elif nearer:
        verdict = Verdict.AT_THIS_SCALE
        because = "The profile comes nearer, and the plane's detector finds nothing either."
    elif further:
        verdict, because = Verdict.REFUTED, "With the second discriminator the mean deviation is larger."
    else:
        verdict = Verdict.UNDECIDED
        because = "The intervals of the mean deviation with and without it overlap."
    because += " One seed of each."
    numbers = {
        "mean_db": mean, "held_out": held,
        "dct": plane,
    }  # fmt: skip
    return Outcome(here, verdict, because, parts, numbers, warnings)


EXPERIMENT = Experiment(
    title="A discriminator on the radial profile: profiles, cloaking scores, detectors that see more",
    source="Jung and Keuper 2021, arXiv 2012.03110",
    published=(
        Published("At 64 pixels a DCGAN lies under the reals at middle frequencies and above them in the "
                  "last few rings; with the second discriminator the curves coincide", "README figures"),
        Published("The cloaking score is taken on the training images of its classifier", "code"),
        Published("It sees the profile alone, so that it can be fooled", "blog of Schwarz et al. 2021"),
    ),
    minutes=0.2,
    needs="nothing: generators of the zoo (or --real with --fake: one without, one with it)",
    run=run,
    generators=(WITHOUT, WITH),
)  # fmt: skip
