"""Frank et al. 2020: mean DCT maps, detectors on DCT against pixels, upsampling as the cause, robustness."""

from __future__ import annotations

from ganlab.experiments.claims.detecting import Arena, accuracy, beyond, in_words, mean_of, own_table, systems
from ganlab.experiments.claims.drawing import bars, planes
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.setting import Setting, floats
from ganlab.experiments.detection.measure import Record
from ganlab.experiments.detection.tables import select
from ganlab.forensics import NULL
from ganlab.spectra import dct_statistics

SYSTEMS = (
    "pixels+ridge",
    "dct+ridge",
    "pixels+knn",
    "dct+knn",
    "pixels+eigenfaces",
    "dct+eigenfaces",
    "dct+cnn",
)
ATTACKED = "dct+ridge"
ATTACKS = {
    "noise, variance 5 to 20": ("frank_noise", None), "blur": ("frank_blur", None),
    "crop 5 to 20 %": ("frank_crop", None), "JPEG 10 to 75": ("frank_jpeg", None),
}  # fmt: skip
UNTOUCHED = ("nearest", "bilinear", "binomial")


def run(setting: Setting) -> Outcome:
    """Maps of the sets, detectors on each, and what perturbations leave of the best."""
    real, fakes = setting.real, setting.fakes
    arena = Arena(setting, "detect", real, fakes)
    records = arena.transfer(systems(setting, SYSTEMS), (*arena.sources, NULL))
    attacked = Arena(setting, "attack", real, fakes).transfer(
        systems(setting, [ATTACKED]), arena.sources, ATTACKS
    )
    maps = [(one.name, dct_statistics(floats(one)).log_mean.mean(0)) for one in (real, *fakes)]
    drawn = planes(
        "dct", "Mean over channels of ln|mean DCT coefficient|, images in 0..255; zero at the upper left.",
        maps, "ln|mean DCT|", "DCT",
    )  # fmt: skip
    names = arena.sources
    found = bars(
        "detectors", "Balanced accuracy of ridge on pixels and on the log DCT, each source by itself.",
        {
            name: {
                system: accuracy(records, system=system, trained_on=name, tested_on=name)
                for system in ("pixels+ridge", "dct+ridge")
            }
            for name in (*names, NULL)
        },
        "balanced accuracy", 0.5, (0.4, 1.02),
    )  # fmt: skip
    parts = [
        Part("Mean DCT spectra", drawings=[drawn]),
        Part("Detectors", tables=[own_table("systems", "Each source by itself", records)], drawings=[found]),
        Part(
            "Perturbed images",
            ["The detector saw clean images only; half of the test images are perturbed, as published."],
            [_robust(attacked, names)],
        ),
    ]
    return _judged(records, attacked, names, parts, arena.warnings)


def _robust(records: list[Record], names: tuple[str, ...]) -> Table:
    """A row a perturbation, a column a source."""
    rows = [
        [attack, *(shown(accuracy(records, kind="robustness", setting=attack, trained_on=n)) for n in names)]
        for attack in ATTACKS
    ]
    return Table("robustness", f"{ATTACKED}, balanced accuracy", ("perturbation", *names), rows)


def _judged(
    records: list[Record],
    attacked: list[Record],
    names: tuple[str, ...],
    parts: list[Part],
    warnings: list[str],
) -> Outcome:
    """What bears on the paper's three claims, and the verdict."""
    dct, raw = (mean_of(records, system, names) for system in ("dct+ridge", "pixels+ridge"))
    null = accuracy(records, system="dct+ridge", trained_on=NULL, tested_on=NULL)
    seen = [
        name for name in names
        if beyond(accuracy(records, system="dct+ridge", trained_on=name, tested_on=name), null)
    ]  # fmt: skip
    kinds = [name for name in names if any(word in name for word in UNTOUCHED)]
    every = select(attacked, kind="robustness")
    worst = min(ATTACKS, key=lambda attack: accuracy(every, setting=attack).value)
    here = [
        f"Ridge on the log DCT finds {len(seen)} of {len(names)} sources beyond chance: "
        f"{in_words(records, 'dct+ridge', names)}; null {shown(null)}.",
        f"Mean over sources: {dct:.2f} on the DCT, {raw:.2f} on pixels, the same linear rule.",
        f"Worst for {ATTACKED} is {worst}: {shown(accuracy(every, setting=worst))} over all sources.",
    ]
    if kinds:
        here.append(f"Upsamplers of the paper's own experiment: {in_words(records, 'dct+ridge', kinds)}.")
    if len(seen) == len(names) and dct > raw:
        verdict = Verdict.AT_THIS_SCALE
        because = "Every source is found, and the DCT is better than pixels for the same linear rule."
    elif len(seen) == len(names):
        verdict = Verdict.SHARPENED
        because = "Every source is found in the DCT, but pixels serve the same linear rule as well here."
    elif seen:
        verdict, because = Verdict.SHARPENED, f"Found in the DCT are {', '.join(seen)}, and not the others."
    else:
        verdict, because = Verdict.REFUTED, "No source is found in the DCT."
    because += (
        " That upsampling alone is the cause does not follow: every generator here differs from the reals in "
        "more than its upsampler."
    )
    numbers = {"dct": dct, "pixels": raw, "null": null, "found": seen}
    return Outcome(here, verdict, because, parts, numbers, warnings)


EXPERIMENT = Experiment(
    title="Mean DCT maps, detectors on the DCT and on pixels, and what perturbations leave",
    source="Frank et al. 2020, arXiv 2003.08685",
    published=(
        Published(
            "GAN images have severe artifacts in frequency space, over architectures, data and sizes",
            "abstract",
        ),
        Published("Upsampling operations cause them", "abstract"),
        Published("A detector in frequency space surpasses the state of the art", "abstract"),
        Published(
            "Trained on 4 ProGAN classes, its mean accuracy over 8 generators is 78.9 %",
            "README of NPR (Tan et al. 2024)",
        ),
    ),
    minutes=1.3,
    needs="nothing: generators of the zoo (or --real with --fake)",
    run=run,
    generators=("dcgan-transposed", "dcgan-nearest", "dcgan-bilinear"),
)
