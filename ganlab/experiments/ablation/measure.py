"""One cell: trained, its fakes measured against its reals, and what of that is kept in its folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganlab.config import Config, from_mapping
from ganlab.data import array_image_set, load_training_images, with_masks
from ganlab.data.arrays import npz_array
from ganlab.errors import GanlabError
from ganlab.experiments.ablation.plan import RUN, SPEC
from ganlab.experiments.detection.measure import fit
from ganlab.experiments.detection.measure import measure as measure_detector
from ganlab.forensics import GUARDS, NULL, check, make_bench, systems_of
from ganlab.generation.fidelity import LEVELS, fidelity, mask_fidelity
from ganlab.generation.quality import quality
from ganlab.generation.reconstruct import reconstructed
from ganlab.generation.sampling import generate_images
from ganlab.generation.sources import choose_reals
from ganlab.images import UInt8Array, to_float, to_uint8
from ganlab.models import load_generator, load_network
from ganlab.models.decoders import classes_as_grey, mask_classes
from ganlab.results.tables import plain
from ganlab.spectra import (
    DEVIATIONS,
    SpectrumStatistics,
    profile_set,
    spectral_deviation,
    statistics_of_power,
    summaries,
)
from ganlab.training import DivergedError, train
from ganlab.util.atomic import atomic_path, remove_leftovers, write_json
from ganlab.util.lock import FileLock, InUseError
from ganlab.util.reading import Archive, read_json

LOCK, FAILURE, SAMPLES, SPECTRA = ".cell-lock", "failure.json", "samples.npz", "spectra.npz"
PROFILES = ("radial", "horizontal", "vertical")
SAVED_SAMPLES = 64
CHUNK = 256
"""Images turned into floats at a time."""

NAMES = ("real", "fake", "null", "null_against")
"""Whose mean spectra a cell keeps: the reals that the fakes were measured against, the fakes, one set of
reals, and the reals that share no image with it."""

Spectra = dict[str, SpectrumStatistics]
"""Mean luma power by name out of ``NAMES``."""


def result_file(folder: Path, measure_key: str) -> Path:
    """Where a cell's row is kept; its presence means that the cell is done."""
    return folder / f"result-{measure_key}.json"


def read_result(file: Path) -> dict[str, Any] | None:
    """A cell's result, or its failure; None where there is none, or no readable one."""
    try:
        result = read_json(file)
    except GanlabError:
        return None
    return result if isinstance(result, dict) and "status" in result else None


def cell_lock(folder: Path) -> FileLock:
    """Who holds it works on the cell."""
    return FileLock(folder / LOCK, guarded=folder)


def busy(folder: Path) -> bool:
    """Whether a live process works on the cell."""
    if not folder.exists():
        return False
    try:
        with cell_lock(folder):
            return False
    except InUseError:
        return True


def run_cell(folder: str | Path) -> str:
    """Train, generate and measure what ``cell.json`` in the folder says; resumes what is unfinished.

    Returns:
        "finished", "diverged" (final, with a result file), "failed" (``failure.json`` says why; the next call
        tries again) or "stopped" (by a signal).

    Raises:
        InUseError: another process works on this cell.
    """
    cell = Path(folder)
    with cell_lock(cell):
        remove_leftovers(cell, inside=True)
        spec = read_json(cell / SPEC)
        result = result_file(cell, spec["measure_key"])
        earlier = read_result(result)
        if earlier is not None:
            return str(earlier["status"])
        (cell / FAILURE).unlink(missing_ok=True)
        try:
            outcome = _work(cell, spec)
        except GanlabError as error:
            write_json(cell / FAILURE, {"status": "failed", "reason": _reason(error, cell)})
            return "failed"
        if outcome is None:
            return "stopped"
        write_json(result, outcome)
        return str(outcome["status"])


