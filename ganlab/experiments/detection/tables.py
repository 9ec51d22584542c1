"""Tables and words of a detection experiment, from its records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from ganlab.experiments.detection.measure import POOLED, Floats, Record
from ganlab.experiments.detection.sources import Map, Responses
from ganlab.forensics import METRICS, NULL, Interval, find_preset, highest_area_test
from ganlab.results.tables import markdown, with_interval, write_csv

Entries = Sequence[Mapping[str, Any]]
"""JSON values of what is kept beside the records: false alarms, source names, immunisation."""

HEAD = ("kind", "system", "trained_on", "tested_on", "seed", "images", "tested", "setting")
SHOWN = {
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "tpr_at_1": "true positives at 1\u00a0%",
    "tpr_at_5": "true positives at 5\u00a0%",
}
"""Metrics of the tables that people read, with their titles."""
SETTINGS = {
    "robustness": (
        "Robustness",
        "balanced_accuracy",
        "Balanced accuracy / ROC-AUC of perturbed test images; fitted on clean ones. A shift past the "
        "threshold leaves the order of images as it was.",
    ),
    "size": (
        "Number of training images",
        "balanced_accuracy",
        "Balanced accuracy / ROC-AUC by the number of training images, reals and fakes together.",
    ),
    "band": (
        "Frequency bands",
        "roc_auc",
        "ROC-AUC with a band shuffled among images (without), and of a detector on it alone (only). Bands in "
        "cycles per pixel.",
    ),
}
CHANCE = 0.5
SURPRISE = 0.01
"""Adjusted p-value from which real against real speaks of a leak."""
SEED = re.compile(r"(.+?)(?:[-_ ./]s|[-_ ./]?seed)[-_ ]?\d+", re.IGNORECASE)
"""Names of generators that differ by their training seed alone: ``dcgan-s0``, ``dcgan_seed1``."""
KINDS = (
    "Generators whose names differ by a seed alone are of one kind, and they are the unit: Student's t over "
    "them, 95 %, never narrower than over test images. What another seed would give is not said by images of "
    "one.\n"
)
AT_CHANCE = "not distinguishable from chance at this sample size"
READING = (
    "Values are means over seeds; in brackets the lowest and the highest end of the seeds' 95 % "
    "intervals over test images (rates: Clopper-Pearson or Wilson; ROC-AUC: Newcombe's method 5). Balanced "
    "accuracy and ROC-AUC of 0.5 are chance; chance of the average precision is the share of fakes among the "
    "test images. True positives at 1 %: the share of fakes found where 1 % of the reals are false alarms. "
    f"'{NULL}' is one random half of the reals against the other: so much means nothing. Balanced accuracy "
    "asks whether the detector's own threshold (probability 1/2) parts reals from fakes, ROC-AUC only "
    "whether fakes rank above reals: 0.500 beside 1.000 is a perfect order on one side of the threshold.\n"
)
BOTH = "Balanced accuracy / ROC-AUC, trained on the row and tested on the column.\n"


def select(records: Iterable[Record], **fields: object) -> list[Record]:
    """Records whose fields have these values."""
    return [r for r in records if all(getattr(r, name) == value for name, value in fields.items())]


def unique(records: Iterable[Record], name: str) -> list[str]:
    """Values of a field in the order of their first appearance."""
    return list(dict.fromkeys(str(getattr(record, name)) for record in records))


def over_seeds(intervals: Sequence[Interval]) -> Interval:
    """Mean of the values; lowest and highest end."""
    mean = float(np.mean([one.value for one in intervals]))
    return Interval(mean, min(one.low for one in intervals), max(one.high for one in intervals))


def shown(interval: Interval, digits: int = 3) -> str:
    """``0.912 [0.880, 0.940]``."""
    return with_interval(interval.value, interval.low, interval.high, digits)


def cell(records: Sequence[Record], metric: str) -> str:
    """``mean [low, high]`` over seeds; empty without records."""
    return shown(over_seeds([record.metrics[metric] for record in records])) if records else ""


def matrix(records: Sequence[Record], metric: str) -> tuple[list[str], list[str], Floats]:
    """Rows (trained on), columns (tested on) and the mean over seeds, ``(R, C)``."""
    rows, columns = unique(records, "trained_on"), unique(records, "tested_on")
    values = np.full((len(rows), len(columns)), np.nan)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            own = select(records, trained_on=row, tested_on=column)
            if own:
                values[i, j] = np.mean([one.metrics[metric].value for one in own])
    return rows, columns, values


# ---------------------------------------------------------------------------------------------------- words


def summary(records: Sequence[Record], extra: Mapping[str, Entries]) -> str:
    """Bullets for the top of the report."""
    lines = [
        *found_words(records), *control_words(extra), *transfer_words(records), *robust_words(records),
        *extra_words(extra),
    ]  # fmt: skip
    return "".join(f"- {line}\n" for line in lines)


def _area(records: Sequence[Record]) -> Interval:
    return over_seeds([record.metrics["roc_auc"] for record in records])


def found_words(records: Sequence[Record]) -> Iterator[str]:
    """One to three sentences a source: which systems find it, which do not."""
    for source in unique(select(records, kind="transfer"), "trained_on"):
        own = select(records, kind="transfer", trained_on=source, tested_on=source)
        if source == NULL or not own:
            continue
        areas = {name: _area(select(own, system=name)) for name in unique(own, "system")}
        above = {name: area for name, area in areas.items() if area.low > CHANCE}
        below = [name for name, area in areas.items() if area.high < CHANCE]
        doubtful = [f"{n} ({shown(area)})" for n, area in areas.items() if area.contains(CHANCE)]
        tested = f"({own[0].tested} test images a seed)."
        if above:
            best = max(above, key=lambda name: above[name].value)
            yield (
                f"**{source}**: found by {len(above)} of {len(areas)} systems; the highest mean ROC-AUC is "
                f"that of {best}, {shown(above[best])} {tested}"
            )
        else:
            yield f"**{source}**: {AT_CHANCE} with any of {len(areas)} systems {tested}"
        if doubtful and above:
            yield f"**{source}**, {AT_CHANCE} (ROC-AUC): {', '.join(doubtful)}."
        if below:
            yield (
                f"**{source}**, worse than chance, which finds nothing (what was learned does not hold "
                f"there): {', '.join(below)}."
            )


def control_words(extra: Mapping[str, Entries]) -> Iterator[str]:
    """Whether any system tells reals from reals above chance: one maximum over systems and splits."""
    splits = grouped(extra.get("null_scores", ()), "seed")
    if not splits:
        return
    sets = [(own[0]["labels"], [one["scores"] for one in own]) for own in splits.values()]
    areas, chances = highest_area_test(sets)
    named = [(float(p), -float(area), str(one["system"]), seed)
             for (seed,), own, measured, adjusted in zip(splits, splits.values(), areas, chances, strict=True)
             for one, area, p in zip(own, measured, adjusted, strict=True)]  # fmt: skip
    p, area, system, seed = min(named)
    text = (
        f"Real against real: of {len(named)} controls (systems times seeds) the furthest above chance is "
        f"{system} with seed {seed}, ROC-AUC {-area:.3f}; p = {p:.3f}, adjusted for looking at all of them "
        "(below chance is no leak)."
    )
    found = ", ".join(f"{one} with seed {at} ({-value:.3f})" for q, value, one, at in named if q <= SURPRISE)
    if found:
        text += (
            f" That is more than ill luck explains: look for a leak before believing the other rows: {found}."
        )
    yield text


def transfer_words(records: Sequence[Record]) -> Iterator[str]:
    """For every system, over pairs of different generators: mean of both measures, and how many at chance."""
    transfers = select(records, kind="transfer")
    sources = [name for name in unique(transfers, "tested_on") if name != NULL]
    if len(sources) < 2:
        return
    for system in unique(transfers, "system"):
        own = select(transfers, system=system)
        pairs = {(a, b): select(own, trained_on=a, tested_on=b) for a in sources for b in sources if a != b}
        missed = sum(_area(pair).contains(CHANCE) for pair in pairs.values())
        pooled = {(name,): select(own, trained_on=POOLED, tested_on=name) for name in sources}
        # over seeds first: every pair counts alike, however many seeds it has
        rank, parted, all_rank, all_parted = (
            shown(over_pairs({
                names: over_seeds([r.metrics[metric] for r in part]) for names, part in parts.items()
            }))
            for parts in (pairs, pooled)
            for metric in ("roc_auc", "balanced_accuracy")
        )  # fmt: skip
        unit, count = units(sources)
        basis = (
            f"leaving out each of the {count} {unit} with all its pairs"
            if count > 2
            else ("test images alone: two generators say nothing of others")
        )
        yield (
            f"Transfer of {system}: mean ROC-AUC {rank} (fakes rank above reals) and mean balanced "
            f"accuracy {parted} (the threshold parts them) over {len(pairs)} pairs of different "
            f"generators, {missed} of them {AT_CHANCE} by ROC-AUC; trained on all together {all_rank} "
            f"and {all_parted} (intervals by {basis})."
        )


def robust_words(records: Sequence[Record]) -> Iterator[str]:
    """For every system: the settings after which no source is found any more."""
    chosen = select(records, kind="robustness")
    for system in unique(chosen, "system"):
        own = [r for r in select(chosen, system=system) if r.trained_on != NULL]
        found = {
            setting: {
                source
                for source in unique(own, "trained_on")
                if _area(select(own, trained_on=source, setting=setting)).low > CHANCE
            }
            for setting in unique(own, "setting")
        }
        clean = found.pop("none", set())
        lost = [setting for setting, sources in found.items() if not sources & clean]
        if clean and lost:
            yield f"{system} finds no generator any more ({AT_CHANCE}) after: {', '.join(lost)}."


def extra_words(extra: Mapping[str, Entries]) -> Iterator[str]:
    """Who names the source, what immunising does, and the range of the false-alarm rates."""
    entries = extra["attribution"]
    if entries:
        found = {name: over_seeds(_intervals(own, "balanced_accuracy"))
                 for (name,), own in grouped(entries, "system").items()}  # fmt: skip
        chance = float(entries[0]["chance"])
        best = max(found, key=lambda name: found[name].value)
        lost = [name for name, one in found.items() if one.low <= chance]
        text = f"Naming the source (chance {chance:.3f}): best {best}, balanced accuracy {shown(found[best])}"
        yield text + (f"; {AT_CHANCE}: {', '.join(lost)}." if lost else ".")
    tuned = [one for one in extra["perturbed_sources"] if one["after"] is not None]
    for (system,), own in grouped(tuned, "system").items():
        before, after, clean = (
            np.mean([entry[name][0] for entry in own]) for name in ("before", "after", "clean_after")
        )
        yield (
            f"Immunising {system}: mean balanced accuracy under perturbation {before:.3f} before, "
            f"{after:.3f} after; {clean:.3f} on clean images after."
        )
    for (reals, fakes), own in grouped(extra.get("domains", ()), "reals", "fakes").items():
        areas = [float(one["roc_auc"][0]) for one in own]
        parted = [float(one["balanced_accuracy"][0]) for one in own]
        yield (
            f"On another data set, {reals} against {fakes}: ROC-AUC {min(areas):.3f} to "
            f"{max(areas):.3f}, balanced "
            f"accuracy {min(parted):.3f} to {max(parted):.3f}, over systems and training sets."
        )
    for (name,), own in grouped(extra["unseen"], "tested_on").items():
        rates = [float(one["rate"][0]) for one in own]
        yield (
            f"False alarms on {name}, which no detector saw: {min(rates):.3f} to {max(rates):.3f} of the "
            "images, over systems and training sets."
        )


def grouped(entries: Entries, *names: str) -> dict[tuple[str, ...], list[Mapping[str, Any]]]:
    """Entries by the values of some fields, in the order of their first appearance."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for entry in entries:
        groups.setdefault(tuple(str(entry[name]) for name in names), []).append(entry)
    return groups


