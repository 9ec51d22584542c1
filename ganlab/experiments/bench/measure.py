"""Rates of this machine: each against its limit or against the usual way, in turns, in one process.

Every row is a dict: ``what`` was measured, ``unit``, ``median``, ``low`` and ``high`` (quartiles over
``rounds``), and further facts of its own. Ratios are medians of ratios of neighbours in time: other work on
the machine slows both sides alike.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ganlab.config import Config
from ganlab.data import BatchReader, TrainingImages
from ganlab.forensics import convolutional_traces
from ganlab.generation.plan import Part
from ganlab.generation.sampling import generate_block
from ganlab.generation.write import PartWriter
from ganlab.images import UInt8Array
from ganlab.models import Generator
from ganlab.models.latents import BLOCK
from ganlab.spectra import SpectrumAccumulator, summaries
from ganlab.training.checkpoint import RunFolder
from ganlab.training.distributed import World, place
from ganlab.training.loop import TASKS, Run, make_reader
from ganlab.training.monitor import Monitor
from ganlab.training.players import make_players, set_learning_rates
from ganlab.training.step import Trainer, frozen

Action = Callable[[], object]
Row = dict[str, Any]
Clock = Callable[[], float]

FEWEST = 3
"""Rounds that are run however long they take."""


def turns(
    actions: Sequence[Action],
    rounds: int = 7,
    device: torch.device | str = "cpu",
    clock: Clock = time.perf_counter,
    budget: float = 20.0,
) -> npt.NDArray[np.float64]:
    """Seconds of each action in each round, ``(rounds, actions)``; the actions take turns.

    A first round is not counted: caches are filled, kernels loaded or compiled.

    Args:
        actions: what is timed.
        rounds: so many, or as many as begin within ``budget``, but three at least.
        device: that the work is done on; it is waited for.
        clock: wall time, or ``time.thread_time`` for the processor time of one thread.
        budget: seconds of wall time.
    """
    cuda = torch.device(device).type == "cuda"

    def timed(action: Action) -> float:
        start = clock()
        action()
        if cuda:
            torch.cuda.synchronize()
        return clock() - start

    for action in actions:
        timed(action)
    end = time.perf_counter() + budget
    rows: list[list[float]] = []
    while len(rows) < rounds and (len(rows) < FEWEST or time.perf_counter() < end):
        rows.append([timed(action) for action in actions])
    return np.array(rows)


def row(what: str, unit: str, values: npt.NDArray[np.float64], **facts: object) -> Row:
    """One figure with its spread."""
    low, median, high = (float(value) for value in np.percentile(values, [25, 50, 75]))
    return {"what": what, "unit": unit, "median": median, "low": low, "high": high,
            "rounds": len(values), **facts}  # fmt: skip


def product(device: torch.device, dtype: torch.dtype, side: int) -> tuple[Action, float]:
    """The arithmetic's limit: products of two square matrices, and how many FLOP they are.

    The faster of two forms, as a product and as a 1x1 convolution: other libraries compute the two, and on
    some processors the one for products is far from the limit. Of random numbers: on zeros some chips are
    faster than they ever are on data.
    """
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    image = b.view(1, side, -1, 8).contiguous(memory_format=torch.channels_last)
    kernel, repeats = a.view(side, side, 1, 1), 10 if device.type == "cuda" else 1
    forms: list[Action] = [
        lambda: [a @ b for _ in range(repeats)],
        lambda: [F.conv2d(image, kernel) for _ in range(repeats)],
    ]
    seconds = np.median(turns(forms, FEWEST, device), axis=0)
    return forms[int(seconds.argmin())], 2.0 * side**3 * repeats


def peak(what: str, limit: tuple[Action, float], device: torch.device, rounds: int = 7) -> Row:
    """What a `product` reaches, in FLOP/s."""
    action, flop = limit
    return row(what, "FLOP/s", flop / turns([action], rounds, device)[:, 0])


def noise_reader(config: Config) -> BatchReader:
    """Two batches of random pixels in the place of the configuration's images, on its device."""
    size, batch, classes = config.model.image_size, config.training.batch_size, config.model.num_classes
    pixels = np.random.default_rng(0).integers(0, 256, (2 * batch, size, size, 3), dtype=np.uint8)
    labels = np.arange(2 * batch) % classes if classes else None
    masks = np.zeros(pixels.shape[:3], np.uint8) if config.task == "segment" else None
    data = TrainingImages(pixels, labels, (), np.arange(2 * batch), np.arange(0), {}, masks)
    return make_reader(config, data, place(config.training), World())


