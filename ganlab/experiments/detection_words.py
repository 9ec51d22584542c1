"""What the numbers of a detection experiment say, in sentences, and no more than they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import binom

from ganlab.experiments.detection_text import select, unique
from ganlab.experiments.detection_trials import POOLED, Record
from ganlab.forensics import NULL, Interval

METRIC = "roc_auc"
CHANCE = 0.5
OUTSIDE = 0.05
"""Share of 95 % intervals that miss the truth."""
SURPRISE = 0.01
AT_CHANCE = "not distinguishable from chance at this sample size"


def hull(intervals: Sequence[Interval]) -> Interval:
    """Mean of the values; lowest and highest end."""
    mean = float(np.mean([one.value for one in intervals]))
    return Interval(mean, min(one.low for one in intervals), max(one.high for one in intervals))


def shown(interval: Interval) -> str:
    """``0.912 [0.880, 0.940]``."""
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def summary(records: Sequence[Record], extra: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Bullets for the top of the report."""
    lines = [
        *_found(records),
        *_control(records),
        *_transferred(records),
        *_robust(records),
        *_named(extra["attribution"]),
        *_immune(extra["perturbed_sources"]),
        *_alarms(extra["unseen"]),
    ]
    return "".join(f"- {line}\n" for line in lines)


def _own(records: Sequence[Record], source: str) -> dict[str, Interval]:
    """ROC-AUC of every system fitted on a source and tested on it."""
    chosen = select(records, kind="transfer", trained_on=source, tested_on=source)
    return {name: _area(select(chosen, system=name)) for name in unique(chosen, "system")}


def _area(records: Sequence[Record]) -> Interval:
    return hull([record.metrics[METRIC] for record in records])


def _found(records: Sequence[Record]) -> Iterator[str]:
    """One sentence or two a source: who finds it, who does not."""
    for source in unique(select(records, kind="transfer"), "trained_on"):
        areas = _own(records, source)
        if source == NULL or not areas:
            continue
        above = {name: area for name, area in areas.items() if area.low > CHANCE}
        below = [name for name, area in areas.items() if area.high < CHANCE]
        doubtful = [f"{n} ({shown(area)})" for n, area in areas.items() if area.contains(CHANCE)]
        tested = select(records, kind="transfer", trained_on=source, tested_on=source)[0].tested
        yield f"**{source}**: {_best(above, len(areas), tested)}"
        if doubtful and above:
            yield f"**{source}**, {AT_CHANCE} (ROC-AUC): {', '.join(doubtful)}."
        if below:
            yield f"**{source}**, worse than chance, as after a leak or by ill luck: {', '.join(below)}."


def _best(above: Mapping[str, Interval], count: int, tested: int) -> str:
    if not above:
        return f"{AT_CHANCE} with any of {count} systems ({tested} test images a seed)."
    best = max(above, key=lambda name: above[name].value)
    return (
        f"found by {len(above)} of {count} systems; the highest mean ROC-AUC is that of {best}, "
        f"{shown(above[best])} ({tested} test images a seed)."
    )


def _control(records: Sequence[Record]) -> Iterator[str]:
    """How often real against real excludes chance, held against how often it should."""
    nulls = select(records, kind="transfer", trained_on=NULL, tested_on=NULL)
    if not nulls:
        return
    outside = sum(not record.metrics[METRIC].contains(CHANCE) for record in nulls)
    text = (
        f"Real against real: {outside} of {len(nulls)} intervals (systems times seeds) exclude chance; "
        f"about {OUTSIDE * len(nulls):.1f} would where nothing is to be found."
    )
    if outside > binom.ppf(1 - SURPRISE, len(nulls), OUTSIDE):
        text += " That is more than ill luck explains: look for a leak before believing the other rows."
    yield text


def _transferred(records: Sequence[Record]) -> Iterator[str]:
    """For every system, over pairs of different generators: mean, and how many are at chance."""
    transfers = select(records, kind="transfer")
    sources = [name for name in unique(transfers, "tested_on") if name != NULL]
    if len(sources) < 2:
        return
    for system in unique(transfers, "system"):
        own = select(transfers, system=system)
        pairs = [select(own, trained_on=a, tested_on=b) for a in sources for b in sources if a != b]
        areas = [_area(pair) for pair in pairs]
        missed = sum(area.contains(CHANCE) for area in areas)
        pooled = [_area(select(own, trained_on=POOLED, tested_on=one)).value for one in sources]
        yield (
            f"Transfer of {system}: mean ROC-AUC {np.mean([area.value for area in areas]):.3f} over "
            f"{len(areas)} pairs of different generators, {missed} of them {AT_CHANCE}; trained on all "
            f"together {np.mean(pooled):.3f}."
        )


def _robust(records: Sequence[Record]) -> Iterator[str]:
    """For every system: the settings after which no source is found any more."""
    chosen = select(records, kind="robustness")
    for system in unique(chosen, "system"):
        own = [r for r in select(chosen, system=system) if r.trained_on != NULL]
        settings = [name for name in unique(own, "setting") if name != "none"]
        clean = [source for source in unique(own, "trained_on") if _finds(own, source, "none")]
        lost = [name for name in settings if not any(_finds(own, source, name) for source in clean)]
        if clean and lost:
            yield f"{system} finds no generator any more ({AT_CHANCE}) after: {', '.join(lost)}."


def _finds(records: Sequence[Record], source: str, setting: str) -> bool:
    return _area(select(records, trained_on=source, setting=setting)).low > CHANCE


def _named(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Who names the source, best first."""
    systems = dict.fromkeys(str(one["system"]) for one in entries)
    found = {
        name: hull([Interval(*one["balanced_accuracy"]) for one in entries if one["system"] == name])
        for name in systems
    }
    if not found:
        return
    chance = float(entries[0]["chance"])
    best = max(found, key=lambda name: found[name].value)
    lost = [name for name, one in found.items() if one.low <= chance]
    text = f"Naming the source (chance {chance:.3f}): best {best}, balanced accuracy {shown(found[best])}"
    yield text + (f"; {AT_CHANCE}: {', '.join(lost)}." if lost else ".")


def _immune(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    tuned = [one for one in entries if one["after"] is not None]
    for system in dict.fromkeys(str(one["system"]) for one in tuned):
        own = [one for one in tuned if one["system"] == system]
        before, after, clean = (
            np.mean([e[name][0] for e in own]) for name in ("before", "after", "clean_after")
        )
        yield (
            f"Immunising {system}: mean balanced accuracy under perturbation {before:.3f} before, "
            f"{after:.3f} after; {clean:.3f} on clean images after."
        )


def _alarms(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Range of the false-alarm rates over systems, for each never-seen set."""
    for name in dict.fromkeys(str(one["tested_on"]) for one in entries):
        rates = [float(one["rate"][0]) for one in entries if one["tested_on"] == name]
        yield (
            f"False alarms on {name}, which no detector saw: {min(rates):.3f} to {max(rates):.3f} of the "
            "images, over systems and training sets."
        )
