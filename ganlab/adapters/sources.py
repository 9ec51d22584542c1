"""Generators by name: what a source is, who reads it, and that nothing of it runs before it is trusted."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ganlab.adapters.foreign import diffusers, smp
from ganlab.adapters.programs import check_trust, onnx, pt2, torchscript
from ganlab.adapters.stylegan import stylegan
from ganlab.adapters.wrap import Generator, as_generator
from ganlab.errors import GanlabError
from ganlab.models import Generator as OwnGenerator
from ganlab.models import load_generator as load_own
from ganlab.models.base import PRETRAINED_CONFIG, PRETRAINED_WEIGHTS
from ganlab.models.store import FILE_NAME, generator_file
from ganlab.util.hashing import sha256_file
from ganlab.util.reading import read_json
from ganlab.zoo import PREFIX, zoo_file

AnyGenerator = Generator | OwnGenerator
Loader = Callable[[str, str | None], AnyGenerator | None]
WEIGHTS_ALONE = (
    "weights alone are no generator, and a pickle can run code: FILE.py:FACTORY takes a function that "
)
WEIGHTS_ALONE += "builds the module, loads them and returns ganlab.wrap(module, latent)"
HINTS = {
    ".py": "it is Python: name the function that returns ganlab.wrap(module, latent), as FILE.py:FACTORY",
    **dict.fromkeys((".pkl", ".pth", ".ckpt", ".bin"), WEIGHTS_ALONE),
}
"""Endings of files that nobody reads as they are -> what would be right."""
GROUP = "ganlab.adapters"
"""Entry points of other packages: a loader by name, as in `ADAPTERS`."""


def load_generator(
    source: str | os.PathLike[str], trust: str | None = None, weights: str = "ema"
) -> AnyGenerator:
    """A generator from anything that `ADAPTERS` reads.

    Args:
        source: a run folder, a ``.safetensors`` file, or what an adapter takes; ``NAME:SOURCE`` names the
            adapter where it is in doubt.
        trust: SHA-256 of the file, for sources that can run code; the error without it names the hash.
        weights: of ganlab's own: "ema" or "raw".

    Returns:
        One of ganlab's own networks in evaluation mode, or a `Generator`; both have ``sample(seed, first,
        count)``, ``image_size`` and ``module``.

    Raises:
        GanlabError: nobody reads it, it is damaged, or it is not trusted.
    """
    text = os.fspath(source)
    if weights != "ema":
        return load_own(text, weights)
    generator = find_generator(text, trust)
    if generator is not None:
        return generator
    if Path(text).suffix in HINTS and Path(text).is_file():
        raise GanlabError(f"{text} is no generator: {HINTS[Path(text).suffix]}")
    # The words of the oldest kind of source: what is wrong with a run folder.
    try:
        return load_own(text)
    except GanlabError as error:
        raise GanlabError(f"{error}; other sources: {', '.join(all_adapters())}") from error


def find_generator(source: str, trust: str | None = None) -> AnyGenerator | None:
    """As `load_generator`, but None for what nobody reads: images, or nothing at all.

    Raises:
        GanlabError: it is damaged or not trusted, or an adapter was named that does not read it.
    """
    loaders = all_adapters()
    name, colon, rest = source.partition(":")
    if colon and name in loaders:
        # A zoo generator's address is the whole of it, which tells a wrong name from a wrong path.
        generator = loaders[name](source if source.startswith(PREFIX) else rest, trust)
        if generator is None:
            raise GanlabError(f"{rest} is nothing that the adapter {name!r} reads")
        return generator
    made = (loader(source, trust) for loader in loaders.values())
    return next((generator for generator in made if generator is not None), None)


def chosen_trust(source: str, given: Sequence[str]) -> str | None:
    """Of the hashes that a command line gave, the one of this source's file; the first where none is."""
    name, colon, rest = source.partition(":")
    text = rest if colon and name in all_adapters() else source
    place = text.rpartition(":")[0]
    for file in (Path(text), Path(place), _module_file(place) if place else None) if len(given) > 1 else ():
        if file is not None and file.is_file() and (digest := sha256_file(file)) in given:
            return digest
    return next(iter(given), None)


def source_generator(source: Any, trust: str | None = None) -> Generator:
    """The `Generator` of a source, or of a generator given as such.

    Raises:
        GanlabError: as `load_generator`.
    """
    if isinstance(source, str | os.PathLike):
        return as_generator(load_generator(source, trust))
    return as_generator(source)


