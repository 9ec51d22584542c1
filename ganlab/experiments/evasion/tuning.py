"""Fine-tune a generator against a frozen detector, in steps that survive an interruption."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import torch

from ganlab.experiments.evasion.options import EvadeOptions
from ganlab.forensics import NetDetector
from ganlab.forensics.nets.adversarial import Finetuning, TuneStep
from ganlab.models import load_generator
from ganlab.models.store import FILE_NAME, generator_file, read_generator, save_generator
from ganlab.results.tables import write_csv
from ganlab.training.checkpoint import prune, restore, save_checkpoint
from ganlab.util.atomic import write_json
from ganlab.util.hashing import sha256_file, sha256_json
from ganlab.util.progress import bar
from ganlab.util.reading import read_text, reading

CURVE, STAGING, TUNED = "tuning.csv", "tuning", "tuned"
CHECKPOINT_EVERY = 50
RECORDED = ("weights", "steps", "batch", "rate", "closeness", "seed")
COLUMNS = tuple(field.name for field in fields(TuneStep))


def tune(
    folder: Path, run: Path, detector: NetDetector, detector_file: Path, options: EvadeOptions
) -> list[TuneStep]:
    """Fine-tune, or continue, or read what was finished.

    ``folder/tuned`` then is a run folder for ``load_generator`` and ``ganlab generate``: the tuned weights
    stand in its file both as average and as last weights.

    Args:
        folder: of the experiment.
        run: run folder or file of the generator.
        detector: frozen.
        detector_file: where it came from, for the record.
        options: steps, batch, rate, closeness, weights, seed.

    Returns:
        What every step saw.

    Raises:
        GanlabError: the generator cannot be read, does not fit the detector, or the loss is not finite.
    """
    if not (folder / TUNED / FILE_NAME).is_file():
        generator = load_generator(run, options.weights)
        tuning = Finetuning(generator, detector, options.batch, options.rate, options.closeness, options.seed)
        record = {
            "generator_sha256": sha256_file(generator_file(run)),
            "detector_sha256": sha256_file(detector_file),
            **{name: getattr(options, name) for name in RECORDED},
        }
        history = _steps(tuning, folder / STAGING, options.steps, sha256_json(record))
        lines = ([step, *astuple(one)] for step, one in enumerate(history))
        write_csv(folder / CURVE, ("step", *COLUMNS), lines)
        write_json(folder / TUNED / "finetune.json", record)
        config, _, step = read_generator(run, options.weights)
        weights = tuning.tuned.state_dict()
        save_generator(folder / TUNED / FILE_NAME, weights, weights, config, step)
        shutil.rmtree(folder / STAGING, ignore_errors=True)
    # As the file has it: a call that finds it finished must say the same to the last digit.
    with reading(folder / CURVE, expected=f"what 'ganlab evade' wrote (remove {folder} to start again)"):
        rows = csv.DictReader(io.StringIO(read_text(folder / CURVE), newline=""))
        return [TuneStep(*(float(row[name]) for name in COLUMNS)) for row in rows]


def _steps(tuning: Finetuning, staging: Path, steps: int, owner: str) -> list[TuneStep]:
    """All steps, from the last state that was stored."""
    staging.mkdir(parents=True, exist_ok=True)
    history: list[TuneStep] = []

    def load(state: dict[str, Any]) -> None:
        with reading(staging, expected="the state of this fine-tuning"):
            tuning.load_state(state["tuning"])
            history[:] = [TuneStep(*map(float, row)) for row in state["history"]]

    done, _ = restore(staging, torch.device("cpu"), owner, load)
    with bar(total=steps, initial=done, desc="fine-tuning", unit="step") as line:
        for index in range(done, steps):
            history.append(tuning.step(index))
            line.update()
            if (index + 1) % CHECKPOINT_EVERY == 0 or index + 1 == steps:
                numbers = torch.tensor([astuple(one) for one in history], dtype=torch.float64)
                save_checkpoint(staging, index + 1, {"tuning": tuning.state(), "history": numbers}, owner)
                prune(staging, 1, None)
    return history
