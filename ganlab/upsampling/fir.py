"""Zero insertion and filtering, done as two short filters whose outputs interleave (polyphase)."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError, lookup
from ganlab.upsampling.kernels import Kernel

PAD_MODES = {"torch": "replicate", "zeros": "constant", "reflect": "reflect",
             "replicate": "replicate", "circular": "circular"}  # fmt: skip


def check_border(border: str) -> None:
    """Refuse a border nobody knows."""
    lookup(PAD_MODES, border, "border")


def pad(x: Tensor, amount: int, border: str) -> Tensor:
    """Extend ``(N, C, H, W)`` by ``amount`` pixels on each side.

    ``border`` "torch" repeats the edge pixel, which is what ``torch.nn.functional.interpolate`` does.

    Raises:
        GanlabError: unknown border, or an image too small for it.
    """
    check_border(border)
    if amount == 0:
        return x
    needed = {"reflect": amount + 1, "circular": amount}.get(border, 1)
    if min(x.shape[-2:]) < needed:
        raise GanlabError(
            f"border {border!r} needs images of at least {needed} pixels here; got {tuple(x.shape)}"
        )
    return F.pad(x, (amount,) * 4, mode=PAD_MODES[border])


def zero_insert_and_filter(x: Tensor, kernel: Kernel, border: str) -> Tensor:
    """``(N, C, H, W)`` -> ``(N, C, 2H, 2W)`` through ``kernel`` along both axes; differentiable."""
    n, c, h, w = x.shape
    reach = kernel.reach()
    padded = pad(x, reach, border).reshape(n * c, 1, h + 2 * reach, w + 2 * reach)
    weights = _phase_weights(kernel, reach, x.dtype, x.device)
    columns = F.conv2d(padded, weights.view(2, 1, 1, -1))
    rows = columns.movedim(1, -1).reshape(n * c, 1, h + 2 * reach, 2 * w)
    both = F.conv2d(rows, weights.view(2, 1, -1, 1))
    return both.movedim(1, 2).reshape(n, c, 2 * h, 2 * w)


@functools.cache
def _phase_weights(kernel: Kernel, reach: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The even and the odd output's weights on inputs ``-reach ... reach``, shape (2, 2 reach + 1).

    Kept, so that a training step copies nothing from the processor to a GPU.
    """
    # Not an inference tensor, whatever mode the first call is in: later calls may need gradients.
    with torch.inference_mode(False):
        table = torch.zeros(2, 2 * reach + 1, dtype=torch.float64)
        for parity in (0, 1):
            weights, first = kernel.phase(parity)
            start = first + reach
            table[parity, start : start + len(weights)] = torch.from_numpy(weights)
        return table.to(device, dtype)
