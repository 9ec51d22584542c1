"""What a patch detector sees, and where: heat maps, the most telling patches, and exaggeration.

After Chai et al., ECCV 2020 (heat maps and patches as released; the code of their exaggeration was not, so
that here is ours: gradient steps on the detector's log-odds).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.nets.detector import PREDICT_BATCH, NetDetector
from ganlab.forensics.nets.patch import PatchNetwork, ReceptiveField, log_odds, receptive_field

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Patch:
    """One patch of one image.

    Attributes:
        image: its number in the set, from 0.
        top: first row; negative where the patch begins in the padding around the image.
        left: first column, likewise.
        size: side in pixels; the patch may end beyond the image.
        probability: of fake.
        log_odds: of fake against real; tells patches apart whose probability is 1 to the last digit.
    """

    image: int
    top: int
    left: int
    size: int
    probability: float
    log_odds: float

    def inside(self, height: int, width: int) -> tuple[int, int, int, int]:
        """(top, bottom, left, right) of the part inside an image; bottom and right are the next pixel."""
        top, left = max(self.top, 0), max(self.left, 0)
        return top, min(self.top + self.size, height), left, min(self.left + self.size, width)


def patch_field(detector: NetDetector) -> ReceptiveField:
    """What one output of a patch detector sees.

    Raises:
        GanlabError: not a fitted patch detector of two classes.
    """
    return receptive_field(patch_network(detector).body)


def patch_logits(detector: NetDetector, pixels: Floats) -> Floats:
    """Logits of real and fake of every patch, ``(N, 2, h, w)``, for pixels ``(N, C, H, W)`` in [-1, 1].

    The network is fully convolutional: images may be larger than those it was fitted on.

    Raises:
        GanlabError: not a fitted patch detector of two classes, or images that it cannot take.
    """
    network = patch_network(detector)
    parts = []
    for start in range(0, max(len(pixels), 1), PREDICT_BATCH):
        with torch.inference_mode():
            planes = _planes(detector, pixels[start : start + PREDICT_BATCH])
            parts.append(network(planes).numpy())
    logits: Floats = np.concatenate(parts)
    return logits


def patch_maps(detector: NetDetector, pixels: Floats) -> Floats:
    """Probability of fake of every patch, ``(N, h, w)``, for pixels ``(N, C, H, W)`` in [-1, 1].

    Raises:
        GanlabError: as `patch_logits`.
    """
    return fake_probability(patch_logits(detector, pixels))


def fake_probability(logits: Floats) -> Floats:
    """Probability of fake of every patch, ``(N, h, w)``, from logits ``(N, 2, h, w)``."""
    probability: Floats = torch.from_numpy(logits).softmax(1)[:, 1].numpy()
    return probability


def telling_patches(
    detector: NetDetector, pixels: Floats, count: int, fake: bool = True, one_per_image: bool = True
) -> list[Patch]:
    """The patches with the highest (or, for ``fake`` False, lowest) log-odds of fake, in that order.

    Args:
        detector: a fitted patch detector of two classes.
        pixels: ``(N, C, H, W)`` in [-1, 1].
        count: at most so many.
        fake: the most fake ones; otherwise the most real ones.
        one_per_image: only the first of every image.

    Raises:
        GanlabError: as `patch_logits`.
    """
    logits, field = patch_logits(detector, pixels), patch_field(detector)
    if one_per_image:
        return most_telling(extreme_patches(logits, field, fake), count, fake)
    order = np.argsort(_ascending(logits, fake).ravel(), kind="stable")
    return [_patch(logits, field, int(index)) for index in order[:count]]


def extreme_patches(logits: Floats, field: ReceptiveField, fake: bool = True, first: int = 0) -> list[Patch]:
    """The patch of every image with the highest (or lowest) log-odds of fake.

    Args:
        logits: ``(N, 2, h, w)`` of `patch_logits`.
        field: of `patch_field`.
        fake: the highest; otherwise the lowest.
        first: number of the first image, for batches.
    """
    odds = _ascending(logits, fake)
    indices = odds.reshape(len(odds), -1).argmin(1) + np.arange(len(odds)) * odds[0].size
    return [_patch(logits, field, int(index), first) for index in indices]


def most_telling(patches: Sequence[Patch], count: int, fake: bool = True) -> list[Patch]:
    """The ``count`` patches of highest (or lowest) log-odds, in that order; equal ones in theirs."""
    return sorted(patches, key=lambda patch: -patch.log_odds if fake else patch.log_odds)[:count]


def _ascending(logits: Floats, fake: bool) -> Floats:
    """Log-odds of every patch, ``(N, h, w)``, negative where the highest come first."""
    odds: Floats = logits[:, 1] - logits[:, 0]
    return -odds if fake else odds


def _patch(logits: Floats, field: ReceptiveField, index: int, first: int = 0) -> Patch:
    """The patch at an index of the flattened map of all images."""
    odds = _ascending(logits, fake=False)
    image, row, column = (int(k) for k in np.unravel_index(index, odds.shape))
    value = float(odds[image, row, column])
    probability = float(1 / (1 + np.exp(-np.float64(value))))
    return Patch(first + image, field.edge(row), field.edge(column), field.size, probability, value)


def exaggerate(
    detector: NetDetector, pixels: Floats, strength: float = 0.1, steps: int = 10, fake: bool = True
) -> Floats:
    """Images moved along the gradient of the detector's log-odds: what it looks for, made visible.

    Each step moves an image by ``strength / steps`` (root mean square over its values) along the gradient of
    its log-odds, the mean over its patches for a patch detector; results stay in [-1, 1].

    Args:
        detector: any fitted network detector of two classes on pixels.
        pixels: ``(N, C, H, W)`` in [-1, 1].
        strength: total length of the walk, root mean square over an image; 2 is from black to white.
        steps: number of steps.
        fake: towards fake; otherwise towards real.

    Raises:
        GanlabError: not two classes, no positive strength and steps, or images that it cannot take.
    """
    if len(detector.classes_) != 2 or not 0 < strength <= 2 or steps < 1:
        raise GanlabError(
            "exaggeration needs a detector of two classes, a strength above 0 and up to 2 (positive strength "
            f"is a root mean square in [-1, 1]) and steps >= 1; got strength {strength}, steps {steps}"
        )
    images = torch.from_numpy(np.array(pixels, np.float32))
    for _ in range(steps):
        images = images.detach().requires_grad_(True)
        odds = log_odds(detector.module_, _planes(detector, images)).flatten(1).mean(1)
        (gradient,) = torch.autograd.grad((odds if fake else -odds).sum(), images)
        length = gradient.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
        images = (images + strength / steps * gradient / length).clamp(-1, 1)
    moved: Floats = images.detach().numpy()
    return moved


def _planes(detector: NetDetector, pixels: Floats | Tensor) -> Tensor:
    """Pixels as the network sees them, with their gradient.

    Raises:
        GanlabError: other channels, or smaller than what the network was fitted on.
    """
    channels, height, width = detector.shape_
    shape = tuple(pixels.shape)
    if len(shape) != 4 or shape[1] != channels or shape[2] < height or shape[3] < width:
        raise GanlabError(
            f"this detector takes images (N, {channels}, {height} or more, {width} or more); got {shape}"
        )
    images = pixels if isinstance(pixels, Tensor) else torch.from_numpy(np.asarray(pixels, np.float32))
    mean, scale = (torch.from_numpy(np.asarray(values)) for values in (detector.mean_, detector.scale_))
    return (images - mean) / scale


def patch_network(detector: NetDetector) -> PatchNetwork:
    """The network of a fitted patch detector.

    Raises:
        GanlabError: something else, or not two classes.
    """
    network = getattr(detector, "module_", None)
    if not isinstance(network, PatchNetwork) or len(detector.classes_) != 2:
        raise GanlabError("patch maps need a fitted patch detector of two classes")
    return network
