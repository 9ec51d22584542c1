"""What a patch detector sees, and where: heat maps, the most telling patches, and exaggeration.

After Chai et al., ECCV 2020 (heat maps and patches as released; the code of their exaggeration was not, so
that here is ours: gradient steps on the detector's log-odds).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.nets.detector import NetDetector
from ganlab.forensics.nets.patch import PatchNetwork
from ganlab.forensics.nets.receptive import receptive_field

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Patch:
    """One patch of one image.

    Attributes:
        image: place of the image.
        top: first row inside the image.
        left: first column inside the image.
        size: side in pixels before it was cut at the image's edge.
        probability: of fake.
    """

    image: int
    top: int
    left: int
    size: int
    probability: float


def patch_maps(detector: NetDetector, pixels: Floats) -> Floats:
    """Probability of fake of every patch, ``(N, h, w)``, for pixels ``(N, C, H, W)`` in [-1, 1].

    The network is fully convolutional: images may be larger than those it was fitted on.

    Raises:
        GanlabError: not a fitted patch detector of two classes.
    """
    network = _patch_network(detector)
    scaled = (np.asarray(pixels, np.float32) - detector.mean_) / detector.scale_
    with torch.inference_mode():
        maps: Floats = network(torch.from_numpy(scaled)).softmax(1)[:, 1].numpy()
    return maps


def telling_patches(
    detector: NetDetector, pixels: Floats, count: int, fake: bool = True, one_per_image: bool = True
) -> list[Patch]:
    """The patches with the highest (or, for ``fake`` False, lowest) probability of fake, in that order."""
    maps = patch_maps(detector, pixels)
    field = receptive_field(_patch_network(detector).body)
    order = np.argsort(-maps.ravel() if fake else maps.ravel(), kind="stable")
    found: list[Patch] = []
    seen: set[int] = set()
    for place in order:
        image, row, column = (int(k) for k in np.unravel_index(place, maps.shape))
        if one_per_image and image in seen:
            continue
        seen.add(image)
        top, left = (max(0, field.start + k * field.stride) for k in (row, column))
        found.append(Patch(image, top, left, field.size, float(maps[image, row, column])))
        if len(found) == count:
            break
    return found


def exaggerate(
    detector: NetDetector, pixels: Floats, strength: float = 0.1, steps: int = 10, fake: bool = True
) -> Floats:
    """Images moved along the gradient of the detector's log-odds: what it looks for, made visible.

    Each step has a root mean square of ``strength / steps``; results stay in [-1, 1].

    Args:
        detector: any fitted network detector of two classes on pixels.
        pixels: ``(N, C, H, W)`` in [-1, 1].
        strength: total length of the walk, root mean square over an image.
        steps: number of steps.
        fake: towards fake; otherwise towards real.

    Raises:
        GanlabError: not two classes, or no positive strength and steps.
    """
    if len(detector.classes_) != 2 or strength <= 0 or steps < 1:
        raise GanlabError("exaggeration needs a detector of two classes, a positive strength and steps >= 1")
    scale = torch.from_numpy(np.asarray(detector.scale_))
    shift = torch.from_numpy(np.asarray(detector.mean_))
    images = torch.from_numpy(np.array(pixels, np.float32))
    for _ in range(steps):
        images = images.detach().requires_grad_(True)
        odds = _log_odds(detector, (images - shift) / scale)
        (gradient,) = torch.autograd.grad((odds if fake else -odds).sum(), images)
        length = gradient.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
        images = (images + strength / steps * gradient / length).clamp(-1, 1)
    moved: Floats = images.detach().numpy()
    return moved


def _log_odds(detector: NetDetector, planes: Tensor) -> Tensor:
    probabilities = detector.module_.probabilities(planes).clamp(1e-12, 1.0)
    return (probabilities[:, 1].log() - probabilities[:, 0].log()).double()


def _patch_network(detector: NetDetector) -> PatchNetwork:
    network = getattr(detector, "module_", None)
    if not isinstance(network, PatchNetwork) or len(detector.classes_) != 2:
        raise GanlabError("patch maps need a fitted patch detector of two classes")
    return network
