"""Claim: the last upsampling decides the decay at high frequencies. Generators whose last stage differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from ganlab import zoo
from ganlab.experiments.claims.drawing import bars
from ganlab.experiments.claims.lattice import prominence
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.seeds import (
    SEEDS,
    asked,
    common,
    compared,
    counted,
    seeded,
    student_mean,
    variance_shares,
)
from ganlab.experiments.claims.separation import area, features, fitted, tested
from ganlab.experiments.claims.setting import Setting, floats
from ganlab.forensics import Interval, System, parse_system
from ganlab.spectra import spectral_deviation

OPERATORS = ("transposed", "bilinear")
CELLS = tuple((early, last) for early in OPERATORS for last in OPERATORS)
"""Upsampling of the first two stages, and of the last."""
RINGS = {
    "decay_exponent": "exponent of the decay near the corner, fake less real",
    "nyquist_excess_db": "last ring, fake over real, dB",
    "high_excess_db": "rings above half of Nyquist, fake over real, dB",
}
PLANE = {
    "period 2": "lattice of period 2 above its neighbours, beyond the reals', dB",
    "period 4": "of period 4, which the last stage cannot leave, dB",
    "period 8": "of period 8, dB",
}
DETECTORS = {"decay": "decay+knn", "DCT": "dct+ridge"}
"""What sees the rings' decay alone (Dzanic's three numbers, 5 neighbours), and what sees the plane."""
RING, PLACE = "decay_exponent", "period 4"
"""The number of each kind that the verdict goes by, chosen before anything was trained."""

Values = Mapping[tuple[str, str], Mapping[int, Mapping[str, float]]]
"""(early, last) -> seed -> measure -> number."""
ASKED = {
    "Statement": (
        "The last upsampling decides the decay at high frequencies: with another last layer it vanishes, "
        "and such images pass a detector of the decay"
    ),
    "Source": "Chandrasegaran, Tran and Cheung 2021, arXiv 2103.17195 (abstract)",
    "Would be refuted by": (
        "a decay that follows the early stages; and, for the plane, lattices of period 4 that the last "
        "stage decides alone"
    ),
    "Plan": (
        "Transposed or bilinear in the first two stages, transposed or bilinear in the last, the same "
        "seeds, first weights wherever shapes agree, order of images. A stage at 4 output pixels a step "
        "leaves period 8, the next period 4, the last period 2. Rings: the decay's exponent, the last "
        "ring. Plane: how far the lattice of a period stands above its neighbours. Detectors: three "
        "numbers of the decay with 5 neighbours, ridge on the DCT"
    ),
    "Data": "glyphs of 32 pixels, DCGANs as in `ganlab zoo`, 1000 fakes and 1000 unseen reals",
    "Trainings": "effects paired by seed, Student's t over seeds",
    "Null": "one half of the reals against the other",
}


def detectors() -> dict[str, System]:
    """`DETECTORS`, five neighbours where neighbours are asked."""
    made = {name: parse_system(text) for name, text in DETECTORS.items()}
    return made | {"decay": made["decay"].with_detector_options({"k": 5})}


def measured(real: Tensor, fake: Tensor) -> dict[str, float]:
    """All of `RINGS` and `PLANE`, and how well each detector tells the fakes when it knows them."""
    report = spectral_deviation(real, fake, metrics=list(RINGS), resamples=0)
    lines = {f"period {period}": db for period, db in prominence(real, fake).items()}
    areas = {f"{name}, area": area(system, real, fake) for name, system in detectors().items()}
    return {**{name: float(report[name].value) for name in RINGS}, **lines, **areas}


def carried_over(real: Tensor, baseline: Tensor, others: Mapping[str, Tensor]) -> dict[str, dict[str, float]]:
    """Detectors of the baseline's fakes on others: Chandrasegaran's question.

    Returns:
        Detector -> set -> share of its fakes called fake; the baseline's own under "baseline", the reals'
        under "real".
    """
    found: dict[str, dict[str, float]] = {}
    for name, system in detectors().items():
        reals, known = features(system, real), features(system, baseline)
        detector = fitted(system, (reals, known), 0)
        found[name] = {
            "baseline": tested(detector, reals, known)[1],
            "real": tested(detector, reals, reals)[1],
        }
        for other, images in others.items():
            found[name][other] = tested(detector, reals, features(system, images))[1]
    return found


def effects(values: Values, name: str) -> dict[str, Interval]:
    """What the choice of the first operator against the second does, over seeds.

    Returns:
        "early" and "last": mean over the other stage's operators of transposed less bilinear; "both": how the
        effect of the last depends on the early ones (half the difference of differences).
    """
    one, two = OPERATORS
    seeds = common(values)
    tables = [{cell: values[cell][seed][name] for cell in CELLS} for seed in seeds]
    return {
        "early": student_mean([(t[one, one] + t[one, two] - t[two, one] - t[two, two]) / 2 for t in tables]),
        "last": student_mean([(t[one, one] + t[two, one] - t[one, two] - t[two, two]) / 2 for t in tables]),
        "both": student_mean([(t[one, one] - t[one, two] - t[two, one] + t[two, two]) / 2 for t in tables]),
    }


def decided_by(found: Mapping[str, Interval]) -> str:
    """The stage whose effect alone is clear of zero, or clearly the larger; else "both", or "open"."""
    sure = [name for name in ("early", "last") if not found[name].contains(0.0)]
    if not sure:
        return "open"
    first = max(sure, key=lambda name: abs(found[name].value))
    other = found["last" if first == "early" else "early"]
    smaller = max(abs(other.low), abs(other.high)) < abs(found[first].value) or len(sure) == 1
    return first if smaller else "both"


def judged(ring: Mapping[str, Interval], place: Mapping[str, Interval]) -> tuple[str, str]:
    """Verdict from the effects on the decay and on the lattice of period 4, and why."""
    rings, plane = decided_by(ring), decided_by(place)
    text = (
        f"Decay: early {shown(ring['early'], 2, True)}, last {shown(ring['last'], 2, True)}; lattice of "
        f"period 4: early {shown(place['early'], 2, True, 'dB')}, last {shown(place['last'], 2, True, 'dB')}."
    )
    if rings == "last":
        if plane in ("early", "both"):
            return Verdict.SHARPENED, (
                "True of rings: the last stage decides the decay. Not of the plane: what earlier stages "
                f"left at period 4 stays behind another last stage. {text}"
            )
        if plane == "last":
            return (
                Verdict.AT_THIS_SCALE,
                f"The last stage decides the decay, and period 4 as well. {text}",
            )
        return Verdict.AT_THIS_SCALE, (
            f"The last stage decides the decay. Whether earlier stages' lattices remain stays open. {text}"
        )
    if rings in ("early", "both"):
        verdict = Verdict.REFUTED if rings == "early" else Verdict.SHARPENED
        return (
            verdict,
            f"Earlier stages move the decay {'more' if rings == 'early' else 'as well'}. {text}",
        )
    return Verdict.UNDECIDED, f"Neither stage moves the decay by more than seeds differ. {text}"


def mixed(setting: Setting) -> dict[str, dict[int, str]]:
    """Cell -> seed -> generator: unmixed ones of the zoo, the others trained for the same seeds.

    ``EARLY+LAST`` are the names. Of a killed training the same command goes on.
    """
    plain = seeded(setting, [f"dcgan-{name}" for name in OPERATORS])
    seeds = common(plain)
    # As long as those of the zoo. At the scale that only shows what comes out nothing takes minutes.
    first = plain[f"dcgan-{OPERATORS[0]}"][seeds[0]]
    alike = first.startswith(zoo.PREFIX) and setting.scale.name != "tiny"
    length = (f"training.steps={zoo.card(first)['steps']}",) if alike else ()
    trained = setting.trained({
        f"{early}-last-{last}-s{seed}": (
            f"dcgan-{early}", (f"model.upsampling.last={last}", f"seed={seed}", *length)
        )
        for seed in seeds for early, last in CELLS if early != last
    })  # fmt: skip
    return {
        f"{early}+{last}": {
            seed: plain[f"dcgan-{early}"][seed] if early == last else trained[f"{early}-last-{last}-s{seed}"]
            for seed in seeds
        }
        for early, last in CELLS
    }


def run(setting: Setting) -> Outcome:
    """Two operators early, two last, the same seeds; rings, plane, and detectors that know the baseline."""
    generators = mixed(setting)
    by_name, null = compared(setting, generators, measured)
    values = {cell: by_name["+".join(cell)] for cell in CELLS}
    baseline = f"{OPERATORS[0]}+{OPERATORS[0]}"

    def transferred(seed: int) -> Any:
        images = {cell: floats(setting.fake(own[seed], "fake")) for cell, own in generators.items()}
        return carried_over(floats(setting.real), images.pop(baseline), images)

    transfer = {
        seed: setting.once(f"transfer-s{seed}", partial(transferred, seed)) for seed in generators[baseline]
    }
    found = {name: effects(values, name) for name in (*RINGS, *PLANE)}
    verdict, because = judged(found[RING], found[PLACE])
    changed = f"{OPERATORS[0]}+{OPERATORS[1]}"
    here = [
        f"{name}, transposed less bilinear: early {shown(own['early'], 2, True)}, last "
        f"{shown(own['last'], 2, True)}."
        for name, own in found.items()
    ]
    here += [
        f"A detector of {name} that knows the baseline calls {shown(_share(transfer, name, 'baseline'))} of "
        f"its fakes fake, {shown(_share(transfer, name, changed))} with another last stage, "
        f"{shown(_share(transfer, name, 'real'))} of the reals."
        for name in DETECTORS
    ]
    picture = bars(
        "effects", "Effect of transposed against bilinear, early or last, over seeds; each in its own unit.",
        {name: {stage: own[stage] for stage in ("early", "last")} for name, own in found.items()},
        "transposed less bilinear", 0.0,
    )  # fmt: skip
    return Outcome(
        here, verdict, because,
        [
            asked(ASKED, counted(generators)),
            Part("Which stage it is", (), [_levels(values, null), _effects(values, found)], [picture]),
            Part("Detectors that know the baseline", tables=[_transfer(transfer, list(generators))]),
        ],
        {"effects": found, "null": null},
    )  # fmt: skip


def _share(transfer: Mapping[Any, Any], detector: str, name: str) -> Interval:
    return student_mean([found[detector][name] for found in transfer.values()], share=True)


def _levels(values: Values, null: Mapping[str, float]) -> Table:
    names = list(null)
    rows = [
        [early, last, len(own), *(shown(student_mean([one[n] for one in own.values()]), 2) for n in names)]
        for (early, last), own in values.items()
    ]
    rows.append(["reals", "(null)", 1, *(f"{null[name]:.2f}" for name in names)])
    note = "; ".join(f"{name}: {what}" for name, what in {**RINGS, **PLANE}.items())
    note += "; areas under the ROC curve of detectors that know these fakes."
    return Table("levels", "Every combination and the reals", ("early", "last", "seeds", *names), rows, note)


def _effects(values: Values, found: Mapping[str, Mapping[str, Interval]]) -> Table:
    """Effects of the stages, and their shares of the variance."""
    seeds = common(values)
    rows = []
    for name, own in found.items():
        shares = variance_shares({cell: [values[cell][seed][name] for seed in seeds] for cell in CELLS})
        rows.append([name, *(shown(own[stage], 2, True) for stage in ("early", "last", "both")),
                     *(f"{shares[part]:.2f}" for part in ("first", "second", "both", "seeds"))])  # fmt: skip
    header = ("measure", "early", "last", "their interplay", "share early", "share last", "share interplay",
              "share seeds")  # fmt: skip
    note = "Transposed less bilinear; intervals over seeds, Student's t. Shares of the whole sum of squares."
    return Table("effects_table", "Effects and shares of variance", header, rows, note)


def _transfer(transfer: Mapping[int, Mapping[str, Mapping[str, float]]], cells: Sequence[str]) -> Table:
    sets = ["baseline", *cells[1:], "real"]
    rows = [[name, *(shown(_share(transfer, name, one)) for one in sets)] for name in DETECTORS]
    note = "Share called fake, over seeds. Fitted on reals and fakes of the baseline, transposed everywhere."
    return Table("transfer", "Early stages + last stage", ("detector sees", *sets), rows, note)


EXPERIMENT = Experiment(
    title="Does the last upsampling decide the decay at high frequencies?",
    source="Chandrasegaran et al. 2021, arXiv 2103.17195",
    published=(
        Published("The discrepancy in the decay is avoided by another last upsampling layer", "abstract"),
        Published("Such images pass a detector of the decay that was trained on the baseline", "abstract"),
        Published("Its accuracy counts fakes alone", "issue 2 of its repository"),
    ),
    minutes=15,
    needs="generators of the zoo; trains two mixed ones for each seed",
    run=run,
    generators=tuple(f"dcgan-{name}" for name in OPERATORS),
    takes_fakes=False,
    takes_reals=False,
    seeds=len(SEEDS),
)
