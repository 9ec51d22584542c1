"""A detector network behind scikit-learn's interface, the published ones by name, and immunisation."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganlab.errors import GanlabError, lookup
from ganlab.forensics.detectors.prepare import Floats, Judge, Labels, check_training
from ganlab.forensics.nets.architectures import (
    AttributionNetwork,
    DetectorNetwork,
    FingerprintNetwork,
    NprNetwork,
    ResNetDetector,
    SmallCnn,
)
from ganlab.forensics.nets.patch import PatchNetwork
from ganlab.forensics.nets.trainer import AUGMENTATIONS, Examples, Plan, perturbed, train
from ganlab.forensics.perturbations.base import Perturbation, perturb
from ganlab.images import to_float, to_uint8
from ganlab.models.base import filled
from ganlab.util.hashing import derive_seed

NETWORKS: dict[str, Callable[..., DetectorNetwork]] = {
    "small_cnn": SmallCnn,
    "patch": PatchNetwork,
    "attribution": AttributionNetwork,
    "fingerprint": FingerprintNetwork,
    "npr": NprNetwork,
    "resnet": ResNetDetector,
}
"""Names as files of saved detectors use them."""
VALIDATION = 0.15
PREDICT_BATCH = 256


class NetDetector(Judge):
    """A detector network with ``fit`` and ``predict_proba``.

    Attributes:
        network: a key of ``NETWORKS``.
        options: of the network.
        plan: of the training.
        standardise: mean 0 and deviation 1 of every entry over the training images (spectra need it).
        augment: a key of ``AUGMENTATIONS``; they take pixels in [-1, 1].
        seed: of the weights, the held-out part, the order and the augmentation.
    """

    def __init__(
        self,
        network: str,
        options: Mapping[str, Any] | None = None,
        plan: Plan | None = None,
        standardise: bool = True,
        augment: str = "none",
        seed: int = 0,
    ) -> None:
        self.network = network
        self.options = options
        self.plan = plan
        self.standardise = standardise
        self.augment = augment
        self.seed = seed

    def fit(self, features: Floats, labels: Labels) -> Self:
        """Train on most of the images and stop by the loss on the others.

        Raises:
            GanlabError: features that are no planes ``(N, C, H, W)``, or an impossible training set.
        """
        check_training(features, labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        self.shape_ = _planes(features.shape[1:])
        inner, held = hold_out(codes, self.seed)
        mean, deviation = np.zeros((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32)
        if self.standardise:
            fitted = np.asarray(features[np.sort(inner)], np.float32).reshape(-1, *self.shape_)
            mean, deviation = fitted.mean(0), fitted.std(0)
        # an entry that never changes says nothing; it stays 0
        self.mean_, self.scale_ = mean, np.where(deviation > 0, deviation, 1.0).astype(np.float32)
        self.module_ = self.built(self.shape_, len(self.classes_))
        planes = self._scaled(features)
        self.history_ = train(
            self.module_,
            Examples(planes[inner], codes[inner]),
            Examples(planes[held], codes[held]),
            self.plan or Plan(),
            self.seed,
            lookup(AUGMENTATIONS, self.augment, "augmentation"),
        )
        return self

    def _scaled(self, features: Floats) -> npt.NDArray[np.float32]:
        planes = np.asarray(features, np.float32).reshape(-1, *self.shape_)
        scaled: npt.NDArray[np.float32] = (planes - self.mean_) / self.scale_
        return scaled

    def built(self, shape: tuple[int, ...], classes: int) -> DetectorNetwork:
        """A fresh network for features of this shape; torch's global generator is left as it was.

        Raises:
            GanlabError: a network, an option or a shape that does not exist or fit.
        """
        builder = lookup(NETWORKS, self.network, "network")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(self.seed, "detector_weights"))
            return builder(_planes(shape), classes, **(self.options or {}))

    def planes(self, features: Floats) -> Tensor:
        """Features as the network sees them, ``(N, C, H, W)``.

        Raises:
            GanlabError: another shape than that of the training features.
        """
        if _planes(features.shape[1:]) != self.shape_:
            raise GanlabError(
                f"this detector was fitted on features of shape {self.shape_}; "
                f"got {tuple(features.shape[1:])}"
            )
        return torch.from_numpy(self._scaled(features))

    def predict_proba(self, features: Floats) -> Floats:
        """Probability of each class, ``(N, K)`` float64."""
        return self._asked(features, self.module_.probabilities)

    def decision_function(self, features: Floats) -> Floats:
        """Log-odds of class 1 ``(N,)`` where there are two classes, else logarithms ``(N, K)``."""
        logs = self._asked(features, self.module_.evidence)
        return logs[:, 1] - logs[:, 0] if len(self.classes_) == 2 else logs

    def _asked(self, features: Floats, question: Callable[[Tensor], Tensor]) -> Floats:
        """What the network answers ``(N, K)``, float64, a few images at a time."""
        parts = [np.empty((0, len(self.classes_)))]
        for start in range(0, len(features), PREDICT_BATCH):
            with torch.inference_mode():
                batch = self.planes(features[start : start + PREDICT_BATCH])
                parts.append(question(batch).double().numpy())
        answers: Floats = np.concatenate(parts)
        return answers

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Weights and scale, for a file.

        Raises:
            GanlabError: not fitted.
        """
        if not hasattr(self, "module_"):
            raise GanlabError("only a fitted detector can be saved")
        state = {f"net.{name}": value.numpy() for name, value in self.module_.state_dict().items()}
        return {"mean": self.mean_, "scale": self.scale_, **state}

    def description(self) -> dict[str, Any]:
        """What a file needs beside the arrays."""
        return {
            "network": self.network,
            "options": dict(self.options or {}),
            "classes": self.classes_.tolist(),
            "shape": list(self.shape_),
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, npt.NDArray[Any]], description: Mapping[str, Any]) -> Self:
        """The detector that `arrays` and `description` came from; it predicts and was never fitted here."""
        detector = cls(str(description["network"]), dict(description["options"]))
        detector.classes_ = np.asarray(description["classes"], np.int64)
        detector.shape_ = tuple(int(side) for side in description["shape"])
        detector.mean_, detector.scale_ = arrays["mean"], arrays["scale"]
        state = {
            n.removeprefix("net."): torch.from_numpy(a) for n, a in arrays.items() if n.startswith("net.")
        }
        detector.module_ = filled(
            lambda: detector.built(detector.shape_, len(detector.classes_)), state, "a saved network"
        )
        detector.module_.eval()
        return detector


