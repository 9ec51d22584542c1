"""What the folder of one run has for the report; what an older ablation did not keep is computed again."""

from __future__ import annotations

import contextlib
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.config import Config, from_mapping
from ganlab.config.architecture import stage_names
from ganlab.errors import GanlabError
from ganlab.experiments.ablation.measure import (
    SAMPLES,
    SPECTRA,
    Spectra,
    mean_power,
    null_pair,
    read_result,
    read_spectra,
    real_images,
    result_file,
    save_spectra,
)
from ganlab.experiments.ablation.plan import RUN, SPEC
from ganlab.experiments.ablation.tables import Row
from ganlab.generation.sampling import generate_images
from ganlab.images import UInt8Array
from ganlab.models import load_generator
from ganlab.spectra import SpectrumStatistics
from ganlab.util.hashing import sha256_json

METRICS = "metrics.jsonl"
CURVE_POINTS = 150
DIGITS = 4
UNSEEN = ("logit",)
"""Series that are no losses."""
SAME_RINGS = 0.01
"""Relative difference that two computations of one mean profile may have (another device, another FFT)."""


Curves = dict[str, dict[str, list[Any]]]


@dataclass
class RunData:
    """One row of the table with what its folder holds.

    Attributes:
        row: of the table.
        config: of the run, None where ``cell.json`` is missing or of another version.
        generate: how its fakes were made: ``num``, ``seed``, ``weights``.
        result: what was measured.
        real: kept photos, uint8 ``(n, H, W, 3)``, and
        fake: kept samples.
        spectra: mean 2-D power; that of the kept images alone where nothing better is to be had.
        curves: as of `read_curves`.
        missing: what the report cannot show of this run, and why.
    """

    row: Row
    config: Config | None = None
    generate: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    real: UInt8Array | None = None
    fake: UInt8Array | None = None
    spectra: Spectra | None = None
    curves: Curves = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def operator(self) -> str | None:
        """The upsampler of the generator's last stage."""
        return None if self.config is None else stage_names(self.config.model)[-1]

    @property
    def measured(self) -> bool:
        """Whether there are profiles to draw."""
        return "profiles" in self.result


Reals = dict[str, Spectra]


def read_run(folder: Path, row: Row, reals: Reals) -> RunData:
    """Everything about one row.

    Args:
        folder: the cell's.
        row: of the table.
        reals: spectra of photos that were computed again for earlier rows; more may be added.
    """
    run = RunData(row, curves=read_curves(folder / RUN / METRICS))
    spec = _spec(folder, run)
    if not run.curves:
        run.missing.append(f"training curves: no readable {RUN}/{METRICS}")
    if row["status"] != "finished":
        return run
    run.result = _result(folder, spec) or {}
    if not run.measured:
        run.missing.append("profiles: its result file is missing or damaged; run ganlab ablate again")
        return run
    _read_samples(folder / SAMPLES, run)
    run.spectra = read_spectra(folder / SPECTRA) or _computed_again(folder, spec, run, reals)
    return run


def _spec(folder: Path, run: RunData) -> dict[str, Any]:
    try:
        spec: dict[str, Any] = json.loads((folder / SPEC).read_text())
        run.generate, run.config = spec["generate"], from_mapping(spec["config"])
        return spec
    except (OSError, ValueError, KeyError, TypeError) as error:
        run.missing.append(f"configuration: {SPEC} cannot be read ({_first_line(error)})")
        return {}