def _intervals(entries: Entries, name: str) -> list[Interval]:
    """Of a field; those not measured are left out."""
    return [Interval(*one[name]) for one in entries if one[name] is not None]


# --------------------------------------------------------------------------------------------------- report


def report_text(
    records: Sequence[Record],
    extra: Mapping[str, Entries],
    findings: Sequence[str],
    figures: Mapping[str, str],
    command: str,
    systems: Sequence[str] = (),
) -> str:
    """All words and tables in Markdown.

    Args:
        records: every measurement.
        extra: what is kept beside them.
        findings: of the guards, tolerated by request.
        figures: files with their captions.
        command: what the user typed.
        systems: as asked for, so that presets are known by name; their trap is told.
    """
    parts = ["# Detection\n", summary(records, extra), READING]
    presets = {name: find_preset(name) for name in systems if "+" not in name}
    parts += [f"Published method {n} ({p.source}). Trap: {p.trap}.\n" for n, p in presets.items()]
    parts += [f"Command: `{command}`\n"] if command else []
    parts += ["Told by the guards:\n" + "".join(f"- {one}\n" for one in findings)] if findings else []
    parts += ["## Each generator\n", generator_table(records)]
    kinds = kind_rows(records)
    if kinds:
        head = ["system", "kind", "generators", *SHOWN.values()]
        parts += [f"## Each kind of generator\n\n{KINDS}", markdown(head, kinds)]
    for system in unique(records, "system"):
        parts += [f"## Transfer: {system}\n\n{BOTH}", transfer_table(records, system)]
    for kind, (title, metric, about) in SETTINGS.items():
        if select(records, kind=kind):
            parts += [f"## {title}\n\n{about} Averaged over sources.\n", setting_table(records, kind, metric)]
    parts += extra_tables(extra)
    pictures = [f"![{caption}]({name})\n" for name, caption in figures.items()]
    parts += ["## Figures\n", "\n".join(pictures)] if pictures else []
    return "\n".join(parts)


