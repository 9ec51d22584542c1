"""The report of a detection experiment as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ganlab.experiments.detection_text import (
    generator_table,
    markdown,
    select,
    setting_table,
    transfer_table,
    unique,
)
from ganlab.experiments.detection_trials import Record
from ganlab.experiments.detection_words import hull, shown, summary
from ganlab.forensics import NULL, Interval

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
) -> str:
    """All tables, and the figures by name."""
    parts = ["# Detection\n", summary(records, extra), READING]
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
