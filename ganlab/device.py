"""Which device a command computes on, and why; how tensors get there, and how it rounds."""

from __future__ import annotations

import os

import torch
from torch import Tensor

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


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor, there.

    To CUDA it travels from page-locked memory, so that nobody waits for the copy: torch hands such memory out
    again only when the copy is done. From ordinary memory ``non_blocking`` helps nothing.
    """
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def set_cuda_arithmetic(tf32: bool, deterministic: bool) -> None:
    """How CUDA kernels of this process round, and whether they do so the same way every time.

    Args:
        tf32: convolutions and products of float32 round their factors to 10 bits.
        deterministic: only kernels with a fixed order of summation, as far as torch has them (it warns where
            it has none); otherwise cuDNN tries its convolutions out and takes the fastest.
    """
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = not deterministic
    torch.backends.cudnn.deterministic = deterministic
    if deterministic:
        # cuBLAS reads it when it is first used; without it torch refuses its products.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
