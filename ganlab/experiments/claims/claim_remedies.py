"""Claim: a spectral loss makes a generator's spectrum that of the reals. Three remedies, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.experiments.claims.drawing import bars
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.seeds import SEEDS, asked, compared, counted, seeded, student_mean
from ganlab.experiments.claims.separation import area
from ganlab.experiments.claims.setting import Setting
from ganlab.forensics import Interval, parse_system
from ganlab.spectra import spectral_deviation

UPSAMPLERS = ("transposed", "bilinear")
REMEDIES = ("durall", "axis", "spectral-discriminator")
OWN, DECIBELS = "bce_excess", "mean_db"
MEASURES = {
    DECIBELS: "mean distance of the radial profiles, dB",
    OWN: "cross-entropy of min-max profiles above its floor: what Durall's loss lowers",
    "high_excess_db": "signed difference above half of Nyquist, dB",
    "log_spectral_distance": "root mean square distance of the radial profiles, dB",
    "radial+logistic": "area under the ROC curve on radial profiles",
    "dct+ridge": "area under the ROC curve on the DCT",
}
"""Measure -> what it is. All but the signed one are 0 (areas 1/2) where fakes and reals are alike."""
SIGNED = "high_excess_db"
SYSTEMS = ("radial+logistic", "dct+ridge")

Values = dict[str, float]
ASKED = {
    "Statement": (
        "A spectral loss in the generator's training makes its spectrum consistent with that of the reals"
    ),
    "Source": (
        "Durall et al. 2020, arXiv 2003.01826 (abstract); axis profiles are ganlab's, the spectral "
        "discriminator Jung and Keuper's (2021)"
    ),
    "Would be refuted by": (
        "a mean distance of radial profiles in dB that does not fall with the loss, seed by seed"
    ),
    "Plan": (
        "Generators with and without a remedy, equal in seed, first weights and order of images; 1000 "
        "fakes of each against 1000 reals that no generator saw; differences with the remedy less "
        "without, averaged over two upsamplers. The loss lets its gradient pass through the spectrum; the "
        "released one does not"
    ),
    "Data": "glyphs of 32 pixels, generators of `ganlab zoo`",
    "Trainings": "intervals: Student's t over seeds",
    "Null": "one half of the reals against the other",
}


def measured(real: Tensor, fake: Tensor) -> Values:
    """All `MEASURES` of two sets of float images."""
    names = [name for name in MEASURES if name not in SYSTEMS]
    report = spectral_deviation(real, fake, metrics=names, resamples=0)
    areas = {name: area(parse_system(name), real, fake) for name in SYSTEMS}
    return {**{name: float(report[name].value) for name in names}, **areas}


def changes(
    values: Mapping[tuple[str, str], Mapping[int, Values]],
) -> dict[tuple[str, str, str], dict[int, float]]:
    """What a remedy changes: (upsampler, remedy, measure) -> seed -> with it less without, of one seed.

    The size of a signed measure is compared: 2 dB too little is as far off as 2 dB too much.

    Args:
        values: (upsampler, remedy or "none") -> seed -> measures.
    """
    found: dict[tuple[str, str, str], dict[int, float]] = {}
    for (upsampler, remedy), own in values.items():
        plain = values.get((upsampler, "none"), {})
        for seed in (seed for seed in own if remedy != "none" and seed in plain):
            for name in MEASURES:
                after, before = own[seed][name], plain[seed][name]
                change = abs(after) - abs(before) if name == SIGNED else after - before
                found.setdefault((upsampler, remedy, name), {})[seed] = change
    return found


def over_upsamplers(
    found: Mapping[tuple[str, str, str], Mapping[int, float]], remedy: str, name: str
) -> Interval:
    """A remedy's change over seeds, averaged over upsamplers first: sharing seeds, they are no repeats."""
    own = [found[key] for key in found if key[1:] == (remedy, name)]
    seeds = sorted(set.intersection(*(set(one) for one in own)))
    return student_mean([sum(one[seed] for one in own) / len(own) for seed in seeds])


def judged(own: Interval, decibels: Interval) -> tuple[str, str]:
    """Verdict on Durall's loss and why: its own measure, and the distance in dB."""
    if decibels.high < 0:
        return Verdict.AT_THIS_SCALE, "The loss lowers the distance in dB over seeds, as claimed."
    if own.high < 0:
        change = shown(decibels, 2, True, "dB")
        said = "which it makes larger" if decibels.low > 0 else "which leaves both signs open"
        return Verdict.SHARPENED, (
            f"The loss lowers what it measures, min-max profiles ({shown(own, 4, True)}). The distance in dB "
            f"changes by {change}, {said}: min-max profiles do not hold the level that it sees."
        )
    if decibels.low > 0:
        return Verdict.REFUTED, "With the loss the distance in dB is larger, on every account of the seeds."
    return Verdict.UNDECIDED, (
        "Neither its own measure nor the distance in dB changes beyond what seeds differ by: that the loss "
        "makes the spectrum consistent does not show here, and a small effect is not excluded."
    )


