"""Immunisation: a trained network goes on learning from perturbed images (Yu et al. 2019)."""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.detectors.prepare import Floats, Labels, check_training
from ganlab.forensics.nets.augment import perturbed
from ganlab.forensics.nets.detector import NetDetector, hold_out
from ganlab.forensics.nets.trainer import Examples, Plan, train
from ganlab.forensics.perturbations.base import Perturbation, perturb
from ganlab.images import to_float, to_uint8
from ganlab.util.hashing import derive_seed


def immunised(
    detector: NetDetector,
    pixels: Floats,
    labels: Labels,
    perturbation: Perturbation,
    plan: Plan | None = None,
    seed: int = 0,
) -> NetDetector:
    """A copy of a fitted detector, trained on with every image perturbed anew in every pass.

    The images by which training stops are those of the first training, perturbed once.

    Args:
        detector: a fitted network on pixels; left as it is.
        pixels: training images ``(N, C, H, W)`` in [-1, 1].
        labels: ``(N,)``, classes the detector knows.
        perturbation: what it is to withstand.
        plan: of the training; absent: the detector's own.
        seed: of the order and the perturbations.

    Raises:
        GanlabError: not fitted, unknown labels, features that are no pixels, or an impossible training set.
    """
    check_training(pixels, labels)
    if not hasattr(detector, "module_") or not np.isin(labels, detector.classes_).all():
        raise GanlabError("immunisation needs a fitted network and labels that it knows")
    codes = np.searchsorted(detector.classes_, labels)
    inner, held = hold_out(codes, detector.seed)
    tuned = copy.deepcopy(detector)

    def augment(images: Tensor, rng: np.random.Generator) -> Tensor:
        return tuned.planes(perturbed(images, rng, perturbation).numpy())

    validation = _perturbed_once(pixels[held], perturbation, seed)
    tuned.history_ = train(
        tuned.module_,
        Examples(np.asarray(pixels[inner], np.float32), codes[inner]),
        Examples(tuned.planes(validation).numpy(), codes[held]),
        plan or detector.plan or Plan(),
        derive_seed(seed, "immunise"),
        augment,
    )
    return tuned


def _perturbed_once(pixels: Floats, perturbation: Perturbation, seed: int) -> npt.NDArray[np.float32]:
    images = to_uint8(torch.from_numpy(np.ascontiguousarray(pixels, np.float32)))
    return np.asarray(
        to_float(perturb(images, perturbation, derive_seed(seed, "immunise_validation"))).numpy()
    )
