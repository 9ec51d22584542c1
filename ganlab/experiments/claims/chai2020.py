"""Chai et al. 2020: networks that see small patches, telling patches, images moved by what tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ganlab.experiments.claims.detecting import Arena, accuracy, beyond, matrix_drawing
from ganlab.experiments.claims.drawing import Floats, bars, curves
from ganlab.experiments.claims.outcome import Drawing, Experiment, Outcome, Part, Published, Table, Verdict
from ganlab.experiments.claims.outcome import shown as text_of
from ganlab.experiments.claims.setting import Setting
from ganlab.experiments.detection.measure import Record, fit
from ganlab.experiments.patches.figures import draw_exaggeration, draw_gallery, draw_heat_maps
from ganlab.experiments.patches.measure import (
    TOWARDS,
    Exaggerated,
    compare_rules,
    exaggerate_set,
    measure_set,
)
from ganlab.experiments.patches.tables import ROWS
from ganlab.forensics import NULL, PRESETS, Interval, NetDetector, System
from ganlab.forensics.nets.patch import receptive_table
from ganlab.forensics.nets.patch_maps import most_telling, patch_field, patch_maps, patch_network
from ganlab.images import UInt8Array, to_float
from ganlab.spectra import decibels, profile_set

SYSTEMS = PRESETS["chai2020"].systems
"""Xception cut after its first, second and third block, ResNet-18 after its first layer."""
STRENGTH, STEPS = 0.1, 10
"""Of the exaggeration: length of the walk (root mean square, images span 2) and its steps."""
MOVED, DRAWN, COLUMNS = 100, 2, 7
"""Images of each set that are moved for the numbers, and for the picture; maps and patches in a row."""
ALIKE = 0.9
"""Accuracy on other generators' images from which on a detector is said to carry over."""


def title(system: System) -> str:
    """``Xception block 1, 19 px``: what is kept of the network and what one of its outputs sees."""
    backbone, depth = system.detector_options.get("backbone", "xception"), system.detector_options["depth"]
    field = next(row.field for row in receptive_table() if (row.backbone, row.depth) == (backbone, depth))
    kept = f"Xception block {depth}" if backbone == "xception" else f"ResNet-18 layer {depth}"
    return f"{kept}, {field.size} px"


def run(setting: Setting) -> Outcome:
    """Every truncated network on every source; the smallest patches looked at and exaggerated."""
    real, fakes = setting.real, setting.fakes
    chosen = {title(s): s.with_detector_options({"epochs": setting.scale.epochs}) for s in SYSTEMS}
    arena = Arena(setting, "patches", real, fakes, repeats=1)
    records = arena.transfer(list(chosen.values()), (*arena.sources, NULL))
    names, first = arena.sources, next(iter(chosen.values()))
    side = real.shape[0]
    grids = {(row.backbone, row.depth): row for row in receptive_table([side])}
    own = {
        name: {
            source: accuracy(records, system=system.name, trained_on=source, tested_on=source)
            for source in (*names, NULL)
        }
        for name, system in chosen.items()
    }
    others = {name: _carried(records, system, names) for name, system in chosen.items()}
    rows = []
    for name, system in chosen.items():
        row = grids[system.detector_options.get("backbone", "xception"), system.detector_options["depth"]]
        rows.append([name, row.field.size, row.field.stride, f"{row.grids[0]}x{row.grids[0]}",
                     *(text_of(interval) for interval in own[name].values()),
                     text_of(others[name]) if len(names) > 1 else ""])  # fmt: skip
    fields = Table(
        "fields", "Receptive fields and accuracy",
        ("network", "patch (px)", "stride (px)", f"patches at {side} px", *names, NULL, "on other sources"),
        rows,
        "Balanced accuracy of the mean of the patches' probabilities, on held-out images. On other sources: "
        "mean and range over all pairs. A patch as large as the image sees all of it.",
    )  # fmt: skip
    detected = bars(
        "detectors", "Balanced accuracy by receptive field, each source by itself.",
        {name: {source: own[name][source] for source in (*names, NULL)} for name in chosen},
        "balanced accuracy", 0.5, (0.3, 1.03),
    )  # fmt: skip
    # Pictures take the network itself; it is the one whose rows were kept, fitted again.
    bench = arena.bench(setting.seed)
    detector = fit(bench, first, names[0], [names[0]], setting.seed).detector
    tests = {
        label: bench.images(name).subset(bench.splits[name].test)
        for label, name in (("real", bench.real.name), ("fake", names[0]))
    }
    looks, rules = _looks(setting, detector, tests)
    moved = {
        label: exaggerate_set(detector, label, images, min(MOVED, len(images)), STRENGTH, STEPS)
        for label, images in tests.items()
    }
    transfer = [
        matrix_drawing(f"transfer-{k}", records, system.name, f"{name}: trained on row, tested on column.")
        for k, (name, system) in enumerate(chosen.items()) if k in (0, len(chosen) - 2)
    ]  # fmt: skip
    smallest = next(iter(chosen))
    parts = [
        Part("How small a patch is enough?", tables=[fields], drawings=[detected]),
        Part("One generator's detector on another's images", drawings=transfer if len(names) > 1 else []),
        Part(
            "Telling patches", [f"{smallest}, fitted on {names[0]}; images that it did not see."], [rules],
            looks,
        ),
        Part(
            "Exaggeration",
            [f"Images of the test moved {STEPS} steps along the gradient of the log-odds of {smallest}, "
             f"{STRENGTH:g} in all (root mean square; images span 2), and rounded to bytes. What both "
             "directions add alike belongs to the detector, whose layers take every other pixel, and not to "
             "fakes."],
            [_changes(moved)], [_spectrum(moved), _pictures(detector, tests)],
        ),
    ]  # fmt: skip
    return _judged(own, others, moved, parts, arena.warnings)


