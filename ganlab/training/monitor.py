"""What a run tells: its first lines, metrics.jsonl, TensorBoard, the log file, samples and their spectrum."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ganlab.config.schema import Config
from ganlab.data import TrainingImages
from ganlab.errors import GanlabError
from ganlab.images import UInt8Array, to_float, to_uint8
from ganlab.spectra import decibels, radial_profile
from ganlab.training.checkpoint import LOG, METRICS, RunFolder
from ganlab.training.distributed import Placement, World
from ganlab.training.players import Kept
from ganlab.training.step import SAMPLES
from ganlab.util.atomic import atomic_path, write_text
from ganlab.util.progress import duration
from ganlab.util.reading import parse_json, read_text

COLUMNS, REALS = 8, 512
"""How many images of a preview stand in a row; reals, at most, behind the spectrum beside them."""

FORECAST_SECONDS = 5.0
"""So long are steps measured before a run says how long it will take."""

Picture = np.ndarray[Any, np.dtype[np.uint8]]
"""``(H, W, 3)``."""


def banner(
    config: Config, placement: Placement, world: World, data: TrainingImages, players: Kept, start: int
) -> list[str]:
    """The first lines of a run, in the order in which people ask: where, how, on what, how large."""
    training, images, side = config.training, data.description, config.model.image_size
    precision = "bf16 autocast" if placement.bf16 else "fp32"
    if placement.device.type == "cuda":
        precision += f", TF32 {'on' if training.tf32 else 'off'}"
        precision += ", deterministic kernels" if training.deterministic else ""
    if training.compile:
        precision += f", compiled ({training.compile_mode})"
    layout = "channels-last" if placement.channels_last else "channels-first"
    skipped = f", {images['skipped']} files skipped" if images.get("skipped") else ""
    lines = {
        "device": f"{placement.device} ({placement.reason})",
        "computing": f"{precision}, {layout}, CPU threads {placement.threads}, processes {world.size}",
        "data": f"{images['source']}, {images['num_train']} training and {images['num_val']} held-out images "
        f"of {side}x{side}{skipped}",
        **players.described(config),
        "steps": f"{start} to {training.steps}, {players.updates(config)}batch {training.batch_size}, "
        f"seed {config.seed}",
    }
    notes = [f"{'note':<10} {text}" for text in images.get("notes", ())]
    return [*(f"{name:<10} {text}" for name, text in lines.items()), *notes]


class Monitor:
    """Writes of one run; the process that is not the main one gets a `SilentMonitor`.

    Args:
        folder: the run's folder, locked.
        config: the run's configuration.
        start: steps done so far; what an earlier process logged beyond them is dropped.
    """

    def __init__(self, folder: RunFolder, config: Config, start: int) -> None:
        self.folder = folder
        cut_metrics(folder.path / METRICS, start)
        self._metrics = open(folder.path / METRICS, "a", encoding="utf-8")  # noqa: SIM115
        self._log = open(folder.path / LOG, "a", encoding="utf-8")  # noqa: SIM115
        self._board = _board(folder.path / "tensorboard", start) if config.logging.tensorboard else None
        self._clock, self._clock_step = time.monotonic(), start
        self._real_profile: Tensor | None = None
        self._measured_from: tuple[float, int] | None = None
        self._forecast_given = False

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._metrics.close()
        self._log.close()
        if self._board is not None:
            self._board.close()

    def say(self, text: str) -> None:
        """A line on standard output and, with the time, in log.txt."""
        print(text, flush=True)  # noqa: T201
        self._log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        self._log.flush()

    def forecast(self, done: int, steps: int) -> None:
        """Say once, from the first seconds of steps, how long the others will take; called after each."""
        if self._forecast_given:
            return
        now = time.monotonic()
        if self._measured_from is None:
            # The first step allocates memory and may compile: it is no measure of the others.
            self._measured_from = now, done
            return
        seconds, left = now - self._measured_from[0], steps - done
        if seconds >= FORECAST_SECONDS and left > 0:
            self._forecast_given = True
            rate = (done - self._measured_from[1]) / seconds
            with tqdm.external_write_mode():  # the bar is on the terminal's last line
                self.say(
                    f"{'time':<10} {rate:.2g} steps a second: about {duration(left / rate)} for the {left:,} "
                    "steps left (training.steps sets their number; Ctrl-C stops, the same command goes on)"
                )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One line of metrics.jsonl (no clock times in it: a resumed run writes the same bytes)."""
        self._metrics.write(json.dumps({"step": step, **values}) + "\n")
        self._metrics.flush()
        if self._board is None:
            return
        for name, value in values.items():
            self._board.add_scalar(name, value, step)
        now = time.monotonic()
        speed = (step - self._clock_step) / max(now - self._clock, 1e-9)
        self._board.add_scalar("time/steps_per_second", speed, step)
        # A killed process loses what its writer still held, and a resumed one starts after the checkpoint.
        self._board.flush()
        self._clock, self._clock_step = now, step

    def preview(self, step: int, shown: Tensor, measured: Tensor | None, data: TrainingImages) -> None:
        """The same samples at every preview, and where they have one their spectrum beside the reals'."""
        self.picture(step, "samples", grid(to_uint8(shown)))
        if measured is None:
            return
        if self._real_profile is None:
            # Of held-out images: what the generator is to resemble without having been shown it.
            chosen = data.val if len(data.val) else data.train
            self._real_profile = mean_profile_db(to_float(np.asarray(data.images[np.sort(chosen[:REALS])])))
        self.picture(step, "spectrum", spectrum_picture(self._real_profile, mean_profile_db(measured)))

    def picture(self, step: int, name: str, image: Picture) -> None:
        """A uint8 ``(H, W, 3)`` picture into samples/ and TensorBoard."""
        with atomic_path(self.folder.samples / f"{name}-{step:09d}.png") as temporary:
            Image.fromarray(image).save(temporary, format="PNG")
        if self._board is not None:
            self._board.add_image(name, image, step, dataformats="HWC")


