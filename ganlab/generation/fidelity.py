"""How near a reconstruction is to its own photo, and a mask to the true one: image by image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ganlab.errors import GanlabError
from ganlab.images import UInt8Array, to_float
from ganlab.spectra.set_metrics import log_frequency_distance

FIDELITY_NAMES: Sequence[str] = ("psnr", "ssim", "lfd", "accuracy", "iou")
"""What is measured of pairs; the last two of masks alone."""
HIGHER_IS_BETTER = frozenset({"psnr", "ssim", "accuracy", "iou"})
LEVELS = 255.0


def fidelity(real: UInt8Array, made: UInt8Array) -> dict[str, float]:
    """Means over pairs: PSNR in dB, SSIM (Wang et al. 2004), log frequency distance (Jiang et al. 2021).

    Args:
        real: uint8 ``(N, H, W, 3)``.
        made: uint8 of the same shape; image i was made of real image i.

    Returns:
        ``psnr`` (mean over pairs, infinite where one is equal), ``ssim``, ``lfd`` in nats.

    Raises:
        GanlabError: the two are no pairs.
    """
    # Late: importing torchmetrics takes longer than most commands, and tables need only the names above.
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    if real.shape != made.shape:
        raise GanlabError(f"{real.shape} and {made.shape} are no pairs; image i belongs to image i")
    first, second = to_float(real), to_float(made)
    # both take values in [0, range]; torchmetrics' SSIM is the reference implementation's window, 11 and 1.5
    grey = [(part + 1) * (LEVELS / 2) for part in (first, second)]
    psnr = peak_signal_noise_ratio(grey[1], grey[0], LEVELS, reduction="none", dim=(1, 2, 3))
    ssim = structural_similarity_index_measure(grey[1], grey[0], data_range=LEVELS)
    assert isinstance(ssim, torch.Tensor)
    distance = log_frequency_distance(first, second)
    return {"psnr": float(psnr.mean()), "ssim": float(ssim), "lfd": float(distance.mean())}


def mask_fidelity(true: npt.NDArray[Any], found: npt.NDArray[Any], classes: int) -> dict[str, float]:
    """Share of pixels with the right class, and intersection over union, its mean over classes that occur.

    Args:
        true: integers ``(N, H, W)``, 0 ... classes - 1.
        found: the same.
        classes: how many there are.

    Raises:
        GanlabError: the two are no pairs, or a class is out of range.
    """
    if true.shape != found.shape:
        raise GanlabError(f"masks {true.shape} and {found.shape} are no pairs; mask i belongs to mask i")
    largest, least = max(true.max(), found.max()), min(true.min(), found.min())
    if least < 0 or largest >= classes:
        wrong = least if least < 0 else largest
        raise GanlabError(f"masks have class {int(wrong)}; expected 0 to {classes - 1}")
    pairs = true.astype(np.int64).ravel() * classes + found.astype(np.int64).ravel()
    table = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    right = np.diag(table)
    union = table.sum(0) + table.sum(1) - right
    return {
        "accuracy": float(right.sum() / table.sum()),
        "iou": float((right[union > 0] / union[union > 0]).mean()),
    }