def step_on_noise(config: Config) -> Action:
    """A function that does the next training step of this configuration: all updates and the average."""
    placement, world, task = place(config.training), World(), TASKS[config.task]
    players = task.players(config, placement, world)
    trainer = task.trainer(config, players, noise_reader(config), placement, world)
    numbers = itertools.count()

    def step() -> None:
        number = next(numbers)
        set_learning_rates(players, config, number)
        trainer.step(number)
        players.average.update(players.generator, number)

    return step


def step_flop(config: Config) -> int:
    """Floating-point operations of convolutions and matrix products in one training step, counted by torch.

    Counted on the networks as they are: compiled code does the same sums out of the counter's sight.
    """
    training = config.training.model_copy(update={"compile": False})
    step = step_on_noise(config.model_copy(update={"training": training}))
    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def training(what: str, config: Config, limit: tuple[Action, float], rounds: int = 7) -> Row:
    """Time of a training step, and which share of the arithmetic's limit it reaches.

    Args:
        what: name of the row.
        config: the run; its data are random pixels.
        limit: a `product` in the run's precision; it takes turns with the step.
        rounds: steps that are timed.
    """
    flop, step, (action, flop_there) = step_flop(config), step_on_noise(config), limit
    step()  # beside the first round of `turns`: cuDNN tries out, CUDA graphs are recorded, on the first calls
    seconds, seconds_there = turns([step, action], rounds, place(config.training).device).T
    low, share, high = np.percentile(flop / seconds / (flop_there / seconds_there), [25, 50, 75])
    median = float(np.median(seconds))
    return row(
        f"training step, {what}", "ms", 1e3 * seconds, flop=flop, flop_per_second=flop / median,
        share_of_limit=float(share), share_low=float(low), share_high=float(high),
        steps=config.training.steps, hours_of_the_run=config.training.steps * median / 3600,
    )  # fmt: skip


def loop_step(config: Config, data: TrainingImages, folder: Path) -> Action:
    """A function that does one whole step of the real loop, with its checks, average and logging."""
    placement, world = place(config.training), World()
    run = RunFolder(folder)
    run.lock()
    players = make_players(config, placement, world)
    runner = Run(config, run, placement, world, data, players, Monitor(run, config, 0))
    numbers = itertools.count()
    return lambda: runner.step(next(numbers))


def bare_step(config: Config, data: TrainingImages) -> Action:
    """The same nets, layout, batch and optimizer with nothing around them."""
    placement, world = place(config.training), World()
    players = make_players(config, placement, world)
    reader = make_reader(config, data, placement, world)
    losses = Trainer(config, players, reader, placement, world).adversarial
    count, z_dim = config.training.batch_size, config.model.generator.z_dim
    real = reader.batch(0).images.to(memory_format=placement.memory_format)
    generator, discriminator = players.generator, players.discriminator

    def latents() -> Tensor:
        return torch.randn(count, z_dim, device=placement.device)

    def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def step() -> None:
        for _ in range(config.training.n_dis):
            with torch.no_grad():
                fake = generator(latents())
            if players.concatenate:
                on_real, on_fake = discriminator(torch.cat([real, fake])).chunk(2)
            else:
                on_real, on_fake = discriminator(real), discriminator(fake)
            update(players.discriminator_optimizer, losses.discriminator(on_real, on_fake))
        with frozen(discriminator):
            loss = losses.generator(discriminator(generator(latents())))
            update(players.generator_optimizer, loss)

    return step


class _Blocks:
    """A generator as a fake set's source, without a file; or its images, already computed."""

    name = "fake"

    def __init__(self, generator: Generator, computed: Sequence[UInt8Array] = ()) -> None:
        self.generator, self.computed = generator, computed

    def block(self, number: int) -> UInt8Array:
        """Images ``64 number ...``."""
        return self.computed[number] if self.computed else generate_block(self.generator, 0, number)

    def labels(self, first: int, count: int) -> None:
        """None: without classes."""

    def about(self) -> dict[str, Any]:
        """What a manifest would say."""
        return {"kind": "fake"}


