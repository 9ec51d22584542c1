"""torch and torchvision are released in pairs; a mismatched pair fails at import with an obscure error."""

from __future__ import annotations

import importlib
from importlib import metadata
from types import ModuleType

from ganlab.errors import GanlabError

SYMPTOMS = ("torchvision::", "undefined symbol", "DLL load failed", "compiled with different CUDA")
"""Parts of the messages of a wrong pair, for example "operator torchvision::nms does not exist"."""


def import_torchvision(submodule: str = "") -> ModuleType:
    """Import ``torchvision`` (or ``torchvision.<submodule>``).

    Raises:
        GanlabError: it is not installed, or not the one that belongs to the installed torch; names both
            versions and the command that repairs it.
    """
    try:
        return importlib.import_module(f"torchvision.{submodule}" if submodule else "torchvision")
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        raise GanlabError(_sentence(error)) from error


def explain(error: BaseException) -> str | None:
    """The clear sentence for an error that a mismatched pair caused elsewhere; None for other errors."""
    text = str(error)
    missing = isinstance(error, ModuleNotFoundError) and error.name in ("torch", "torchvision")
    pair = "torchvision" in text and any(symptom in text for symptom in SYMPTOMS)
    return _sentence(error) if missing or pair else None


def _sentence(error: BaseException) -> str:
    reason = " ".join(str(error).split())
    return (
        f"torch {_version('torch')} and torchvision {_version('torchvision')} do not import together "
        f"({reason}); install a matching pair: pip install --upgrade torch torchvision"
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"
