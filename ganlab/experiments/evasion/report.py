"""The report of ``ganlab evade``: tables, and sentences that follow from the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ganlab.experiments.detection.measure import Record
from ganlab.experiments.detection.tables import cell, markdown, select
from ganlab.experiments.evasion.fresh import AFTER, BEFORE, DRAWS, FROZEN, TESTS, SpectralChange
from ganlab.experiments.patches.figures import grey_levels
from ganlab.experiments.patches.measure import HeldOut
from ganlab.experiments.patches.options import EvadeOptions
from ganlab.experiments.spectra.tables import FREQUENCY, number, write_csv
from ganlab.forensics import NULL
from ganlab.forensics.nets.adversarial import TuneStep
from ganlab.images import UInt8Array
from ganlab.spectra import Deviation

ACCURACY = "balanced_accuracy"
SHOWN = ("log_spectral_distance", "high_excess_db", "nyquist_excess_db", "axis_nyquist_excess_db")
CHANCE = 0.5
ENDS = 10
"""Steps at the beginning and at the end of the tuning over which its numbers are averaged."""


@dataclass(frozen=True)
class Evasion:
    """Everything that was measured.

    Attributes:
        frozen: name of the frozen detector's system.
        systems: names of the fresh detectors' systems; the first is the frozen one's kind.
        curve: what every step of the tuning saw.
        records: of the frozen and of the fresh detectors.
        scores: the frozen detector's probability of fake by set.
        held_out: the reals that the frozen detector is measured on.
        images: reals, before, after: uint8 ``(N, S, S, C)``.
        wasserstein: sliced Wasserstein distances by set and draw.
        spectra: deviations and profiles.
        options: of the experiment.
    """

    frozen: str
    systems: tuple[str, ...]
    curve: Sequence[TuneStep]
    records: Sequence[Record]
    scores: dict[str, npt.NDArray[np.float64]]
    held_out: HeldOut
    images: tuple[UInt8Array, UInt8Array, UInt8Array]
    wasserstein: dict[str, list[dict[str, float]]]
    spectra: SpectralChange
    options: EvadeOptions

    def label(self, system: str) -> str:
        """A system's name for tables; the first is called what the frozen detector is called."""
        return self.frozen if system == self.systems[0] else system

    @property
    def change(self) -> npt.NDArray[np.float64]:
        """Root mean square change of every image in grey levels."""
        return grey_levels(self.images[2], self.images[1])

    def of(self, system: str, trained_on: str, tested_on: str) -> list[Record]:
        """Records of a fresh system over its seeds, or of the frozen detector."""
        wanted = {"system": system, "trained_on": trained_on, "tested_on": tested_on}
        kind = FROZEN if trained_on == FROZEN else "fresh"
        return select(self.records, kind=kind, **wanted)

    def accuracy(self, system: str, trained_on: str, tested_on: str) -> tuple[float, float, float]:
        """Balanced accuracy: mean over seeds, lowest and highest end of their intervals."""
        found = [record.metrics[ACCURACY] for record in self.of(system, trained_on, tested_on)]
        mean = float(np.mean([one.value for one in found]))
        return mean, min(one.low for one in found), max(one.high for one in found)

    def called_fake(self, name: str) -> float:
        """Share of a set that the frozen detector calls fake."""
        return float((self.scores[name] >= CHANCE).mean())

    def swd(self, name: str) -> tuple[float, float, float]:
        """Sliced Wasserstein distance: mean, lowest and highest of the draws."""
        values = [draw["swd"] for draw in self.wasserstein[name]]
        return float(np.mean(values)), min(values), max(values)


def evade_results(found: Evasion) -> dict[str, Any]:
    """Everything as JSON values."""
    start, end = _ends(found.curve)
    return {
        "frozen": found.frozen, "fresh": list(found.systems),
        "reals_of_the_frozen_detector": found.held_out.sentence(),
        "tuning": {"start": start, "end": end, "change_grey_levels": float(found.change.mean())},
        "called_fake": {name: found.called_fake(name) for name in found.scores},
        "p_fake": {name: float(values.mean()) for name, values in found.scores.items()},
        "records": [one.as_json() for one in found.records],
        "sliced_wasserstein": found.wasserstein,
        "deviations": found.spectra.as_json(),
        "verdicts": dict(zip(("frozen", *found.systems), _verdicts(found), strict=True)),
    }  # fmt: skip


def _ends(curve: Sequence[TuneStep]) -> tuple[dict[str, float], dict[str, float]]:
    """Means over the first and the last steps."""
    parts = (curve[:ENDS], curve[-ENDS:])
    start, end = ({name: float(np.mean([getattr(one, name) for one in part])) for name in
                   ("evasion", "change", "p_fake")} for part in parts)  # fmt: skip
    return start, end


