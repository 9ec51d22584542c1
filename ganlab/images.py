"""The one place where uint8 and float images meet: range, rounding, clamping, luma.

Images on disk are uint8 ``(N, H, W, C)`` in 0..255. Images in networks and spectra are float
``(N, C, H, W)`` in [-1, 1]. The map is ``x / 127.5 - 1``; the way back clamps to [-1, 1] and rounds to the
nearest integer (ties to even), so that ``to_uint8(to_float(x)) == x`` for every value.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganlab.errors import GanlabError

UInt8Array = npt.NDArray[np.uint8]

ROUNDING = "clamp to [-1, 1], times 127.5 plus 127.5, round half to even"
LUMA_BT601 = (0.299, 0.587, 0.114)


def to_float(images: UInt8Array | Tensor, device: torch.device | str = "cpu") -> Tensor:
    """uint8 ``(N, H, W, C)`` in 0..255 -> float32 ``(N, C, H, W)`` in [-1, 1], contiguous.

    Raises:
        GanlabError: not uint8, or not four-dimensional.
    """
    tensor = images if isinstance(images, Tensor) else torch.from_numpy(_writable(images))
    if tensor.dtype != torch.uint8 or tensor.ndim != 4:
        raise GanlabError(
            f"images on disk are uint8 (N, H, W, C); got {tensor.dtype} of shape {tuple(tensor.shape)}"
        )
    nchw = tensor.to(device).permute(0, 3, 1, 2)
    return nchw.to(torch.float32, memory_format=torch.contiguous_format).div_(127.5).sub_(1.0)


def _writable(images: UInt8Array) -> UInt8Array:
    """Torch warns of read-only memory, though nothing here writes to it: a copy costs less than the worry."""
    array = np.ascontiguousarray(images)
    return array if array.flags.writeable else array.copy()


def to_uint8(images: Tensor) -> UInt8Array:
    """Float ``(N, C, H, W)`` in [-1, 1] -> uint8 ``(N, H, W, C)``: clamped, rounded to nearest.

    Raises:
        GanlabError: no four-dimensional float tensor, or not finite (a NaN has no pixel value).
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or not images.is_floating_point():
        raise GanlabError(f"images are float tensors (N, C, H, W); got {described(images)}")
    if not bool(torch.isfinite(images).all()):
        raise GanlabError("images hold NaN or infinite values; they cannot be written as pixels")
    levels = _levels(images.detach()).to(torch.uint8)
    array: UInt8Array = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return array


def _levels(images: Tensor) -> Tensor:
    """0 .. 255, still float. In float32 a float64 value just below a half would be rounded up first."""
    precise = images if images.dtype == torch.float64 else images.float()
    return precise.clamp(-1.0, 1.0).mul(127.5).add_(127.5).round_()


def described(value: object) -> str:
    """What somebody gave in the place of images, for a message: ``torch.uint8 of shape (3, 8, 8)``."""
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"a numpy.ndarray, {value.dtype} of shape {value.shape}"
    return f"a {type(value).__name__}"


def on_grey_levels(images: Tensor) -> Tensor:
    """Float images clamped to [-1, 1] and rounded to the 256 values that a file can hold, still float.

    The same values as ``to_float(to_uint8(images))``, without leaving the device.
    """
    return _levels(images).float().div_(127.5).sub_(1.0)


def luma(images: Tensor, weights: tuple[float, float, float] = LUMA_BT601) -> Tensor:
    """``(N, 3, H, W)`` -> ``(N, H, W)`` weighted sum in R, G, B order; one channel is already grey.

    The default weights are ITU-R BT.601's. Differentiable; the value range is kept.

    Raises:
        GanlabError: neither one nor three channels.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise GanlabError(f"images are tensors (N, C, H, W) with 1 or 3 channels; got {described(images)}")
    if images.shape[1] == 1:
        return images[:, 0]
    red, green, blue = images.unbind(1)
    # Scaled additions make three passes over memory where products and sums would make five.
    return torch.add(torch.add(weights[0] * red, green, alpha=weights[1]), blue, alpha=weights[2])


LOOKED_AT = 8
"""Images that are looked at for their range."""
FEWEST_LOOKED_AT = 2
"""A single image may well have no dark pixel."""
_warned: set[str] = set()
"""What has been warned of in this process: once is enough in a training loop."""


def warn_of_range(images: Tensor, what: str) -> None:
    """Warn once that float images look like [0, 1] or 0..255, where [-1, 1] is expected.

    Only a few images are looked at. On an accelerator only those of the first call, since a look waits for
    the device.

    Args:
        images: float ``(N, C, H, W)``.
        what: who takes the images, for the message; each is warned of once in a process.
    """
    if what in _warned or not images.numel():
        return
    if images.device.type != "cpu":
        _warned.add(what)
    low, high = (float(end) for end in torch.aminmax(images.detach()[:LOOKED_AT]))
    if high > 2 or low < -2:
        doubt = "ganlab.images.to_float turns uint8 into them"
    elif low >= 0 and high > 0 and len(images) >= FEWEST_LOOKED_AT:
        doubt = "if they are in [0, 1], map them with 2 * x - 1 first"
    else:
        return
    _warned.add(what)
    text = f"{what}: images run from {low:g} to {high:g}, and [-1, 1] is expected; {doubt}"
    warnings.warn(text, UserWarning, stacklevel=3)
