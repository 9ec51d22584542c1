"""Which device a command computes on, and why."""

from __future__ import annotations

import torch

from ganlab.errors import GanlabError


def choose_device(wanted: str) -> tuple[torch.device, str]:
    """Device for "auto", "cpu", "cuda" or "mps", and the reason in words.

    Raises:
        GanlabError: an unknown name, or a device that is not on this machine.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        kind = next(name for name, present in there.items() if present)
        return torch.device(kind), "auto: the first of cuda, mps, cpu that is there"
    if not there.get(wanted, False):
        have = ", ".join(name for name, present in there.items() if present)
        raise GanlabError(f"device {wanted!r} is not available on this machine; it has {have} (or say auto)")
    return torch.device(wanted), "as asked"