def _verdicts(found: Evasion) -> list[str]:
    """One phrase on the frozen detector, one on each fresh kind."""
    before, after = (found.accuracy(found.frozen, FROZEN, name) for name in (BEFORE, AFTER))
    fell = after[2] < before[1]
    frozen = "falls" if fell else "stays within its intervals"
    if fell and after[1] <= CHANCE:
        frozen = "falls to chance or below"
    return [frozen, *(_finds(found, system) for system in found.systems)]


def _finds(found: Evasion, system: str) -> str:
    """Whether fresh detectors find the tuned images: every seed's interval against its null control."""
    _, low, _ = found.accuracy(system, AFTER, AFTER)
    _, _, null = found.accuracy(system, NULL, NULL)
    if low > max(CHANCE, null):
        return "finds them again"
    return "finds them in part" if low > CHANCE else "does not reliably find them"


def evade_text(found: Evasion, findings: Sequence[str], command: str) -> str:
    """The report in Markdown."""
    parts = ["# A generator against a frozen detector\n", "".join(f"- {one}\n" for one in sentences(found))]
    parts += [f"Command: `{command}`\n"] if command else []
    parts += ["Tolerated by request:\n" + "".join(f"- {one}\n" for one in findings)] if findings else []
    parts += ["## Detectors\n", READING, detector_table(found), "![detectors](detectors.png)\n"]
    parts += ["## The tuning and what it did to the images\n", QUALITY, image_table(found)]
    parts += ["![evasion](evasion.png)\n", "![pairs](pairs.png)\n", "## Files\n", FILES]
    return "\n".join(parts)


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


def sentences(found: Evasion) -> list[str]:
    """What happened, in words that follow from the numbers."""
    return [
        _tuning_words(found), _frozen_words(found),
        *(_fresh_words(found, system) for system in found.systems),
        _transfer_words(found), _quality_words(found), _spectrum_words(found), found.held_out.sentence(),
    ]  # fmt: skip


def _tuning_words(found: Evasion) -> str:
    start, end = _ends(found.curve)
    options = found.options
    return (
        f"Fine-tuning: {options.steps} steps of Adam (batch {options.batch}, rate {options.rate:g}, "
        f"closeness {options.closeness:g}) took the detector's probability of fake, patch by patch, from "
        f"{start['p_fake']:.3f} to {end['p_fake']:.3f} and changed the images by {found.change.mean():.1f} "
        "grey levels (root mean square, mean over images)."
    )


def _frozen_words(found: Evasion) -> str:
    cells = [_interval(found.accuracy(found.frozen, FROZEN, name)) for name in (BEFORE, AFTER)]
    shares = [100 * found.called_fake(name) for name in (BEFORE, AFTER, "real")]
    records = (found.of(found.frozen, FROZEN, name)[0] for name in (BEFORE, AFTER))
    areas = [record.metrics["roc_auc"].value for record in records]
    return (
        f"The frozen detector ({found.frozen}) {_verdicts(found)[0]}: it calls {shares[0]:.1f} % of the "
        f"fakes fake before and {shares[1]:.1f} % after ({shares[2]:.1f} % of the reals); balanced accuracy "
        f"{cells[0]} before, {cells[1]} after; ROC-AUC {areas[0]:.3f} before, {areas[1]:.3f} after."
    )


def _fresh_words(found: Evasion, system: str) -> str:
    after, before, null = (_interval(found.accuracy(system, row, row)) for row in (AFTER, BEFORE, NULL))
    own = f" (the frozen one's kind, up to {found.options.epochs} epochs)"
    return (
        f"{found.label(system)}{own if system == found.systems[0] else ''}, trained afresh on the tuned "
        f"generator's images, {_finds(found, system)}: balanced accuracy {after} over "
        f"{_seeds(found.options.seeds)}; on the images before the tuning such detectors reach {before}, on "
        f"reals against reals {null}."
    )


def _seeds(count: int) -> str:
    return f"{count} seed{'s' if count > 1 else ''}"


def _transfer_words(found: Evasion) -> str:
    """Whether the tuning fooled the one detector or its kind."""
    own = found.systems[0]
    old, back = found.accuracy(own, BEFORE, AFTER), found.accuracy(own, AFTER, BEFORE)
    known = found.accuracy(own, BEFORE, BEFORE)
    if old[1] > CHANCE:
        said = "above chance for every seed: the tuning fooled the frozen detector more than its kind"
    elif old[2] < known[1]:
        said = f"against {_interval(known)} on those before: what fools the frozen detector fools its kind"
    else:
        said = f"not clearly less than on those before ({_interval(known)})"
    return (
        f"Fresh detectors of that kind that know only the images before reach {_interval(old)} on those "
        f"after, {said}; those that know only the images after reach {_interval(back)} on those before."
    )