def generator_table(records: Sequence[Record]) -> str:
    """Each system on each source it was fitted on, the null control included."""
    own = [r for r in records if r.kind == "transfer" and r.trained_on == r.tested_on]
    lines = []
    for system in unique(own, "system"):
        for source in unique(own, "tested_on"):
            seeds = select(own, system=system, tested_on=source)
            lines.append([system, source, *(cell(seeds, name) for name in SHOWN)])
    return markdown(["system", "source", *SHOWN.values()], lines)


def kind_rows(records: Sequence[Record]) -> list[list[str]]:
    """Each system on each kind of generator of which there are several seeds."""
    own = [r for r in records if r.kind == "transfer" and r.trained_on == r.tested_on != NULL]
    kinds: dict[str, list[str]] = {}
    for source in unique(own, "tested_on"):
        match = SEED.fullmatch(source)
        if match:
            kinds.setdefault(match[1], []).append(source)
    lines = []
    for system in unique(own, "system"):
        for kind, sources in kinds.items():
            if len(sources) > 1:
                cells = []
                for metric in SHOWN:
                    seeds = [select(own, system=system, tested_on=name) for name in sources]
                    cells.append(shown(over_generators(
                        [over_seeds([r.metrics[metric] for r in one]) for one in seeds]
                    )))  # fmt: skip
                lines.append([system, kind, str(len(sources)), *cells])
    return lines


