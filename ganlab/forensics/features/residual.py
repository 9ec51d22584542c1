"""What a wavelet denoiser takes away: the residual in which sensors and generators leave a pattern."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.forensics.features.base import Feature, Shape
from ganlab.forensics.features.wavelets import decompose, reconstruct
from ganlab.images import luma

WINDOWS = (3, 5, 7, 9)
ORDER = 4


@dataclass(frozen=True)
class NoiseResidual(Feature):
    """Luma minus its wavelet-Wiener denoised self, rows and columns of mean 0, (1, H, W): for PRNU.

    Source: Mihcak, Kozintsev, Ramchandran, ICASSP 1999, as used for sensor patterns (Lukas, Fridrich, Goljan
    2006) and GAN fingerprints (Marra et al. 2019). Sensor work then also removes periodic patterns by a
    Wiener filter of the spectrum; that is left out, since periodic patterns are what generators leave.

    Attributes:
        levels: of the db4 decomposition, 1 to 4; levels beyond what the sides can be halved are left out.
        sigma: assumed noise deviation for images in [-1, 1].
    """

    levels: int = 3
    sigma: float = 0.05

    def __post_init__(self) -> None:
        if not 1 <= self.levels <= 4 or self.sigma <= 0:
            raise GanlabError(
                f"residual: 1 to 4 levels and a positive sigma; got {self.levels}, {self.sigma}"
            )

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """One channel; both sides are even.

        Raises:
            GanlabError: an odd side.
        """
        if shape[0] % 2 or shape[1] % 2:
            raise GanlabError(f"the wavelet residual needs even sides; got {shape[1]}x{shape[0]}")
        return 1, shape[0], shape[1]

    def __call__(self, images: Tensor) -> Tensor:
        """The residual of each image."""
        self.dims((images.shape[2], images.shape[3], images.shape[1]))
        residual = self._taken(luma(images.float()), self.levels)
        residual = residual - residual.mean(1, keepdim=True)
        return (residual - residual.mean(2, keepdim=True))[:, None]

    def _taken(self, planes: Tensor, levels: int) -> Tensor:
        """The part of ``(B, H, W)`` that the denoiser removes from all detail bands of so many levels."""
        bands = decompose(planes, ORDER)
        removed = bands * _noise_share(bands, self.sigma)
        low = bands[:, 0]
        deeper = levels > 1 and low.shape[1] % 2 == 0 and low.shape[2] % 2 == 0
        removed[:, 0] = self._taken(low, levels - 1) if deeper else 0.0
        return reconstruct(removed, ORDER)


def _noise_share(bands: Tensor, sigma: float) -> Tensor:
    """Noise variance over local variance: the least local estimate of four windows, never below the noise."""
    power = bands.square()
    estimates = [F.avg_pool2d(power, w, 1, w // 2, count_include_pad=False) for w in WINDOWS]
    signal = (torch.stack(estimates).amin(0) - sigma**2).clamp_min(0.0)
    return sigma**2 / (signal + sigma**2)
