"""``ganlab patches``: what a saved patch detector sees in reals and fakes, as figures, tables and words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.patches.figures import draw_exaggeration, draw_gallery, draw_heat_maps
from ganlab.experiments.patches.measure import (
    Floats,
    HeldOut,
    Measured,
    compare_rules,
    exaggerate_set,
    held_out,
    measure_set,
)
from ganlab.experiments.patches.options import PatchOptions
from ganlab.experiments.patches.page import page
from ganlab.experiments.patches.tables import (
    ROWS,
    view_results,
    view_text,
    write_exaggeration,
    write_fields,
    write_image_scores,
    write_maps,
    write_patches,
    write_rules,
)
from ganlab.forensics import NetDetector, SavedDetector, check, load_detector
from ganlab.forensics.nets.patch import PUBLISHED_SIDE, receptive_table
from ganlab.forensics.nets.patch_maps import most_telling, patch_field, patch_maps, patch_network
from ganlab.images import to_float
from ganlab.results.folder import PAGE, ResultsFolder, describe_sets
from ganlab.results.page import write_page
from ganlab.results.report import REPORT, JobReport
from ganlab.results.style import save_figure
from ganlab.util.atomic import atomic_path, write_text
from ganlab.util.hashing import sha256_file
from ganlab.util.reading import read_text


def view_patches(
    model: str | os.PathLike[str],
    real: ImageSet,
    fake: ImageSet,
    out: str | os.PathLike[str],
    options: PatchOptions | None = None,
    command: str = "",
    force: bool = False,
) -> JobReport:
    """Heat maps, telling patches, exaggerated pairs, receptive fields, and the ensembling rules compared.

    Args:
        model: a patch detector saved by ``ganlab detect``.
        real: real images.
        fake: fake images.
        out: results folder; the same question again leaves finished results alone.
        options: how much is shown.
        command: what the user typed, for the record.
        force: make all anew, also in the place of another experiment of this verb.

    Raises:
        GanlabError: no patch detector, other image sizes, an unfair comparison, or a folder that holds
            something else.
    """
    options = options or PatchOptions()
    file = Path(model)
    saved, detector = load_patch_detector(file)
    check_shape(saved, (real.name, real.shape), (fake.name, fake.shape))
    identity = {
        "detector": sha256_file(file), "real": real.fingerprint(), "fake": fake.fingerprint(),
        "options": options.as_json(),
    }  # fmt: skip
    folder = ResultsFolder(out, "patches", identity, inputs=describe_sets([real, fake]))
    with folder.open(command, force) as place:
        if folder.is_complete:
            if not (place / PAGE).is_file():  # a kill came between the results and their page
                write_page(place, page(place))
            return JobReport(place, read_text(place / REPORT), was_complete=True)
        checked = check(real, [fake], options.allow)
        parts = {
            label: held_out(file, images, checked.hashes[images.name], options.limit)
            for label, images in (("real", real), ("fake", fake))
        }
        findings = [f"{one.guard}: {one.message}" for one in checked.findings]
        return _view(folder, saved, detector, options, parts, findings, command)


def load_patch_detector(file: Path) -> tuple[SavedDetector, NetDetector]:
    """A saved detector of two classes whose network judges patches of pixels.

    Raises:
        GanlabError: no such file, or a detector of another kind: says which, and what makes the right one.
    """
    if file.is_dir():
        there = sorted(path.relative_to(file).as_posix() for path in file.rglob("*.safetensors"))
        hint = f"; there are {', '.join(there[:5])}" if there else ""
        raise GanlabError(f"{file} is a folder: give the detector's file{hint}")
    saved = load_detector(file)
    kind = getattr(saved.detector, "network", None) or "classical"
    if not isinstance(saved.detector, NetDetector) or kind != "patch" or saved.feature != "pixels":
        raise GanlabError(
            f"{file} is no patch detector but a {kind} one on {saved.feature!r} "
            "(make one with 'ganlab detect REAL FAKE --system pixels+patch' or '--preset chai2020')"
        )
    patch_network(saved.detector)
    return saved, saved.detector


def check_shape(saved: SavedDetector, *shapes: tuple[str, tuple[int, int, int]]) -> None:
    """Refuse images of another size than the detector's.

    Args:
        saved: the detector.
        shapes: name and ``(H, W, C)`` of what makes or holds images.

    Raises:
        GanlabError: naming the set and both sizes.
    """
    for name, shape in shapes:
        if shape != saved.image_shape:
            own, fitted = ("{1}x{0}x{2}".format(*one) for one in (shape, saved.image_shape))
            raise GanlabError(
                f"{name} has images of {own}; the detector was fitted on {fitted}. Crop them "
                "(resizing leaves traces), or train a detector on this size with 'ganlab detect'"
            )


def _view(
    folder: ResultsFolder,
    saved: SavedDetector,
    detector: NetDetector,
    options: PatchOptions,
    parts: dict[str, HeldOut],
    findings: Sequence[str],
    command: str,
) -> JobReport:
    """Measure both sets; write every table and figure."""
    place, field, rule = folder.path, patch_field(detector), patch_network(detector).ensemble
    sets = {label: measure_set(detector, part.images) for label, part in parts.items()}
    rules = compare_rules(sets["real"], sets["fake"], options.resamples, options.seed)
    write_image_scores(place / "image_scores.csv", sets)
    write_rules(place / "ensembles.csv", rules)

    maps: list[tuple[str, Measured, list[int], Floats]] = []
    for label, one in sets.items():
        # evenly spaced images: not chosen by what they show
        shown = [int(index) for index in one.images.spaced(options.shown)]
        maps.append((label, one, shown, patch_maps(detector, to_float(one.images.read(shown)).numpy())))
    write_maps(place / "heat_maps.csv", maps, field)
    save_figure(draw_heat_maps(maps, field, rule), place / "heat_maps")

    gallery = {}
    for row, (label, fake) in ROWS.items():
        extremes = sets[label].most_fake if fake else sets[label].most_real
        gallery[row] = most_telling(extremes, options.gallery, fake)
    write_patches(place / "patches.csv", gallery, sets)
    save_figure(draw_gallery(gallery, sets), place / "patches")

    pairs = [
        exaggerate_set(detector, label, one.images, options.pairs, options.strength, options.steps)
        for label, one in sets.items()
    ]
    write_exaggeration(place / "exaggeration.csv", pairs, options)
    for pair in pairs:
        for name, images in pair.images.items():
            for index, image in zip(pair.places, images, strict=True):
                with atomic_path(place / "exaggerated" / f"{pair.label}-{index:05d}-{name}.png") as temporary:
                    # of one channel: PIL wants no axis for it
                    Image.fromarray(np.squeeze(image, 2) if image.shape[2] == 1 else image).save(
                        temporary, format="PNG"
                    )
    save_figure(draw_exaggeration(pairs, options.strength, options.steps), place / "exaggeration")

    side = saved.image_shape[0]
    table = receptive_table([*PUBLISHED_SIDE.values(), side])
    write_fields(place / "receptive_fields.csv", table, side)
    about = {
        "system": saved.record.get("system", ""), "trained_on": saved.record.get("trained_on", []),
        "options": dict(detector.description()["options"]), "rule": rule,
        "patch": field.size, "stride": field.stride,
    }  # fmt: skip
    results = view_results(about, parts, rules, sets, gallery, pairs, options)
    text = view_text(results, table, side, findings, command)
    write_text(place / REPORT, text)
    folder.finish({"findings": findings, **results}, findings)
    write_page(place, page(place))
    return JobReport(place, text)
