"""Tables of a detection experiment, from its records."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from ganlab.experiments.detection.measure import POOLED, Record
from ganlab.forensics import METRICS, NULL, Interval, find_preset

Floats = npt.NDArray[np.float64]

HEAD = ("kind", "system", "trained_on", "tested_on", "seed", "images", "tested", "setting")
SHOWN = ("balanced_accuracy", "roc_auc", "average_precision", "tpr_at_1", "tpr_at_5")
TITLES = {
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "tpr_at_1": "true positives at 1 %",
    "tpr_at_5": "true positives at 5 %",
}


def records_csv(records: Iterable[Record]) -> str:
    """Every measurement, a row each; every metric with the ends of its interval."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    ends = [f"{name}{end}" for name in METRICS for end in ("", "_low", "_high")]
    writer.writerow([*HEAD, *ends])
    for one in records:
        values = [f"{value:.6f}" for name in METRICS for value in one.metrics[name].as_list()]
        writer.writerow([*(getattr(one, name) for name in HEAD), *values])
    return buffer.getvalue()


def select(records: Iterable[Record], **wanted: object) -> list[Record]:
    """Records whose fields have these values."""
    return [r for r in records if all(getattr(r, name) == value for name, value in wanted.items())]


def unique(records: Iterable[Record], name: str) -> list[str]:
    """Values of a field in the order of their first appearance."""
    return list(dict.fromkeys(str(getattr(record, name)) for record in records))


def cell(records: Sequence[Record], metric: str) -> str:
    """``mean [low, high]`` over seeds: mean of the values, lowest and highest end of the intervals."""
    if not records:
        return ""
    intervals = [record.metrics[metric] for record in records]
    mean = float(np.mean([one.value for one in intervals]))
    return f"{mean:.3f} [{min(o.low for o in intervals):.3f}, {max(o.high for o in intervals):.3f}]"


def matrix(records: Sequence[Record], metric: str) -> tuple[list[str], list[str], Floats]:
    """Rows (trained on), columns (tested on) and the mean over seeds, ``(R, C)``."""
    rows, columns = unique(records, "trained_on"), unique(records, "tested_on")
    values = np.full((len(rows), len(columns)), np.nan)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            found = select(records, trained_on=row, tested_on=column)
            if found:
                values[i, j] = np.mean([one.metrics[metric].value for one in found])
    return rows, columns, values


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A table whose first line is its head."""
    head, *body = lines
    rule = ["---", *["---:"] * (len(head) - 1)]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in (head, rule, *body)]
    return "".join("| " + " | ".join(line) + " |\n" for line in escaped)


def generator_table(records: Sequence[Record]) -> str:
    """Each system on each source it was fitted on, the null control included."""
    own = [r for r in records if r.kind == "transfer" and r.trained_on == r.tested_on]
    lines = [["system", "source", *(TITLES[name] for name in SHOWN)]]
    for system in unique(own, "system"):
        for source in unique(own, "tested_on"):
            found = select(own, system=system, tested_on=source)
            lines.append([system, source, *(cell(found, name) for name in SHOWN)])
    return markdown(lines)


def transfer_table(records: Sequence[Record], system: str, metric: str) -> str:
    """Trained on the row, tested on the column."""
    rows, columns, values = matrix(select(records, kind="transfer", system=system), metric)
    lines = [["trained on \\ tested on", *columns]]
    lines += [[row, *(f"{value:.3f}" for value in line)] for row, line in zip(rows, values, strict=True)]
    return markdown(lines)


def setting_table(records: Sequence[Record], kind: str, metric: str) -> str:
    """A column for each system, a row for each setting, averaged over sources and seeds."""
    chosen = select(records, kind=kind)
    systems = unique(chosen, "system")
    lines = [["setting", *systems]]
    for setting in unique(chosen, "setting"):
        row = [cell(select(chosen, system=system, setting=setting), metric) for system in systems]
        lines.append([setting, *row])
    return markdown(lines)


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


READING = (
    "Values are means over seeds; in brackets the lowest and the highest end of the seeds' 95 % bootstrap "
    "intervals over test images. Balanced accuracy and ROC-AUC of 0.5 are chance; chance of the average "
    "precision is the share of fakes among the test images. "
    f"'{NULL}' is one random half of the reals against the other: so much means nothing.\n"
)


def report_text(
    records: Sequence[Record],
    extra: Mapping[str, Sequence[Mapping[str, Any]]],
    findings: Sequence[str],
    figures: Mapping[str, str],
    command: str,
    systems: Sequence[str] = (),
) -> str:
    """All tables, and the figures by name; ``systems`` are the experiment's, of which some may be presets."""
    parts = ["# Detection\n", summary(records, extra), READING]
    presets = {name: find_preset(name) for name in systems if "+" not in name}
    parts += [f"Published method {n} ({p.source}). Trap: {p.trap}.\n" for n, p in presets.items()]
    parts += [f"Command: `{command}`\n"] if command else []
    parts += ["Tolerated by request:\n" + "".join(f"- {one}\n" for one in findings)] if findings else []
    parts += ["## Each generator\n", generator_table(records)]
    for system in unique(records, "system"):
        title = f"## Transfer: {system}\n\nBalanced accuracy, trained on the row and tested on the column.\n"
        parts += [title, transfer_table(records, system, "balanced_accuracy")]
    parts += _settings(records)
    parts += _unseen(extra["unseen"])
    parts += _attribution(extra["attribution"])
    parts += _perturbed(extra["perturbed_sources"])
    pictures = [f"![{caption}]({name})\n" for name, caption in figures.items() if name.endswith(".png")]
    parts += ["## Figures\n", "\n".join(pictures)] if pictures else []
    return "\n".join(parts)


