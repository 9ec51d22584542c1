"""The whole lab in minutes: a photo, three generators, their fakes, what upsampling did to the spectrum."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ganlab.config import Config, dump, load
from ganlab.data import load_training_images, open_image_set
from ganlab.errors import GanlabError, lookup
from ganlab.experiments.quickstart.figures import draw_growth, draw_photo, draw_summary
from ganlab.experiments.quickstart.measure import detector_verdict, enlarged_photo, strongest_lines
from ganlab.experiments.quickstart.page import GROWTH, PHOTO, SUMMARY, page
from ganlab.experiments.spectra.options import SpectraOptions
from ganlab.experiments.spectra.run import SpectraReport, compare_spectra
from ganlab.generation import Request, generate
from ganlab.results.folder import ResultsFolder
from ganlab.results.page import write_page
from ganlab.util.atomic import write_text
from ganlab.util.children import Child, stop
from ganlab.util.progress import bar
from ganlab.util.signals import terminable

UPSAMPLERS = ("transposed", "nearest", "bilinear")
NUM_FAKES = {"normal": 1000, "tiny": 200}
OVERRIDES: dict[str, list[str]] = {
    "normal": [],
    "tiny": [
        "training.steps=150", "data.num_images=1000", "logging.checkpoint_every=75",
        "logging.samples_every=75", "model.generator.width=16", "model.discriminator.width=16",
    ],
}  # fmt: skip
WINDOW = "hann"
"""Without a window the jump between opposite borders leaks into rows and columns and hides a null there."""
METRIC = "axis_nyquist_excess_db"
"""What the closing lines compare: horizontal and vertical profile at Nyquist against the reals."""
POLL_SECONDS = 0.2


def run_quickstart(
    out: Path, steps: int | None = None, size: str = "normal", force: bool = False, command: str = ""
) -> SpectraReport:
    """Train, generate, compare, and say what came out.

    Args:
        out: folder for runs/, fakes/, spectra/, the summary figure and index.html.
        steps: generator updates, instead of the size's own.
        size: "normal" or "tiny".
        force: begin afresh, also in the place of a quickstart of another size.
        command: what the user typed, for the record.

    Returns:
        The comparison of the three fake sets with the reals.

    Raises:
        GanlabError: an unknown size, ``out`` holds something else, or another process works there.
    """
    started = time.monotonic()
    configs = plan(steps, size)
    first = next(iter(configs.values()))
    asked = {"size": size, "steps": first.training.steps}
    results = ResultsFolder(out, "quickstart", asked, unlisted=("runs", "fakes", "spectra"))
    with results.open(command, force):
        say(f"1/4  one photo, enlarged by each operator: theory's curve and the measured one ({out})")
        draw_photo(enlarged_photo(), out / PHOTO)
        say(f"2/4  three generators that differ only in how they upsample, {first.training.steps} steps each")
        load_training_images(first.data, first.model.image_size)
        runs = {name: out / "runs" / name for name in configs}
        at_once = min(len(runs), os.cpu_count() or 1)
        say(f"     they learn to draw digits; watch {out / GROWTH} grow")
        growing = GrowingPicture(list(runs.values()), out / GROWTH, first.model.image_size)
        train_side_by_side([Job(config, runs[name]) for name, config in configs.items()], at_once, growing)
        growing()
        say("3/4  their fake datasets, and as many reals through the same path")
        fakes = out / "fakes"
        generate(Request(tuple(runs.values()), NUM_FAKES[size], with_real=True), fakes)
        say("4/4  their spectra, the strongest line of each, and what a detector says")
        real, sets = open_image_set(fakes / "real"), [open_image_set(fakes / name) for name in runs]
        report = compare_spectra(real, sets, out / "spectra", SpectraOptions(window=WINDOW, metrics="basic"))
        draw_summary(real, sets, out / SUMMARY, WINDOW)
        levels = {name: report.row(name)[METRIC] for name in runs}
        order = sorted(levels, key=lambda name: levels[name].value)
        facts = {"steps": first.training.steps, "images of each": NUM_FAKES[size]}
        ends = {name: (level.value, level.low, level.high) for name, level in levels.items()}
        intervals = cast("dict[str, tuple[float, float, float]]", ends)  # resampled, so there are ends
        lines = strongest_lines(real, sets)
        detected, words = detector_verdict(real, sets)
        results.finish({
            "at_nyquist_db": intervals, "verdict": verdict(intervals), "facts": facts,
            "strongest_line": lines, "detector": detected, "detector_words": words.splitlines(),
        })  # fmt: skip
        index = write_page(out, page(out))
    ranking = " < ".join(f"{name} ({levels[name].value:+.1f} dB)" for name in order)
    say("\nPower at Nyquist (1/2 cycle per pixel; rows and columns, Hann window) against the reals:")
    for line in (ranking, *verdict(intervals)):
        say(f"  {line}")
    say("\nThe line that stands out most in each, fakes against reals (frequencies in cycles per pixel):")
    for name, line in lines.items():
        say(f"  {name}: {line}")
    say(f"\n{words}")
    say(f"\nDone in {time.monotonic() - started:.0f} s. The picture: {out / SUMMARY}.png")
    say(f"Every figure and number: {out / 'spectra'}; fake datasets with their manifest: {fakes}")
    say(f"Training runs: {out / 'runs'} (tensorboard --logdir {out / 'runs'})")
    say("Next, another upsampler (any name of `ganlab list`), and your own images:")
    say("  ganlab train quickstart model.upsampling=bicubic out=runs/bicubic")
    say("  ganlab data pack PHOTOS data/mine --size 32")
    say("  ganlab train quickstart data.source=pack data.path=data/mine out=runs/mine")
    say(f"{index}: all of it on one page")
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


def verdict(levels: Mapping[str, Sequence[float]]) -> list[str]:
    """What the measured levels say beside the order that the operators alone would make.

    Args:
        levels: name -> value, low and high end of the power at Nyquist in dB; ``UPSAMPLERS`` as names.

    Returns:
        Three or four lines. Two generators are apart where their intervals do not touch.
    """
    expected = ("bilinear", "nearest", "transposed")
    touching, against = [], []
    for lower, upper in itertools.combinations(expected, 2):
        (_, low, high), (_, least, most) = levels[lower], levels[upper]
        if low > most:
            against.append(f"{lower} lies above {upper}")
        elif high >= least:
            touching.append(f"{lower} and {upper}")
    lines = [
        f"The operators alone would make {' < '.join(expected)}: both interpolations have a null there,",
        "bilinear's is the wider one (cos^3 against cos); a transposed convolution has none.",
    ]
    if against:
        lines.append(f"Here {' and '.join(against)}: learned convolutions can undo what an operator does.")
    if touching:
        lines.append(f"This run cannot order {', nor '.join(touching)}: their intervals touch.")
    return lines if against or touching else [*lines, "The three generators show that order."]


def say(text: str) -> None:
    """A line for the person in front of the terminal."""
    print(text, flush=True)  # noqa: T201


@dataclass(frozen=True)
class Job:
    """One training: its configuration and its run folder."""

    config: Config
    folder: Path


class GrowingPicture:
    """Draws what the runs have drawn so far, whenever one of them has drawn more."""

    def __init__(self, runs: Sequence[Path], path: Path, side: int) -> None:
        self.runs, self.path, self.side = runs, path, side
        self._drawn = 0

    def __call__(self) -> None:
        """Look once."""
        count = sum(len(list((run / "samples").glob("samples-*.png"))) for run in self.runs)
        if count > self._drawn and draw_growth(self.runs, self.path, self.side):
            self._drawn = count


def train_side_by_side(
    jobs: Sequence[Job], at_once: int, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Train all jobs, ``at_once`` at a time; finished runs are left alone, unfinished ones resumed.

    A process each, because one thread per run uses a few cores better than one run on all of them.

    Args:
        jobs: what to train.
        at_once: how many processes.
        meanwhile: called again and again until all have ended.

    Raises:
        GanlabError: a training failed; its last lines are in the message, the others were stopped cleanly.
        Terminated: SIGTERM came; the trainings were told to save and have ended.
    """
    waiting, running = list(jobs), dict[int, _Running]()
    with terminable():
        try:
            while waiting or running:
                for line in range(at_once):
                    if waiting and line not in running:
                        running[line] = _start(waiting.pop(0), line)
                for line, (job, child, shown) in list(running.items()):
                    status = child.status()
                    shown.update(max(0, last_step(job.folder / "metrics.jsonl") - shown.n))
                    if status is None:
                        continue
                    child.close()
                    shown.close()
                    del running[line]
                    if status != 0:
                        words = "\n  ".join(child.last_lines(4))
                        raise GanlabError(f"training {job.folder} failed:\n  {words}")
                meanwhile()
                time.sleep(POLL_SECONDS)
        finally:
            for _, _, shown in running.values():
                shown.close()
            stop(child for _, child, _ in running.values())


_Running = tuple[Job, Child, Any]
"""A job, its process and the bar that shows its steps."""


def _start(job: Job, line: int) -> _Running:
    # Not with_suffix: it would take "lr-0.1" and "lr-0.2" for the same name.
    plan, output = (job.folder.with_name(job.folder.name + end) for end in (".yaml", ".out"))
    write_text(plan, dump(job.config))
    output.unlink(missing_ok=True)
    # A folder may be called "-x" or "a\n{b"; JSON's quoted text is YAML's.
    out = "out=" + json.dumps(str(job.folder), ensure_ascii=False)
    child = Child("ganlab", ["train", "--", str(plan), out], output, threads=1)
    shown = bar(total=job.config.training.steps, desc=f"{job.folder.name:<12}", unit="step", position=line)
    return job, child, shown


def last_step(metrics: Path) -> int:
    """Step of the last complete line of a metrics file; 0 when there is none."""
    if not metrics.exists():
        return 0
    with metrics.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 2000))
        lines = stream.read().split(b"\n")
    for line in reversed(lines[:-1]):
        _, _, rest = line.partition(b'"step":')
        if rest:
            return int(rest.split(b",")[0])
    return 0
