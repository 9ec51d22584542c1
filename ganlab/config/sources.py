"""What a configuration is read from: presets, files, parents, overrides; and how one is laid over another."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ganlab.config.errors import ConfigError, Fault, KeyPath, Origin, dotted, key_path, origin_of, shown
from ganlab.config.yaml12 import Document, parse
from ganlab.errors import GanlabError, nearest_name
from ganlab.util.reading import read_text

SHORT_FORMS: dict[KeyPath, str] = {("model", "upsampling"): "name"}
"""Where a name alone stands for a mapping with one key: ``upsampling: nearest`` is ``{name: nearest}``."""


def overlay(parent: Document, child: Document) -> Document:
    """``child`` over ``parent``.

    A short form in the child replaces the parent's whole mapping; a mapping in the child over the parent's
    short form keeps the name.
    """
    origins = dict(parent.origins)
    value = _merge(parent.value, child.value, (), origins, child.origins)
    return Document(child.source, value, origins, [*parent.faults, *child.faults])


def _merge(
    old: Any, new: Any, path: KeyPath, origins: dict[KeyPath, Origin], fresh: dict[KeyPath, Origin]
) -> Any:
    if path in SHORT_FORMS and isinstance(new, dict) and isinstance(old, str | tuple):
        old = {SHORT_FORMS[path]: old}
        origins[(*path, SHORT_FORMS[path])] = origins[path]
    if not (isinstance(old, dict) and isinstance(new, dict)):
        depth = len(path)
        for stale in [key for key in origins if key[:depth] == path]:
            del origins[stale]
        origins.update({key: origin for key, origin in fresh.items() if key[:depth] == path})
        return new
    result = dict(old)
    if path in fresh:
        origins.setdefault(path, fresh[path])
    for key, value in new.items():
        result[key] = _merge(old.get(key), value, (*path, key), origins, fresh)
    return result


Overrides = Iterable[str] | Mapping[str, Any]
"""``["optimizer.lr=1e-4"]`` as typed, or ``{"optimizer.lr": 1e-4}`` from a program."""


def override_documents(overrides: Overrides) -> list[Document]:
    """One document per override, in order; malformed ones carry a fault.

    The text after the first ``=`` is YAML 1.2: ``[nearest, transposed]`` is a list, nothing at all is null.
    """
    if isinstance(overrides, Mapping):
        keys = {dotted(key_path(key)): value for key, value in overrides.items()}
        return [_nested(f"override '{key}'", key, Document("", tuples(value))) for key, value in keys.items()]
    documents = []
    for text in overrides:
        source = f"override '{text}'"
        key, equals, value = (part.strip() for part in text.partition("="))
        try:
            if equals and key:
                documents.append(_nested(source, key, parse(value, source)))
                continue
            fault = Fault(Origin(source), "", "expected key.path=value, for example optimizer.lr=1e-4")
        except ConfigError as error:
            fault = Fault(Origin(source), key, f"the value is not valid YAML: {error.faults[0].text}")
        documents.append(Document(source, {}, {}, [fault]))
    return documents


def tuples(value: Any) -> Any:
    """A value from a program as the YAML reader would give it: lists become tuples, mappings dicts."""
    if isinstance(value, list | tuple):
        return tuple(tuples(item) for item in value)
    if isinstance(value, Mapping):
        return {key: tuples(item) for key, item in value.items()}
    return value


def _nested(source: str, key: str, parsed: Document) -> Document:
    """The document ``{a: {b: value}}`` for key ``a.b``; every place in it has the override as origin."""
    path: KeyPath = tuple(key.split("."))
    value = parsed.value
    for part in reversed(path):
        value = {part: value}
    origin = Origin(source)
    origins: dict[KeyPath, Origin] = {path[:length]: origin for length in range(1, len(path) + 1)}
    origins |= {(*path, *inner): origin for inner in parsed.origins}
    faults = [Fault(origin, ".".join(filter(None, (key, fault.key))), fault.text) for fault in parsed.faults]
    return Document(source, value, origins, faults)


PRESET_FOLDER = Path(__file__).resolve().parent / "presets"
PRESET_LABEL = "preset "
CONFIG_FOLDERS = tuple(folder / "configs" for folder in Path(__file__).resolve().parents[1:3])
"""ganlab's own experiments: inside the package in a wheel (see setup.py), beside it in a clone."""
RUN_CONFIG = "config.yaml"
"""The resolved configuration in a run folder."""


def preset_names() -> tuple[str, ...]:
    """Names of the presets, sorted."""
    return tuple(sorted(path.stem for path in PRESET_FOLDER.glob("*.yaml")))


