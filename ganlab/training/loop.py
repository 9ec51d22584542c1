"""Ctrl-C and SIGTERM ask the loop to stop after the step; a second Ctrl-C does not ask."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn

import torch
from torch import Tensor
from tqdm import tqdm

from ganlab.config.schema import Config
from ganlab.data import BatchReader, TrainingImages, load_training_images
from ganlab.errors import GanlabError
from ganlab.models.store import FILE_NAME, save_generator
from ganlab.training import preview
from ganlab.training.banner import banner
from ganlab.training.checkpoint import checkpoint_path, load_checkpoint, prune, save_checkpoint, saved_steps
from ganlab.training.device import Placement, place
from ganlab.training.distributed import World, join_world, leave_world
from ganlab.training.monitor import Monitor, SilentMonitor
from ganlab.training.players import make_players, set_learning_rates
from ganlab.training.run_folder import RunFolder
from ganlab.training.step import Trainer
from ganlab.util.progress import bar

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Inside the ``with`` block, signals set ``number`` instead of ending the process."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        # Python delivers signals to the main thread only; elsewhere the caller's own handling stays.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number


class DivergedError(GanlabError):
    """A loss is no longer finite; the run would diverge again.

    Attributes:
        step: at which it was seen.
    """

    def __init__(self, text: str, step: int) -> None:
        super().__init__(text)
        self.step = step


@dataclass(frozen=True)
class TrainResult:
    """How a call of `train` ended."""

    folder: Path
    step: int
    """Generator updates the run now has."""
    finished: bool
    signal: int | None = None
    """The signal that asked it to stop, if one did."""


def train(config: Config, folder: str | Path, stop_at: int | None = None) -> TrainResult:
    """Train, or resume, the run in ``folder``.

    On the CPU the result is the same to the last bit however often the run is interrupted, as long as the
    number of threads is the same: torch sums in another order on another number.

    Args:
        config: a checked configuration (``ganlab.config.load``).
        folder: the run folder; made if absent.
        stop_at: stop cleanly after this step (a slice of a long run); all steps when absent.

    Raises:
        DivergedError: a loss is no longer finite.
        GanlabError: the folder is in use or belongs to another configuration, the data cannot be read, a
            checkpoint is damaged, or the disk is full.
    """
    run = RunFolder(Path(folder))
    placement = place(config.training)
    world = join_world(placement.device.type == "cuda")
    try:
        return _locked(config, run, place(config.training, world.local_rank), world, stop_at)
    finally:
        run.unlock()
        leave_world(world)


def _locked(
    config: Config, run: RunFolder, placement: Placement, world: World, stop_at: int | None
) -> TrainResult:
    extension = None
    if world.is_main:
        run.lock()
        extension = run.settle_config(config)
        data = load_training_images(config.data, config.model.image_size)
        check_classes(config, data)
        run.settle_data(data.description)
    world.barrier()
    if not world.is_main:
        data = load_training_images(config.data, config.model.image_size)
    start = max(saved_steps(run.checkpoints), default=0)
    with Monitor(run, config, start) if world.is_main else SilentMonitor() as monitor:
        if extension:
            monitor.say(extension)
        if start >= config.training.steps:
            monitor.say(f"{run.path}: finished, {start} steps")
            return TrainResult(run.path, start, True)
        return _Run(config, run, placement, world, data, monitor).go(start, stop_at)


class _Run:
    """One process's work on one run."""

    def __init__(
        self, config: Config, run: RunFolder, placement: Placement, world: World, data: TrainingImages,
        monitor: Monitor,
    ) -> None:  # fmt: skip
        self.config, self.run, self.placement = config, run, placement
        self.world, self.data, self.monitor = world, data, monitor
        self.players = make_players(config, placement, world)
        reader = make_reader(config, data, placement, world)
        self.trainer = Trainer(config, self.players, reader, placement, world)
        self.real_profile: Tensor | None = None

    def go(self, start: int, stop_at: int | None) -> TrainResult:
        """Run from ``start`` to the end, to ``stop_at`` or to a signal."""
        steps = self.config.training.steps
        end = min(steps, stop_at or steps)
        if start:
            self._restore(start)
        for line in banner(self.config, self.placement, self.world, self.data, self.players, start):
            self.monitor.say(line)
        step = start
        with (
            StopRequest() as stop,
            self._bar(start) as line,
        ):
            while step < end and not self.world.share(stop.number is not None, self.placement.device):
                step = self._step(step)
                line.update()
            self._save(step, final=step == steps)
        finished = step >= steps
        state = "finished" if finished else "stopped; the same command resumes"
        self.monitor.say(f"{self.run.path}: {step} of {steps} steps, {state}")
        return TrainResult(self.run.path, step, finished, stop.number)

    def _restore(self, step: int) -> None:
        """Load the state after ``step`` steps."""
        path = checkpoint_path(self.run.checkpoints, step)
        state = load_checkpoint(path, self.placement.device)
        try:
            self.players.load_state(state)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise GanlabError(
                f"{path}: the state is not one of these networks ({reason} ...); remove it to resume from "
                "the checkpoint before"
            ) from error

    def _bar(self, start: int) -> tqdm[object]:
        """Progress of the main process."""
        if not self.world.is_main:
            return tqdm(disable=True)
        return bar(total=self.config.training.steps, initial=start, desc=self.run.path.name, unit="step")

    def _step(self, step: int) -> int:
        """All updates of one step; returns the number of steps done."""
        config, n_dis = self.config, self.config.training.n_dis
        set_learning_rates(self.players, config, step)
        losses: dict[str, Tensor] = {}
        for update in range(n_dis):
            losses |= self.trainer.discriminator_step(step * n_dis + update)
        losses |= self.trainer.generator_step(step)
        self.players.average.update(self.players.generator, step)
        done, logging = step + 1, config.logging
        due = [every for every in (logging.log_every, logging.checkpoint_every) if done % every == 0]
        if due or self.placement.device.type == "cpu":
            self._check_finite(done, losses)
        if done % logging.log_every == 0 or self.trainer.measures(step):
            self.monitor.scalars(done, {name: value.item() for name, value in losses.items()})
        if done % logging.samples_every == 0 and self.world.is_main:
            self._preview(done)
        if done % logging.checkpoint_every == 0:
            self._save(done)
        return done

    def _check_finite(self, step: int, losses: dict[str, Tensor]) -> None:
        """Stop before anything non-finite reaches a checkpoint."""
        bad = [name for name, value in losses.items() if not torch.isfinite(value)]
        if not bad:
            return
        self._diverged(step, ", ".join(bad))

    def _check_weights(self, step: int) -> None:
        """Finite losses may have had infinite gradients: what they made of the weights is not kept."""
        players = self.players
        for name, network in (("generator", players.generator), ("discriminator", players.discriminator)):
            if not all(bool(torch.isfinite(weight).all()) for weight in network.parameters()):
                self._diverged(step, f"weights of the {name}")

    def _diverged(self, step: int, what: str) -> NoReturn:
        kept = saved_steps(self.run.checkpoints)
        last = f"the last good checkpoint is step {kept[-1]}" if kept else "no checkpoint had been written"
        raise DivergedError(
            f"{self.run.path}: {what} not finite at step {step}; {last}. Lower optimizer.lr, or "
            "use spectral normalisation or a gradient penalty; then start a new run folder",
            step,
        )

    def _preview(self, step: int) -> None:
        if self.real_profile is None:
            self.real_profile = preview.real_profile_db(self.data)
        samples = preview.fixed_samples(self.players.average.network, self.config.seed)
        fake = preview.mean_profile_db(samples)
        self.monitor.picture(step, "samples", preview.sample_grid(samples))
        self.monitor.picture(step, "spectrum", preview.spectrum_picture(self.real_profile, fake))

    def _save(self, step: int, final: bool = False) -> None:
        """Write checkpoint and generator, unless this very step was just written."""
        if self.world.is_main and step not in saved_steps(self.run.checkpoints) and step > 0:
            self._check_weights(step)
            self._write(step)
            if final and step % self.config.logging.samples_every:
                self._preview(step)
        self.world.barrier()

    def _write(self, step: int) -> None:
        logging = self.config.logging
        average, raw = self.players.average.network.state_dict(), self.players.generator.state_dict()
        save_generator(self.run.path / FILE_NAME, average, raw, self.config, step)
        save_checkpoint(self.run.checkpoints, step, self.players.state())
        prune(self.run.checkpoints, logging.keep_checkpoints, logging.milestone_every)


def check_classes(config: Config, data: TrainingImages) -> None:
    """Hold ``model.num_classes`` against the labels.

    Raises:
        GanlabError: a conditional model, and images without labels or with another number of classes.
    """
    wanted, there = config.model.num_classes, data.num_classes
    if wanted and wanted != there:
        has = f"labels of {there} classes" if there else "no labels (or not for every image)"
        raise GanlabError(
            f"model.num_classes is {wanted}, but {data.description['path']} has {has}; expected "
            f"{f'{there} or ' if there else ''}0 (unconditional)"
        )


def make_reader(config: Config, data: TrainingImages, placement: Placement, world: World) -> BatchReader:
    """The batches of a run's training images, as this process sees them."""
    return BatchReader(
        data.images,
        data.train,
        config.training.batch_size,
        config.seed,
        flip=config.data.flip,
        dequantize=config.data.dequantize,
        labels=data.labels if config.model.num_classes else None,
        rank=world.rank,
        world=world.size,
        device=placement.device,
    )