def _work(cell: Path, spec: dict[str, Any]) -> dict[str, Any] | None:
    """The cell's result; None where a signal stopped the training."""
    config = from_mapping(spec["config"])
    start = time.monotonic()
    try:
        done = train(config, cell / RUN)
    except DivergedError as error:
        return {"status": "diverged", "reason": _reason(error, cell), "step": error.step}
    if not done.finished:
        return None
    trained = time.monotonic() - start
    measured = measure_run(cell, config, spec["generate"], spec["measure"])
    seconds = {"training": trained, "measuring": time.monotonic() - start - trained}
    return {"status": "finished", "step": done.step, "seconds": seconds, **measured}


def _reason(error: Exception, cell: Path) -> str:
    """Its words, with paths from the cell's folder on: results are read on other machines."""
    return str(error).replace(f"{cell}/", "")


def measure_run(
    cell: Path, config: Config, generate: dict[str, Any], measure: dict[str, Any]
) -> dict[str, Any]:
    """Deviations, quality and mean profiles of a trained run against its reals.

    Beside them 64 fakes and 64 reals (``samples.npz``) and mean 2-D spectra (``spectra.npz``) are kept.

    Args:
        cell: the cell's folder, with its run.
        config: of the run.
        generate: ``num``, ``seed``, ``weights``.
        measure: ``resamples``, ``inception``, and maybe ``detect``.

    Raises:
        GanlabError: no generator, no images, or a file cannot be written.
    """
    seed = generate["seed"]
    if config.task == "gan":
        real, held_out = real_images(config, generate["num"], seed)
        fake = generate_images(load_generator(cell / RUN, generate["weights"]), seed, 0, generate["num"])
        near: dict[str, float] = {}
    else:
        real, fake, held_out, near = pairs_of_run(cell, config, generate)
    profiles = {"real": profile_set(to_float(real)), "fake": profile_set(to_float(fake))}
    report = spectral_deviation(
        profiles["real"],
        profiles["fake"],
        metrics=list(DEVIATIONS),
        resamples=measure["resamples"],
        seed=seed,
    )
    _save_arrays(cell / SAMPLES, real=real[:SAVED_SAMPLES], fake=fake[:SAVED_SAMPLES])
    null, null_against = null_pair(real, len(fake), config, seed)
    images = dict(zip(NAMES, (real, fake, null, null_against), strict=True))
    means = {name: mean_power(images[name]) for name in NAMES}
    _save_arrays(
        cell / SPECTRA,
        **{name: mean.mean("power") for name, mean in means.items()},
        **{f"num_{name}": np.array(mean.count) for name, mean in means.items()},
    )
    return {
        "counts": {"real": len(real), "real_held_out": held_out, "fake": len(fake)},
        "deviations": plain(report.as_dict()["deviations"]),
        "skipped": report.skipped,
        "warnings": [warning.message for warning in report.warnings],
        "quality": quality(real, fake, seed, measure["inception"]),
        **({"fidelity": near} if near else {}),
        "detection": detection(real, fake, measure.get("detect", ()), seed),
        "profiles": {
            name: {kind: means.mean(kind).tolist() for kind in PROFILES} for name, means in profiles.items()
        },
    }


def detection(
    real: UInt8Array, fake: UInt8Array, systems: Sequence[str], seed: int
) -> dict[str, dict[str, float]]:
    """How well detectors tell held-out fakes from held-out reals, each trained on the others of both.

    Args:
        real: photos.
        fake: a run's images.
        systems: presets and ``feature+detector`` texts.
        seed: of the split and of the detectors.

    Returns:
        System -> ``value`` (balanced accuracy), ``low``, ``high``; ``null``, ``null_high`` of reals alone.
    """
    found: dict[str, dict[str, float]] = {}
    if not systems:
        return found
    # Both sets came here by one path, and a generator that collapsed is a row like any other.
    sets = array_image_set(real, "real"), array_image_set(fake, "fake")
    bench = make_bench(check(sets[0], sets[1:], GUARDS), seed, allow=GUARDS)
    for system in systems_of(systems):
        own, null = (
            measure_detector(
                fit(bench, system, name, [name], seed), bench.testing(system, name), "transfer", name, 0
            ).metrics["balanced_accuracy"]
            for name in ("fake", NULL)
        )
        found[system.name] = {
            "value": own.value, "low": own.low, "high": own.high, "null": null.value, "null_high": null.high,
        }  # fmt: skip
    return found