def _result(folder: Path, spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """That of the plan's own measurement; without ``cell.json`` the newest."""
    if "measure_key" in spec:
        return read_result(result_file(folder, spec["measure_key"]))
    files = sorted(folder.glob("result-*.json"), key=lambda path: path.stat().st_mtime)
    return read_result(files[-1]) if files else None


def _read_samples(file: Path, run: RunData) -> None:
    try:
        with np.load(file) as samples:
            run.real, run.fake = samples["real"], samples["fake"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        run.missing.append(f"samples: {SAMPLES} cannot be read ({_first_line(error)})")


def _computed_again(folder: Path, spec: Mapping[str, Any], run: RunData, reals: Reals) -> Spectra | None:
    """The spectra of all measured images, kept for the next report; else those of the kept images."""
    try:
        spectra = spectra_again(folder, spec, run.result, reals)
    except (GanlabError, OSError, KeyError, TypeError) as error:
        return _of_kept_images(run, _first_line(error))
    # A folder that cannot be written to can be reported on; the next report computes again.
    with contextlib.suppress(GanlabError):
        save_spectra(folder / SPECTRA, spectra)
    return spectra


def spectra_again(folder: Path, spec: Mapping[str, Any], result: Mapping[str, Any], reals: Reals) -> Spectra:
    """Mean 2-D spectra of a cell whose ablation did not keep them, from its generator and its photos.

    Raises:
        GanlabError: generator or photos are missing, or no longer those that were measured.
    """
    config, generate = from_mapping(spec["config"]), spec["generate"]
    generator = load_generator(folder / RUN, generate["weights"])
    fake = mean_power(generate_images(generator, generate["seed"], 0, generate["num"]))
    _check_same(fake, result["profiles"]["fake"], f"the generator in {RUN}/ is not the one that was measured")
    key = sha256_json([spec["config"]["data"], config.model.image_size, generate])
    if key not in reals:
        reals[key] = _reals_again(config, generate, result)
    return {**reals[key], "fake": fake}


def _reals_again(config: Config, generate: Mapping[str, Any], result: Mapping[str, Any]) -> Spectra:
    images, _ = real_images(config, generate["num"], generate["seed"])
    real = mean_power(images)
    _check_same(real, result["profiles"]["real"], "the photos are not those that were measured")
    null, against = null_pair(images, generate["num"], config, generate["seed"])
    base = real if against is images else mean_power(against)
    return {"real": real, "null": mean_power(null), "null_against": base}


def _check_same(spectra: SpectrumStatistics, profiles: Mapping[str, Any], text: str) -> None:
    found, expected = spectra.mean("radial"), np.array(profiles["radial"])
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=SAME_RINGS):
        raise GanlabError(text)


def _of_kept_images(run: RunData, reason: str) -> Spectra | None:
    if run.real is None or run.fake is None:
        run.missing.append(f"2-D spectra: {reason}")
        return None
    run.missing.append(f"2-D spectra of all images, so that those of {len(run.fake)} are shown: {reason}")
    spectra = {"real": mean_power(run.real), "fake": mean_power(run.fake)}
    half = len(run.real) // 2
    if half:
        spectra["null"] = mean_power(run.real[half : 2 * half])
        spectra["null_against"] = mean_power(run.real[:half])
    return spectra


def read_curves(file: Path) -> Curves:
    """Every loss, spectral distance and gradient ratio that a run has logged, thinned out.

    Returns:
        Name -> ``x`` (steps) and ``y`` (None where it was not finite); empty where nothing can be read.
    """
    lines = _lines(file)
    names = dict.fromkeys(name for line in lines for name in line if _is_shown(name))
    return {name: _thinned([line for line in lines if name in line], name) for name in names}


def _thinned(lines: Sequence[Mapping[str, Any]], name: str) -> dict[str, list[Any]]:
    kept = [*lines[:: -(-len(lines) // CURVE_POINTS)]]
    kept += [lines[-1]] if kept[-1] is not lines[-1] else []
    return {"x": [line["step"] for line in kept], "y": [_number(line[name]) for line in kept]}


def _lines(file: Path) -> list[dict[str, Any]]:
    """Lines that can be read; a killed run may have left half a one."""
    try:
        texts = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for text in texts:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            found.append(line)
    return found


def _is_shown(name: str) -> bool:
    return name != "step" and not any(word in name for word in UNSEEN)


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(f"{value:.{DIGITS}g}")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
