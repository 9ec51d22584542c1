"""ganlab: a laboratory for GAN generation and the spectral artifacts that upsampling leaves.

``import ganlab`` loads no torch: the rooms that need it (``ganlab.upsampling``, ``ganlab.models``,
``ganlab.spectra``, ...) are imported on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.2.0"

_ROOMS = (
    "config", "upsampling", "spectra", "data", "losses", "models",
    "training", "generation", "forensics", "adapters", "experiments", "images", "errors",
)  # fmt: skip

_NAMES = {
    "load_generator": "ganlab.adapters", "wrap": "ganlab.adapters",
    "probe_generator": "ganlab.experiments.probe", "compare_generators": "ganlab.experiments.probe",
}  # fmt: skip
"""Public names at the top -> the room that has them."""

__all__ = ["__version__", *_NAMES, *_ROOMS]


def __getattr__(name: str) -> Any:
    """Import a room, or the room of a name, when it is first asked for (PEP 562)."""
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"ganlab.{name}")
    raise AttributeError(f"module 'ganlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
