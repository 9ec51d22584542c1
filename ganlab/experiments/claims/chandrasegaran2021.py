"""Chandrasegaran et al. 2021: a DCGAN with other last layers, three losses; high-frequency decay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganlab.experiments.claims.detecting import Arena, accuracy, systems
from ganlab.experiments.claims.drawing import bars
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.recipes import GAMES
from ganlab.experiments.claims.setting import Setting
from ganlab.experiments.claims.spectral import against, deviation, deviation_table, deviations, profiles
from ganlab.experiments.detection.measure import Record
from ganlab.experiments.detection.tables import select
from ganlab.forensics import NULL, Interval

RECIPE = "dcgan-transposed"
LOSSES = ("DCGAN", "LSGAN", "WGAN-GP")
BASELINE = "baseline"
_CODES = {"N": "nearest", "Z": "bed_of_nails", "B": "bilinear_align_corners"}
CONSISTENT = ("N", "B")
"""Interpolations; zero insertion is not one."""
SMALL, PAPER = ((1, 5),), ((1, 5), (1, 3), (1, 7), (3, 5))
"""(convolutions, kernel) of X.n.k at small and at paper scale."""
DECAY, PLANE = "decay+knn", "dct+logistic"


def layers(setting: Setting) -> dict[str, tuple[str, ...]]:
    """Code X.n.k -> overrides."""
    found: dict[str, tuple[str, ...]] = {BASELINE: ()}
    for convs, kernel in PAPER if setting.at_paper_scale else SMALL:
        for code, last in _CODES.items():
            tail = f"tail: {{convs: {convs}, kernel: {kernel}}}"
            option = f"model.upsampling={{name: transposed, last: {last}, {tail}}}"
            found[f"{code}.{convs}.{kernel}"] = (option,)
    return found


def run(setting: Setting) -> Outcome:
    """Every last layer under every loss: decay, and a detector that learned on the baseline."""
    real, codes = setting.real, layers(setting)
    sources = setting.trained({
        f"{loss} {code}": (RECIPE, (*GAMES[loss], *last)) for code, last in codes.items() for loss in LOSSES
    })  # fmt: skip
    fakes = {name: setting.fake(source, name) for name, source in sources.items()}
    found = deviations(setting, real, list(fakes.values()))
    records: list[Record] = []
    parts = []
    warnings: dict[str, str] = {}
    for loss in LOSSES:
        own = [fakes[f"{loss} {code}"] for code in codes]
        arena = Arena(setting, loss, real, own, allow=("count", "duplicates"))
        records += arena.transfer(systems(setting, (DECAY, PLANE)), (*arena.sources, NULL))
        # the same guards find the same of every loss: the first of each is enough
        warnings = {text.partition(":")[0]: text for text in arena.warnings} | warnings
        drawn = against(
            f"radial-{loss}", f"Radial profiles of {loss} against the reals.",
            {loss: profiles(real, own, "radial")},
        )  # fmt: skip
        parts.append(Part(loss, tables=[_table(loss, codes, found, records)], drawings=[drawn]))
    excess = {
        code: {loss: deviation(found[f"{loss} {code}"], "high_excess_db") for loss in LOSSES}
        for code in codes
    }
    first = Part(
        "Power above 1/4 cycle per pixel", ["Against the reals, with intervals over images."],
        [deviation_table("deviations", "Deviations", found)],
        [bars("high", "Power above 1/4 cycle per pixel.", excess, "power over the reals' (dB)", 0.0)],
    )  # fmt: skip
    return _judged(found, records, list(codes), [first, *parts], list(warnings.values()))


def _table(loss: str, codes: Mapping[str, Any], found: Mapping[str, Any], records: list[Record]) -> Table:
    """A row a last layer."""

    def cell(system: str, trained: str, tested: str) -> str:
        own = [r for r in records if r.system.startswith(system)]
        return shown(accuracy(own, trained_on=f"{loss} {trained}", tested_on=f"{loss} {tested}"))

    rows = [
        [code, shown(deviation(found[f"{loss} {code}"], "high_excess_db"), sign=True),
         *(cell(system, trained, code) for system in (DECAY, PLANE) for trained in (BASELINE, code))]
        for code in codes
    ]  # fmt: skip
    header = (
        "last layers",
        "above 1/4 (dB)",
        "decay, baseline's",
        "decay, own",
        "DCT, baseline's",
        "DCT, own",
    )
    note = (
        "Balanced accuracy of detectors that learned on the baseline, and on the generator itself; the "
        "published one is the share of fakes that are found."
    )
    return Table(f"layers-{loss}", f"{loss}: detectors", header, rows, note)


def _judged(
    found: Mapping[str, Any],
    records: list[Record],
    codes: list[str],
    parts: list[Part],
    warnings: list[str],
) -> Outcome:
    """Are interpolations consistent where the baseline is not, and do they pass its detector?"""

    def excess(code: str) -> dict[str, Interval]:
        return {loss: deviation(found[f"{loss} {code}"], "high_excess_db") for loss in LOSSES}

    def passed(system: str, code: str) -> list[float]:
        own = [r for r in records if r.system.startswith(system)]
        return [
            accuracy(own, trained_on=f"{loss} {BASELINE}", tested_on=f"{loss} {code}").value
            for loss in LOSSES
        ]

    base = excess(BASELINE)
    kinds = [code for code in codes if code[0] in CONSISTENT]
    nearer = [
        f"{loss} {code}" for code in kinds for loss in LOSSES
        if abs(excess(code)[loss].value) < abs(base[loss].value)
    ]  # fmt: skip
    null = select(records, trained_on=NULL, tested_on=NULL)
    here = [
        f"{code}: above 1/4 " + ", ".join(f"{loss} {shown(i, sign=True)}" for loss, i in excess(code).items())
        + f" dB; the baseline's decay detector is right on {min(passed(DECAY, code)):.2f} to "
        f"{max(passed(DECAY, code)):.2f}, its DCT detector on {min(passed(PLANE, code)):.2f} to "
        f"{max(passed(PLANE, code)):.2f} of reals and fakes."
        for code in codes
    ]  # fmt: skip
    here.append(f"Null over all: {shown(accuracy(null))}.")
    fresh = [
        accuracy([r for r in records if r.system.startswith(PLANE)], trained_on=n, tested_on=n).low > 0.5
        for n in (f"{loss} {code}" for code in kinds for loss in LOSSES)
    ]
    share = f"{len(nearer)} of {len(kinds) * len(LOSSES)} generators with an interpolation at the end"
    if len(nearer) == len(kinds) * len(LOSSES) and not all(fresh):
        verdict = Verdict.AT_THIS_SCALE
        because = f"{share} are nearer to the reals above 1/4 than the baseline."
    elif nearer:
        verdict = Verdict.SHARPENED
        because = (
            f"{share} are nearer to the reals above 1/4 than the baseline; a fresh detector of the plane "
            f"finds {sum(fresh)} of {len(fresh)}: passing one detector is not being consistent."
        )
    else:
        verdict = Verdict.REFUTED
        because = "No interpolation at the end is nearer to the reals than the baseline."
    because += " One seed of each, short trainings."
    numbers = {
        "high_excess_db": {code: excess(code) for code in codes},
        "nearer": nearer,
    }
    return Outcome(here, verdict, because, parts, numbers, warnings)


EXPERIMENT = Experiment(
    title="Only the last layers differ (X.n.k) under three losses: decay above 1/4, and passing a detector",
    source="Chandrasegaran et al. 2021, arXiv 2103.17195",
    published=(
        Published("Another last upsampling avoids the discrepancy of high-frequency decay", "abstract"),
        Published("Such images pass a detector that learned on the baseline's", "abstract"),
        Published("CelebA FID of baseline and N.1.5: 88.60, 87.52 (DCGAN); 73.26, 70.69 (LSGAN); 60.60, "
                  "48.69 (WGAN-GP)", "README"),
        Published("The accuracy counts fakes alone", "its issue 2"),
    ),
    minutes=6,
    needs="trains 12 small generators (--real: on your images)",
    run=run,
    generators=(RECIPE,),
    takes_fakes=False,
)  # fmt: skip
