"""Numbers, tables and words of ``ganlab evade``: sentences that follow from the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.experiments.detection.tables import cell, shown
from ganlab.experiments.evasion.measure import ACCURACY, AFTER, BEFORE, CHANCE, DRAWS, FROZEN, TESTS, Evasion
from ganlab.forensics import NULL
from ganlab.results.tables import FREQUENCY, markdown, number, plain, with_interval, write_csv

SHOWN = ("log_spectral_distance", "high_excess_db", "nyquist_excess_db", "axis_nyquist_excess_db")
COLUMNS = ("value", "low", "high", "p_value", "null_mean", "null_low", "null_high")
ENDS = 10
"""Steps at the beginning and at the end of the tuning over which its numbers are averaged."""
READING = (
    "Balanced accuracy on held-out images: mean over seeds, in brackets the lowest and the highest end of "
    "the seeds' 95 % bootstrap intervals. Image i before and image i after come from the same latent and lie "
    f"in the same part of the split. '{NULL}': one half of the reals against the other.\n"
)
QUALITY = (
    "Sliced Wasserstein distance (patches of 7x7 on a Laplacian pyramid, times 1,000; lower is better): mean "
    f"and range over {DRAWS} random halves of the reals. Spectral deviations: with 95 % bootstrap intervals; "
    f"the column '{NULL}' is the interval of reals against reals.\n"
)
FILES = (
    "`tuned/` is a run folder for `ganlab generate`; `fakes/before.npy` and `fakes/after.npy` are the images "
    "measured here. Numbers: records.csv, frozen_scores.csv, tuning.csv, quality.csv, deviations.csv, "
    "profiles.csv, results.json.\n"
)


def evade_results(measured: Evasion) -> dict[str, Any]:
    """Everything as JSON values."""
    start, end = tuning_ends(measured)
    return {
        "frozen": measured.frozen, "fresh": list(measured.systems),
        "reals_of_the_frozen_detector": measured.held_out.sentence(),
        "tuning": {"start": start, "end": end, "change_grey_levels": measured.change},
        "called_fake": {name: measured.called_fake(name) for name in measured.scores},
        "p_fake": {name: float(values.mean()) for name, values in measured.scores.items()},
        "records": [one.as_json() for one in measured.records],
        "sliced_wasserstein": measured.wasserstein,
        "deviations": plain(measured.spectra.deviations),
        "verdicts": {
            "frozen": frozen_verdict(measured),
            **{system: fresh_verdict(measured, system) for system in measured.systems},
        },
    }  # fmt: skip


def tuning_ends(measured: Evasion) -> tuple[dict[str, float], dict[str, float]]:
    """Means of what the first and the last steps of the tuning saw."""
    start, end = (
        {name: float(np.mean([getattr(one, name) for one in part])) for name in
         ("evasion", "change", "p_fake")} for part in (measured.curve[:ENDS], measured.curve[-ENDS:])
    )  # fmt: skip
    return start, end


def frozen_verdict(measured: Evasion) -> str:
    """What became of the frozen detector."""
    before, after = (measured.accuracy(measured.frozen, FROZEN, name) for name in (BEFORE, AFTER))
    if after.high >= before.low:
        return "stays within its intervals"
    return "falls to chance or below" if after.low <= CHANCE else "falls"


def fresh_verdict(measured: Evasion, system: str) -> str:
    """Whether fresh detectors find the tuned images: every seed's interval against its null control."""
    low, null = (measured.accuracy(system, AFTER, AFTER).low, measured.accuracy(system, NULL, NULL).high)
    if low > max(CHANCE, null):
        return "finds them again"
    return "finds them in part" if low > CHANCE else "does not reliably find them"


# --------------------------------------------------------------------------------------------------- report


def evade_text(measured: Evasion, findings: Sequence[str], command: str) -> str:
    """The report in Markdown."""
    lines = [*detector_words(measured), *image_words(measured), measured.held_out.sentence()]
    parts = ["# A generator against a frozen detector\n", "".join(f"- {line}\n" for line in lines)]
    parts += [f"Command: `{command}`\n"] if command else []
    parts += ["Told by the guards:\n" + "".join(f"- {one}\n" for one in findings)] if findings else []
    parts += ["## Detectors\n", READING, detector_table(measured), "![detectors](detectors.png)\n"]
    parts += ["## The tuning and what it did to the images\n", QUALITY, image_table(measured)]
    parts += ["![evasion](evasion.png)\n", "![pairs](pairs.png)\n", "## Files\n", FILES]
    return "\n".join(parts)


