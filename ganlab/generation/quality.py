"""Image quality without a trained network: sliced Wasserstein distance on patches of Laplacian pyramids."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.images import UInt8Array, to_float
from ganlab.util.hashing import derive_seed

PATCH = 7
PATCHES_PER_IMAGE = 64
DIRECTIONS = 512
SMALLEST_LEVEL = 16
SCALE = 1e3
KERNEL = (1.0, 4.0, 6.0, 4.0, 1.0)
"""Burt and Adelson's binomial filter, divided by its sum along each axis."""
FID_WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
"""The file that torch-fidelity would otherwise download."""

FloatArray = np.ndarray[Any, np.dtype[np.float32]]


def _blur(images: Tensor, gain: float = 1.0) -> Tensor:
    channels = images.shape[1]
    taps = images.new_tensor(KERNEL) / sum(KERNEL)
    kernel = (gain * taps[:, None] * taps[None, :]).expand(channels, 1, 5, 5)
    return F.conv2d(F.pad(images, (2, 2, 2, 2), "reflect"), kernel, groups=channels)


def _enlarge(images: Tensor) -> Tensor:
    count, channels, height, width = images.shape
    spread = images.new_zeros(count, channels, 2 * height, 2 * width)
    spread[..., ::2, ::2] = images
    return _blur(spread, gain=4.0)


def laplacian_pyramid(images: Tensor) -> list[Tensor]:
    """Band-pass levels from the finest to the coarsest, the last one low-pass.

    Args:
        images: ``(N, C, S, S)``; levels halve while they have at least 16 pixels and an even side.

    Returns:
        Levels of sides S, S/2, ...; enlarging and adding them up again gives the images.
    """
    levels = []
    while images.shape[-1] % 2 == 0 and images.shape[-1] // 2 >= SMALLEST_LEVEL:
        smaller = _blur(images)[..., ::2, ::2]
        levels.append(images - _enlarge(smaller))
        images = smaller
    return [*levels, images]


def _patches(level: Tensor, seed: int, stream: str) -> Tensor:
    """``(N * PATCHES_PER_IMAGE, C * 49)`` at random places, each channel standardised over all of them."""
    count, _, height, width = level.shape
    draw = np.random.default_rng(derive_seed(seed, f"swd/{stream}"))
    rows = torch.from_numpy(draw.integers(0, height - PATCH + 1, count * PATCHES_PER_IMAGE))
    columns = torch.from_numpy(draw.integers(0, width - PATCH + 1, count * PATCHES_PER_IMAGE))
    which = torch.arange(count).repeat_interleave(PATCHES_PER_IMAGE)
    window = torch.arange(PATCH)
    y, x = rows[:, None, None] + window[:, None], columns[:, None, None] + window[None, :]
    found = level.permute(0, 2, 3, 1)[which[:, None, None], y, x]
    mean, deviation = found.mean((0, 1, 2)), found.std((0, 1, 2)).clamp_min(1e-8)
    return ((found - mean) / deviation).flatten(1)


def _distance(a: Tensor, b: Tensor, seed: int) -> float:
    """Mean over random directions of the Wasserstein-1 distance of the projections."""
    draw = torch.Generator().manual_seed(derive_seed(seed, "swd/directions"))
    directions = torch.randn(a.shape[1], DIRECTIONS, generator=draw)
    directions /= directions.norm(dim=0, keepdim=True)
    total = 0.0
    for part in torch.split(directions, 64, 1):
        apart = _sorted_rows(part.T @ a.T) - _sorted_rows(part.T @ b.T)
        total += float(np.abs(apart).mean(1, dtype=np.float64).sum())
    return total / DIRECTIONS


def _sorted_rows(values: Tensor) -> FloatArray:
    """Each row in ascending order; NumPy's vectorised sort takes a fraction of the time of torch's."""
    rows: FloatArray = values.numpy()
    rows.sort(axis=1)
    return rows


def sliced_wasserstein(real: UInt8Array, fake: UInt8Array, seed: int = 0) -> dict[str, float]:
    """Sliced Wasserstein distance between 7x7 patches, level by level (Karras et al. 2018, arXiv 1710.10196).

    64 patches an image, standardised per channel and level in each set, 512 directions; times 1,000. Lower is
    better; equal sets of finite size do not reach 0, so hold it against two halves of the reals.

    Args:
        real: uint8 ``(N, S, S, C)``.
        fake: uint8 of the same size; the first min(N, M) images of both are used.
        seed: of patches and directions.

    Returns:
        ``swd_S``, ``swd_S/2``, ... by side of the level, and their mean ``swd``.

    Raises:
        GanlabError: sets of different sizes of image, or an empty one.
    """
    if real.shape[1:] != fake.shape[1:] or not len(real) or not len(fake):
        raise GanlabError(f"sets of equal image size are compared; got {real.shape} and {fake.shape}")
    count = min(len(real), len(fake))
    pyramids = [laplacian_pyramid(to_float(images[:count])) for images in (real, fake)]
    found = {}
    for ours, theirs in zip(*pyramids, strict=True):
        patches = [_patches(level, seed, name) for level, name in ((ours, "real"), (theirs, "fake"))]
        found[f"swd_{ours.shape[-1]}"] = SCALE * _distance(patches[0], patches[1], seed)
    return {"swd": float(np.mean([*found.values()])), **found}


def inception_reason() -> str | None:
    """Why FID and KID cannot be computed here; None when they can. Nothing is ever downloaded."""
    if importlib.util.find_spec("torch_fidelity") is None:
        return "torch-fidelity is not installed (pip install ganlab[metrics])"
    weights = Path(torch.hub.get_dir()) / "checkpoints" / FID_WEIGHTS
    if not weights.is_file():
        return f"torch-fidelity's weights are not there ({FID_WEIGHTS} in torch's hub folder)"
    return None


class _Pixels(torch.utils.data.Dataset[Tensor]):
    """uint8 ``(3, H, W)`` tensors, as torch-fidelity takes them."""

    def __init__(self, images: UInt8Array) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(self.images[index]).permute(2, 0, 1).contiguous()


def inception_metrics(real: UInt8Array, fake: UInt8Array) -> dict[str, Any]:
    """FID and KID by torch-fidelity, or the reason why there is neither.

    Args:
        real: uint8 ``(N, S, S, 3)``.
        fake: uint8 of the same size.

    Returns:
        ``{"fid": ..., "kid": ...}``, or ``{"not_computed": reason}``.
    """
    reason = inception_reason()
    if reason is not None:
        return {"not_computed": reason}
    import torch_fidelity

    found = torch_fidelity.calculate_metrics(
        input1=_Pixels(fake), input2=_Pixels(real), fid=True, kid=True, verbose=False,
        kid_subset_size=min(1000, len(real), len(fake)), cuda=torch.cuda.is_available(),
    )  # fmt: skip
    return {
        "fid": float(found["frechet_inception_distance"]),
        "kid": float(found["kernel_inception_distance_mean"]),
    }


def quality(real: UInt8Array, fake: UInt8Array, seed: int, inception: bool = True) -> dict[str, Any]:
    """All quality measures of one fake set; ``swd_null`` is the reals' one half against the other."""
    half = len(real) // 2
    values: dict[str, Any] = dict(sliced_wasserstein(real, fake, seed))
    values["swd_null"] = sliced_wasserstein(real[:half], real[half : 2 * half], seed)["swd"] if half else None
    return values | (inception_metrics(real, fake) if inception else {"not_computed": "not asked for"})


QUALITY_NAMES: Sequence[str] = ("swd", "fid", "kid")
"""Columns of the ablation's table; lower is better."""