def preset_summary(name: str) -> str:
    """First comment line of a preset: what it is."""
    first = (PRESET_FOLDER / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ").rstrip(" .")


def shipped(path: Path) -> Path:
    """``path``, or ganlab's own ``configs/NAME.yaml`` where there is no such file.

    So ``configs/last-stage.yaml`` and ``last-stage`` work from any folder after an installation.
    """
    if not os.path.lexists(path) and path.parent in (Path(), Path("configs")):
        for folder in CONFIG_FOLDERS:
            if os.path.isfile(own := folder / f"{path.name.removesuffix('.yaml')}.yaml"):
                return own
    return path


def locate(
    source: str | os.PathLike[str], folder: Path | None = None, asked_by: Origin | None = None
) -> Path:
    """The YAML file meant by ``source``.

    A bare name is a preset before it is a folder (write ``./name`` for the folder); a folder means the
    ``config.yaml`` in it; relative paths start at ``folder``, by default the working directory, and then at
    ganlab's own ``configs/``.

    Raises:
        ConfigError: nothing there; lists presets and the YAML files nearby.
    """
    text = os.fspath(source)
    if text in preset_names():
        return PRESET_FOLDER / f"{text}.yaml"
    path = (folder or Path()) / text
    if not os.path.lexists(path):
        path = shipped(Path(text))
    # os.path's tests say no where Path's raise, for example for a name that is too long.
    candidate = path / RUN_CONFIG if os.path.isdir(path) else path
    if os.path.isfile(candidate):
        return candidate
    presets = preset_names()
    nearby = sorted(file.name for file in path.parent.glob("*.y*ml")) if os.path.isdir(path.parent) else []
    own = [file.name for configs in CONFIG_FOLDERS for file in configs.glob("*.yaml")]
    what = f"no such configuration{f' {text!r}' if text else ''}"
    if text and os.path.isdir(path):
        what = f"the folder {text!r} holds no {RUN_CONFIG}, so it is no run folder"
    expected = f"expected a YAML file, a run folder or a preset ({', '.join(presets)})"
    files = f"; YAML files there: {', '.join(nearby[:10])}" if nearby else ""
    near = nearest_name(path.name, [*presets, *nearby, *own])
    fault = Fault(
        asked_by or Origin(text or "''"), "extends" if asked_by else "", f"{what}; {expected}{files}{near}"
    )
    raise ConfigError([fault])


def label(path: Path) -> str:
    """How messages name the file: ``preset dcgan64``, or the path as short as it can be."""
    if path.parent == PRESET_FOLDER:
        return f"{PRESET_LABEL}{path.stem}"
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") and path.is_absolute() else relative


def read(path: Path) -> Document:
    """Parse one file, without its parents.

    Raises:
        ConfigError: unreadable, not UTF-8, not YAML, or not a mapping.
    """
    name = label(path)
    try:
        text = read_text(path)
    except GanlabError as error:
        raise ConfigError([Fault(None, "", str(error))]) from error
    return mapping(parse(text, name))


def mapping(document: Document) -> Document:
    """The document itself when its top level is a mapping (an empty file is an empty one).

    Raises:
        ConfigError: it is a list or a single value.
    """
    if document.value is None:
        document.value = {}
    if not isinstance(document.value, dict):
        text = f"holds {shown(document.value)}; expected keys such as model: and training:"
        raise ConfigError([*document.faults, Fault(Origin(document.source, 1), "", text)])
    document.origins.setdefault((), Origin(document.source))
    return document


def with_parents(document: Document, path: Path | None, seen: tuple[Path, ...] = ()) -> Document:
    """The document laid over the one that its ``extends`` names, and so on upwards.

    Args:
        document: a parsed file.
        path: the file; relative parents are looked up beside it.
        seen: files on the way here.

    Raises:
        ConfigError: the parent is missing, is not one name, or leads back here.
    """
    if "extends" not in document.value:
        return document
    parent = document.value.pop("extends")
    origin = origin_of(document.origins, ("extends",))
    if not isinstance(parent, str):
        text = f"got {shown(parent)}; expected one preset name or the path of one YAML file"
        raise ConfigError([*document.faults, Fault(origin, "extends", text)])
    chain = (*seen, *([path.resolve()] if path else []))
    parent_path = locate(parent, path.parent if path else None, origin).resolve()
    if parent_path in chain:
        loop = " -> ".join(label(file) for file in (*chain[chain.index(parent_path) :], parent_path))
        raise ConfigError([Fault(origin, "extends", f"goes round in a circle: {loop}")])
    return overlay(with_parents(read(parent_path), parent_path, chain), document)