def _planes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(C, H, W); a vector becomes one row."""
    if len(shape) == 1:
        return (1, 1, shape[0])
    if len(shape) != 3 or math.prod(shape) == 0:
        raise GanlabError(
            f"a detector network takes features (N, C, H, W) or (N, D); got one of shape {shape}"
        )
    return tuple(shape)


def hold_out(codes: Labels, seed: int) -> tuple[Labels, Labels]:
    """Places to train on and places to stop by: a share of each class, at least one of each in both."""
    rng = np.random.default_rng(derive_seed(seed, "detector_validation"))
    inner, held = [], []
    for code in np.unique(codes):
        places = rng.permutation(np.flatnonzero(codes == code))
        count = min(max(1, round(VALIDATION * len(places))), len(places) - 1)
        held.append(places[:count])
        inner.append(places[count:])
    return np.concatenate(inner), np.concatenate(held)


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

    kept = to_uint8(torch.from_numpy(np.ascontiguousarray(pixels[held], np.float32)))
    validation = to_float(perturb(kept, perturbation, derive_seed(seed, "immunise_validation"))).numpy()
    tuned.history_ = train(
        tuned.module_,
        Examples(np.asarray(pixels[inner], np.float32), codes[inner]),
        Examples(tuned.planes(validation).numpy(), codes[held]),
        plan or detector.plan or Plan(),
        derive_seed(seed, "immunise"),
        augment,
    )
    return tuned


def cnn(seed: int = 0, epochs: int = 50, batch: int = 128, rate: float = 1e-3) -> NetDetector:
    """Frank 2020's small CNN; on pixels, DFT or DCT, every entry standardised on the training images."""
    return NetDetector("small_cnn", {}, Plan(epochs, batch, rate), seed=seed)


def patch(
    seed: int = 0,
    backbone: str = "xception",
    depth: int = 2,
    ensemble: str = "mean_probability",
    epochs: int = 30,
    batch: int = 32,
    rate: float = 1e-3,
) -> NetDetector:
    """Chai 2020's patch classifier on pixels: a truncated network that judges every patch."""
    options = {"backbone": backbone, "depth": depth, "ensemble": ensemble}
    plan = Plan(epochs, batch, rate)
    return NetDetector("patch", options, plan, standardise=False, augment="mirror", seed=seed)


def attribution(
    seed: int = 0, divisor: int = 1, epochs: int = 30, batch: int = 32, immunise: bool = False
) -> NetDetector:
    """Yu 2019's attribution network on pixels: which source made the image."""
    options, augment = {"divisor": divisor}, "yu" if immunise else "mirror"
    plan = Plan(epochs, batch, 1e-3, (0.0, 0.99))
    return NetDetector("attribution", options, plan, standardise=False, augment=augment, seed=seed)


def fingerprint(seed: int = 0, width: int = 16, epochs: int = 30, batch: int = 32) -> NetDetector:
    """Yu 2019's fingerprints on pixels: an autoencoder's residual against one fingerprint a source."""
    plan = Plan(epochs, batch, 1e-3, (0.0, 0.99))
    return NetDetector("fingerprint", {"width": width}, plan, standardise=False, seed=seed)


def npr_resnet(seed: int = 0, epochs: int = 50, batch: int = 32, rate: float = 2e-4) -> NetDetector:
    """Tan 2024's short ResNet-50 trunk; made for the feature "npr"."""
    return NetDetector("npr", {}, Plan(epochs, batch, rate), standardise=False, augment="mirror", seed=seed)


def resnet(
    seed: int = 0,
    layers: int = 18,
    epochs: int = 30,
    batch: int = 64,
    rate: float = 1e-4,
    augment: str = "blur_jpeg",
) -> NetDetector:
    """CNNDetection's recipe on pixels: a ResNet with blur and JPEG augmentation, from scratch."""
    plan = Plan(epochs, batch, rate)
    return NetDetector("resnet", {"layers": layers}, plan, standardise=False, augment=augment, seed=seed)
