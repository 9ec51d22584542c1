"""Numbers, tables and words of ``ganlab patches``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.experiments.detection.tables import METRIC_COLUMNS, SHOWN, metric_cells, shown
from ganlab.experiments.patches.measure import TOWARDS, Exaggerated, Floats, HeldOut, Measured, Rules
from ganlab.experiments.patches.options import PatchOptions
from ganlab.forensics import NULL, Interval, Patch, ReceptiveField
from ganlab.forensics.nets.patch import ENSEMBLES, PUBLISHED_SIDE, TableRow
from ganlab.results.tables import markdown, number, write_csv

DIGITS = 6
ROWS = {
    "fakes, most fake": ("fake", True),
    "reals, most real": ("real", False),
    "reals, most fake": ("real", True),
    "fakes, most real": ("fake", False),
}
"""Rows of the gallery: whose patches, and whether the most fake or the most real ones. The last two hold the
most wrong ones."""
FIELDS = (
    "Computed from the layers, in pixels. Patch: side of the square that one output sees. Stride: from one "
    "patch to the next. First edge: where the first patch begins, below 0 in the padding. Patches across: "
    "outputs along one axis, at the published size and at this one. A patch larger than the image sees all "
    "of it.\n"
)

# ------------------------------------------------------------------------------------------------------ CSV


def write_image_scores(path: Path, sets: Mapping[str, Measured]) -> None:
    """A line for every image: probability of fake by each rule, and of its most and least fake patch."""
    header = ("set", "label", "image", "path", *(f"p_fake_{rule}" for rule in ENSEMBLES),
              "p_fake_highest_patch", "p_fake_lowest_patch")  # fmt: skip
    lines = (
        (one.images.name, label, place, name,
         *(number(float(one.scores[rule][place]), DIGITS) for rule in ENSEMBLES),
         number(one.most_fake[place].probability, DIGITS), number(one.most_real[place].probability, DIGITS))
        for label, one in sets.items()
        for place, name in enumerate(one.images.paths)
    )  # fmt: skip
    write_csv(path, header, lines)


def write_rules(path: Path, rules: Rules) -> None:
    """A line for every rule and test: every metric with the ends of its interval."""
    lines = (
        [*names, reals, fakes, *metric_cells(metrics)] for names, (reals, fakes, metrics) in rules.items()
    )
    write_csv(path, ["rule", "tested_on", "reals", "fakes", *METRIC_COLUMNS], lines)


def write_patches(path: Path, gallery: Mapping[str, Sequence[Patch]], sets: Mapping[str, Measured]) -> None:
    """A line for every patch of the gallery.

    ``top`` to ``right`` is its part inside the image (rows and columns from 0, bottom and right exclusive);
    ``patch_top``, ``patch_left`` and ``patch_size`` are the whole patch, which may reach into the padding.
    """

    def lines() -> Iterable[Sequence[object]]:
        for row, patches in gallery.items():
            label = ROWS[row][0]
            images = sets[label].images
            for rank, patch in enumerate(patches, 1):
                box = (*patch.inside(*images.shape[:2]), patch.top, patch.left, patch.size)
                numbers = (number(value, DIGITS) for value in (patch.probability, patch.log_odds))
                yield row, rank, label, patch.image, images.paths[patch.image], *box, *numbers

    header = (
        "row", "rank", "label", "image", "path", "top", "bottom", "left", "right", "patch_top", "patch_left",
        "patch_size", "p_fake", "log_odds_fake",
    )  # fmt: skip
    write_csv(path, header, lines())


def write_maps(
    path: Path, sets: Sequence[tuple[str, Measured, Sequence[int], Floats]], field: ReceptiveField
) -> None:
    """A line for every cell of the maps drawn; image "mean" is the mean over the whole set."""
    header = ("set", "label", "image", "row", "column", "centre_row", "centre_column", "p_fake")
    lines = (
        (one.images.name, label, name, row, column, field.centre(row), field.centre(column),
         number(float(value), DIGITS))
        for label, one, places, maps in sets
        for name, values in zip(["mean", *places], [one.mean_map, *maps], strict=True)
        for (row, column), value in np.ndenumerate(values)
    )  # fmt: skip
    write_csv(path, header, lines)


def write_exaggeration(path: Path, pairs: Sequence[Exaggerated], options: PatchOptions) -> None:
    """A line for every image and direction; "original" has no change."""
    header = (
        "label", "image", "towards", "strength_rms", "steps", "p_fake", "log_odds_fake",
        "rms_change_grey_levels",
    )  # fmt: skip
    lines = (
        (one.label, place, name, *((options.strength, options.steps) if name in TOWARDS else (0, 0)),
         *(number(float(part[name][k]), DIGITS) for part in (one.p_fake, one.log_odds, one.rms)))
        for one in pairs
        for name in one.images
        for k, place in enumerate(one.places)
    )  # fmt: skip
    write_csv(path, header, lines)


def write_fields(path: Path, table: Sequence[TableRow], side: int) -> None:
    """The receptive-field table, with the number of patches at the published size and at this one."""
    header = (
        "backbone", "depth", "patch_pixels", "stride_pixels", "first_edge_pixel", "channels",
        "published_side", "patches_across_at_published_side", f"patches_across_at_{side}",
    )  # fmt: skip
    sides = [*PUBLISHED_SIDE.values(), side]
    write_csv(path, header, [
        (row.backbone, row.depth, row.field.size, row.field.stride, row.field.start, row.channels,
         PUBLISHED_SIDE[row.backbone], row.grids[sides.index(PUBLISHED_SIDE[row.backbone])], row.grids[-1])
        for row in table
    ])  # fmt: skip


# --------------------------------------------------------------------------------------------------- report


def view_results(
    about: Mapping[str, Any],
    parts: Mapping[str, HeldOut],
    rules: Rules,
    sets: Mapping[str, Measured],
    gallery: Mapping[str, Sequence[Patch]],
    pairs: Sequence[Exaggerated],
    options: PatchOptions,
) -> dict[str, Any]:
    """Everything the report says, as JSON values."""

    def rounded(value: float) -> float:
        return round(float(value), DIGITS)

    def mean(values: Iterable[Any]) -> float:
        return rounded(np.concatenate(list(values)).mean())

    return {
        "detector": dict(about),
        "sets": {
            label: {"name": part.images.name, "images": len(part.images), "held_out": part.known,
                    "sentence": part.sentence(),
                    "mean_map": [[rounded(value) for value in row] for row in sets[label].mean_map]}
            for label, part in parts.items()
        },
        "ensembles": [
            {"rule": rule, "tested_on": tested_on, "reals": reals, "fakes": fakes,
             "metrics": {name: value.as_list() for name, value in metrics.items()}}
            for (rule, tested_on), (reals, fakes, metrics) in rules.items()
        ],
        "gallery": {row: [rounded(patch.probability) for patch in own] for row, own in gallery.items()},
        "exaggeration": {
            "strength": options.strength, "steps": options.steps,
            "p_fake": {name: mean(one.p_fake[name] for one in pairs) for name in ("original", *TOWARDS)},
            "rms_grey_levels": {name: mean(one.rms[name] for one in pairs) for name in TOWARDS},
        },
    }  # fmt: skip


def view_text(
    results: Mapping[str, Any], table: Sequence[TableRow], side: int, findings: Sequence[str], command: str
) -> str:
    """The report in Markdown, from `view_results`, the receptive fields and the images' side."""
    about, sets = results["detector"], results["sets"]
    parts = [
        "# What the patch detector sees\n",
        f"Detector: {about['system'] or 'a patch detector'}, trained on "
        f"{', '.join(about['trained_on']) or 'unknown sets'}; every output judges a patch of "
        f"{about['patch']}x{about['patch']} pixels, {about['stride']} pixels apart.\n\n"
        + "\n".join(f"- {one['sentence']}" for one in sets.values())
        + "\n",
    ]
    parts += [f"Command: `{command}`\n"] if command else []
    parts += ["Told by the guards:\n" + "".join(f"- {one}\n" for one in findings)] if findings else []
    ranges = [f"{row}: {min(p):.3f} to {max(p):.3f}" for row, p in results["gallery"].items() if p]
    walk = results["exaggeration"]
    p, rms = walk["p_fake"], walk["rms_grey_levels"]
    return "\n".join([
        *parts,
        "## Ensembling rules\n", rules_words(results["ensembles"], about["rule"]),
        rules_table(results["ensembles"]),
        "## Where\n", where_words(sets), "![heat maps](heat_maps.png)\n",
        "## The most telling patches\n",
        "One patch an image, ranked by the detector's log-odds; the last two rows are the most wrong ones. "
        f"Probabilities of fake: {'; '.join(ranges)}. Coordinates are in patches.csv.\n",
        "![patches](patches.png)\n",
        "## Exaggeration\n",
        f"{walk['steps']} gradient steps on the mean log-odds of the patches, together "
        f"{walk['strength']:g} root mean square (values in [-1, 1]), then rounded to bytes. Mean "
        f"probability of fake {p['original']:.3f} before, {p['fake']:.3f} after the walk towards fake "
        f"({rms['fake']:.2f} grey levels) and {p['real']:.3f} after the walk towards real "
        f"({rms['real']:.2f} grey levels). The pictures are in exaggerated/.\n",
        "![exaggeration](exaggeration.png)\n",
        "## Receptive fields\n", FIELDS, fields_table(table, side),
    ])  # fmt: skip


