"""Frank et al.'s DCT statistics: mean and deviation of the signed coefficients, and their logs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.spectra.rings import FloatArray
from ganlab.spectra.summary import image_chunks
from ganlab.spectra.transforms import dct2

LOG_EPSILON = 1e-12


@dataclass(frozen=True)
class DctStatistics:
    """Statistics of orthonormal DCT-II coefficients of images in 0..255.

    Attributes:
        count: number of images.
        mean: of the signed coefficients, ``(C, H, W)`` float64.
        std: population standard deviation (divided by n), ``(C, H, W)``.
    """

    count: int
    mean: FloatArray
    std: FloatArray

    @property
    def log_mean(self) -> FloatArray:
        """``ln(|mean| + 1e-12)``, the heat map of the paper: signed coefficients cancel before the log."""
        log: FloatArray = np.log(np.abs(self.mean) + LOG_EPSILON)
        return log

    @property
    def log_std(self) -> FloatArray:
        """``ln(std + 1e-12)``."""
        log: FloatArray = np.log(self.std + LOG_EPSILON)
        return log


def dct_statistics(images: Tensor | Iterable[Tensor]) -> DctStatistics:
    """DCT statistics of a set of images, every channel for itself, in one pass.

    Args:
        images: float ``(N, C, H, W)`` in [-1, 1], or batches of such, all of one size. They are taken to
            0..255 as the released code reads them; for its grey variant pass one channel.

    Raises:
        GanlabError: no image, wrong type or shape.

    Source: Frank et al. ICML 2020, arXiv 2003.08685; RUB-SysSec/GANDCTAnalysis 988c4c3.
    """
    total, square, count = None, None, 0
    for chunk in image_chunks(images):
        values = dct2(chunk.double() * 127.5 + 127.5)
        total = values.sum(0) if total is None else total + values.sum(0)
        square = values.square().sum(0) if square is None else square + values.square().sum(0)
        count += len(chunk)
    if total is None or square is None:
        raise GanlabError("there are no statistics of zero images")
    mean = total / count
    variance = (square / count - mean.square()).clamp_min(0)
    return DctStatistics(count, mean.cpu().numpy(), variance.sqrt().cpu().numpy())
