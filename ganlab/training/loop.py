"""The training loop: take the folder, resume, update, tell, save."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch
from tqdm import tqdm

from ganlab.config.schema import Config
from ganlab.data import BatchReader, TrainingImages, load_training_images, with_masks
from ganlab.errors import GanlabError
from ganlab.models.decoders import mask_classes
from ganlab.models.store import FILE_NAME, save_generator
from ganlab.training.checkpoint import (
    RunFolder,
    not_finite,
    owner_of,
    prune,
    restore,
    save_checkpoint,
    saved_steps,
)
from ganlab.training.decoding import DecoderTrainer, make_decoder
from ganlab.training.distributed import Placement, World, join_world, leave_world, place
from ganlab.training.monitor import Monitor, SilentMonitor, banner
from ganlab.training.players import Kept, make_players, set_learning_rates
from ganlab.training.step import Trainer
from ganlab.util.progress import bar
from ganlab.util.signals import StopRequest

SHARED_EVERY = 10
"""Steps after which processes on CUDA ask each other whether to stop."""


class Task(NamedTuple):
    """What a run of one task is made of: its networks with their optimizers, and who updates them."""

    players: Callable[[Config, Placement, World], Any]
    """``(config, placement, world)`` -> what a checkpoint holds."""
    trainer: Callable[[Config, Any, BatchReader, Placement, World], Any]
    """``(config, players, reader, placement, world)`` -> ``step``, ``compares_gradients``, ``previewed``."""


TASKS: dict[str, Task] = {
    "gan": Task(make_players, Trainer),
    "autoencoder": Task(make_decoder, DecoderTrainer),
    "superres": Task(make_decoder, DecoderTrainer),
    "segment": Task(make_decoder, DecoderTrainer),
}
"""``config.task`` -> its parts; everything around a step is the same for all."""


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
    number of threads is the same: torch sums in another order on another number. ``training.max_minutes``
    counts from this call, so that a slice of borrowed time holds its reading of images too.

    Args:
        config: a checked configuration (``ganlab.config.load``).
        folder: the run folder; made if absent.
        stop_at: stop cleanly after this step (a slice of a long run); all steps when absent.

    Raises:
        DivergedError: a loss is no longer finite.
        GanlabError: the folder is in use or belongs to another configuration, the data cannot be read, no
            checkpoint can be used, or the disk is full.
    """
    minutes = config.training.max_minutes
    deadline = None if minutes is None else time.monotonic() + 60.0 * minutes
    run = RunFolder(Path(folder))
    # The kind of device decides how processes talk; which of several it is, only the joined process knows.
    world = join_world(place(config.training).device.type == "cuda")
    try:
        placement = place(config.training, world.local_rank)
        extension = None
        if world.is_main:
            run.lock()
            extension = run.settle_config(config)
        else:
            # The main process packs the images, and says so if it cannot; the others then find the pack.
            world.barrier()
        data = load_training_images(config.data, config.model.image_size)
        if config.task == "segment":
            data = with_masks(data, config.data, mask_classes(config))
        if world.is_main:
            check_classes(config, data)
            run.settle_data(data.description)
            world.barrier()
        players = TASKS[config.task].players(config, placement, world)
        if not world.is_main:
            world.barrier()  # the main process sets aside what cannot be used
        owner = owner_of(config, data.description)
        start, refused = restore(run.checkpoints, placement.device, owner, players.load_state)
        if world.is_main:
            world.barrier()
        with Monitor(run, config, start) if world.is_main else SilentMonitor() as monitor:
            for sentence in [*([extension] if extension else ()), *refused]:
                monitor.say(sentence)
            if start >= config.training.steps:
                monitor.say(f"{run.path}: finished, {start} steps")
                return TrainResult(run.path, start, True)
            return Run(config, run, placement, world, data, players, monitor).go(start, stop_at, deadline)
    finally:
        run.unlock()
        leave_world(world)


