"""Durall et al. 2020: the spectra of four GANs with transposed convolutions, and what each remedy changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganlab.experiments.claims.detecting import Arena, accuracy, own_table, systems
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Verdict, shown
from ganlab.experiments.claims.recipes import GAMES
from ganlab.experiments.claims.setting import Setting
from ganlab.experiments.claims.spectral import against, deviation, deviation_table, deviations, profiles
from ganlab.experiments.detection.measure import Record
from ganlab.forensics import NULL

RECIPE = "dcgan-transposed"
_TAIL = "model.upsampling={name: transposed, last: nearest, tail: {convs: 3, kernel: 5}}"
_LOSS = "loss.spectral=[{kind: radial_profile, weight: 0.5}]"
REMEDIES: dict[str, tuple[str, ...]] = {
    "loss as released": ("loss.spectral=[{kind: radial_profile, weight: 1.0e-5, as_released: true}]",),
    "loss": (_LOSS,),
    "three convolutions": (_TAIL,),
    "both": (_TAIL, _LOSS),
}
"""What is changed in the DCGAN: the released factor without gradient, the loss with one, the last layers."""
SYSTEMS = ("radial+logistic", "both+logistic", "dct+logistic")


def run(setting: Setting) -> Outcome:
    """Four games, four remedies of the first: profiles, deviations, detectors."""
    variants = {**GAMES, **{f"DCGAN, {name}": options for name, options in REMEDIES.items()}}
    sources = setting.trained({name: (RECIPE, options) for name, options in variants.items()})
    real = setting.real
    fakes = [setting.fake(source, name) for name, source in sources.items()]
    found = deviations(setting, real, fakes)
    arena = Arena(setting, "detect", real, fakes, allow=("count", "duplicates"))
    records = arena.transfer(systems(setting, SYSTEMS), (*arena.sources, NULL))
    games, remedied = fakes[: len(GAMES)], [fakes[0], *fakes[len(GAMES) :]]
    panels = {"four games": profiles(real, games, "radial")}
    panels["remedies of DCGAN"] = profiles(real, remedied, "radial")
    drawn = [
        against(f"radial-{stem}", f"Radial profiles against the reals: {title}.", {title: own})
        for stem, (title, own) in zip(("games", "remedies"), panels.items(), strict=True)
    ]
    released = deviations_of_convention(found)
    parts = [
        Part("Radial profiles", released, [deviation_table("deviations", "Deviations", found)], drawn),
        Part("Detectors", tables=[own_table("systems", "Detectors trained on each", records)]),
    ]
    return _judged(found, records, parts, arena.warnings)


def deviations_of_convention(found: Mapping[str, Any]) -> list[str]:
    """A paragraph: how many sets have too much, and how many too little, power above 1/4."""
    signs = {name: deviation(own, "high_excess_db") for name, own in found.items()}
    over = [name for name, i in signs.items() if i.low > 0]
    under = [name for name, i in signs.items() if i.high < 0]
    return [
        f"Above 1/4 cycle per pixel {len(over)} of {len(signs)} sets have more power than the reals "
        f"({', '.join(over) or 'none'}), {len(under)} less ({', '.join(under) or 'none'})."
    ]


def _judged(
    found: Mapping[str, Any], records: list[Record], parts: list[Part], warnings: list[str]
) -> Outcome:
    """Do all games miss the spectrum; does the loss mend it; does what was released?"""
    mean = {name: deviation(own, "mean_db") for name, own in found.items()}
    ends = {name: found[name]["mean_db"]["null_high"] for name in GAMES}
    missed = [name for name in GAMES if ends[name] is None or mean[name].low > ends[name]]
    base = mean["DCGAN"]
    better = [name for name in REMEDIES if mean[f"DCGAN, {name}"].high < base.low]
    plane = {
        name: accuracy(records, system="dct+logistic", trained_on=name, tested_on=name) for name in found
    }
    here = [
        f"Mean deviation: {', '.join(f'{name} {shown(mean[name])}' for name in GAMES)} dB; "
        f"{len(missed)} of {len(GAMES)} beyond the null.",
        *(
            f"DCGAN with {name}: {shown(mean[f'DCGAN, {name}'])} dB against {shown(base)} without; a fresh "
            f"detector of the DCT {shown(plane[f'DCGAN, {name}'])}."
            for name in REMEDIES
        ),
    ]
    end = found["DCGAN, loss"]["mean_db"]["null_high"]
    consistent = end is not None and mean["DCGAN, loss"].low <= end
    if len(missed) == len(GAMES) and "loss" in better and consistent:
        verdict = Verdict.AT_THIS_SCALE
        because = "Every game misses the spectrum, and with the loss it is met."
    elif len(missed) == len(GAMES) and "loss" in better:
        verdict = Verdict.SHARPENED
        because = (
            "Every game misses the spectrum. The loss brings it nearer and not to the reals: "
            f"{shown(mean['DCGAN, loss'])} dB, and a fresh detector is right on "
            f"{plane['DCGAN, loss'].value:.2f}."
        )
    elif missed:
        verdict = Verdict.SHARPENED
        because = (
            f"{len(missed)} of {len(GAMES)} games miss the spectrum. Nearer to it (intervals apart): "
            f"{', '.join(better) or 'none of the remedies'}."
        )
    else:
        verdict, because = Verdict.REFUTED, "No game misses the spectrum beyond the null."
    because += (
        " The released loss has no gradient through the spectrum. One seed of each, "
        "short trainings: differences between remedies may be the training's scatter."
    )
    numbers = {
        "mean_db": mean,
        "detected": plane, "better": better,
    }  # fmt: skip
    return Outcome(here, verdict, because, parts, numbers, warnings)


EXPERIMENT = Experiment(
    title="Spectra of DCGAN, DRAGAN, LSGAN, WGAN-GP with transposed convolutions; the spectral loss",
    source="Durall et al. 2020, arXiv 2003.01826",
    published=(
        Published(
            "Common upsampling by transposed convolution cannot reproduce the reals' spectrum", "abstract"
        ),
        Published(
            "With a spectral loss the spectrum becomes consistent and training more stable", "abstract"
        ),
        Published(
            "The released loss multiplies the adversarial one and has no gradient", "code, its issue 5"
        ),
    ),
    minutes=4.5,
    needs="trains 8 small generators (--real: on your images)",
    run=run,
    generators=(RECIPE,),
    takes_fakes=False,
)