def generation(generator: Generator, num: int, folder: Path, rounds: int = 5) -> list[Row]:
    """Images a second of a fake set as PNG, and its time over that of the slower of network and encoder.

    Half of the cores encode. On the CPU the caller should leave torch the other half.

    Args:
        generator: in evaluation mode.
        num: images of a set; whole blocks of 64.
        folder: where the sets are written; nothing is removed.
        rounds: sets that are made.
    """
    device = next(generator.parameters()).device
    source, names = _Blocks(generator), itertools.count()
    ready = _Blocks(generator, [source.block(number) for number in range(num // BLOCK)])
    workers = max(1, (os.cpu_count() or 2) // 2)

    def network() -> None:
        for number in range(num // BLOCK):
            source.block(number)

    def write(origin: _Blocks) -> None:
        place = folder / str(next(names))
        PartWriter(Part("fake", origin, 0, num), "folder", place / "staging", place).run(256, workers)

    actions = [network, lambda: write(ready), lambda: write(source)]
    alone, encoding, together = turns(actions, rounds, device).T
    facts = {"network_seconds": float(np.median(alone)), "encoding_seconds": float(np.median(encoding)),
             "images": num, "encoders": workers}  # fmt: skip
    return [
        row("generation", "images/s", num / together, **facts),
        row("generation over max(network, encoder)", "ratio", together / np.maximum(alone, encoding)),
    ]


def fft_ratio(what: str, images: Tensor, action: Action, rounds: int = 150) -> Row:
    """How many ``rfft2`` of these images an action costs; one thread's processor time on the CPU."""
    torch.set_num_threads(1)
    clock = time.perf_counter if images.device.type == "cuda" else time.thread_time
    fft, ours = turns([lambda: torch.fft.rfft2(images), action], rounds, images.device, clock).T
    shape = "x".join(map(str, images.shape))
    micro = float(np.median(fft)) / len(images) * 1e6
    return row(f"{what}, {shape}", "rfft2", ours / fft, fft_us_per_image=micro)


def spectra(size: int, count: int, device: torch.device, rounds: int = 50) -> list[Row]:
    """Spectral summaries and the accumulator of ``count`` grey images, as multiples of their FFT."""
    draw = torch.Generator().manual_seed(0)
    images = (torch.rand(count, 1, size, size, generator=draw) * 2 - 1).to(device)
    accumulator = SpectrumAccumulator().to(device)
    return [
        fft_ratio("spectral summaries", images, lambda: summaries(images), rounds),
        fft_ratio("spectrum accumulator", images, lambda: accumulator.update(images), rounds),
    ]


def loop_traces(
    channel: npt.NDArray[np.float64], size: int, tolerance: float = 1e-2, iterations: int = 100
) -> npt.NDArray[np.float64]:
    """Expectation-maximisation traces of one channel in 0..255 ``(H, W)`` as a loop over channels has them.

    Its neighbours are a matrix, and BLAS makes the normal equations: the other way, and the reference.
    Returns the ``size * size - 1`` weights, rows first, without the middle one.
    """
    window = np.lib.stride_tricks.sliding_window_view(channel, (size, size)).reshape(-1, size**2)
    middle, reach = size**2 // 2, size // 2
    design, pixel = np.delete(window, middle, axis=1), window[:, middle]
    steps = range(-reach, reach + 1)
    cells = [(s, t) for s in steps for t in steps if (s, t) != (0, 0)]
    kernel = np.array([0.25 if abs(s) + abs(t) == 1 else 0.0 for s, t in cells])
    residual = pixel - design @ kernel
    sigma = np.sqrt(np.mean(residual**2))
    for _ in range(iterations):
        density = np.exp(-(residual**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
        weight = density / (density + 1 / 256)
        weighted = design * weight[:, None]
        new = np.linalg.solve(weighted.T @ design, weighted.T @ pixel)
        residual = pixel - design @ new
        sigma = np.sqrt(np.sum(weight * residual**2) / np.sum(weight))
        moved, kernel = np.linalg.norm(new - kernel), new
        if moved < tolerance:
            break
    return kernel


def smooth_grey(count: int, side: int = 64) -> npt.NDArray[np.float64]:
    """Smooth noise with the pixels' rounding, ``(count, 3, side, side)`` in 0..255: something with traces."""
    from scipy.ndimage import gaussian_filter  # takes longer to load than all else here

    rng = np.random.default_rng(0)
    field = gaussian_filter(rng.standard_normal((count, 3, side, side)), (0, 0, 1, 1))
    grey: npt.NDArray[np.float64] = np.clip(128 + 150 * field + 2 * rng.standard_normal(field.shape), 0, 255)
    return grey.round()


def traces(size: int, count: int, device: torch.device, rounds: int = 9) -> Row:
    """How many times faster an image's traces are in a batch than in `loop_traces`.

    On the CPU processor time of all threads; on CUDA wall time.
    """
    grey = smooth_grey(count)
    images = torch.from_numpy(grey / 127.5 - 1).float().to(device)
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    ours, loop = turns(
        [lambda: convolutional_traces(images, size), lambda: [loop_traces(c, size) for c in grey[0]]],
        rounds, device, clock,
    ).T  # fmt: skip
    return row(f"EM traces {size}x{size}, batch over loop", "times faster", loop / (ours / count))
