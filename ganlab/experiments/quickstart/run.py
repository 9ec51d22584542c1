"""The whole lab in minutes: three generators, their fake sets, what upsampling did to the spectrum."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from ganlab.config import Config, load
from ganlab.data import ImageSet, load_training_images, open_image_set
from ganlab.errors import GanlabError, lookup
from ganlab.experiments.quickstart.figures import draw_summary
from ganlab.experiments.quickstart.side_by_side import Job, train_side_by_side
from ganlab.experiments.spectra.options import SpectraOptions
from ganlab.experiments.spectra.run import SpectraReport, compare_spectra
from ganlab.generation import Request, generate

UPSAMPLERS = ("transposed", "nearest", "bilinear")
NUM_FAKES = {"normal": 1000, "tiny": 200}
OVERRIDES: dict[str, list[str]] = {
    "normal": [],
    "tiny": [
        "training.steps=150", "data.num_images=1000", "logging.checkpoint_every=75",
        "logging.samples_every=150", "model.generator.width=16", "model.discriminator.width=16",
    ],
}  # fmt: skip
WINDOW = "hann"
"""Without a window the jump between opposite borders leaks into rows and columns and hides a null there."""
METRIC = "axis_nyquist_excess_db"
"""What the closing lines compare: horizontal and vertical profile at Nyquist against the reals."""


def run_quickstart(out: Path, steps: int | None = None, size: str = "normal") -> SpectraReport:
    """Train, generate, compare, and say what came out.

    Args:
        out: folder for runs/, fakes/, spectra/ and the summary figure.
        steps: generator updates, instead of the size's own.
        size: "normal" or "tiny".

    Returns:
        The comparison of the three fake sets with the reals.

    Raises:
        GanlabError: an unknown size, or ``out`` holds something else.
    """
    started = time.monotonic()
    configs = plan(steps, size)
    _refuse_foreign(out)
    say(f"1/4  the images: dead leaves, occluding discs with the size law of natural photos ({out})")
    some = next(iter(configs.values()))
    load_training_images(some.data, some.model.image_size)
    say(f"2/4  three generators that differ only in how they upsample, {some.training.steps} steps each")
    runs = {name: out / "runs" / name for name in configs}
    train_side_by_side([Job(config, runs[name]) for name, config in configs.items()], at_once=processes())
    say("3/4  their fake datasets, and as many reals through the same path")
    fakes = out / "fakes"
    generate(Request(tuple(runs.values()), NUM_FAKES[size], with_real=True), fakes)
    say("4/4  their spectra")
    real, sets = open_image_set(fakes / "real"), [open_image_set(fakes / name) for name in runs]
    report = compare_spectra(
        real, sets, out / "spectra", SpectraOptions(window=WINDOW, metrics="basic", force=True)
    )
    draw_summary(real, sets, out / "summary", WINDOW)
    closing(report, sets, out, time.monotonic() - started)
    return report


def plan(steps: int | None, size: str) -> dict[str, Config]:
    """Name -> configuration of the three runs.

    Raises:
        GanlabError: an unknown size.
    """
    overrides = list(lookup(OVERRIDES, size, "size"))
    if steps is not None:
        overrides.append(f"training.steps={steps}")
    return {name: load("quickstart", [*overrides, f"model.upsampling={name}"]) for name in UPSAMPLERS}


def processes() -> int:
    """How many trainings run at once: the cores, at most three."""
    return min(len(UPSAMPLERS), os.cpu_count() or 1)


def _refuse_foreign(out: Path) -> None:
    """An existing folder that no quickstart began may be somebody's data."""
    if out.is_dir() and any(out.iterdir()) and not (out / "runs").is_dir():
        raise GanlabError(f"{out} exists, is no quickstart's folder and is not empty; use another --out")


def closing(report: SpectraReport, sets: Sequence[ImageSet], out: Path, seconds: float) -> None:
    """What the numbers say, where everything is, what to try next."""
    at_nyquist = {row.name: row[METRIC].value for row in report.rows}
    fakes = sorted((at_nyquist[one.name], one.name) for one in sets)
    order = " < ".join(f"{name} ({value:+.1f} dB)" for value, name in fakes)
    say("\nPower at Nyquist (1/2 cycle per pixel; rows and columns, Hann window) against the reals:")
    say(f"  {order}")
    for line in verdict([name for _, name in fakes]):
        say(f"  {line}")
    say(f"\nDone in {seconds:.0f} s. The picture: {out / 'summary.png'}")
    say(f"Every figure and number: {out / 'spectra'}; fake datasets with their manifest: {out / 'fakes'}")
    say(f"Training runs: {out / 'runs'} (tensorboard --logdir {out / 'runs'})")
    say("Next, another upsampler (any name of `ganlab list`), and your own images:")
    say("  ganlab train quickstart model.upsampling=bicubic out=runs/bicubic")
    say("  ganlab data pack PHOTOS data/mine --size 32")
    say("  ganlab train quickstart data.source=pack data.path=data/mine out=runs/mine")


def verdict(order: Sequence[str]) -> list[str]:
    """Whether the measured order is the one that theory predicts."""
    expected = ["bilinear", "nearest", "transposed"]
    if list(order) == expected:
        return [
            "The order theory predicts: both interpolations have an exact null at Nyquist, bilinear's is",
            "the wider one (cos^3 against cos); only the transposed convolution can put power there itself.",
        ]
    return [
        f"Theory predicts {' < '.join(expected)}: interpolations have a null there, bilinear's is wider.",
        "This run shows another order. Short runs are noisy: try more --steps or another seed.",
    ]


def say(text: str) -> None:
    """A line for the person in front of the terminal."""
    print(text, flush=True)  # noqa: T201
