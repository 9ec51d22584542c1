"""Claim: detectors know fakes by peaks of the spectrum. The lattice is cut out, or as much elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ganlab.experiments.claims import detecting
from ganlab.experiments.claims.drawing import bars
from ganlab.experiments.claims.lattice import Mask, equal_energy, lattice, mean_power, notched, prominence
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.seeds import (
    SEEDS,
    asked,
    common,
    compared,
    counted,
    repeated,
    seeded,
    student_mean,
)
from ganlab.experiments.claims.separation import features, fitted, tested
from ganlab.experiments.claims.setting import Setting
from ganlab.forensics import Interval, System, parse_system
from ganlab.upsampling import UPSAMPLERS

SYSTEMS = (
    "radial+logistic", "decay+knn", "both+logistic", "dft+logistic", "dct+ridge", "traces+lda",
    "wavelets+logistic", "pixels+cnn",
)  # fmt: skip
PEAKS = "lattice alone"
"""The control that must fall: logistic regression on the log power at the lattice's places alone."""
EPOCHS = 10
"""Of the network."""
NOTCHES = ("lattice", "elsewhere")
LEAST = 0.01
"""Area under the curve below which a loss is not called use, however sure."""

Areas = dict[str, dict[str, float]]
"""System -> area under the ROC curve of ``untouched``, of ``lattice`` and ``elsewhere`` cut out at the test,
and of the same cut out before the training too (``refitted lattice``, ...); and the same of shares called
fake (``called ...``)."""
ASKED = {
    "Statement": "Detectors of generated images know them by peaks of the spectrum",
    "Source": (
        "widely held since 2019; Mandelli et al. (ICASSP 2026, arXiv 2510.05633, abstract) say that most "
        "do not"
    ),
    "Would be refuted by": (
        "a loss without the lattice that is no larger than without as much energy elsewhere, for most "
        "detectors"
    ),
    "Plan": (
        "All multiples of 1/8 cycles per pixel but brightness are set to zero in reals and fakes alike; "
        "or as many places off that lattice, matched one by one in the fakes' mean power. Images are "
        "neither clipped nor rounded after it. Eight systems fitted on untouched images are tested on all "
        "three; then fitted anew on each. A ninth that sees the lattice alone shows that the cut works"
    ),
    "Data": (
        "glyphs of 32 pixels, DCGANs of `ganlab zoo`; 1000 fakes and 1000 unseen reals, every other image "
        "for training"
    ),
    "Trainings": "a value a seed, averaged over kinds; intervals: Student's t over seeds",
    "Null": "one half of the reals against the other",
}


class LatticeOnly:
    """The feature of the control: log power in dB at the places of the 1/8 lattice, ``(N, K)``."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.places = np.flatnonzero(lattice(*shape))

    def __call__(self, images: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Log power of the luma."""
        plane = np.abs(np.fft.fft2(images.mean(1).numpy())) ** 2 / images[0, 0].numel()
        levels = 10 * np.log10(plane.reshape(len(plane), -1)[:, self.places] + 1e-12)
        return levels.astype(np.float32)


def without(
    real: Tensor, fake: Tensor, masks: Mapping[str, Mask], systems: Sequence[System], seed: int = 0
) -> Areas:
    """What every system is worth on the images as they are, and without the frequencies of each mask.

    Reals and fakes are cut alike: the cut itself tells nothing.

    Args:
        real: float64 ``(N, C, H, W)`` in [-1, 1]; rounding to fewer digits would fill a cut again.
        fake: the same.
        masks: name -> frequencies that are cut out, ``(H, W)``.
        systems: feature and detector; `PEAKS` is always added.
        seed: of the detectors.
    """
    pairs = {"untouched": (real, fake)}
    pairs |= {name: (notched(real, mask), notched(fake, mask)) for name, mask in masks.items()}
    logistic = parse_system("dft+logistic")
    only = LatticeOnly((real.shape[2], real.shape[3]))
    jobs: dict[str, tuple[System, Any]] = {s.name: (s, lambda x, s=s: features(s, x)) for s in systems}
    jobs[PEAKS] = (logistic, only)
    found: Areas = {}
    for name, (system, feature) in jobs.items():
        sets = {key: [feature(images) for images in pair] for key, pair in pairs.items()}
        detector = fitted(system, sets["untouched"], seed)
        own = found[name] = {}
        for key, (reals, fakes) in sets.items():
            own[key], own[f"called {key}"] = tested(detector, reals, fakes)
            if key != "untouched":
                own[f"refitted {key}"] = tested(fitted(system, sets[key], seed), reals, fakes)[0]
    return found