def run(setting: Setting) -> Outcome:
    """Every generator measured against the reals; remedies against the plain one of the same seed."""
    recipes = {(u, "none"): f"dcgan-{u}" for u in UPSAMPLERS}
    recipes |= {(u, r): f"dcgan-{u}-{r}" for r in REMEDIES for u in UPSAMPLERS}
    generators = seeded(setting, list(recipes.values()))
    by_recipe, null = compared(setting, generators, measured)
    values = {key: by_recipe.get(recipe, {}) for key, recipe in recipes.items()}
    found = changes(values)
    remedies = [remedy for remedy in REMEDIES if any(key[1] == remedy for key in found)]
    pooled = {(r, name): over_upsamplers(found, r, name) for r in remedies for name in MEASURES}
    if "durall" not in remedies:
        raise GanlabError("this claim needs generators with Durall's loss and without; the zoo here has none")
    verdict, because = judged(pooled["durall", OWN], pooled["durall", DECIBELS])
    here = [
        f"{remedy}: mean distance {shown(pooled[remedy, DECIBELS], 2, True, 'dB')}, its excess of "
        f"cross-entropy {shown(pooled[remedy, OWN], 4, True)}, area on radial profiles "
        f"{shown(pooled[remedy, 'radial+logistic'], 3, True)}, on the DCT "
        f"{shown(pooled[remedy, 'dct+ridge'], 3, True)}; with the remedy less without."
        for remedy in remedies
    ]
    picture = bars(
        "decibels",
        "Change of the mean distance of radial profiles by each remedy, over seeds; below 0 is nearer.",
        {
            upsampler: {r: student_mean(list(found[upsampler, r, DECIBELS].values())) for r in remedies}
            for upsampler in UPSAMPLERS
        },
        "change, dB", 0.0,
    )  # fmt: skip
    return Outcome(
        here, verdict, because,
        [
            asked(ASKED, counted(generators)),
            Part("What each remedy changes", tables=_tables(values, found, null), drawings=[picture]),
        ],
        {"changes": {f"{r} {n}": i for (r, n), i in pooled.items()}, "null": null},
    )  # fmt: skip


def _tables(
    values: Mapping[tuple[str, str], Mapping[int, Values]],
    found: Mapping[tuple[str, str, str], Mapping[int, float]],
    null: Values,
) -> list[Table]:
    """Levels of every kind, and differences paired by seed."""
    levels = [
        [upsampler, remedy, len(own), *(
            shown(student_mean([one[name] for one in own.values()], name in SYSTEMS), 4 if name == OWN else 3)
            for name in MEASURES
        )]
        for (upsampler, remedy), own in values.items() if own
    ]  # fmt: skip
    levels.append(["null", "reals", 1, *(f"{null[name]:.{4 if name == OWN else 3}f}" for name in MEASURES)])
    rows = [
        [upsampler, remedy, name, len(own), shown(student_mean(list(own.values())), 4, True),
         f"{sum(one < 0 for one in own.values())} of {len(own)}"]
        for (upsampler, remedy, name), own in found.items()
    ]  # fmt: skip
    note = "; ".join(f"{name}: {what}" for name, what in MEASURES.items())
    return [
        Table("levels", "Every kind against the reals", ("upsampling", "remedy", "seeds", *MEASURES),
              levels, f"{note}. Null: one half of the reals against the other."),
        Table("changes", "With the remedy less without, paired by seed",
              ("upsampling", "remedy", "measure", "seeds", "change", "seeds in which it falls"), rows),
    ]  # fmt: skip


EXPERIMENT = Experiment(
    title="Does a spectral loss bring the spectrum nearer to that of the reals?",
    source="Durall et al. 2020, arXiv 2003.01826; Jung and Keuper 2021, arXiv 2012.03110",
    published=(
        Published(
            "A spectral regularisation gives spectrally consistent GANs", "abstract of Durall et al. 2020"
        ),
        Published(
            "The released loss is a constant to the generator: no gradient passes through the spectrum",
            "code, and issue 5 of its repository",
        ),
    ),
    minutes=0.3,
    needs="nothing: generators of the zoo",
    run=run,
    generators=tuple(f"dcgan-{u}{r}" for u in UPSAMPLERS for r in ("", *(f"-{r}" for r in REMEDIES))),
    takes_fakes=False,
    takes_reals=False,
    seeds=len(SEEDS),
)