def _carried(records: list[Record], system: System, names: tuple[str, ...]) -> Interval:
    """Mean and range of the accuracy on sources that the detector was not fitted on."""
    pairs = [(a, b) for a in names for b in names if a != b] or [(names[0], names[0])]
    values = [accuracy(records, system=system.name, trained_on=a, tested_on=b).value for a, b in pairs]
    return Interval(float(np.mean(values)), min(values), max(values))


def _looks(setting: Setting, detector: NetDetector, tests: Mapping[str, Any]) -> tuple[list[Drawing], Table]:
    """Heat maps, the most telling patches, and the three rules that make an image's score of its patches."""
    field, rule = patch_field(detector), patch_network(detector).ensemble
    sets = {label: measure_set(detector, images) for label, images in tests.items()}
    maps = []
    for label, measured in sets.items():
        places = [int(index) for index in measured.images.spaced(COLUMNS)]
        values = patch_maps(detector, to_float(measured.images.read(places)).numpy())
        maps.append((label, measured, places, values))
    gallery = {
        row: most_telling(sets[label].most_fake if fake else sets[label].most_real, COLUMNS, fake)
        for row, (label, fake) in ROWS.items()
    }
    drawings = [
        Drawing(
            "heat-maps", draw_heat_maps(maps, field, rule),
            "Images with the probability of fake at every place below, and the mean map of each set.",
            ("set", "row", *(f"column {k}" for k in range(sets["real"].mean_map.shape[1]))),
            [[label, y, *row] for label, m in sets.items() for y, row in enumerate(m.mean_map.tolist())],
            ink=False,
        ),
        Drawing(
            "telling", draw_gallery(gallery, sets),
            "The most telling patches of reals and fakes, one an image.",
            ("question", "image", "top", "left", "size", "probability of fake"),
            [
                [name, p.image, p.top, p.left, p.size, p.probability]
                for name, own in gallery.items() for p in own
            ],
            ink=False,
        ),
    ]  # fmt: skip
    rules = compare_rules(sets["real"], sets["fake"], setting.scale.resamples, setting.seed)
    rows = [
        [
            name.replace("_", " "),
            tested,
            *(text_of(metrics[m]) for m in ("balanced_accuracy", "average_precision")),
        ]
        for (name, tested), (_, _, metrics) in rules.items()
    ]
    return drawings, Table(
        "rules", "An image's score from its patches",
        ("rule", "tested on", "balanced accuracy", "average precision"), rows,
        "The null is one half of the test's reals against the other.",
    )  # fmt: skip


def _changes(moved: Mapping[str, Exaggerated]) -> Table:
    rows = [
        [label, direction, f"{own.log_odds[direction].mean():+.2f}", f"{own.p_fake[direction].mean():.3f}",
         f"{own.rms[direction].mean():.2f}"]
        for label, own in moved.items() for direction in ("real", "original", "fake")
    ]  # fmt: skip
    header = ("set", "moved towards", "log-odds of fake", "probability of fake", "change (grey levels)")
    note = f"Means over {len(next(iter(moved.values())).places)} images; change: root mean square."
    return Table("exaggerated", "What the detector says of moved images", header, rows, note)


