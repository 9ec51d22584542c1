"""``ganlab evade RUN --model DETECTOR --real REAL --out DIR``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer


def evade(
    run: Annotated[Path, typer.Argument(help="Run folder or .safetensors file of the generator.")],
    model: Annotated[Path, typer.Option(help="A network on pixels that 'ganlab detect' saved: frozen.")],
    real: Annotated[str, typer.Option(help="The reals: folder, pack, npz, npy, zip; PATH@val: a part.")],
    out: Annotated[Path, typer.Option(help="Results folder; OUT/tuned is the tuned run.")],
    num: Annotated[int, typer.Option(help="Images before and after, and reals at most.")] = 1000,
    steps: Annotated[int, typer.Option(help="Of the fine-tuning.")] = 300,
    batch: Annotated[int, typer.Option(help="Latents in a step.")] = 32,
    rate: Annotated[float, typer.Option(help="Learning rate of the fine-tuning.")] = 1e-4,
    closeness: Annotated[float, typer.Option(help="Weight of the mean squared change of the images.")] = 1.0,
    weights: Annotated[str, typer.Option(help="ema (moving average) or raw.")] = "ema",
    seeds: Annotated[int, typer.Option(help="Fresh detectors of each kind, each with its own split.")] = 3,
    epochs: Annotated[int, typer.Option(help="At most, of a fresh detector of the frozen one's kind.")] = 30,
    systems: Annotated[
        list[str] | None, typer.Option("--system", help="Further fresh detectors: feature+detector.")
    ] = None,
    resamples: Annotated[int, typer.Option(help="Bootstrap draws of every interval.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of latents, splits and draws.")] = 0,
    allow: Annotated[list[str] | None, typer.Option(help="Tolerate this guard's findings.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make all anew, also in the place of another.")
    ] = False,
) -> None:
    """Fine-tune a generator against a frozen detector, and look for its images with fresh detectors.

    The same command continues an interrupted experiment. OUT/tuned works as a run folder of 'ganlab
    generate'. Without --system, both+logistic (axis spectra) is tried beside the frozen detector's kind.
    """
    from ganlab.data import open_image_set
    from ganlab.experiments.evasion.options import EvadeOptions
    from ganlab.experiments.evasion.run import evade as experiment

    further: dict[str, Any] = {"systems": tuple(systems)} if systems else {}
    options = EvadeOptions(
        num=num, steps=steps, batch=batch, rate=rate, closeness=closeness, weights=weights, seeds=seeds,
        epochs=epochs, resamples=resamples, seed=seed, allow=tuple(allow or ()), **further,
    )  # fmt: skip
    report = experiment(
        run, model, open_image_set(real), out, options, shlex.join(["ganlab", *sys.argv[1:]]), force
    )
    print(report.text)
    print(f"{'already in' if report.was_complete else 'written to'} {out}; the page is {out / 'index.html'}")