def measured(real: Tensor, fake: Tensor, systems: Sequence[System]) -> dict[str, Any]:
    """`without` the lattice and with a match of equal energy, and how equal it is."""
    power = mean_power(fake)
    masks = dict(
        zip(NOTCHES, (lattice(*power.shape), equal_energy(power, lattice(*power.shape))), strict=True)
    )
    share = {name: float(power[mask].sum() / (power.sum() - power[0, 0])) for name, mask in masks.items()}
    lines = {str(period): db for period, db in prominence(real, fake).items()}
    return {"areas": without(real, fake, masks, systems), "share": share, "lines": lines}


def use(areas: Mapping[str, float], prefix: str = "") -> float:
    """How much more of the area the lattice costs than the match elsewhere."""
    return areas[f"{prefix}elsewhere"] - areas[f"{prefix}lattice"]


def by_seed(
    results: Mapping[str, Mapping[int, Mapping[str, Any]]], system: str, prefix: str = ""
) -> dict[int, float]:
    """Seed -> `use` of the lattice, averaged over kinds of generators that all have the same seeds."""
    return {
        seed: float(np.mean([use(own[seed]["areas"][system], prefix) for own in results.values()]))
        for seed in common(results)
    }


def judged(uses: Mapping[str, Interval]) -> tuple[str, str]:
    """Verdict over the systems, and why."""
    users = [name for name, one in uses.items() if one.low > 0 and one.value >= LEAST]
    free = [name for name, one in uses.items() if one.high < LEAST]
    named = "That detectors know fakes by peaks: beyond what as much energy elsewhere costs, the lattice "
    named += f"matters to {len(users)} of {len(uses)}"
    named += f" systems ({', '.join(users)})" if users else " systems"
    if 2 * len(users) > len(uses):
        return Verdict.AT_THIS_SCALE, f"{named}: most detectors use the peaks."
    if users:
        # An interval misses on that side in 2.5 % of all cases, and nobody said beforehand which would count.
        chance = 1 - 0.975 ** len(uses)
        return Verdict.SHARPENED, (
            f"{named}: it holds of these and not of detectors in general. Of {len(uses)} independent systems "
            f"that need no peak, one or more would be counted in {chance:.0%} of such experiments."
        )
    rest = f"{named}; for {len(free)} it costs less than {LEAST:g} of the area, the whole interval over seeds"
    return Verdict.REFUTED if 2 * len(free) > len(uses) else Verdict.UNDECIDED, (
        f"{rest}. That is of detectors on the generators that they were fitted on, whose lattices stand a "
        "few dB above their neighbours."
    )


def run(setting: Setting) -> Outcome:
    """Every generator: eight systems, three versions of the images, fitted once and fitted anew."""
    generators = seeded(setting, [f"dcgan-{name}" for name in UPSAMPLERS])
    systems = detecting.systems(setting, SYSTEMS, EPOCHS)
    results, null = compared(
        setting, generators, lambda real, fake: measured(real.double(), fake.double(), systems)
    )
    names = [one.name for one in systems]
    whole = repeated(results)
    uses = {name: student_mean(list(by_seed(whole, name).values())) for name in (*names, PEAKS)}
    verdict, because = judged({name: uses[name] for name in names})
    every = [one for own in results.values() for one in own.values()]
    share = [np.mean([one["share"][notch] for one in every]) for notch in NOTCHES]
    here = [
        f"Cut at the test: {', '.join(f'{name} {shown(uses[name], 3, True)}' for name in names)}; area "
        "under the ROC curve that the lattice costs beyond as much energy elsewhere.",
        f"That is of {', '.join(whole)}, {len(common(whole))} seeds of each. Of all {len(results)} kinds, "
        f"seed 0: {', '.join(f'{name} {_first(results, name):+.3f}' for name in names)}.",
        f"The control that sees the lattice alone: {shown(uses[PEAKS], 3, True)}.",
        f"{_at_threshold(results, names)}",
        f"The lattice holds {share[0]:.3f} of the fakes' energy (without brightness), its match "
        f"{share[1]:.3f}.",
    ]
    picture = bars(
        "uses",
        "Area that the lattice costs beyond its match, over seeds; 0: the lattice is like any other place.",
        {
            name: {
                "cut at the test": uses[name],
                "cut before the training": student_mean(list(by_seed(whole, name, "refitted ").values())),
            }
            for name in (*names, PEAKS)
        },
        "loss of area under the ROC curve", 0.0,
    )  # fmt: skip
    text = [
        "A peak that a detector does not need costs nothing when it is cut. Cutting a frequency also takes "
        "content away and makes images of a kind that the detector never saw; the match of equal energy "
        "shows how much of a loss that is.",
    ]
    return Outcome(
        here, verdict, because,
        [
            asked(ASKED, counted(generators)),
            Part("What the lattice is worth", text, _tables(results, null), [picture]),
        ],
        {"uses": uses, "null": null},
    )  # fmt: skip


