"""The perturbations of Frank et al. 2020 and Yu et al. 2019: as they were meant, and as they were released.

Sources: Frank et al., ICML 2020, arXiv 2003.08685, and its repository RUB-SysSec/GANDCTAnalysis
(``create_perturbed_imagedata.py``); Yu et al., ICCV 2019, arXiv 1811.08180. Every image is perturbed with
probability 1/2. The released script differs from the text in three of four operators:

* noise: the number drawn as a variance multiplies the normal draw, so it is a standard deviation; the result
  is cut to integers, not rounded;
* blur: the constant 4 stands in the place of sigma, whatever the kernel's side;
* JPEG: the drawn number stands in the place of an option's id, so that every image is coded at quality 95,
  with red and blue exchanged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ganlab.errors import GanlabError
from ganlab.forensics.perturbations.base import Perturbation, draw, through_float
from ganlab.forensics.perturbations.operators import (
    GREY_LEVEL,
    CropResize,
    GaussianNoise,
    Jpeg,
    Relight,
    gaussian_taps,
    jpeg_roundtrip,
    separable,
)
from ganlab.images import UInt8Array

FRANK_VARIANCE = (5.0, 20.0)
FRANK_KERNELS = (3, 5, 7, 9)
FRANK_CROP = (0.05, 0.2)
FRANK_QUALITY = (10, 75)
RELIGHT = 0.5
"""Largest strength of the ramp; ours."""
FRANK_RELEASED_SIGMA = 4.0
FRANK_RELEASED_QUALITY = 95


@dataclass(frozen=True)
class Sometimes:
    """Apply another perturbation with a given probability, otherwise leave the image alone.

    Attributes:
        inner: what is applied.
        probability: how often.
    """

    inner: Perturbation
    probability: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.probability <= 1.0:
            raise GanlabError(f"a probability lies in [0, 1]; got {self.probability}")

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Toss first, so that the inner draws are the same however often it is applied."""
        apply = rng.random() < self.probability
        return self.inner(image, rng) if apply else image.copy()


@dataclass(frozen=True)
class OneOf:
    """Apply one of several perturbations, each as likely as the others.

    Attributes:
        choices: the candidates.
    """

    choices: tuple[Perturbation, ...]

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Draw one and apply it."""
        return self.choices[int(rng.integers(len(self.choices)))](image, rng)


@dataclass(frozen=True)
class Sequence:
    """Apply several perturbations one after the other.

    Attributes:
        steps: in the order of application.
    """

    steps: tuple[Perturbation, ...]

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Apply all."""
        for step in self.steps:
            image = step(image, rng)
        return image


@dataclass(frozen=True)
class KernelBlur:
    """Gaussian blur by the kernel's side, as OpenCV does it: sigma given, or following from the side.

    Attributes:
        kernels: odd sides in pixels, one drawn for each image.
        sigma: of every kernel; absent: 0.3 * ((side - 1) / 2 - 1) + 0.8, OpenCV's documented rule.
    """

    kernels: tuple[int, ...] = FRANK_KERNELS
    sigma: float | None = None

    def __post_init__(self) -> None:
        if not self.kernels or any(side < 1 or side % 2 == 0 for side in self.kernels):
            raise GanlabError(f"blur kernels have odd, positive sides; got {self.kernels}")

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Draw a side and blur; border mirrored, edge not doubled."""
        side = int(rng.choice(self.kernels))
        sigma = 0.3 * ((side - 1) * 0.5 - 1) + 0.8 if self.sigma is None else self.sigma
        return through_float(image, lambda x: separable(x, gaussian_taps(side // 2, sigma)))


@dataclass(frozen=True)
class ReleasedNoise:
    """Frank's released noise: U[5, 20) is the standard deviation, and the result is cut to integers."""

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Add noise; half a grey level less makes rounding a cut."""
        deviation = draw(rng, FRANK_VARIANCE) * GREY_LEVEL
        noise = torch.from_numpy(rng.standard_normal(image.shape).astype(np.float32)).permute(2, 0, 1)
        return through_float(image, lambda x: x + deviation * noise - 0.5 * GREY_LEVEL)


@dataclass(frozen=True)
class ReleasedJpeg:
    """Frank's released JPEG: quality 95 for every image, 4:2:0, red and blue exchanged for the coder."""

    def __call__(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Code with the channels reversed, as OpenCV reads an RGB array."""
        coded = jpeg_roundtrip(np.ascontiguousarray(image[:, :, ::-1]), FRANK_RELEASED_QUALITY, "4:2:0")
        return coded[:, :, ::-1].copy()


def frank_noise() -> Perturbation:
    """Frank 2020 as meant: noise of variance U[5, 20) on every second image."""
    return Sometimes(GaussianNoise(FRANK_VARIANCE))


def frank_blur() -> Perturbation:
    """Frank 2020 as meant: Gaussian blur with kernel 3, 5, 7 or 9 on every second image."""
    return Sometimes(KernelBlur(FRANK_KERNELS))


def frank_crop() -> Perturbation:
    """Frank 2020: 5 to 20 % cropped and resized back on every second image."""
    return Sometimes(CropResize(FRANK_CROP))


def frank_jpeg() -> Perturbation:
    """Frank 2020 as meant: JPEG of quality U[10, 75), 4:2:0, on every second image."""
    # drawn numbers are rounded down: just below 75 never is
    return Sometimes(Jpeg((FRANK_QUALITY[0], math.nextafter(FRANK_QUALITY[1], 0.0))))


def frank_combined() -> Perturbation:
    """Frank 2020 as meant: one of noise, blur, JPEG and crop on every second image."""
    return OneOf((frank_noise(), frank_blur(), frank_jpeg(), frank_crop()))


def frank_noise_released() -> Perturbation:
    """Frank 2020 as released: the variance is used as standard deviation, the result cut to integers."""
    return Sometimes(ReleasedNoise())


def frank_blur_released() -> Perturbation:
    """Frank 2020 as released: kernel 3, 5, 7 or 9 with sigma 4, nearly a box."""
    return Sometimes(KernelBlur(FRANK_KERNELS, sigma=FRANK_RELEASED_SIGMA))


def frank_jpeg_released() -> Perturbation:
    """Frank 2020 as released: JPEG of quality 95, whatever number was drawn."""
    return Sometimes(ReleasedJpeg())


def frank_combined_released() -> Perturbation:
    """Frank 2020 as released: one of the released noise, blur, JPEG and crop on every second image."""
    return OneOf((frank_noise_released(), frank_blur_released(), frank_jpeg_released(), frank_crop()))


def yu_relight() -> Perturbation:
    """For Yu 2019's relighting, which was never released: a ramp of light on every second image."""
    return Sometimes(Relight((0.0, RELIGHT)))


def yu_combined() -> Perturbation:
    """Yu 2019's combination: light, crop, blur, JPEG and noise in this order, each with probability 1/2."""
    return Sequence((yu_relight(), frank_crop(), frank_blur(), frank_jpeg(), frank_noise()))
