"""``ganlab evade``: a generator tuned against a frozen detector; does a fresh one find it again?"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ganlab.data import open_image_set
from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.detection.tables import write_records
from ganlab.experiments.evasion.figures import draw_detectors, draw_evasion, draw_pairs
from ganlab.experiments.evasion.measure import (
    AFTER,
    BEFORE,
    Evasion,
    Trio,
    compare_spectra,
    fresh_systems,
    frozen_records,
    train_fresh,
    wasserstein_draws,
)
from ganlab.experiments.evasion.options import EvadeOptions
from ganlab.experiments.evasion.page import page
from ganlab.experiments.evasion.tables import evade_results, evade_text, write_tables
from ganlab.experiments.evasion.tuning import TUNED, tune
from ganlab.experiments.patches.measure import held_out
from ganlab.experiments.patches.run import check_shape
from ganlab.forensics import (
    NetDetector,
    SavedDetector,
    extract,
    load_detector,
    log_odds,
    score_images,
)
from ganlab.forensics.protocol.near import identities, look
from ganlab.generation import generate_images
from ganlab.models import Generator, load_generator
from ganlab.models.store import generator_file
from ganlab.results.folder import PAGE, ResultsFolder, describe_sets
from ganlab.results.page import write_page
from ganlab.results.report import REPORT, JobReport
from ganlab.results.style import save_figure
from ganlab.util.atomic import atomic_path, write_text
from ganlab.util.hashing import derive_seed, sha256_file
from ganlab.util.reading import read_text


def evade(
    run: str | os.PathLike[str],
    model: str | os.PathLike[str],
    real: ImageSet,
    out: str | os.PathLike[str],
    options: EvadeOptions | None = None,
    command: str = "",
    force: bool = False,
) -> JobReport:
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
        force: make all anew, also in the place of another experiment of this verb.

    Raises:
        GanlabError: no such detector or generator, other image sizes, an unfair comparison, or a folder that
            holds something else.
    """
    options = options or EvadeOptions()
    saved, detector = load_pixel_network(Path(model))
    generator = load_generator(run, options.weights)
    check_shape(saved, (real.name, real.shape), ("the generator", (generator.image_size,) * 2 + (3,)))
    identity = {
        "generator": sha256_file(generator_file(run)), "detector": sha256_file(model),
        "real": real.fingerprint(), "options": options.as_json(),
    }  # fmt: skip
    folder = ResultsFolder(out, "evade", identity, inputs=describe_sets([real]))
    with folder.open(command, force) as place:
        if folder.is_complete:
            if not (place / PAGE).is_file():  # a kill came between the results and their page
                write_page(place, page(place))
            return JobReport(place, read_text(place / REPORT), was_complete=True)
        curve = tune(place, Path(run), detector, Path(model), options)
        fakes = {name: _fakes(place / "fakes" / f"{name}.npy", made, options) for name, made in
                 ((BEFORE, generator), (AFTER, load_generator(place / TUNED)))}  # fmt: skip
        chosen = real.subset(real.spaced(options.num))
        trio = Trio(chosen, fakes[BEFORE], fakes[AFTER], options.allow)
        kept = held_out(Path(model), real, identities([look(real)])[0], options.num)
        judged = {"real": kept.images, **fakes}
        scores = {name: np.clip(score_images(saved, one).fake, 0, 1) for name, one in judged.items()}
        ranked = {
            name: np.stack([scores[name], log_odds(detector, extract(saved.make_feature(), one))])
            for name, one in judged.items()
        }
        name = str(saved.record.get("system", detector.network))
        systems = fresh_systems(detector, options)
        records = frozen_records(ranked, name, options)
        records += train_fresh(place / "parts", trio, systems, options)
        reals, before, after = (
            one.read(np.arange(len(one))) for one in (chosen, fakes[BEFORE], fakes[AFTER])
        )
        measured = Evasion(
            frozen=name, systems=tuple(one.name for one in systems), curve=curve, records=records,
            scores=scores, held_out=kept, images=(reals, before, after),
            wasserstein=wasserstein_draws(reals, before, after, options.seed),
            spectra=compare_spectra(reals, before, after, options.resamples, options.seed),
            options=options,
        )  # fmt: skip
        return _write(folder, measured, [f"{one.guard}: {one.message}" for one in trio.findings], command)


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


def _fakes(file: Path, generator: Generator, options: EvadeOptions) -> ImageSet:
    """The same latents before and after, none of them those of ``ganlab generate``; made once."""
    if not file.is_file():
        images = generate_images(generator, derive_seed(options.seed, "evade/fakes"), 0, options.num)
        with atomic_path(file) as temporary, temporary.open("wb") as stream:
            np.save(stream, images)
    return open_image_set(file)


def _write(folder: ResultsFolder, measured: Evasion, findings: list[str], command: str) -> JobReport:
    """Tables, figures and the report."""
    place = folder.path
    write_records(place / "records.csv", measured.records)
    write_tables(place, measured)
    save_figure(draw_evasion(measured), place / "evasion")
    save_figure(draw_detectors(measured), place / "detectors")
    save_figure(draw_pairs(measured), place / "pairs")
    text = evade_text(measured, findings, command)
    write_text(place / REPORT, text)
    folder.finish({"findings": findings, **evade_results(measured)}, findings)
    write_page(place, page(place))
    return JobReport(place, text)