def over_generators(intervals: Sequence[Interval]) -> Interval:
    """Mean over generators with Student's t over them, at least as wide as the images of each make it."""
    values = np.array([one.value for one in intervals])
    mean, count = float(values.mean()), len(values)
    between = float(student.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count))
    below, above = (
        float(np.sqrt(np.sum((np.array(ends) - values) ** 2)) / count)
        for ends in ([one.low for one in intervals], [one.high for one in intervals])
    )
    return Interval(mean, max(mean - max(between, below), 0.0), min(mean + max(between, above), 1.0))


def kind_of(name: str) -> str:
    """The generator's name without its training seed."""
    match = SEED.fullmatch(name)
    return match[1] if match else name


def units(names: Sequence[str]) -> tuple[str, int]:
    """What is left out as one, and how many of these there are: kinds of generators, or generators."""
    single, kinds = set(names), {kind_of(name) for name in names}
    return (
        ("kinds of generators", len(kinds)) if 2 < len(kinds) < len(single) else ("generators", len(single))
    )


def over_pairs(intervals: Mapping[tuple[str, ...], Interval]) -> Interval:
    """Mean over combinations of generators, which are not independent where they share one.

    Jackknife: each generator (each kind, where generators of three kinds or more differ by seeds too) is left
    out with all that it takes part in, and Student's t is taken over these means. At least as wide as the
    mean interval over test images, since all share their reals. Of two generators only the latter is known.

    Args:
        intervals: by the names of the generators that take part.
    """
    values = {names: one.value for names, one in intervals.items()}
    mean, between = float(np.mean([*values.values()])), 0.0
    single = list(dict.fromkeys(name for names in values for name in names))
    of_kind = {name: kind_of(name) if units(single)[0] != "generators" else name for name in single}
    left = [
        np.mean([value for names, value in values.items() if unit not in {of_kind[name] for name in names}])
        for unit in (dict.fromkeys(of_kind.values()) if len(single) > 2 else ())
    ]
    if left:
        variance = (len(left) - 1) * float(np.var(left))
        between = float(student.ppf(0.975, len(left) - 1) * np.sqrt(variance))
    below = float(np.mean([one.value - one.low for one in intervals.values()]))
    above = float(np.mean([one.high - one.value for one in intervals.values()]))
    return Interval(mean, max(mean - max(between, below), 0.0), min(mean + max(between, above), 1.0))


