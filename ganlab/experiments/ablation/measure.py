"""Mean 2-D power spectra of one cell: its reals, its fakes, and reals against reals (the null control)."""

from __future__ import annotations

import fcntl
import json
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganlab.config import Config, from_mapping
from ganlab.errors import GanlabError
from ganlab.experiments.ablation.plan import RUN, SPEC
from ganlab.generation.quality import quality
from ganlab.generation.sampling import generate_images
from ganlab.generation.sources import choose_reals
from ganlab.images import UInt8Array, to_float
from ganlab.models import load_generator
from ganlab.spectra import (
    DEVIATIONS,
    SpectrumStatistics,
    profile_set,
    spectral_deviation,
    statistics_of_power,
    summaries,
)
from ganlab.training import DivergedError, train
from ganlab.util.atomic import atomic_path, write_json

SPECTRA = "spectra.npz"
PROFILES = ("radial", "horizontal", "vertical")
CHUNK = 256
"""Images turned into floats at a time."""


NAMES = ("real", "fake", "null", "null_against")
"""Whose mean spectra a cell keeps: the reals that the fakes were measured against, the fakes, one set of
reals, and the reals that share no image with it."""

Spectra = dict[str, SpectrumStatistics]
"""Mean luma power by name out of ``NAMES``."""


def mean_power(images: UInt8Array) -> SpectrumStatistics:
    """Mean power of the luma, and its profiles, of uint8 ``(N, H, W, 3)``."""
    parts = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    sums = [summaries(to_float(part)).mean_power.numpy() * len(part) for part in parts]
    return statistics_of_power(np.sum(sums, axis=0) / len(images), len(images))


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
    everything = choose_reals(config, 1, seed).images
    if len(real) + fakes <= len(everything.val) + len(everything.train):
        further = choose_reals(config, len(real) + fakes, seed)
        return np.stack([further.images.images[index] for index in further.order[len(real) :]]), real
    half = len(real) // 2
    return real[half : 2 * half], real[:half]


def mean_spectra(real: UInt8Array, fake: UInt8Array, null: UInt8Array, null_against: UInt8Array) -> Spectra:
    """Mean power of all four sets."""
    base = mean_power(real)
    against = base if null_against is real else mean_power(null_against)
    return dict(zip(NAMES, (base, mean_power(fake), mean_power(null), against), strict=True))


def save_spectra(path: Path, spectra: Spectra) -> None:
    """Write them, complete or not at all.

    Raises:
        GanlabError: the file cannot be written.
    """
    arrays: dict[str, Any] = {name: spectra[name].mean("power") for name in NAMES}
    arrays |= {f"num_{name}": np.array(spectra[name].count) for name in NAMES}
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **arrays)


def read_spectra(path: Path) -> Spectra | None:
    """What `save_spectra` wrote; None where there is no such file, or a damaged one."""
    try:
        with np.load(path) as file:
            return {name: statistics_of_power(file[name], int(file[f"num_{name}"])) for name in NAMES}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


LOCK, FAILURE, SAMPLES = ".cell-lock", "failure.json", "samples.npz"
SAVED_SAMPLES = 64


class CellBusyError(GanlabError):
    """Another process works on this cell."""


def result_file(folder: Path, measure_key: str) -> Path:
    """Where a cell's row is kept; its presence means that the cell is done."""
    return folder / f"result-{measure_key}.json"


def read_result(file: Path) -> dict[str, Any] | None:
    """A cell's result, or its failure; None where there is none, or no readable one."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "status" in found else None


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The cell's lock, which the system gives back however the process ends.

    Raises:
        CellBusyError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CellBusyError(f"{folder}: another process works on this cell") from error
        yield


def busy(folder: Path) -> bool:
    """Whether a live process works on the cell."""
    if not folder.exists():
        return False
    try:
        with held(folder):
            return False
    except CellBusyError:
        return True


def run_cell(folder: str | Path) -> str:
    """Train, generate and measure what ``cell.json`` in the folder says; resumes what is unfinished.

    Returns:
        "finished", "diverged" (final, with a result file), "failed" (``failure.json`` says why; the next call
        tries again) or "stopped" (by a signal).
    """
    place = Path(folder)
    spec = json.loads((place / SPEC).read_text())
    result = result_file(place, spec["measure_key"])
    with held(place):
        earlier = read_result(result)
        if earlier is not None:
            return str(earlier["status"])
        (place / FAILURE).unlink(missing_ok=True)
        try:
            found = _work(place, spec)
        except GanlabError as error:
            write_json(place / FAILURE, {"status": "failed", "reason": _reason(error, place)})
            return "failed"
        if found is None:
            return "stopped"
        write_json(result, found)
        return str(found["status"])


def _work(place: Path, spec: dict[str, Any]) -> dict[str, Any] | None:
    config = from_mapping(spec["config"])
    start = time.monotonic()
    try:
        done = train(config, place / RUN)
    except DivergedError as error:
        return {"status": "diverged", "reason": _reason(error, place), "step": error.step}
    if not done.finished:
        return None
    trained = time.monotonic() - start
    found = measure_run(config, place / RUN, spec["generate"], spec["measure"], place)
    seconds = {"training": trained, "measuring": time.monotonic() - start - trained}
    return {"status": "finished", "step": done.step, "seconds": seconds, **found}


def _reason(error: Exception, place: Path) -> str:
    """Its words, with paths from the cell's folder on: results are read on other machines."""
    return str(error).replace(f"{place}/", "")


