"""The device that ``pytest -m gpu`` is about: CUDA, or what GANLAB_TEST_DEVICE says.

``GANLAB_TEST_DEVICE=cpu pytest -m gpu`` runs the very same tests on the CPU, where no GPU is at hand: the
code is the same as far as it can be, and agreement with the CPU is then no news.
"""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def device():
    """The device under test; without it these tests fail, they do not pass in silence."""
    import torch

    name = os.environ.get("GANLAB_TEST_DEVICE", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.fail(
            "pytest -m gpu needs CUDA, and there is none; GANLAB_TEST_DEVICE=cpu runs the same on the CPU"
        )
    return torch.device(name)


@pytest.fixture(autouse=True)
def full_float32(device):
    """Full float32 in a fixed order, so that what differs from the CPU is a mistake and not a rounding."""
    from ganlab.device import set_cuda_arithmetic

    if device.type == "cuda":
        set_cuda_arithmetic(tf32=False, deterministic=True)
    yield
    if device.type == "cuda":
        set_cuda_arithmetic(tf32=True, deterministic=False)