def all_adapters() -> dict[str, Loader]:
    """`ADAPTERS` and those of installed packages; a name of ours stays ours."""
    others = {point.name: point for point in metadata.entry_points(group=GROUP)}
    found = dict(ADAPTERS)
    for name, point in others.items():
        if name not in found:
            found[name] = _late(point)
    return found


def _late(point: metadata.EntryPoint) -> Loader:
    def load(source: str, trust: str | None) -> AnyGenerator | None:
        loader: Loader = point.load()
        return loader(source, trust)

    return load


def own(source: str, trust: str | None) -> AnyGenerator | None:
    """A run folder of ``ganlab train``, or a ``.safetensors`` file."""
    path = Path(source)
    if not (path / FILE_NAME).is_file() and not (path.is_file() and path.suffix == ".safetensors"):
        return None
    generator = load_own(source)
    file = generator_file(source)
    generator.source_name = Path(os.path.abspath(file)).parent.name if file.name == FILE_NAME else file.stem
    generator.source_sha256 = sha256_file(file)
    return generator


def zoo(source: str, trust: str | None) -> AnyGenerator | None:
    """``zoo:NAME``, a trained generator that comes with ganlab."""
    return own(str(zoo_file(source)), trust) if source.startswith(PREFIX) else None


def pretrained(source: str, trust: str | None) -> AnyGenerator | None:
    """A folder with ``config.json`` and ``model.safetensors``, as ``save_pretrained`` writes it."""
    path = Path(source)
    if not (path / PRETRAINED_CONFIG).is_file() or not (path / PRETRAINED_WEIGHTS).is_file():
        return None
    if "ganlab" not in read_json(path / PRETRAINED_CONFIG, dict):
        return None
    generator = OwnGenerator.from_pretrained(path)
    generator.source_name = path.resolve().name
    generator.source_sha256 = sha256_file(path / PRETRAINED_WEIGHTS)
    return generator


def python(source: str, trust: str | None) -> AnyGenerator | None:
    """``package.module:factory`` or ``file.py:factory``: a function that returns ``ganlab.wrap(...)``."""
    place, colon, factory = source.rpartition(":")
    if not colon or not factory.isidentifier():
        return None
    file = Path(place) if place.endswith(".py") else _module_file(place)
    if file is None:
        return None
    digest = check_trust(file, trust, "it is Python, and loading it runs it")
    try:
        module = _run_file(file, digest) if place.endswith(".py") else importlib.import_module(place)
        make = getattr(module, factory, None)
        made = make() if callable(make) and not isinstance(make, Generator | torch.nn.Module) else make
    except GanlabError:
        raise
    except Exception as error:  # somebody's program: of any kind
        raise GanlabError(f"{source}: running it raised {type(error).__name__}: {error}") from error
    if make is None:
        raise GanlabError(f"{file} has no {factory!r}")
    if not isinstance(made, Generator | OwnGenerator):
        raise GanlabError(
            f"{source} returns {type(made).__name__}: let it return ganlab.wrap(module, latent, ...)"
        )
    if isinstance(made, Generator):
        made.about = {"adapter": "python", "source": source, "sha256": digest, **made.about}
    return made


def _run_file(file: Path, digest: str) -> ModuleType:
    """The module of a trusted file, under a name that no other file of another content has."""
    spec = importlib.util.spec_from_file_location(f"ganlab_source_{digest[:12]}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its own classes look themselves up
    spec.loader.exec_module(module)
    return module


def _module_file(name: str) -> Path | None:
    """The file of a module, found without importing anything of it."""
    first, *rest = name.split(".")
    if not all(part.isidentifier() for part in (first, *rest)):
        return None
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):  # "__main__", say
        return None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin)
    if rest:
        path = path.parent.joinpath(*rest)
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path if path.is_file() else None


ADAPTERS: dict[str, Loader] = {
    # Before ganlab's own, which takes every other .safetensors file and says what is wrong with it.
    "stylegan": stylegan,
    "ganlab": own,
    "zoo": zoo,
    "pretrained": pretrained,
    "diffusers": diffusers,
    "smp": smp,
    "python": python,
    "torchscript": torchscript,
    "pt2": pt2,
    "onnx": onnx,
}
"""Name -> loader: ``loader(source, trust)`` gives a generator, or None if the source is not of its kind."""