def measure_run(
    config: Config, run: Path, generate: dict[str, Any], measure: dict[str, Any], keep: Path | None = None
) -> dict[str, Any]:
    """Deviations, quality and mean profiles of a trained run against its reals.

    Args:
        config: of the run.
        run: its folder.
        generate: ``num``, ``seed``, ``weights``.
        measure: ``resamples``, ``inception``.
        keep: folder for 64 fakes and 64 reals and for the mean 2-D spectra, if any.
    """
    real, held_out = real_images(config, generate["num"], generate["seed"])
    generator = load_generator(run, generate["weights"])
    fake = generate_images(generator, generate["seed"], 0, generate["num"])
    sets = {name: profile_set(to_float(images)) for name, images in (("real", real), ("fake", fake))}
    report = spectral_deviation(
        sets["real"], sets["fake"], metrics=list(DEVIATIONS), resamples=measure["resamples"],
        seed=generate["seed"],
    )  # fmt: skip
    if keep is not None:
        keep_samples(keep / SAMPLES, real, fake)
        null = null_pair(real, len(fake), config, generate["seed"])
        save_spectra(keep / SPECTRA, mean_spectra(real, fake, *null))
    return {
        "counts": {"real": len(real), "real_held_out": held_out, "fake": len(fake)},
        "deviations": _plain(report.as_dict()["deviations"]),
        "skipped": report.skipped,
        "warnings": [warning.message for warning in report.warnings],
        "quality": quality(real, fake, generate["seed"], measure["inception"]),
        "profiles": {name: _profiles(one) for name, one in sets.items()},
    }


def keep_samples(path: Path, real: UInt8Array, fake: UInt8Array) -> None:
    """The first 64 of both, complete or not at all.

    Raises:
        GanlabError: the file cannot be written.
    """
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, real=real[:SAVED_SAMPLES], fake=fake[:SAVED_SAMPLES])


def real_images(config: Config, count: int, seed: int) -> tuple[UInt8Array, int]:
    """Up to ``count`` photos, held-out ones first, and how many of them are held out."""
    everything = choose_reals(config, 1, seed).images
    available = len(everything.val) + len(everything.train)
    reals = choose_reals(config, min(count, available), seed)
    return np.stack([reals.images.images[index] for index in reals.order]), reals.held_out


def _profiles(one: SpectrumStatistics) -> dict[str, list[float]]:
    """Mean radial and axis power profiles, linear, convention ganlab."""
    return {name: one.mean(name).tolist() for name in PROFILES}


def _plain(deviations: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: such numbers become null."""
    return {
        name: {key: None if _no_number(value) else value for key, value in one.items()}
        for name, one in deviations.items()
    }


def _no_number(value: Any) -> bool:
    return isinstance(value, float) and not np.isfinite(value)


def seconds_per_step(config: Config, steps: int = 3) -> float:
    """Time of one training step of this configuration, on noise instead of its data, in seconds."""
    from ganlab.data import BatchReader
    from ganlab.training.distributed import World, place
    from ganlab.training.players import make_players
    from ganlab.training.step import Trainer

    size, batch = config.model.image_size, config.training.batch_size
    pixels = np.random.default_rng(0).integers(0, 256, (2 * batch, size, size, 3), dtype=np.uint8)
    placement = place(config.training)
    labels = np.arange(2 * batch) % config.model.num_classes if config.model.num_classes else None
    reader = BatchReader(pixels, np.arange(2 * batch), batch, 0, labels=labels, device=placement.device)
    trainer = Trainer(config, make_players(config, placement, World()), reader, placement, World())
    times = []
    for step in range(steps):
        start = time.perf_counter()
        for update in range(config.training.n_dis):
            trainer.discriminator_step(step * config.training.n_dis + update)
        trainer.generator_step(step)
        if placement.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:] or times)