def _quality_words(found: Evasion) -> str:
    before, after, null = (found.swd(name) for name in (BEFORE, AFTER, NULL))
    if after[1] > before[2]:
        said = "worse"
    elif after[2] < before[1]:
        said = "better"
    else:
        said = "not clearly changed"
    return (
        f"Image quality is {said}: sliced Wasserstein distance {before[0]:.1f} [{before[1]:.1f}, "
        f"{before[2]:.1f}] before, {after[0]:.1f} [{after[1]:.1f}, {after[2]:.1f}] after; reals against "
        f"reals {null[0]:.1f}."
    )


def _spectrum_words(found: Evasion) -> str:
    before, after = (found.spectra.deviations[name]["log_spectral_distance"] for name in (BEFORE, AFTER))
    apart = ""
    if None not in (before.low, before.high, after.low, after.high):
        overlap = _low(after) <= _high(before) and _low(before) <= _high(after)
        apart = "; the intervals overlap" if overlap else "; the intervals do not overlap"
    return (
        f"Log-spectral distance of the radial profiles to the reals: {before.value:.2f} dB before, "
        f"{after.value:.2f} dB after{apart}."
    )


def _low(one: Deviation) -> float:
    return one.value if one.low is None else one.low


def _high(one: Deviation) -> float:
    return one.value if one.high is None else one.high


def _interval(values: tuple[float, float, float]) -> str:
    return f"{values[0]:.3f} [{values[1]:.3f}, {values[2]:.3f}]"


def detector_table(found: Evasion) -> str:
    """Trained on the row, tested on the column."""
    lines = [["detector", "trained on", *(f"tested on {name}" for name in TESTS)]]
    rows = [(found.frozen, FROZEN), *((system, row) for system in found.systems for row in TESTS)]
    for system, row in rows:
        shown = "before (frozen)" if row == FROZEN else row
        lines.append(
            [found.label(system), shown, *(cell(found.of(system, row, name), ACCURACY) for name in TESTS)]
        )
    return markdown(lines)


def image_table(found: Evasion) -> str:
    """Quality and spectral deviation before, after, and of reals against reals."""
    lines = [["measure", "before", "after", NULL]]
    lines.append(["sliced Wasserstein", *(
        "{:.1f} [{:.1f}, {:.1f}]".format(*found.swd(name)) for name in (BEFORE, AFTER, NULL)
    )])  # fmt: skip
    for name in SHOWN:
        pair = [found.spectra.deviations[one].get(name) for one in (BEFORE, AFTER)]
        if pair[0] is not None and pair[1] is not None:
            lines.append([f"{name} ({pair[0].unit})", *map(_deviation, (pair[0], pair[1])), _null(pair[0])])
    return markdown(lines)


def _deviation(one: Deviation) -> str:
    ends = "" if one.low is None or one.high is None else f" [{one.low:.2f}, {one.high:.2f}]"
    return f"{one.value:.2f}{ends}"


def _null(one: Deviation) -> str:
    if one.null_low is None or one.null_high is None:
        return ""
    return f"[{one.null_low:.2f}, {one.null_high:.2f}]"


def write_tables(folder: Path, found: Evasion) -> None:
    """Per-image scores, quality by draw, every deviation, and the profiles of the figure."""
    scores = ((name, place, number(float(p), 6)) for name, values in found.scores.items()
              for place, p in enumerate(values))  # fmt: skip
    write_csv(folder / "frozen_scores.csv", ("set", "image", "p_fake"), scores)
    levels = list(next(iter(found.wasserstein.values()))[0])
    quality = ((name, draw, *(number(one[level]) for level in levels))
               for name, draws in found.wasserstein.items() for draw, one in enumerate(draws))  # fmt: skip
    write_csv(folder / "quality.csv", ("set", "draw", *levels), quality)
    write_csv(
        folder / "deviations.csv", ("set", "deviation", *_COLUMNS, "unit", "meaning"), _deviations(found)
    )
    write_csv(folder / "profiles.csv", ("set", FREQUENCY, "db_over_reals"), _profiles(found))


_COLUMNS = ("value", "low", "high", "p_value", "null_mean", "null_low", "null_high")


def _deviations(found: Evasion) -> Iterable[Sequence[object]]:
    for name, deviations in found.spectra.deviations.items():
        for key, one in deviations.items():
            yield name, key, *(number(getattr(one, c)) for c in _COLUMNS), one.unit, one.summary


def _profiles(found: Evasion) -> Iterable[Sequence[object]]:
    for name, values in found.spectra.difference.items():
        for frequency, value in zip(found.spectra.frequencies, values, strict=True):
            yield name, number(float(frequency), 6), number(float(value), 6)
