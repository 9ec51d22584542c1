"""The work of a detection experiment: every system with every seed, kept on disk after each one."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.data.imageset import ImageSet
from ganlab.experiments.detection_bands import band_records
from ganlab.experiments.detection_fingerprints import measure_responses, write_responses
from ganlab.experiments.detection_immunise import perturbed_sources
from ganlab.experiments.detection_options import DetectionOptions
from ganlab.experiments.detection_search import optimised, options_of
from ganlab.experiments.detection_sources import SourceDetector, fit_sources, measure_sources
from ganlab.experiments.detection_trials import (
    POOLED,
    Fitted,
    Record,
    choices,
    fit,
    robustness,
    sample_sizes,
    transfer,
)
from ganlab.experiments.detection_unseen import Unseen, unseen_rates
from ganlab.forensics import NULL, Bench, SavedDetector, System, save_detector
from ganlab.util.atomic import write_json, write_text
from ganlab.util.progress import bar


class Experiment:
    """Runs systems and keeps what they found, on disk after each one."""

    def __init__(self, folder: Path, options: DetectionOptions, unseen: tuple[ImageSet, ...]) -> None:
        self.folder = folder
        self.options = options
        self.unseen = unseen
        self.systems = options.chosen_systems()

    def run(self, bench: Bench, seed: int) -> list[dict[str, Any]]:
        """What was found of every system with one seed; those with a file are read."""
        parts: list[dict[str, Any]] = []
        for place, system in enumerate(bar(self.systems, desc=f"seed {seed}", unit="system")):
            file = self.folder / "parts" / f"{seed}_{place}.json"
            if not file.is_file():
                write_json(file, self._system(bench, system, place, seed))
            parts.append(json.loads(file.read_text(encoding="utf-8")))
        return parts

    def _system(self, bench: Bench, system: System, place: int, seed: int) -> dict[str, Any]:
        """Everything about one system with one seed."""
        chosen, tried = self._options(bench, system, place, seed)
        records: list[Record] = []
        unseen: list[Unseen] = []
        extra: dict[str, list[Any]] = {"attribution": [], "perturbed_sources": []}
        for row, sources in choices(bench.sources).items():
            fitted = fit(bench, chosen, row, sources, seed, None)
            records += transfer(fitted, bench, self.options)
            unseen += unseen_rates(fitted, bench, self.unseen, self.options.resamples)
            if row in bench.sources:
                records += robustness(fitted, bench, self.options)
                records += band_records(fitted, bench, self.options)
                records += sample_sizes(bench, chosen, row, seed, self.options) if self.options.sizes else ()
            if seed == 0:
                self._keep(fitted, bench, place)
        if self.options.attribution:
            extra = self._sources(bench, chosen, place, seed)
        found: dict[str, list[Any]] = {"records": records, "unseen": unseen, **extra}
        return {
            # options found by --optimize do not change a system's name in tables
            **{key: [{**one.as_json(), "system": system.name} for one in own] for key, own in found.items()},
            "chosen": {"system": system.name, **options_of(chosen), "tried": tried},
        }

    def _sources(self, bench: Bench, system: System, place: int, seed: int) -> dict[str, list[Any]]:
        """Naming the source, clean and perturbed; with the first seed also the detector and its figure."""
        fitted = fit_sources(bench, system, seed)
        if seed == 0:
            self._keep_sources(fitted, bench, place)
        return {
            "attribution": [measure_sources(fitted, bench, self.options.resamples)],
            "perturbed_sources": list(perturbed_sources(fitted, bench, self.options)),
        }

    def _keep_sources(self, fitted: SourceDetector, bench: Bench, place: int) -> None:
        self._save("attribution", place, fitted.detector, fitted.system, fitted.names, bench)
        responses = measure_responses(fitted, bench)
        if responses is not None:
            write_responses(self.folder, place, responses)

    def _options(
        self, bench: Bench, system: System, place: int, seed: int
    ) -> tuple[System, list[dict[str, Any]]]:
        """Hyper-parameters are chosen with the first seed and then stay."""
        if seed == 0 or not self.options.optimize:
            return optimised(bench, system, self.options.optimize, seed)
        chosen = json.loads((self.folder / "parts" / f"0_{place}.json").read_text(encoding="utf-8"))["chosen"]
        return system.with_detector_options(chosen["options"]).with_feature_options(
            chosen["feature_options"]
        ), []

    def _keep(self, fitted: Fitted, bench: Bench, place: int) -> None:
        """Scores of the test images of a source, and the pooled (or only) detector as a file."""
        if fitted.trained_on in (*bench.sources, NULL):
            features, labels = bench.testing(fitted.system, fitted.trained_on)
            rows = zip(bench.test_paths(fitted.trained_on), labels, fitted.scores(features), strict=True)
            source = "null" if fitted.trained_on == NULL else bench.sources.index(fitted.trained_on)
            write_text(self.folder / "scores" / f"{place}_{source}.csv", _scores_csv(fitted, rows))
        if fitted.trained_on == POOLED or (len(bench.sources) == 1 and fitted.trained_on != NULL):
            self._save("detectors", place, fitted.detector, fitted.system, ("real", "fake"), bench)

    def _save(
        self, kind: str, place: int, detector: Any, system: System, names: tuple[str, ...], bench: Bench
    ) -> None:
        """A detector as a file that ``--model`` reads."""
        about = {"trained_on": list(bench.sources), "system": system.name}
        saved = SavedDetector(
            detector, system.feature, system.feature_options, bench.real.shape, names, about
        )
        save_detector(self.folder / kind / f"{place}.safetensors", saved)


def _scores_csv(fitted: Fitted, rows: Any) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["system", "trained_on", "image", "label", "p_fake"])
    for path, label, score in rows:
        writer.writerow([fitted.system.name, fitted.trained_on, path, int(label), f"{np.float64(score):.6f}"])
    return buffer.getvalue()
