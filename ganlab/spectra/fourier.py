"""The half plane of squared Fourier coefficients, from which everything else is made."""

from __future__ import annotations

import torch
from torch import Tensor


def squared_modulus(spectrum: Tensor) -> Tensor:
    """Of a spectrum that nothing else needs: overwritten where no graph holds it."""
    parts = torch.view_as_real(spectrum)
    squares = parts.square() if parts.requires_grad else parts.square_()
    return squares[..., 0] + squares[..., 1]


def half_squares(planes: Tensor, norm: str = "backward") -> Tensor:
    """``(..., H, W) -> (..., H, W//2+1)``: ``|rfft2|^2`` under a norm of ``torch.fft``."""
    return squared_modulus(torch.fft.rfft2(planes, norm=norm))


def half_power(planes: Tensor) -> Tensor:
    """``(..., H, W) -> (..., H, W//2+1)``: ``|rfft2|^2 / (H W)``.

    By Parseval the mean of this over the full plane is the mean square of the pixels.
    """
    return half_squares(planes, "ortho")
