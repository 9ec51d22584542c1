"""``ganlab evade``: a generator tuned against a frozen detector; does a fresh one find it again?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.data import open_image_set
from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.detection.measure import Record
from ganlab.experiments.detection.tables import write_records
from ganlab.experiments.evasion.figures import draw_detectors, draw_evasion, draw_pairs
from ganlab.experiments.evasion.fresh import (
    AFTER,
    BEFORE,
    Trio,
    compare_spectra,
    fresh_systems,
    frozen_records,
    frozen_scores,
    train_fresh,
    wasserstein_draws,
)
from ganlab.experiments.evasion.report import Evasion, evade_results, evade_text, write_tables
from ganlab.experiments.evasion.tuning import tune, tuned_generator
from ganlab.experiments.patches.folder import REPORT, ResultsFolder
from ganlab.experiments.patches.measure import held_out
from ganlab.experiments.patches.options import EvadeOptions
from ganlab.forensics import NetDetector, SavedDetector, load_detector
from ganlab.forensics.protocol.near import identities, look
from ganlab.generation import generate_images
from ganlab.images import UInt8Array
from ganlab.models import Generator, load_generator
from ganlab.models.store import generator_file
from ganlab.results.style import save_figure
from ganlab.util.atomic import atomic_path, write_text
from ganlab.util.hashing import derive_seed, sha256_file

FORMAT = "ganlab-evade-1"


@dataclass(frozen=True)
class EvadeReport:
    """What was found.

    Attributes:
        out: the results folder; ``out/tuned`` is a run folder for ``ganlab generate``.
        text: the report in Markdown.
        was_complete: the folder already held these results; nothing was computed.
    """

    out: Path
    text: str
    was_complete: bool = False


def evade(
    run: str | os.PathLike[str],
    model: str | os.PathLike[str],
    real: ImageSet,
    out: str | os.PathLike[str],
    options: EvadeOptions | None = None,
    command: str = "",
) -> EvadeReport:
    """Tune a generator until a frozen detector calls its images real; look for them with fresh detectors.

    The same call continues what was interrupted: the tuning from its last state, the fresh detectors one by
    one.

    Args:
        run: run folder or file of the generator.
        model: a network detector on pixels that ``ganlab detect`` saved.
        real: real images, of the kind the detector was trained on.
        out: results folder.
        options: how long and how thoroughly.
        command: what the user typed, for the record.

    Raises:
        GanlabError: no such detector or generator, other image sizes, an unfair comparison, or a folder that
            holds something else.
    """
    options = options or EvadeOptions()
    saved, detector = load_pixel_network(Path(model))
    generator = load_generator(run, options.weights)
    _check_sizes(saved, real, generator)
    identity = {
        "format": FORMAT, "generator": sha256_file(generator_file(run)), "detector": sha256_file(model),
        "real": real.fingerprint(), "options": dict(options.as_json()),
    }  # fmt: skip
    folder = ResultsFolder(Path(out), "evade", identity)
    with folder.open(command) as place:
        if folder.is_complete:
            return EvadeReport(place, folder.text(), was_complete=True)
        experiment = _Experiment(folder, saved, detector, options)
        return experiment.run(Path(run), Path(model), generator, real, command)


def load_pixel_network(file: Path) -> tuple[SavedDetector, NetDetector]:
    """A saved detector of reals and fakes that passes a gradient on to the pixels.

    Raises:
        GanlabError: no such file, or a detector of another kind: says which, and what makes the right one.
    """
    saved = load_detector(file)
    if not isinstance(saved.detector, NetDetector) or saved.feature != "pixels":
        kind = getattr(saved.detector, "network", "classical")
        raise GanlabError(
            f"{file} holds a {kind} detector on {saved.feature!r}; a generator is tuned against a network on "
            "pixels, which passes a gradient on (make one with 'ganlab detect ... --system pixels+patch')"
        )
    if len(saved.detector.classes_) != 2:
        raise GanlabError(f"{file} names {len(saved.detector.classes_)} sources; two classes are needed")
    return saved, saved.detector


def _check_sizes(saved: SavedDetector, real: ImageSet, generator: Generator) -> None:
    height, width, channels = saved.image_shape
    made = (generator.image_size, generator.image_size, 3)
    for name, shape in ((real.name, real.shape), ("the generator", made)):
        if shape != saved.image_shape:
            raise GanlabError(
                f"{name} has images of {shape[1]}x{shape[0]}x{shape[2]}; the detector was fitted on "
                f"{width}x{height}x{channels}: train one on this size with 'ganlab detect'"
            )


class _Experiment:
    """The steps of the experiment; each finds on disk what an earlier call finished."""

    def __init__(
        self, folder: ResultsFolder, saved: SavedDetector, detector: NetDetector, options: EvadeOptions
    ) -> None:
        self.folder, self.place = folder, folder.path
        self.saved, self.detector, self.options = saved, detector, options

    def run(self, run: Path, model: Path, generator: Generator, real: ImageSet, command: str) -> EvadeReport:
        """All of it, results.json last."""
        options = self.options
        curve = tune(self.place, run, self.detector, model, options)
        before = self._fakes(BEFORE, generator)
        after = self._fakes(AFTER, tuned_generator(self.place))
        chosen = real.subset(real.spaced(options.num))
        trio = Trio(chosen, before, after, options.allow)
        kept = held_out(model, real, identities([look(real)])[0], options.num)
        scores = frozen_scores(self.saved, kept.images, before, after)
        name = str(self.saved.record.get("system", self.detector.network))
        systems = fresh_systems(self.detector, options)
        records: list[Record] = frozen_records(scores, name, options)
        records += train_fresh(self.place / "parts", trio, systems, options)
        pixels = [one.read(np.arange(len(one))) for one in (chosen, before, after)]
        found = Evasion(
            frozen=name, systems=tuple(one.name for one in systems), curve=curve, records=records,
            scores=scores, held_out=kept, images=(pixels[0], pixels[1], pixels[2]),
            wasserstein=wasserstein_draws(pixels[0], pixels[1], pixels[2], options.seed),
            spectra=compare_spectra(pixels[0], pixels[1], pixels[2], options.resamples, options.seed),
            options=options,
        )  # fmt: skip
        return self._write(found, [f"{one.guard}: {one.message}" for one in trio.findings], command)

    def _fakes(self, name: str, generator: Generator) -> ImageSet:
        """The same latents before and after, none of them those of ``ganlab generate``."""
        file = self.place / "fakes" / f"{name}.npy"
        if not file.is_file():
            seed = derive_seed(self.options.seed, "evade/fakes")
            _save_array(file, generate_images(generator, seed, 0, self.options.num))
        return open_image_set(file)

    def _write(self, found: Evasion, findings: list[str], command: str) -> EvadeReport:
        write_records(self.place / "records.csv", found.records)
        write_tables(self.place, found)
        figures: dict[str, Any] = {
            "evasion": draw_evasion(found), "detectors": draw_detectors(found), "pairs": draw_pairs(found),
        }  # fmt: skip
        for name, figure in figures.items():
            save_figure(figure, self.place / name)
        text = evade_text(found, findings, command)
        write_text(self.place / REPORT, text)
        self.folder.finish({"findings": findings, **evade_results(found)})
        return EvadeReport(self.place, text)


def _save_array(path: Path, images: UInt8Array) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, images)