class Run:
    """One process's work on one run, from the first to the last step."""

    def __init__(
        self, config: Config, run: RunFolder, placement: Placement, world: World, data: TrainingImages,
        players: Kept, monitor: Monitor,
    ) -> None:  # fmt: skip
        self.config, self.run, self.placement = config, run, placement
        self.world, self.data, self.monitor = world, data, monitor
        self.players = players
        reader = make_reader(config, data, placement, world)
        self.trainer = TASKS[config.task].trainer(config, players, reader, placement, world)

    def go(self, start: int, stop_at: int | None, deadline: float | None = None) -> TrainResult:
        """Run from ``start`` to the end, to ``stop_at``, to a signal, or until ``deadline`` has passed.

        Args:
            start: steps done so far.
            stop_at: as `train` has it.
            deadline: on ``time.monotonic``'s clock; a step is done even if it has passed, or a slice shorter
                than the way to the first step would never end.

        Raises:
            DivergedError: a loss or a weight is no longer finite.
            GanlabError: the disk is full.
        """
        steps = self.config.training.steps
        end = min(steps, stop_at or steps)
        for line in banner(self.config, self.placement, self.world, self.data, self.players, start):
            self.monitor.say(line)
        progress: tqdm[object] = tqdm(disable=True)
        if self.world.is_main:
            progress = bar(total=steps, initial=start, desc=self.run.path.name, unit="step")
        done, late = start, False
        with StopRequest() as stop, progress:
            # A signal to one process, or its clock, stops all of them, after the same step. On CUDA they
            # agree on it only now and then: they would else wait for each other at every step.
            every = SHARED_EVERY if self.world.host is not None else 1
            while done < end and (done % every or not self.world.share(stop.number is not None or late)):
                self.step(done)
                done += 1
                progress.update()
                self.monitor.forecast(done, end)
                late = deadline is not None and time.monotonic() >= deadline
            self._save(done, final=done == steps)
        finished = done >= steps
        why = f" after {self.config.training.max_minutes:g} minutes (training.max_minutes)" if late else ""
        state = "finished" if finished else f"stopped{why}; the same command resumes"
        self.monitor.say(f"{self.run.path}: {done} of {steps} steps, {state}")
        return TrainResult(self.run.path, done, finished, stop.number)

    def step(self, step: int) -> None:
        """All updates of step number ``step`` (from 0), and what is due after it."""
        logging = self.config.logging
        set_learning_rates(self.players, self.config, step)
        losses = self.trainer.step(step)
        self.players.average.update(self.players.generator, step)
        done = step + 1
        log, save = done % logging.log_every == 0, done % logging.checkpoint_every == 0
        # Looking at a loss waits for the device. A GPU is asked only when it must be: before anything that is
        # not finite reaches the log or a checkpoint.
        if log or save or self.placement.device.type == "cpu":
            bad = [name for name, value in losses.items() if not torch.isfinite(value)]
            if bad:
                self._diverged(done, ", ".join(bad))
        if log or self.trainer.compares_gradients(step):
            self.monitor.scalars(done, {name: value.item() for name, value in losses.items()})
        if done % logging.samples_every == 0:
            self._preview(done)
        if save:
            self._save(done)

    def _save(self, step: int, final: bool = False) -> None:
        """Write checkpoint and generator, unless this very step was just written."""
        players, logging = self.players, self.config.logging
        if self.world.is_main and step not in saved_steps(self.run.checkpoints) and step > 0:
            # Finite losses may have had infinite gradients: what they made of the weights is not kept.
            state = players.state()
            bad = not_finite(state).replace("_", " ")
            if bad:
                self._diverged(step, bad if bad.endswith("optimizer") else f"weights of the {bad}")
            average, raw = players.average.network.state_dict(), players.generator.state_dict()
            save_generator(self.run.path / FILE_NAME, average, raw, self.config, step)
            owner = owner_of(self.config, self.data.description)
            save_checkpoint(self.run.checkpoints, step, state, owner)
            prune(self.run.checkpoints, logging.keep_checkpoints, logging.milestone_every)
            if final and step % logging.samples_every:
                self._preview(step)
        self.world.barrier()

    def _preview(self, step: int) -> None:
        """What the average makes of the fixed latents or photos."""
        if self.world.is_main:
            shown, measured = self.trainer.previewed(self.players.average.network, self.data)
            self.monitor.preview(step, shown, measured, self.data)

    def _diverged(self, step: int, what: str) -> NoReturn:
        kept = saved_steps(self.run.checkpoints)
        last = f"the last good checkpoint is step {kept[-1]}" if kept else "no checkpoint had been written"
        raise DivergedError(
            f"{self.run.path}: {what} not finite at step {step}; {last}. Lower optimizer.lr, or "
            "use spectral normalisation or a gradient penalty; then start a new run folder",
            step,
        )


def check_classes(config: Config, data: TrainingImages) -> None:
    """Hold ``model.num_classes`` against the labels.

    Raises:
        GanlabError: a conditional model, and images without labels or with another number of classes.
    """
    classes, labelled = config.model.num_classes, data.num_classes
    if config.task == "gan" and classes and classes != labelled:
        has = f"labels of {labelled} classes" if labelled else "no labels (or not for every image)"
        raise GanlabError(
            f"model.num_classes is {classes}, but {data.description['path']} has {has}; expected "
            f"{f'{labelled} or ' if labelled else ''}0 (unconditional)"
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
        labels=data.labels if config.model.num_classes and config.task == "gan" else None,
        masks=data.masks,
        rank=world.rank,
        world=world.size,
        device=placement.device,
    )