def detector_words(measured: Evasion) -> list[str]:
    """The tuning, the frozen detector, each fresh kind, and whether the tuning fooled one or its kind."""
    options, frozen, own = measured.options, measured.frozen, measured.systems[0]
    start, end = tuning_ends(measured)
    accuracy = [shown(measured.accuracy(frozen, FROZEN, name)) for name in (BEFORE, AFTER)]
    shares = [100 * measured.called_fake(name) for name in (BEFORE, AFTER, "real")]
    areas = [measured.of(frozen, FROZEN, name)[0].metrics["roc_auc"].value for name in (BEFORE, AFTER)]
    lines = [
        f"Fine-tuning: {options.steps} steps of Adam (batch {options.batch}, rate {options.rate:g}, "
        f"closeness {options.closeness:g}) took the detector's probability of fake, patch by patch, from "
        f"{start['p_fake']:.3f} to {end['p_fake']:.3f} and changed the images by {measured.change:.1f} "
        "grey levels (root mean square, mean over images).",
        f"The frozen detector ({frozen}) {frozen_verdict(measured)}: it calls {shares[0]:.1f} % of the "
        f"fakes fake before and {shares[1]:.1f} % after ({shares[2]:.1f} % of the reals); balanced accuracy "
        f"{accuracy[0]} before, {accuracy[1]} after; ROC-AUC {areas[0]:.3f} before, {areas[1]:.3f} after.",
    ]
    for system in measured.systems:
        kind = f" (the frozen one's kind, up to {options.epochs} epochs)" if system == own else ""
        after, before, null = (shown(measured.accuracy(system, row, row)) for row in (AFTER, BEFORE, NULL))
        lines.append(
            f"{measured.label(system)}{kind}, trained afresh on the tuned generator's images, "
            f"{fresh_verdict(measured, system)}: balanced accuracy {after} over {options.seeds} "
            f"seed{'s' if options.seeds > 1 else ''}; on the images before the tuning such detectors reach "
            f"{before}, on reals against reals {null}."
        )
    old, back = measured.accuracy(own, BEFORE, AFTER), measured.accuracy(own, AFTER, BEFORE)
    known = measured.accuracy(own, BEFORE, BEFORE)
    if old.low > CHANCE:
        said = "above chance for every seed: the tuning fooled the frozen detector more than its kind"
    elif old.high < known.low:
        said = f"against {shown(known)} on those before: what fools the frozen detector fools its kind"
    else:
        said = f"not clearly less than on those before ({shown(known)})"
    lines.append(
        f"Fresh detectors of that kind that know only the images before reach {shown(old)} on those "
        f"after, {said}; those that know only the images after reach {shown(back)} on those before."
    )
    return lines


def image_words(measured: Evasion) -> list[str]:
    """Quality and spectrum of the images before and after."""
    before, after, null = (measured.swd(name) for name in (BEFORE, AFTER, NULL))
    said = "not clearly changed"
    if after.low > before.high:
        said = "worse"
    elif after.high < before.low:
        said = "better"
    old, new = (measured.spectra.deviations[name]["log_spectral_distance"] for name in (BEFORE, AFTER))
    apart = ""
    if old.low is not None and old.high is not None and new.low is not None and new.high is not None:
        overlap = new.low <= old.high and old.low <= new.high
        apart = "; the intervals overlap" if overlap else "; the intervals do not overlap"
    return [
        f"Image quality is {said}: sliced Wasserstein distance {shown(before, 1)} "
        f"before, {shown(after, 1)} after; reals against reals {null.value:.1f}.",
        f"Log-spectral distance of the ring averages to the reals: {old.value:.2f} dB before, "
        f"{new.value:.2f} dB after{apart}.",
    ]


def detector_table(measured: Evasion) -> str:
    """Trained on the row, tested on the column."""
    rows = [(measured.frozen, FROZEN), *((system, row) for system in measured.systems for row in TESTS)]
    lines = (
        [measured.label(system), "before (frozen)" if row == FROZEN else row,
         *(cell(measured.of(system, row, name), ACCURACY) for name in TESTS)]
        for system, row in rows
    )  # fmt: skip
    return markdown(["detector", "trained on", *(f"tested on {name}" for name in TESTS)], lines)


def image_table(measured: Evasion) -> str:
    """Quality and spectral deviation before, after, and of reals against reals."""
    distances = (shown(measured.swd(name), 1) for name in (BEFORE, AFTER, NULL))
    lines = [["sliced Wasserstein", *distances]]
    for name in SHOWN:
        before, after = (measured.spectra.deviations[one].get(name) for one in (BEFORE, AFTER))
        if before is not None and after is not None:
            known = before.null_low is not None and before.null_high is not None
            null = f"[{before.null_low:.2f}, {before.null_high:.2f}]" if known else ""
            pair = (with_interval(one.value, one.low, one.high) for one in (before, after))
            lines.append([f"{before.summary} ({before.unit})", *pair, null])
    return markdown(["measure", "before", "after", NULL], lines)


def write_tables(folder: Path, measured: Evasion) -> None:
    """Per-image scores, quality by draw, every deviation, and the profiles of the figure."""
    scores = ((name, place, number(float(p), 6)) for name, values in measured.scores.items()
              for place, p in enumerate(values))  # fmt: skip
    write_csv(folder / "frozen_scores.csv", ("set", "image", "p_fake"), scores)
    levels = list(measured.wasserstein[BEFORE][0])
    quality = ((name, draw, *(one[level] for level in levels))
               for name, draws in measured.wasserstein.items() for draw, one in enumerate(draws))  # fmt: skip
    write_csv(folder / "quality.csv", ("set", "draw", *levels), quality)
    deviations = ((name, key, *(getattr(one, c) for c in COLUMNS), one.unit, one.summary)
                  for name, own in measured.spectra.deviations.items()
                  for key, one in own.items())  # fmt: skip
    write_csv(folder / "deviations.csv", ("set", "deviation", *COLUMNS, "unit", "meaning"), deviations)
    spectra = measured.spectra
    profiles = ((name, number(float(frequency), 6), number(float(value), 6))
                for name, values in spectra.difference.items()
                for frequency, value in zip(spectra.frequencies, values, strict=True))  # fmt: skip
    write_csv(folder / "profiles.csv", ("set", FREQUENCY, "db_over_reals"), profiles)