def transfer_table(records: Sequence[Record], system: str) -> str:
    """Trained on the row, tested on the column: balanced accuracy / ROC-AUC."""
    chosen = select(records, kind="transfer", system=system)
    rows, columns, accuracy = matrix(chosen, "balanced_accuracy")
    _, _, area = matrix(chosen, "roc_auc")
    lines = [
        [row, *(f"{a:.3f} / {b:.3f}" for a, b in zip(accuracy[k], area[k], strict=True))]
        for k, row in enumerate(rows)
    ]
    return markdown(["trained on \\ tested on", *columns], lines)


def setting_table(records: Sequence[Record], kind: str, metric: str) -> str:
    """A column for each system, a row for each setting, averaged over sources and seeds.

    Beside the balanced accuracy stands the mean ROC-AUC: threshold and ranking are two things.
    """
    chosen = select(records, kind=kind)
    systems, lines = unique(chosen, "system"), []
    for setting in unique(chosen, "setting"):
        cells = []
        for system in systems:
            own = select(chosen, system=system, setting=setting)
            beside = f" / {_area(own).value:.3f}" if own and metric == "balanced_accuracy" else ""
            cells.append(cell(own, metric) + beside)
        lines.append([setting, *cells])
    return markdown(["setting", *systems], lines)


def extra_tables(extra: Mapping[str, Entries]) -> Iterator[str]:
    """False alarms, names of sources, and names of perturbed images' sources; what is empty is left out."""
    unseen, named, perturbed = (extra[name] for name in ("unseen", "attribution", "perturbed_sources"))
    if unseen:
        sets = [name for (name,) in grouped(unseen, "tested_on")]
        lines = []
        for key, own in grouped(unseen, "system", "trained_on").items():
            by_set = grouped(own, "tested_on")
            lines.append([*key, *(shown(over_seeds(_intervals(by_set[(name,)], "rate"))) for name in sets)])
        yield "## False alarms on reals never seen\n\nShare called fake.\n"
        yield markdown(["system", "trained on", *sets], lines)
    if extra.get("domains"):
        yield (
            "## Transfer to other data sets\n\nTrained on the reals and fakes of this experiment, tested "
            "on the reals "
            "and fakes of another; false alarms are its reals called fake.\n"
        )
        measures = ("balanced_accuracy", "roc_auc", "false_alarms", "found")
        yield markdown(
            [
                "system",
                "trained on",
                "reals",
                "fakes",
                "balanced accuracy",
                "ROC-AUC",
                "false alarms",
                "fakes found",
            ],
            (
                [*key, *(shown(over_seeds(_intervals(own, name))) for name in measures)]
                for key, own in grouped(extra["domains"], "system", "trained_on", "reals", "fakes").items()
            ),
        )
    if named:
        rows = (
            [one["system"], one["seed"], shown(Interval(*one["balanced_accuracy"])),
             f"{one['chance']:.3f}"]
            for one in named
        )  # fmt: skip
        yield "## Naming the source\n"
        yield markdown(["system", "seed", "balanced accuracy", "chance"], rows)
    if perturbed:
        lines = []
        for key, own in grouped(perturbed, "system", "setting").items():
            measured = [_intervals(own, name) for name in ("before", "after", "clean_after")]
            lines.append([*key, *(shown(over_seeds(seeds)) if seeds else "" for seeds in measured)])
        words = "Balanced accuracy over all sources on perturbed test images: fitted on clean ones"
        head = ["system", "perturbation", "before", "immunised", "immunised, clean images"]
        if any(line[3] for line in lines):
            words += (
                ", and after training on with images under the same perturbation (networks on pixels alone); "
                "last, the immunised one on clean images"
            )
        else:
            head, lines = [*head[:2], "balanced accuracy"], [line[:3] for line in lines]
        yield f"## Naming the source of perturbed images\n\n{words}.\n"
        yield markdown(head, lines)