def _spectrum(moved: Mapping[str, Exaggerated]) -> Drawing:
    """Mean radial power of the moved images over that of the same images as they were."""

    def level(images: UInt8Array) -> Floats:
        values: Floats = decibels(profile_set(to_float(images)).profiles["radial"].double().numpy().mean(0))
        return values

    panels = {
        f"{label}s": {
            f"towards {name}": level(own.images[name]) - level(own.images["original"]) for name in TOWARDS
        }
        for label, own in moved.items()
    }
    count = len(next(iter(next(iter(panels.values())).values())))
    return curves(
        "moved", "What exaggeration adds: radial power of the moved images over the same images before.",
        np.arange(count) / (2 * (count - 1)), panels, "frequency (cycles per pixel)",
        "power over before (dB)", zero=True,
    )  # fmt: skip


def _pictures(detector: NetDetector, tests: Mapping[str, Any]) -> Drawing:
    pairs = [exaggerate_set(detector, label, own, DRAWN, STRENGTH, STEPS) for label, own in tests.items()]
    rows = [
        [pair.label, place, name, float(pair.p_fake[name][k]), float(pair.rms[name][k])]
        for pair in pairs for k, place in enumerate(pair.places) for name in ("original", *TOWARDS)
    ]  # fmt: skip
    caption = "Images moved towards real and fake, the probability of fake below, and both changes enlarged."
    header = ("set", "image", "moved towards", "probability of fake", "change (grey levels)")
    return Drawing(
        "exaggeration", draw_exaggeration(pairs, STRENGTH, STEPS), caption, header, rows, ink=False
    )


def _judged(
    own: Mapping[str, Mapping[str, Interval]], others: Mapping[str, Interval],
    moved: Mapping[str, Exaggerated], parts: list[Part], warnings: list[str],
) -> Outcome:  # fmt: skip
    """Do small patches suffice, do they carry over, and does moving an image move the verdict?"""
    smallest, largest = next(iter(own)), list(own)[-2]
    sources = [name for name in own[smallest] if name != NULL]
    seen = [name for name in sources if beyond(own[smallest][name], own[smallest][NULL])]
    odds = {label: {k: float(v.mean()) for k, v in one.log_odds.items()} for label, one in moved.items()}
    here = [
        f"{name}: " + ", ".join(f"{source} {text_of(interval)}" for source, interval in row.items())
        + (f"; on other sources {text_of(others[name])}." if len(sources) > 1 else ".")
        for name, row in own.items()
    ]  # fmt: skip
    here.append(
        "Mean log-odds of fake: " + "; ".join(
            f"{label}s {o['original']:+.1f}, towards fake {o['fake']:+.1f}, towards real {o['real']:+.1f}"
            for label, o in odds.items()
        ) + "."
    )  # fmt: skip
    if not seen:
        verdict, because = Verdict.REFUTED, f"Networks that see {smallest} find none of the sources."
    elif len(seen) == len(sources) and (len(sources) == 1 or others[smallest].value >= ALIKE):
        verdict = Verdict.AT_THIS_SCALE
        because = "The smallest patches give every source away, and what they show carries over to others."
    else:
        verdict = Verdict.SHARPENED
        because = (
            f"{smallest}: {len(seen)} of {len(sources)} sources are found; on other sources than its own it "
            f"is right on {text_of(others[smallest])} (range over pairs), {largest} on "
            f"{text_of(others[largest])}: small patches are enough, and they carry over in part."
        )
    because += " One seed of each generator; fine-tuning a generator against the detector is not repeated."
    numbers = {"own": own, "others": others, "log_odds": odds}
    return Outcome(here, verdict, because, parts, numbers, warnings)


EXPERIMENT = Experiment(
    title="Networks that see small patches: receptive fields, telling patches, exaggeration",
    source="Chai et al. 2020, arXiv 2008.10588",
    published=(
        Published("A network cut off early judges every patch; an image's score is their mean", "code"),
        Published("What detectors see can be exaggerated; a generator tuned against one still leaves "
                  "artifacts in some patches", "abstract"),
        Published("Where reals and fakes were saved differently, detectors seemed to generalise and had not "
                  "learned the task", "README"),
        Published("Trained on 4 ProGAN classes, its mean accuracy over 8 generators is 80.7 %",
                  "README of NPR (Tan et al. 2024)"),
    ),
    minutes=4.3,
    needs="nothing: generators of the zoo (or --real with --fake)",
    run=run,
    generators=("dcgan-transposed", "dcgan-nearest", "dcgan-bilinear"),
)  # fmt: skip