def pairs_of_run(
    cell: Path, config: Config, generate: dict[str, Any]
) -> tuple[UInt8Array, UInt8Array, int, dict[str, float]]:
    """Photos and what the network of another task than gan makes of them, image by image.

    Returns:
        Both sets (of a segmentation the true and the found masks, as grey levels), how many photos are held
        out, and how near the pairs are.
    """
    chosen = min(generate["num"], _num_photos(config))
    reals = choose_reals(config, chosen, generate["seed"])
    photos = np.stack([reals.images.images[index] for index in reals.order])
    made = to_uint8(reconstructed(load_network(cell / RUN, generate["weights"]), to_float(photos)))
    if config.task != "segment":
        return photos, made, reals.held_out, fidelity(photos, made)
    classes = mask_classes(config)
    masks = with_masks(reals.images, config.data, classes).masks
    assert masks is not None
    true = masks[reals.order]
    near = mask_fidelity(true, np.rint(made[..., 0] / (LEVELS / (classes - 1))).astype(np.int64), classes)
    grey = to_uint8(classes_as_grey(torch.from_numpy(true), classes))
    return grey, made, reals.held_out, near


def real_images(config: Config, count: int, seed: int) -> tuple[UInt8Array, int]:
    """Up to ``count`` photos, held-out ones first, and how many of them are held out."""
    reals = choose_reals(config, min(count, _num_photos(config)), seed)
    return np.stack([reals.images.images[index] for index in reals.order]), reals.held_out


def null_pair(real: UInt8Array, fakes: int, config: Config, seed: int) -> tuple[UInt8Array, UInt8Array]:
    """Two sets of reals without a common image, of the sizes that were compared where there are so many.

    Args:
        real: the reals of the comparison, the first ones of the seeded order.
        fakes: number of fakes.
        config: says where the other reals are.
        seed: of the order.

    Returns:
        As many further reals as there are fakes, and ``real``; where there are too few, its two halves.
    """
    if len(real) + fakes <= _num_photos(config):
        reals = choose_reals(config, len(real) + fakes, seed)
        return np.stack([reals.images.images[index] for index in reals.order[len(real) :]]), real
    half = len(real) // 2
    return real[half : 2 * half], real[:half]


def _num_photos(config: Config) -> int:
    images = load_training_images(config.data, config.model.image_size)
    return len(images.val) + len(images.train)


def mean_power(images: UInt8Array) -> SpectrumStatistics:
    """Mean power of the luma, and its profiles, of uint8 ``(N, H, W, 3)``."""
    parts = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    sums = [summaries(to_float(part)).mean_power.numpy() * len(part) for part in parts]
    return statistics_of_power(np.sum(sums, axis=0) / len(images), len(images))


def _save_arrays(path: Path, **arrays: Any) -> None:
    """An ``.npz`` file, complete or not at all."""
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **arrays)


def read_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """What is in an ``.npz`` file.

    Raises:
        GanlabError: there is none, or it is damaged.
    """
    try:
        archive = Archive(path)
        names = [member.removesuffix(".npy") for member in archive.names]
        return {name: npz_array(archive, name) for name in names}
    except GanlabError as error:
        # It stands in the page, which says nothing of the place of its folder.
        raise GanlabError(str(error).replace(f"{path.parent}/", "")) from error


def read_spectra(folder: Path) -> Spectra:
    """The mean spectra that a cell has kept.

    Raises:
        GanlabError: they are missing or damaged.
    """
    arrays = read_arrays(folder / SPECTRA)
    try:
        return {name: statistics_of_power(arrays[name], int(arrays[f"num_{name}"])) for name in NAMES}
    except KeyError as error:
        raise GanlabError(f"{SPECTRA} cannot be read (it lacks {error})") from error


def seconds_per_step(config: Config, steps: int = 3) -> float:
    """Time of one training step of this configuration, on noise instead of its data, in seconds."""
    from ganlab.experiments.bench.measure import step_on_noise, turns
    from ganlab.training.distributed import place

    seconds = turns([step_on_noise(config)], steps - 1, place(config.training).device)
    return float(seconds.min())
