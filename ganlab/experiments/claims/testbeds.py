"""Schwarz et al. 2021's testbeds: a generator that regresses given images, a discriminator that pulls pixels.

Both work on images whose power lies in two rings of the frequency plane: it is known where it belongs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganlab.config import load
from ganlab.losses import ADVERSARIAL, PENALTIES
from ganlab.models import build_discriminator, build_generator
from ganlab.spectra import decibels, radial_profile
from ganlab.util.hashing import derive_seed
from ganlab.util.progress import bar

Floats = npt.NDArray[np.float64]
CORNER = 0.5**0.5
"""Cycles per pixel: the highest frequency of the plane."""
BANDS = {"low": (0.05, 0.15), "high": (0.75, 0.85)}
"""Name -> ring, as shares of the corner's frequency."""
RMS = 0.25
"""Root mean square of an image with rings of equal power; pixels stay within [-1, 1] but for rare ones."""
CONVENTION = "schwarz2021"


def ring_images(count: int, size: int, seed: int, weaker: str = "", by_db: float = 20.0) -> Tensor:
    """Images of random phase with Gaussian-shaped rings of power: float ``(count, 3, size, size)``, grey.

    Args:
        count: images.
        size: pixels a side.
        seed: of the phases; image i depends on (seed, i).
        weaker: a key of `BANDS` whose power is lower; empty: both have the same.
        by_db: by so many decibels.
    """
    y, x = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    radius = np.hypot(y, x) / CORNER
    amplitude = np.zeros_like(radius)
    for name, (low, high) in BANDS.items():
        ring = np.exp(-0.5 * ((radius - (low + high) / 2) / ((high - low) / 2)) ** 2)
        ring[0, 0] = 0
        ring /= np.sqrt((ring**2).sum())
        amplitude += ring * (10 ** (-by_db / 20) if name == weaker else 1.0)
    images = []
    for index in range(count):
        draw = np.random.default_rng(derive_seed(seed, "rings", index))
        plane = np.fft.irfft2(np.fft.rfft2(draw.standard_normal((size, size))) * amplitude, s=(size, size))
        images.append(plane)
    # one factor for all, or the weaker ring would be raised again
    planes = np.stack(images) * RMS / np.sqrt(np.mean(np.square(images)))
    return torch.from_numpy(planes).float().clamp(-1, 1)[:, None].repeat(1, 3, 1, 1)


def band_errors(made: Tensor, target: Tensor) -> dict[str, Floats]:
    """Power of each image in each band over that of its target, dB ``(N,)`` (convention schwarz2021)."""
    levels = [radial_profile(images.double(), CONVENTION).numpy() for images in (made, target)]
    count = levels[0].shape[1]
    radius = np.arange(count) / (count - 1)
    found = {}
    for name, (low, high) in BANDS.items():
        inside = (radius >= low) & (radius <= high)
        sums = [level[:, inside].sum(1) for level in levels]
        found[name] = decibels(sums[0], 1e-9) - decibels(sums[1], 1e-9)
    return found


def radial_level(images: Tensor) -> Floats:
    """Mean over images of the reduced spectrum, dB under its own maximum by ring ``(K,)``, at least -60."""
    level = decibels(radial_profile(images.double(), CONVENTION).mean(0).numpy())
    shown: Floats = np.maximum(level - level.max(), -60.0)
    return shown


def regress(
    upsampling: str,
    target: Tensor,
    steps: int,
    seed: int,
    with_spectrum: bool = False,
    looks: Sequence[int] = (),
) -> tuple[Tensor, dict[int, dict[str, float]]]:
    """A generator with fixed latents learns given images by their pixels.

    Args:
        upsampling: a key of ``ganlab.upsampling.UPSAMPLERS``.
        target: ``(N, 3, S, S)``.
        steps: of Adam, rate 1e-3, all images in each.
        seed: of weights and latents.
        with_spectrum: add the distance of the logarithms of the reduced spectra to the squared error.
        looks: steps after which the bands are measured.

    Returns:
        The images at the end, and step -> band -> mean error in dB.
    """
    config = load("dcgan32", [f"model.upsampling={upsampling}", f"model.image_size={target.shape[-1]}"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, f"regress/{upsampling}") % 2**31)
        generator = build_generator(config)
        latents = torch.randn(len(target), generator.z_dim)
    optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3)
    wanted = _log_spectrum(target)
    seen: dict[int, dict[str, float]] = {}
    for step in bar(range(1, steps + 1), total=steps, desc=f"regress {upsampling}", unit="step"):
        made = generator(latents)
        loss = (made - target).square().mean()
        if with_spectrum:
            loss = loss + 0.01 * (_log_spectrum(made) - wanted).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in looks:
            seen[step] = {name: float(e.mean()) for name, e in band_errors(made.detach(), target).items()}
    with torch.no_grad():
        # batch norm sees the same latents again: the fixed batch is the task
        return generator(latents), seen


def _log_spectrum(images: Tensor) -> Tensor:
    return (1 + radial_profile(images, CONVENTION)).log()


def pull(downsampling: str, real: Tensor, count: int, steps: int, seed: int) -> Tensor:
    """Pixels as parameters: what a discriminator alone makes of images that begin as weak noise.

    Args:
        downsampling: of the discriminator: stride, avg_pool or blur_pool.
        real: the images to be matched in distribution, ``(N, 3, S, S)``.
        count: images that are optimised.
        steps: of each player: pixels at rate 1e-2, discriminator at 1e-3, R1 of weight 10.
        seed: of weights, noise and batches.

    Returns:
        ``(count, 3, S, S)``.
    """
    config = load("dcgan32", [
        "model.upsampling=nearest", f"model.image_size={real.shape[-1]}", "model.discriminator.norm=none",
        f"model.discriminator.downsampling={downsampling}",
    ])  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, f"pull/{downsampling}") % 2**31)
        critic = build_discriminator(config)
        pixels = (0.01 * torch.randn(count, *real.shape[1:])).requires_grad_()
    adversarial, penalty = ADVERSARIAL["non_saturating"], PENALTIES["r1"]
    own = torch.optim.Adam([pixels], lr=1e-2, betas=(0.0, 0.99))
    other = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.99))
    draw = np.random.default_rng(derive_seed(seed, "pull/batches"))
    for _ in bar(range(steps), total=steps, desc=f"pull {downsampling}", unit="step"):
        batch = real[draw.choice(len(real), min(count, len(real)), replace=False)]
        fixed = pixels.detach()
        loss = adversarial.discriminator(critic(batch), critic(fixed))
        loss = loss + 10.0 * penalty.penalty(critic, batch, fixed, torch.rand)
        other.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        other.step()
        own.zero_grad()
        adversarial.generator(critic(pixels)).backward()  # type: ignore[no-untyped-call]
        own.step()
        with torch.no_grad():
            pixels.clamp_(-1, 1)
    return pixels.detach()
