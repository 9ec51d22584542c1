"""Random numbers of a run: each draw is a function of (seed, stream, index) alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from ganlab.data import TrainingImages
from ganlab.images import UInt8Array, to_float, to_uint8
from ganlab.models import Generator
from ganlab.spectra import decibels, radial_profile
from ganlab.util.hashing import derive_seed


def generator_for(seed: int, stream: str, index: int = 0) -> torch.Generator:
    """A CPU generator for one draw; the CPU's numbers are the same whatever device the run is on."""
    return torch.Generator().manual_seed(derive_seed(seed, stream, index))


def latents(seed: int, stream: str, index: int, count: int, z_dim: int) -> Tensor:
    """Standard normal ``(count, z_dim)``, float32, on the CPU."""
    return torch.randn(count, z_dim, generator=generator_for(seed, stream, index))


def labels(seed: int, stream: str, index: int, count: int, num_classes: int) -> Tensor | None:
    """Uniform class labels ``(count,)``; None without classes."""
    if not num_classes:
        return None
    return torch.randint(num_classes, (count,), generator=generator_for(seed, f"{stream}/labels", index))


SAMPLES = 64
COLUMNS = 8
REALS = 512

Picture = np.ndarray[Any, np.dtype[np.uint8]]


@torch.no_grad()
def fixed_samples(generator: Generator, seed: int) -> Tensor:
    """``(64, 3, S, S)`` in [-1, 1] from the run's fixed noise; the generator's mode is restored."""
    device = next(generator.parameters()).device
    z = latents(seed, "preview", 0, SAMPLES, generator.z_dim).to(device)
    wanted = labels(seed, "preview", 0, SAMPLES, generator.num_classes)
    training = generator.training
    images: Tensor = generator.eval()(z, None if wanted is None else wanted.to(device))
    generator.train(training)
    return images.float().cpu()


def grid(images: UInt8Array, columns: int = COLUMNS, gap: int = 2) -> Picture:
    """uint8 ``(N, H, W, 3)`` -> one picture with white gaps."""
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + gap) + gap, (index % columns) * (width + gap) + gap
        sheet[top : top + height, left : left + width] = image
    return sheet


def mean_profile_db(images: Tensor) -> Tensor:
    """Mean radial power in dB, ``(K,)``, ganlab's convention, to a thousandth of a dB.

    The FFT's last digits depend on where in memory the images lie; rounded, a resumed run draws the same
    picture.
    """
    level = decibels(radial_profile(images.double()).mean(0))
    return level.round(decimals=3)


def real_profile_db(images: TrainingImages) -> Tensor:
    """The same of the first validation images (training images where none are held out)."""
    chosen = images.val if len(images.val) else images.train
    return mean_profile_db(to_float(np.asarray(images.images[np.sort(chosen[:REALS])])))


def sample_grid(samples: Tensor) -> Picture:
    """The samples as one picture."""
    return grid(to_uint8(samples))


def spectrum_picture(real: Tensor, fake: Tensor) -> Picture:
    """Both radial profiles, ganlab's convention, in dB over cycles per pixel."""
    figure = Figure(figsize=(4.5, 3.0), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    frequencies = np.linspace(0.0, 0.5, len(real))
    axes.plot(frequencies, real.numpy(), color="black", label=f"real ({REALS} at most)")
    axes.plot(frequencies, fake.numpy(), color="#D55E00", label=f"fake ({SAMPLES})")
    axes.set(xlabel="frequency (cycles per pixel)", ylabel="mean radial power (dB)")
    axes.legend(frameon=False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels: Picture = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return pixels[..., :3].copy()
