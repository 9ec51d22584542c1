"""Claim: upsampling in the generator makes the spectral gap, not the discriminator. Both are varied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scipy.stats import f as fisher
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.experiments.claims.drawing import bars
from ganlab.experiments.claims.lattice import prominence
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.seeds import SEEDS, asked, compared, counted, student_mean, variance_shares
from ganlab.experiments.claims.separation import area
from ganlab.experiments.claims.setting import Setting
from ganlab.forensics import Interval, parse_system
from ganlab.forensics.protocol.guards import MINIMUM
from ganlab.spectra import spectral_deviation

UPSAMPLERS = ("transposed", "nearest", "bilinear", "bicubic", "pixel_shuffle", "bed_of_nails")
"""Of the generator."""
DOWNSAMPLERS = ("stride", "avg_pool", "blur_pool")
"""Of the discriminator; layers and weights are the same."""
RINGS = {
    "mean_db": "mean distance of the radial profiles, dB",
    "high_excess_db": "rings above half of Nyquist, fake over real, dB",
    "axis_nyquist_excess_db": "row and column of Nyquist, fake over real, dB",
}
PLANE = {
    "period 2": "lattice of period 2 above its neighbours, beyond the reals', dB",
    "period 4": "of period 4, dB",
}
SYSTEMS = {"radial+logistic": "area under the ROC curve on radial profiles"}
MEASURES = {**RINGS, **PLANE, **SYSTEMS}
JUDGED = ("mean_db", "high_excess_db", "period 2")
"""The measures that the verdict goes by, chosen before anything was trained."""

ASKED = {
    "Statement": (
        "It is the generator's upsampling that makes the gap between the spectra of generated and real images"
    ),
    "Source": (
        "Durall et al. 2020, arXiv 2003.01826 (abstract); against it Schwarz et al. 2021, arXiv "
        "2111.02447 (abstract): the discriminator's downsampling can impair the training signal"
    ),
    "Would be refuted by": (
        "measures of the gap whose variation the discriminator's downsampling explains as much as the "
        "generator's upsampling"
    ),
    "Plan": (
        f"{len(UPSAMPLERS)} upsamplers of the generator by {len(DOWNSAMPLERS)} ways in which the "
        "discriminator halves, every combination, each seed's table decomposed by itself; shares less "
        f"what chance gives factors of so many levels. The verdict goes by {', '.join(JUDGED)}. An "
        "upsampler of which a training collapsed is left out. All trainings are equally short: those of "
        "the zoo, which are longer, are not taken"
    ),
    "Data": "glyphs of 32 pixels, DCGANs as in `ganlab zoo`; 1000 fakes and 1000 unseen reals",
    "Trainings": "the seed is the unit: Student's t over seeds",
    "Null": "one half of the reals against the other",
}

Cells = Mapping[tuple[str, str], Mapping[int, Mapping[str, float]]]
"""(upsampler, downsampler) -> seed -> measure -> number; a whole table with the same seeds in every cell."""


def measured(real: Tensor, fake: Tensor) -> dict[str, float]:
    """All `MEASURES`, and how many images differ from each other (``different``)."""
    report = spectral_deviation(real, fake, metrics=list(RINGS), resamples=0)
    lines = prominence(real, fake)
    return {
        **{name: float(report[name].value) for name in RINGS},
        **{name: lines[int(name.split()[1])] for name in PLANE},
        **{name: area(parse_system(name), real, fake) for name in SYSTEMS},
        "different": len({image.tobytes() for image in fake.numpy()}),
    }


def balance(cells: Cells, name: str) -> dict[str, Interval]:
    """What the generator's upsampling and the discriminator's downsampling make of a measure's variation.

    Each seed's table gives one value. By chance alone a factor with more levels explains more: its degrees of
    freedom times the mean square of the interplay are taken from its share, so that nothing has 0 on average.

    Returns:
        Over seeds: "upsampling" and "downsampling", the corrected shares; "lead", the first less the second.
    """
    levels = [len({key[place] for key in cells}) - 1 for place in (0, 1)]
    found: dict[str, list[float]] = {"upsampling": [], "downsampling": [], "lead": []}
    for seed in next(iter(cells.values())):
        shares = variance_shares({key: [own[seed][name]] for key, own in cells.items()})
        noise = shares["both"] / (levels[0] * levels[1])
        first, second = (
            shares[part] - n * noise for part, n in zip(("first", "second"), levels, strict=True)
        )
        for key, value in zip(found, (first, second, first - second), strict=True):
            found[key].append(value)
    return {key: student_mean(values) for key, values in found.items()}


def decomposed(cells: Cells, name: str) -> tuple[dict[str, float], dict[str, float]]:
    """Shares of a measure's variation over all trainings, and p of no effect for each factor (Fisher's F)."""
    values = {key: [one[name] for one in own.values()] for key, own in cells.items()}
    shares = variance_shares(values)
    ups, downs = (len({key[place] for key in cells}) for place in (0, 1))
    free = ups * downs * (len(next(iter(values.values()))) - 1)
    # What trainings of one cell differ by is the error; of one seed there is none to hold an effect against.
    error = shares["seeds"] / free if free else 0.0
    tests = {"first": ups - 1, "second": downs - 1, "both": (ups - 1) * (downs - 1)}
    return shares, {
        part: float(fisher.sf(shares[part] / n / error, n, free)) if error else 1.0
        for part, n in tests.items()
    }


def judged(leads: Mapping[str, Interval]) -> tuple[Verdict, str]:
    """Verdict from the lead of the upsampling in each measure, and why."""
    generator = [name for name, lead in leads.items() if lead.low > 0]
    discriminator = [name for name, lead in leads.items() if lead.high < 0]
    text = ", ".join(f"{name} {shown(lead, 2, True)}" for name, lead in leads.items())
    text = f"Share of the variation that upsampling explains less that of downsampling: {text}."
    if len(generator) == len(leads):
        return Verdict.AT_THIS_SCALE, f"The generator's upsampling decides all of them. {text}"
    if 2 * len(discriminator) > len(leads):
        return Verdict.REFUTED, f"The discriminator's downsampling decides most of them. {text}"
    if generator or discriminator:
        sides = [f"upsampling decides {', '.join(generator)}"] if generator else []
        sides += [f"downsampling decides {', '.join(discriminator)}"] if discriminator else []
        rest = [name for name in leads if name not in (*generator, *discriminator)]
        sides += [f"open is {', '.join(rest)}"] if rest else []
        said = "; ".join(sides)
        return Verdict.SHARPENED, f"{said[0].upper()}{said[1:]}. {text}"
    return Verdict.UNDECIDED, f"Seeds differ by more than the two do. {text}"


def run(setting: Setting) -> Outcome:
    """Every upsampler against every downsampler, equal in seed, order of images, first weights of a shape."""
    # Seed by seed: what a stop leaves is then a whole table of fewer seeds.
    names = [(seed, up, down) for seed in SEEDS for up in UPSAMPLERS for down in DOWNSAMPLERS]
    trained = setting.trained({
        f"{up}+{down}-s{seed}": (f"dcgan-{up}", (f"model.discriminator.downsampling={down}", f"seed={seed}"))
        for seed, up, down in names
    })  # fmt: skip
    generators = {
        f"{up}+{down}": {seed: trained[f"{up}+{down}-s{seed}"] for seed in SEEDS}
        for up in UPSAMPLERS for down in DOWNSAMPLERS
    }  # fmt: skip
    values, null = compared(setting, generators, measured)
    # A collapsed training is no measurement of its cell; the table stays whole without that upsampler's row.
    fallen = {
        name.partition("+")[0]: f"{name} of seed {seed} collapsed to {own['different']} different images"
        for name, seeds in values.items() for seed, own in seeds.items()
        if own["different"] < min(MINIMUM, setting.scale.images)
    }  # fmt: skip
    cells = {
        (up, down): values[f"{up}+{down}"] for up in UPSAMPLERS if up not in fallen for down in DOWNSAMPLERS
    }
    if len(cells) < 2 * len(DOWNSAMPLERS):
        raise GanlabError(f"fewer than two upsamplers are left: {'; '.join(fallen.values())}")
    balances = {name: balance(cells, name) for name in MEASURES}
    verdict, because = judged({name: balances[name]["lead"] for name in JUDGED})
    here = [
        f"{name} ({what}): upsampling explains {shown(own['upsampling'])} of the variation within a seed, "
        f"downsampling {shown(own['downsampling'])}."
        for (name, what), own in zip(MEASURES.items(), balances.values(), strict=True)
    ]
    picture = bars(
        "shares", "Share of the variation that each explains, less what chance gives it, over seeds.",
        {name: {side: own[side] for side in list(own)[:2]} for name, own in balances.items()},
        "share of the variation", 0.0,
    )  # fmt: skip
    return Outcome(
        here, verdict, because,
        [
            asked(ASKED, f"{counted(generators)}, {setting.scale.steps} steps"),
            Part("What each explains", tables=_tables(cells, null), drawings=[picture]),
        ],
        {"balance": balances, "null": null},
        [f"{text}: {up} is left out" for up, text in fallen.items()],
    )  # fmt: skip


def _tables(cells: Cells, null: Mapping[str, float]) -> list[Table]:
    """Shares of the variation with their p; the mean of every level; every combination."""
    rows = []
    for name in MEASURES:
        shares, p = decomposed(cells, name)
        rows.append([name, *(f"{share:.2f}" for share in shares.values()), *(f"{x:.2g}" for x in p.values())])
    seeds = list(next(iter(cells.values())))

    def level(place: int, which: str) -> list[Any]:
        chosen = [own for key, own in cells.items() if key[place] == which]
        means = [[sum(own[s][n] for own in chosen) / len(chosen) for s in seeds] for n in MEASURES]
        return [("upsampling", "downsampling")[place], which, *(shown(student_mean(own)) for own in means)]

    levels = [level(place, which) for place in (0, 1) for which in dict.fromkeys(key[place] for key in cells)]
    levels.append(["reals", "(null)", *(f"{null[name]:.2f}" for name in MEASURES)])
    singles = [
        [*key, *(shown(student_mean([one[n] for one in own.values()])) for n in MEASURES)]
        for key, own in cells.items()
    ]
    note = "; ".join(f"{name}: {what}" for name, what in MEASURES.items())
    return [
        Table("shares_table", "Shares of the variation over all trainings",
              ("measure", "upsampling", "downsampling", "interplay", "seeds",
               "p upsampling", "p downsampling", "p interplay"), rows,
              "Shares of the whole sum of squares; p of Fisher's F against what seeds differ by."),
        Table("levels", "Mean of each choice over the others", ("side", "choice", *MEASURES), levels,
              f"{note}. Intervals over seeds. Null: one half of the reals against the other."),
        Table("cells", "Every combination", ("upsampling", "downsampling", *MEASURES), singles),
    ]  # fmt: skip


EXPERIMENT = Experiment(
    title="Generator or discriminator: which of them makes the spectral gap?",
    source="Durall et al. 2020, arXiv 2003.01826; Schwarz et al. 2021, arXiv 2111.02447",
    published=(
        Published(
            "Common upsampling by transposed convolution cannot reproduce the reals' spectrum",
            "abstract of Durall et al. 2020",
        ),
        Published(
            "Upsampling biases the generator; the discriminator's downsampling can impair its training",
            "abstract of Schwarz et al. 2021",
        ),
    ),
    minutes=32,
    needs="trains 54 small generators",
    run=run,
    takes_fakes=False,
    takes_reals=False,
    seeds=len(SEEDS),
)