class SilentMonitor(Monitor):
    """Says and writes nothing: for the other processes of a distributed run."""

    def __init__(self) -> None:
        """Open nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""

    def say(self, text: str) -> None:
        """Nothing."""

    def forecast(self, done: int, steps: int) -> None:
        """Nothing."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""

    def preview(self, step: int, shown: Tensor, measured: Tensor | None, data: TrainingImages) -> None:
        """Nothing."""


def _board(folder: Path, start: int) -> Any:
    """A TensorBoard writer; events after ``start`` that an earlier process left are purged.

    Event files are named by the second and read in the order of their names. Those of a run that is resumed
    within the second of its last start, or after the clock was set back, would be read before those they
    replace, which then came back: so the older files take earlier seconds.
    """
    from torch.utils.tensorboard import SummaryWriter

    files = sorted(folder.glob("events.out.tfevents.*.*"))
    now = int(time.time())
    if any(not path.name.split(".")[3] < f"{now:010d}" for path in files):
        for place, path in enumerate(files):
            words = path.name.split(".")
            words[3] = f"{now - len(files) + place:010d}"
            path.rename(path.with_name(".".join(words)))
    # Also from the start: a process killed before its first checkpoint has left events.
    return SummaryWriter(str(folder), purge_step=start + 1)


def cut_metrics(path: Path, step: int) -> None:
    """Drop the lines after ``step``: steps that a killed run had logged but not saved are run again."""
    if not path.exists():
        return
    lines = read_text(path, errors="replace").splitlines()
    kept = []
    for line in lines:
        # A line that cannot be read was cut off by the kill.
        with contextlib.suppress(GanlabError):
            logged = parse_json(line, path, dict, finite=False).get("step")
            if isinstance(logged, int | float) and logged <= step:
                kept.append(line)
    if len(kept) < len(lines):
        write_text(path, "".join(f"{line}\n" for line in kept))


def grid(images: UInt8Array, columns: int = COLUMNS, gap: int = 2) -> Picture:
    """uint8 ``(N, H, W, 3)`` -> one picture with white gaps of ``gap`` pixels."""
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + gap) + gap, (index % columns) * (width + gap) + gap
        sheet[top : top + height, left : left + width] = image
    return sheet


def mean_profile_db(images: Tensor) -> Tensor:
    """Mean radial power in dB, ``(K,)``, ganlab's convention, of images ``(N, C, H, W)`` in [-1, 1].

    The FFT's last digits depend on where in memory the images lie; rounded to a thousandth of a dB, a resumed
    run draws the same picture.
    """
    return decibels(radial_profile(images.double()).mean(0)).round(decimals=3)


def spectrum_picture(real: Tensor, fake: Tensor) -> Picture:
    """Both radial profiles ``(K,)``, ganlab's convention, in dB over cycles per pixel."""
    figure = Figure(figsize=(4.5, 3.0), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    frequencies = np.linspace(0.0, 0.5, len(real))
    axes.plot(frequencies, real.numpy(), color="black", label=f"real ({REALS} at most)")
    axes.plot(frequencies, fake.numpy(), color="#D55E00", label=f"fake ({SAMPLES})")
    axes.set(xlabel="frequency (cycles per pixel)", ylabel="ring average of the power (dB)")
    axes.legend(frameon=False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels: Picture = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return pixels[..., :3].copy()
