"""The one check of what comes in: image tensors."""

from __future__ import annotations

from torch import Tensor, float64

from ganlab.errors import GanlabError


def check_images(images: Tensor) -> Tensor:
    """The images in their computing precision: float64 stays, every other float becomes float32.

    Raises:
        GanlabError: not four-dimensional, not floating point, or without a pixel.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or not images.is_floating_point():
        what = (
            f"{images.dtype} of shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(images)
        )
        raise GanlabError(
            f"spectra take float images (N, C, H, W) in [-1, 1]; got {what}; "
            "ganlab.images.to_float turns uint8 (N, H, W, C) into them"
        )
    if 0 in images.shape[1:]:
        raise GanlabError(f"images of shape {tuple(images.shape)} have no pixels")
    return images if images.dtype == float64 else images.float()
