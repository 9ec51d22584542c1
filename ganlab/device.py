"""Which device a command computes on, and why."""

from __future__ import annotations

import torch

from ganlab.errors import GanlabError


def choose_device(name: str) -> tuple[torch.device, str]:
    """Device for "auto", "cpu", "cuda" or "mps", and the reason in words.

    Raises:
        GanlabError: an unknown name, or a device that is not on this machine.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        kind = next(kind for kind, present in available.items() if present)
        return torch.device(kind), "auto: the first of cuda, mps, cpu that is there"
    if not available.get(name, False):
        have = ", ".join(kind for kind, present in available.items() if present)
        raise GanlabError(f"device {name!r} is not available on this machine; it has {have} (or say auto)")
    return torch.device(name), "as asked"