def _settings(records: Sequence[Record]) -> list[str]:
    titles = {
        "robustness": ("Robustness", "balanced_accuracy", "Test images perturbed; fitted on clean ones."),
        "size": ("Number of training images", "balanced_accuracy", "Reals and fakes together."),
        "band": (
            "Frequency bands",
            "roc_auc",
            "ROC-AUC with a band shuffled among images (without), and of a detector on it alone (only).",
        ),
    }
    parts = []
    for kind, (title, metric, about) in titles.items():
        if select(records, kind=kind):
            parts += [f"## {title}\n\n{about} Averaged over sources.\n", setting_table(records, kind, metric)]
    return parts


def _unseen(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """A row for each system and training set, a column for each set of reals."""
    if not entries:
        return []
    sets = list(dict.fromkeys(str(one["tested_on"]) for one in entries))
    rows = dict.fromkeys((str(one["system"]), str(one["trained_on"])) for one in entries)
    lines = [["system", "trained on", *sets]]
    for system, trained in rows:
        own = [one for one in entries if (one["system"], one["trained_on"]) == (system, trained)]
        lines.append([system, trained, *(_rate([o for o in own if o["tested_on"] == name]) for name in sets)])
    return ["## False alarms on reals never seen\n\nShare called fake.\n", markdown(lines)]


def _rate(entries: Sequence[Mapping[str, Any]]) -> str:
    """Mean over seeds, lowest and highest end of the intervals."""
    return shown(hull([Interval(*one["rate"]) for one in entries]))


def _attribution(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    if not entries:
        return []
    lines = [["system", "seed", "balanced accuracy", "chance"]]
    for one in entries:
        value, low, high = one["balanced_accuracy"]
        lines.append(
            [one["system"], str(one["seed"]), f"{value:.3f} [{low:.3f}, {high:.3f}]", f"{one['chance']:.3f}"]
        )
    return ["## Naming the source\n", markdown(lines)]


def _perturbed(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """A row for each system and perturbation: as fitted, immunised, and immunised on clean images."""
    if not entries:
        return []
    about = (
        "Balanced accuracy over all sources on perturbed test images: fitted on clean ones, and after "
        "training on with images under the same perturbation (networks on pixels alone); last, the immunised "
        "one on clean images.\n"
    )
    lines = [["system", "perturbation", "before", "immunised", "immunised, clean images"]]
    for system, setting in dict.fromkeys((str(one["system"]), str(one["setting"])) for one in entries):
        own = [one for one in entries if (one["system"], one["setting"]) == (system, setting)]
        lines.append(
            [system, setting, *(_interval(own, name) for name in ("before", "after", "clean_after"))]
        )
    return [f"## Naming the source of perturbed images\n\n{about}", markdown(lines)]


def _interval(entries: Sequence[Mapping[str, Any]], name: str) -> str:
    """Mean over seeds, lowest and highest end; empty where it was not measured."""
    found = [Interval(*one[name]) for one in entries if one[name] is not None]
    return shown(hull(found)) if found else ""
