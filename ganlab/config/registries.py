"""What can be named in a configuration, read without importing torch.

Every room keeps a plain dict literal in ``ganlab/<room>/registry.py``. This module reads the keys, and the
first docstring line of what they name, from the source text. Once the room is imported its live dict counts
too, so that an upsampler registered from a notebook or a plug-in is a valid name.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Registry:
    """A dict of a room: ``ganlab.<room>.registry.<attribute>``, and what one entry is called in messages.

    ``file`` is another file of the room where the dict is not in its registry; the room itself has it too.
    """

    room: str
    attribute: str
    entry: str
    file: str = "registry.py"


REGISTRIES: dict[str, Registry] = {
    "upsamplers": Registry("upsampling", "UPSAMPLERS", "upsampler"),
    "generators": Registry("models", "GENERATORS", "architecture"),
    "discriminators": Registry("models", "DISCRIMINATORS", "architecture"),
    "adversarial": Registry("losses", "ADVERSARIAL", "adversarial loss"),
    "penalties": Registry("losses", "PENALTIES", "penalty"),
    "spectral": Registry("losses", "SPECTRAL", "spectral loss"),
    "spectral_inputs": Registry("models", "SPECTRAL_INPUTS", "input of the spectral discriminator"),
    "sources": Registry("data", "SOURCES", "data source"),
    "conventions": Registry("spectra", "CONVENTIONS", "spectrum convention", "conventions.py"),
    "features": Registry("forensics", "FEATURES", "feature"),
    "detectors": Registry("forensics", "DETECTORS", "detector"),
    "perturbations": Registry("forensics", "PERTURBATIONS", "perturbation"),
    "methods": Registry("forensics", "PRESETS", "published method", "protocol/presets.py"),
}


def names(kind: str) -> tuple[str, ...]:
    """Valid names of one of `REGISTRIES`, in the order of the dict; empty while the room has no registry."""
    return tuple(entries(kind))


def entries(kind: str) -> dict[str, str]:
    """Name -> first docstring line (``""`` where there is none) of one of `REGISTRIES`."""
    registry = REGISTRIES[kind]
    return {**_written(registry.room, registry.attribute, registry.file), **_live(registry)}


def _live(registry: Registry) -> dict[str, str]:
    """Entries of the imported dict; never imports anything itself."""
    for module in (f"ganlab.{registry.room}.registry", f"ganlab.{registry.room}"):
        table = getattr(sys.modules.get(module), registry.attribute, None)
        if isinstance(table, Mapping):
            return {str(name): _described(value) for name, value in table.items()}
    return {}


def _described(value: Any) -> str:
    stated = getattr(value, "summary", None) or getattr(value, "description", None)
    return first_line(stated if isinstance(stated, str) else inspect.getdoc(getattr(value, "func", value)))


def first_line(text: str | None) -> str:
    """First line of a docstring, without the full stop."""
    lines = (text or "").strip().splitlines()
    return lines[0].strip().removesuffix(".").replace("``", "") if lines else ""


@functools.cache
def _written(room: str, attribute: str, file: str = "registry.py") -> dict[str, str]:
    """Entries of the dict literal in a room's source text."""
    return _table(PACKAGE / room / file, attribute)


def _table(file: Path, attribute: str) -> dict[str, str]:
    found = _find(file, attribute)
    if found is None or not isinstance(found.value, ast.Dict):
        return {}
    result: dict[str, str] = {}
    for key, value in zip(found.value.keys, found.value.values, strict=True):
        if key is None and isinstance(value, ast.Name):  # **OTHER_TABLE
            result.update(_table(found.file, value.id))
        elif isinstance(key, ast.Constant):
            result[str(key.value)] = _summary(found.file, value)
    return result


@dataclass(frozen=True)
class _Definition:
    """A class, function or assignment found in a file."""

    file: Path
    docstring: str
    value: ast.expr | None = None


def _find(file: Path, name: str) -> _Definition | None:
    """Where ``name`` is defined, following ``from x import name`` through files of this package."""
    tree = _parsed(file)
    for statement, after in itertools.pairwise([*tree.body, None]):
        if isinstance(statement, ast.ClassDef | ast.FunctionDef) and statement.name == name:
            return _Definition(file, ast.get_docstring(statement) or "")
        if isinstance(statement, ast.Assign | ast.AnnAssign) and name in _targets(statement):
            return _Definition(file, _docstring_after(after), statement.value)
        if isinstance(statement, ast.ImportFrom):
            imported = _imported(file, statement, name)
            if imported is not None:
                return _find(*imported)
    return None


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return ast.Module(body=[], type_ignores=[])


def _targets(statement: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _docstring_after(statement: ast.stmt | None) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return inspect.cleandoc(str(statement.value.value))
    return ""


def _imported(file: Path, statement: ast.ImportFrom, name: str) -> tuple[Path, str] | None:
    """File and original name of an imported name, when it is one of this package's."""
    original = next((alias.name for alias in statement.names if (alias.asname or alias.name) == name), None)
    parts = (statement.module or "").split(".")
    if original is None or (statement.level == 0 and parts[0] != "ganlab"):
        return None
    folder = file.parents[statement.level - 1] if statement.level else PACKAGE.parent
    base = folder.joinpath(*filter(None, parts))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file() and candidate != file:
            return candidate, original
    return None


def _summary(file: Path, value: ast.expr) -> str:
    """First line about a registry value: a name, a call such as ``partial(f, ...)``, or a constructor."""
    if isinstance(value, ast.Call):
        stated = [word.value for word in value.keywords if word.arg in ("summary", "description")]
        if stated and isinstance(stated[0], ast.Constant):
            return first_line(str(stated[0].value))
        return _summary(file, value.args[0] if _is_partial(value) else value.func)
    name = getattr(value, "id", "")
    found = _find(file, name) if name else None
    if found is None:
        return ""
    if found.docstring or found.value is None or isinstance(found.value, ast.Name):
        return first_line(found.docstring)
    return _summary(found.file, found.value)


def _is_partial(call: ast.Call) -> bool:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    return name == "partial" and bool(call.args)
