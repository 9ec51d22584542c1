"""What is done to training images of a network, in every pass anew. Inputs are pixels in [-1, 1]."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.nets.trainer import Augment
from ganlab.forensics.perturbations.base import Perturbation, perturb
from ganlab.forensics.perturbations.operators import GaussianBlur, Jpeg
from ganlab.forensics.perturbations.published import Sequence, Sometimes, yu_combined
from ganlab.images import to_float, to_uint8

WANG = Sequence((Sometimes(GaussianBlur((0.0, 3.0))), Sometimes(Jpeg((30.0, 100.0)))))
"""CNNDetection (Wang 2020): blur of sigma U[0, 3] and JPEG of quality 30 to 100, each half the time."""


def mirrored(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Every second image with left and right exchanged."""
    chosen = torch.from_numpy(rng.random(len(images)) < 0.5)
    return torch.where(chosen[:, None, None, None], images.flip(3), images)


def perturbed(images: Tensor, rng: np.random.Generator, perturbation: Perturbation) -> Tensor:
    """Mirror, then perturb the 8-bit images.

    Raises:
        GanlabError: values beyond [-1, 1]: only pixels can be perturbed, not spectra.
    """
    if images.abs().max().item() > 1.0 + 1e-4:
        raise GanlabError("this augmentation perturbs pixels in [-1, 1]; use the feature 'pixels' with it")
    pixels = to_uint8(mirrored(images, rng))
    return to_float(perturb(pixels, perturbation, seed=int(rng.integers(2**31))))


def blur_and_jpeg(images: Tensor, rng: np.random.Generator) -> Tensor:
    """CNNDetection's augmentation."""
    return perturbed(images, rng, WANG)


def immunise(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Yu 2019's immunisation: light, crop, blur, JPEG and noise, each half the time."""
    return perturbed(images, rng, yu_combined())


AUGMENTATIONS: dict[str, Augment | None] = {
    "none": None,
    "mirror": mirrored,
    "blur_jpeg": blur_and_jpeg,
    "yu": immunise,
}
