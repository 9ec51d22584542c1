"""``ganlab patches``: what a saved patch detector sees in reals and fakes, as figures, tables and words."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.patches.figures import (
    Exaggerated,
    draw_exaggeration,
    draw_gallery,
    draw_heat_maps,
    exaggerate_set,
)
from ganlab.experiments.patches.folder import REPORT, ResultsFolder
from ganlab.experiments.patches.measure import Floats, HeldOut, Measured, compare_rules, held_out, measure_set
from ganlab.experiments.patches.options import PatchOptions
from ganlab.experiments.patches.report import view_results, view_text
from ganlab.experiments.patches.tables import (
    ROWS,
    write_fields,
    write_image_scores,
    write_maps,
    write_patches,
    write_rules,
)
from ganlab.experiments.spectra.tables import number, write_csv
from ganlab.forensics import NetDetector, Patch, SavedDetector, check, load_detector
from ganlab.forensics.nets.patch import PUBLISHED_SIDE, receptive_table
from ganlab.forensics.nets.patch_maps import (
    most_telling,
    patch_field,
    patch_logits,
    patch_maps,
    patch_network,
)
from ganlab.images import to_float
from ganlab.results.style import save_figure
from ganlab.util.atomic import atomic_path, write_text
from ganlab.util.hashing import sha256_file

FORMAT = "ganlab-patches-1"


@dataclass(frozen=True)
class ViewReport:
    """What was found.

    Attributes:
        out: the results folder.
        text: the report in Markdown.
        was_complete: the folder already held these results; nothing was computed.
    """

    out: Path
    text: str
    was_complete: bool = False


def view_patches(
    model: str | os.PathLike[str],
    real: ImageSet,
    fake: ImageSet,
    out: str | os.PathLike[str],
    options: PatchOptions | None = None,
    command: str = "",
) -> ViewReport:
    """Heat maps, telling patches, exaggerated pairs, receptive fields, and the ensembling rules compared.

    Args:
        model: a patch detector saved by ``ganlab detect``.
        real: real images.
        fake: fake images.
        out: results folder; the same question again leaves finished results alone.
        options: how much is shown.
        command: what the user typed, for the record.

    Raises:
        GanlabError: no patch detector, other image sizes, an unfair comparison, or a folder that holds
            something else.
    """
    options = options or PatchOptions()
    file = Path(model)
    saved, detector = load_patch_detector(file)
    check_shape(saved, real, fake)
    identity = {
        "format": FORMAT, "detector": sha256_file(file), "real": real.fingerprint(),
        "fake": fake.fingerprint(), "options": dict(options.as_json()),
    }  # fmt: skip
    folder = ResultsFolder(Path(out), "patches", identity)
    with folder.open(command) as place:
        if folder.is_complete:
            return ViewReport(place, folder.text(), was_complete=True)
        checked = check(real, [fake], options.allow)
        parts = {
            label: held_out(file, images, checked.hashes[images.name], options.limit)
            for label, images in (("real", real), ("fake", fake))
        }
        findings = [f"{one.guard}: {one.message}" for one in checked.findings]
        return _View(folder, saved, detector, options, parts).run(findings, command)


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


def check_shape(saved: SavedDetector, *sets: ImageSet) -> None:
    """Refuse images of another size than the detector's.

    Raises:
        GanlabError: naming the set and both sizes.
    """
    for images in sets:
        if images.shape != saved.image_shape:
            found, wanted = ("x".join(map(str, (w, h, c))) for h, w, c in (images.shape, saved.image_shape))
            raise GanlabError(
                f"{images.name} has images of {found}; the detector was fitted on {wanted}. Crop them "
                "(resizing leaves traces), or train a detector on this size"
            )


class _View:
    """Measures both sets and writes what was found."""

    def __init__(
        self, folder: ResultsFolder, saved: SavedDetector, detector: NetDetector, options: PatchOptions,
        parts: dict[str, HeldOut],
    ) -> None:  # fmt: skip
        self.folder, self.place = folder, folder.path
        self.saved, self.detector, self.options, self.parts = saved, detector, options, parts
        self.rule = patch_network(detector).ensemble
        self.field = patch_field(detector)

    def run(self, findings: list[str], command: str) -> ViewReport:
        """Everything, results.json last."""
        sets = {label: measure_set(self.detector, part.images) for label, part in self.parts.items()}
        records = compare_rules(sets["real"], sets["fake"], self.options.resamples, self.options.seed)
        write_image_scores(self.place / "image_scores.csv", list(sets.items()))
        write_rules(self.place / "ensembles.csv", records)
        self._heat_maps(sets)
        gallery = self._gallery(sets)
        pairs = self._exaggeration(sets)
        side = self.saved.image_shape[0]
        table = receptive_table([*PUBLISHED_SIDE.values(), side])
        write_fields(self.place / "receptive_fields.csv", table, side)
        about = {
            "system": self.saved.record.get("system", ""),
            "trained_on": self.saved.record.get("trained_on", []),
            "options": dict(self.detector.description()["options"]), "rule": self.rule,
            "patch": self.field.size, "stride": self.field.stride,
        }  # fmt: skip
        found = view_results(about, self.parts, records, sets, gallery, pairs, self.options)
        text = view_text(found, table, side, findings, command)
        write_text(self.place / REPORT, text)
        self.folder.finish({"findings": findings, **found})
        return ViewReport(self.place, text)

    def _heat_maps(self, sets: dict[str, Measured]) -> None:
        """Maps of evenly spaced images: not chosen by what they show."""
        shown: list[tuple[str, Measured, list[int], Floats]] = []
        for label, one in sets.items():
            places = [int(place) for place in one.images.spaced(self.options.shown)]
            maps = patch_maps(self.detector, to_float(one.images.read(places)).numpy())
            shown.append((label, one, places, maps))
        write_maps(self.place / "heat_maps.csv", shown, self.field)
        save_figure(draw_heat_maps(shown, self.field, self.rule), self.place / "heat_maps")

    def _gallery(self, sets: dict[str, Measured]) -> dict[str, list[Patch]]:
        found = {}
        for row, (label, fake) in ROWS.items():
            extremes = sets[label].most_fake if fake else sets[label].most_real
            found[row] = most_telling(extremes, self.options.gallery, fake)
        write_patches(self.place / "patches.csv", found, sets)
        save_figure(draw_gallery(found, sets), self.place / "patches")
        return found

    def _exaggeration(self, sets: dict[str, Measured]) -> list[Exaggerated]:
        options = self.options
        pairs = [
            exaggerate_set(self.detector, label, one.images, options.pairs, options.strength, options.steps)
            for label, one in sets.items()
        ]
        write_csv(self.place / "exaggeration.csv", _PAIR, _pair_lines(self.detector, pairs, options))
        for one in pairs:
            for name, images in one.images.items():
                for place, image in zip(one.places, images, strict=True):
                    _save_png(self.place / "exaggerated" / f"{one.label}-{place:05d}-{name}.png", image)
        save_figure(draw_exaggeration(pairs, options.strength, options.steps), self.place / "exaggeration")
        return pairs


_PAIR = (
    "label", "image", "towards", "strength_rms", "steps", "p_fake", "log_odds_fake", "rms_change_grey_levels",
)  # fmt: skip


def _pair_lines(
    detector: NetDetector, pairs: list[Exaggerated], options: PatchOptions
) -> list[tuple[object, ...]]:
    """A line for every image and direction; "original" has no change."""
    lines: list[tuple[object, ...]] = []
    for one in pairs:
        for name, images in one.images.items():
            logits = patch_logits(detector, to_float(images).numpy())
            odds = (logits[:, 1] - logits[:, 0]).mean((1, 2))
            for k, place in enumerate(one.places):
                change = one.rms[name][k] if name in one.rms else 0.0
                walked = (options.strength, options.steps) if name in one.rms else (0, 0)
                numbers = (one.p_fake[name][k], odds[k], change)
                lines.append((one.label, place, name, *walked, *(number(float(v), 6) for v in numbers)))
    return lines


def _save_png(path: Path, image: Any) -> None:
    with atomic_path(path) as temporary:
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(temporary, format="PNG")