def _first(results: Mapping[str, Mapping[int, Mapping[str, Any]]], system: str) -> float:
    """Mean `use` over all kinds, each by its first training."""
    return float(np.mean([use(own[min(own)]["areas"][system]) for own in results.values()]))


def _at_threshold(results: Mapping[str, Mapping[int, Mapping[str, Any]]], names: Sequence[str]) -> str:
    """The system whose share of fakes called fake falls most with the lattice, beside what its area says."""

    def mean(name: str, key: str) -> float:
        return float(np.mean([one["areas"][name][key] for own in results.values() for one in own.values()]))

    worst = min(names, key=lambda name: mean(name, "called lattice") - mean(name, "called elsewhere"))
    called = [f"{mean(worst, f'called {key}'):.2f}" for key in ("untouched", *NOTCHES)]
    kept = [f"{mean(worst, key):.3f}" for key in ("untouched", "lattice")]
    return (
        f"At its own threshold {worst} calls {called[0]} of the fakes fake as they are, {called[1]} without "
        f"the lattice, {called[2]} without the match; its area under the ROC curve goes from {kept[0]} to "
        f"{kept[1]}: a share at a threshold that nobody sets again shows that scores moved, not that "
        "knowledge went."
    )


def _tables(results: Mapping[str, Mapping[int, Mapping[str, Any]]], null: Mapping[str, Any]) -> list[Table]:
    """A row a system over all kinds; a row a kind with its lines."""
    columns = {
        "as they are": "untouched", "lattice cut": "lattice", "match cut": "elsewhere",
        "lattice cut, refitted": "refitted lattice", "match cut, refitted": "refitted elsewhere",
        "called fake, as they are": "called untouched", "lattice cut ": "called lattice",
        "match cut ": "called elsewhere",
    }  # fmt: skip
    whole = repeated(results)
    rows = []
    for system in null["areas"]:
        means = {
            key: student_mean([
                float(np.mean([own[s]["areas"][system][key] for own in whole.values()]))
                for s in common(whole)
            ], share=True)
            for key in columns.values()
        }  # fmt: skip
        controls = [f"{null['areas'][system][key]:.3f}" for key in ("untouched", "lattice", "elsewhere")]
        rows.append([system, *(shown(one, 3) for one in means.values()), " / ".join(controls)])
    kinds = [
        [kind, len(own),
         *(shown(student_mean([one["lines"][p] for one in own.values()]), 2, True) for p in ("2", "4", "8")),
         *(shown(student_mean([use(one["areas"][s]) for one in own.values()]), 3, True)
           for s in ("dft+logistic", "dct+ridge", PEAKS))]
        for kind, own in results.items()
    ]  # fmt: skip
    note = (
        "Mean over the kinds trained most often, then over seeds with Student's t. The last column is the "
        "null, reals against reals."
    )
    return [
        Table("systems", "Area under the ROC curve, and share of fakes called fake",
              ("system", *(name.strip() for name in columns), "null: as they are / lattice / match"),
              rows, note),
        Table("kinds", "Kinds of generators",
              ("generator", "seeds", "period 2, dB", "period 4, dB", "period 8, dB",
               "dft+logistic", "dct+ridge", PEAKS), kinds,
              "How far the lattices of each period stand above their neighbours, beyond the reals'; then "
              "the area that the lattice costs beyond its match, cut at the test."),
    ]  # fmt: skip


EXPERIMENT = Experiment(
    title="Do detectors use the peaks of the spectrum?",
    source="Mandelli et al. 2026, arXiv 2510.05633",
    published=(
        Published("Most detectors do not depend on spectral peaks", "abstract"),
        Published(
            "Its code cuts discs around multiples of 1/8 or 1/16; there is no cut of as much elsewhere to "
            "compare with",
            "code",
        ),
    ),
    minutes=4.4,
    needs="nothing: generators of the zoo",
    run=run,
    generators=tuple(f"dcgan-{name}" for name in UPSAMPLERS),
    takes_fakes=False,
    takes_reals=False,
    seeds=len(SEEDS),
)