def rules_words(records: Sequence[Mapping[str, Any]], own: str) -> str:
    """What the rules are, which one the detector has, and whether the choice matters here."""
    values = {one["rule"]: one["metrics"]["balanced_accuracy"] for one in records if one["tested_on"] != NULL}
    worst, *_, best = sorted(values, key=lambda rule: values[rule][0])
    apart = 100 * (values[best][0] - values[worst][0])
    if values[best][1] > values[worst][2]:
        said = f"{_plain(best)} does better than {_plain(worst)}: their intervals do not overlap"
    else:
        said = "the intervals of the rules overlap, so that none is shown to be better"
    return (
        "An image's probability of fake is the mean of its patches' probabilities, the probability of the "
        "mean logits, or the share of patches that vote fake; this detector was saved with "
        f"{_plain(own)}. In brackets the 95 % bootstrap interval over images. '{NULL}' is one half of the "
        f"reals against the other: so much means nothing. Balanced accuracies differ by up to {apart:.1f} "
        f"percentage points; {said}.\n"
    )


def _plain(rule: str) -> str:
    return rule.replace("_", " ")


def rules_table(records: Sequence[Mapping[str, Any]]) -> str:
    """A line for every rule and test set."""
    lines = (
        [
            _plain(one["rule"]),
            one["tested_on"],
            *(shown(Interval(*one["metrics"][name])) for name in SHOWN),
        ]
        for one in records
    )
    return markdown(["rule", "tested on", *SHOWN.values()], lines)


def where_words(sets: Mapping[str, Any]) -> str:
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


def fields_table(table: Sequence[TableRow], side: int) -> str:
    """The receptive-field table; grids at the published size and at ``side``."""
    sides = [*PUBLISHED_SIDE.values()]
    lines = []
    for row in table:
        published = PUBLISHED_SIDE[row.backbone]
        name = f"{row.backbone}, {'block' if row.backbone == 'xception' else 'layer'} {row.depth}"
        grid = f"{row.grids[sides.index(published)]} at {published}"
        lines.append(
            [name, row.field.size, row.field.stride, row.field.start, grid, row.grids[-1] or "too small"]
        )
    columns = ["network", "patch", "stride", "first edge", "patches across, published size"]
    return markdown([*columns, f"patches across at {side}"], lines)
