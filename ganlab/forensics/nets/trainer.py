"""One seeded training loop with early stopping for every detector network, and its augmentations.

An augmentation is applied to the training images in every pass anew; its inputs are pixels in [-1, 1].
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.nets.architectures import DetectorNetwork
from ganlab.forensics.perturbations.base import Perturbation, perturb
from ganlab.forensics.perturbations.operators import GaussianBlur, Jpeg
from ganlab.forensics.perturbations.published import Sequence, Sometimes, yu_combined
from ganlab.images import to_float, to_uint8
from ganlab.util.hashing import derive_seed

Augment = Callable[[Tensor, np.random.Generator], Tensor]

WANG = Sequence((Sometimes(GaussianBlur((0.0, 3.0))), Sometimes(Jpeg((30.0, 100.0)))))
"""CNNDetection (Wang 2020): blur of sigma U[0, 3] and JPEG of quality 30 to 100, each half the time."""


@dataclass(frozen=True)
class Plan:
    """How a network is trained: Adam, constant rate, early stopping.

    Attributes:
        epochs: at most so many passes.
        batch: images in a step.
        rate: learning rate.
        betas: Adam's decay rates.
        decay: weight decay.
        patience: passes without a better validation loss after which training ends; the best weights stay.
    """

    epochs: int = 30
    batch: int = 64
    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    decay: float = 0.0
    patience: int = 5

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch, self.patience) < 1 or self.rate <= 0:
            raise GanlabError(f"epochs, batch, patience and rate must be positive; got {self}")


@dataclass
class History:
    """What happened: mean training loss and validation loss of every pass, and the best pass (from 0)."""

    training: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best: int = 0


@dataclass(frozen=True)
class Examples:
    """Features ``(N, C, H, W)`` (an array or a memory map) with labels ``(N,)`` 0..K-1."""

    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def batch(self, places: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Some of them as tensors."""
        features = np.ascontiguousarray(self.features[places], dtype=np.float32)
        return torch.from_numpy(features), torch.from_numpy(self.labels[places])


def train(
    network: DetectorNetwork,
    training: Examples,
    validation: Examples,
    plan: Plan,
    seed: int,
    augment: Augment | None = None,
) -> History:
    """Train in place and leave the network with its best weights, in eval mode.

    Raises:
        GanlabError: the loss is no number any more.
    """
    optimizer = torch.optim.Adam(
        network.parameters(), lr=plan.rate, betas=plan.betas, weight_decay=plan.decay
    )
    history, best = History(), copy.deepcopy(network.state_dict())
    for epoch in range(plan.epochs):
        rng = np.random.default_rng(derive_seed(seed, "detector_epoch", epoch))
        network.train()
        losses: list[float] = []
        for places in batches(rng.permutation(len(training.labels)), plan.batch):
            features, labels = training.batch(places)
            loss = network.training_loss(features if augment is None else augment(features, rng), labels)
            if not bool(torch.isfinite(loss)):
                raise GanlabError("the detector's training loss is not finite; lower its rate")
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(loss.item())
        history.training.append(float(np.mean(losses)))
        history.validation.append(_validation_loss(network, validation, plan.batch))
        if history.validation[-1] < min(history.validation[:-1], default=float("inf")):
            history.best, best = epoch, copy.deepcopy(network.state_dict())
        if epoch - history.best >= plan.patience:
            break
    network.load_state_dict(best)
    network.eval()
    return history


def _validation_loss(network: DetectorNetwork, examples: Examples, size: int) -> float:
    """Mean over all examples; leaves the network in eval mode."""
    network.eval()
    total = 0.0
    with torch.inference_mode():
        for places in batches(np.arange(len(examples.labels)), size):
            total += network.training_loss(*examples.batch(places)).item() * len(places)
    return total / len(examples.labels)


def batches(order: npt.NDArray[np.int64], size: int) -> list[npt.NDArray[np.int64]]:
    """Consecutive pieces; a last piece of one image joins the one before (batch norm needs two)."""
    pieces = [order[i : i + size] for i in range(0, len(order), size)]
    if len(pieces) > 1 and len(pieces[-1]) == 1:
        pieces[-2:] = [np.concatenate(pieces[-2:])]
    return pieces


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


AUGMENTATIONS: dict[str, Augment | None] = {
    "none": None,
    "mirror": mirrored,
    "blur_jpeg": lambda images, rng: perturbed(images, rng, WANG),
    # Yu 2019's immunisation: light, crop, blur, JPEG and noise, each half the time
    "yu": lambda images, rng: perturbed(images, rng, yu_combined()),
}
