"""The report of ``ganlab patches``: numbers, tables, and sentences that follow from the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ganlab.experiments.detection.tables import SHOWN, markdown
from ganlab.experiments.patches.figures import TOWARDS, Exaggerated
from ganlab.experiments.patches.measure import HeldOut, Measured, RuleRecord
from ganlab.experiments.patches.options import PatchOptions
from ganlab.forensics import NULL, Interval, Patch
from ganlab.forensics.nets.patch import PUBLISHED_SIDE, TableRow

DIGITS = 6


def view_results(
    about: Mapping[str, Any],
    parts: Mapping[str, HeldOut],
    records: Sequence[RuleRecord],
    sets: Mapping[str, Measured],
    gallery: Mapping[str, Sequence[Patch]],
    pairs: Sequence[Exaggerated],
    options: PatchOptions,
) -> dict[str, Any]:
    """Everything the report says, as JSON values."""
    return {
        "detector": dict(about),
        "sets": {
            label: {"name": part.images.name, "images": len(part.images), "held_out": part.known,
                    "sentence": part.sentence(), "mean_map": _mean_map(sets[label])}
            for label, part in parts.items()
        },
        "ensembles": [
            {"rule": one.rule, "tested_on": one.tested_on, "reals": one.reals, "fakes": one.fakes,
             "metrics": {name: value.as_list() for name, value in one.metrics.items()}}
            for one in records
        ],
        "gallery": {row: [_rounded(patch.probability) for patch in found] for row, found in gallery.items()},
        "exaggeration": {
            "strength": options.strength, "steps": options.steps,
            "p_fake": {name: _rounded(_mean(pairs, name)) for name in ("original", *TOWARDS)},
            "rms_grey_levels": {name: _rounded(_mean_change(pairs, name)) for name in TOWARDS},
        },
    }  # fmt: skip


def _rounded(value: float) -> float:
    return round(float(value), DIGITS)


def _mean_map(one: Measured) -> list[list[float]]:
    return [[_rounded(value) for value in row] for row in one.mean_map]


def _mean(pairs: Sequence[Exaggerated], name: str) -> float:
    return float(np.concatenate([one.p_fake[name] for one in pairs]).mean())


def _mean_change(pairs: Sequence[Exaggerated], name: str) -> float:
    return float(np.concatenate([one.rms[name] for one in pairs]).mean())


def view_text(
    found: Mapping[str, Any], table: Sequence[TableRow], side: int, findings: Sequence[str], command: str
) -> str:
    """The report in Markdown."""
    about = found["detector"]
    parts = ["# What the patch detector sees\n", _opening(about, found["sets"])]
    parts += [f"Command: `{command}`\n"] if command else []
    parts += ["Tolerated by request:\n" + "".join(f"- {one}\n" for one in findings)] if findings else []
    parts += ["## Ensembling rules\n", _rules_words(found["ensembles"], about["rule"])]
    parts += [rules_table(found["ensembles"]), "## Where\n", _where(found["sets"])]
    parts += ["![heat maps](heat_maps.png)\n", "## The most telling patches\n", _gallery_words(found)]
    parts += ["![patches](patches.png)\n", "## Exaggeration\n", _exaggeration_words(found["exaggeration"])]
    parts += [
        "![exaggeration](exaggeration.png)\n",
        "## Receptive fields\n",
        FIELDS,
        fields_table(table, side),
    ]
    return "\n".join(parts)


FIELDS = (
    "Computed from the layers: side of the patch that one output sees, distance of neighbouring patches, "
    "outputs along one axis. A patch larger than the image sees all of it.\n"
)


def _opening(about: Mapping[str, Any], sets: Mapping[str, Any]) -> str:
    trained = ", ".join(about["trained_on"]) or "unknown sets"
    side = about["patch"]
    lines = [
        f"Detector: {about['system'] or 'a patch detector'}, trained on {trained}; every output judges a "
        f"patch of {side}x{side} pixels, {about['stride']} pixels apart.\n"
    ]
    return "\n".join([*lines, *(f"- {one['sentence']}" for one in sets.values())]) + "\n"


def _rules_words(records: Sequence[Mapping[str, Any]], own: str) -> str:
    return (
        "An image's probability of fake is the mean of its patches' probabilities, the probability of the "
        "mean logits, or the share of patches that vote fake; this detector was saved with "
        f"{_plain(own)}. In brackets the 95 % bootstrap interval over images. '{NULL}' is one half of the "
        f"reals against the other: so much means nothing. {_spread(records)}\n"
    )


def _spread(records: Sequence[Mapping[str, Any]]) -> str:
    """Whether the choice of the rule matters here."""
    own = [one for one in records if one["tested_on"] != NULL]
    values = {one["rule"]: one["metrics"]["balanced_accuracy"] for one in own}
    ordered = sorted(values, key=lambda rule: values[rule][0])
    worst, best = ordered[0], ordered[-1]
    apart = values[best][0] - values[worst][0]
    if values[best][1] > values[worst][2]:
        said = f"{_plain(best)} does better than {_plain(worst)}: their intervals do not overlap"
    else:
        said = "the intervals of the rules overlap, so that none is shown to be better"
    return f"Balanced accuracies differ by up to {apart:.3f}; {said}."


def _plain(rule: str) -> str:
    return rule.replace("_", " ")


def rules_table(records: Sequence[Mapping[str, Any]]) -> str:
    """A line for every rule and test set."""
    lines = [["rule", "tested on", *SHOWN.values()]]
    for one in records:
        cells = [_cell(Interval(*one["metrics"][name])) for name in SHOWN]
        lines.append([_plain(one["rule"]), one["tested_on"], *cells])
    return markdown(lines)


def _cell(value: Interval) -> str:
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def _where(sets: Mapping[str, Any]) -> str:
    """Means of the maps, and where the mean map is highest and lowest."""
    sentences = []
    for label, one in sets.items():
        values = np.array(one["mean_map"])
        low, high = (np.unravel_index(int(k), values.shape) for k in (values.argmin(), values.argmax()))
        sentences.append(
            f"Over all {one['images']} {label}s a patch has a probability of fake of {values.mean():.3f} on "
            f"average; the mean map goes from {values.min():.3f} (row {low[0]}, column {low[1]} of "
            f"{values.shape[0]}x{values.shape[1]}) to {values.max():.3f} (row {high[0]}, column {high[1]})."
        )
    return " ".join(sentences) + " Shown are evenly spaced images, not chosen ones.\n"


def _gallery_words(found: Mapping[str, Any]) -> str:
    ranges = [f"{row}: {min(p):.3f} to {max(p):.3f}" for row, p in found["gallery"].items() if p]
    return (
        "One patch an image, ranked by the detector's log-odds; the last two rows are the most wrong ones. "
        f"Probabilities of fake: {'; '.join(ranges)}. Coordinates are in patches.csv.\n"
    )


def _exaggeration_words(found: Mapping[str, Any]) -> str:
    p, rms = found["p_fake"], found["rms_grey_levels"]
    return (
        f"{found['steps']} gradient steps on the mean log-odds of the patches, together "
        f"{found['strength']:g} root mean square (values in [-1, 1]), then rounded to bytes. Mean "
        f"probability of fake {p['original']:.3f} before, {p['fake']:.3f} after the walk towards fake "
        f"({rms['fake']:.2f} grey levels) and {p['real']:.3f} after the walk towards real "
        f"({rms['real']:.2f} grey levels). The pictures are in exaggerated/.\n"
    )


def fields_table(table: Sequence[TableRow], side: int) -> str:
    """The receptive-field table; grids at the published size and at ``side``."""
    sides = [*PUBLISHED_SIDE.values()]
    lines = [["network", "patch", "stride", "first edge", "patches across, published size",
              f"patches across at {side}"]]  # fmt: skip
    for row in table:
        published = PUBLISHED_SIDE[row.backbone]
        name = f"{row.backbone}, {'block' if row.backbone == 'xception' else 'layer'} {row.depth}"
        grid = f"{row.grids[sides.index(published)]} at {published}"
        numbers = (row.field.size, row.field.stride, row.field.start)
        lines.append([name, *map(str, numbers), grid, str(row.grids[-1] or "too small")])
    return markdown(lines)