# ------------------------------------------------------------------------------------------------------ CSV


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Every measurement, a row each; every metric with the ends of its interval."""
    lines = ([*(getattr(one, name) for name in HEAD), *metric_cells(one.metrics)] for one in records)
    write_csv(path, [*HEAD, *METRIC_COLUMNS], lines)


METRIC_COLUMNS = tuple(f"{name}{end}" for name in METRICS for end in ("", "_low", "_high"))


def metric_cells(metrics: Mapping[str, Interval]) -> list[str]:
    """The texts of `METRIC_COLUMNS`."""
    return [f"{value:.6f}" for name in METRICS for value in metrics[name].as_list()]


def write_responses(path: Path, measured: Responses) -> None:
    """Mean response of every source's images to every fingerprint, a row each."""
    lines = (
        [source, other, measured.images[i],
         *(f"{one[i, j]:.6f}" for one in (measured.product, measured.correlation))]
        for i, source in enumerate(measured.names)
        for j, other in enumerate(measured.names)
    )  # fmt: skip
    head = ("images_of", "fingerprint_of", "images", "mean_response", "mean_correlation")
    write_csv(path, head, lines)


def write_maps(path: Path, maps: Sequence[Map]) -> None:
    """The points of every t-SNE map, a row an image."""
    lines = (
        [one.feature, one.names[source], image, f"{x:.4f}", f"{y:.4f}"]
        for one in maps
        for source, image, (x, y) in zip(one.source, one.images, one.points, strict=True)
    )
    write_csv(path, ("feature", "set", "image", "x", "y"), lines)
