"""Generators by name: what a source is, who reads it, and that nothing of it runs before it is trusted."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ganlab.adapters.wrap import Generator, as_generator
from ganlab.errors import GanlabError
from ganlab.models import Generator as OwnGenerator
from ganlab.models import load_generator as load_own
from ganlab.models.base import PRETRAINED_CONFIG, PRETRAINED_WEIGHTS
from ganlab.models.store import FILE_NAME, generator_file
from ganlab.util.hashing import sha256_file
from ganlab.util.reading import read_json, reading
from ganlab.zoo import PREFIX

AnyGenerator = Generator | OwnGenerator
Loader = Callable[[str, str | None], AnyGenerator | None]
GROUP = "ganlab.adapters"
"""Entry points of other packages: a loader by name, as in `ADAPTERS`."""
SIDE_KEYS = ("latent", "labels", "output", "value_range", "name")


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
    loaders = all_adapters()
    name, colon, rest = text.partition(":")
    if colon and name in loaders:
        generator = loaders[name](rest, trust)
        if generator is None:
            raise GanlabError(f"{rest} is nothing that the adapter {name!r} reads")
        return generator
    for loader in loaders.values():
        generator = loader(text, trust)
        if generator is not None:
            return generator
    # The words of the oldest kind of source: what is wrong with a run folder.
    try:
        return load_own(text)
    except GanlabError as error:
        raise GanlabError(f"{error}; other sources: {', '.join(loaders)}") from error


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


def check_trust(file: Path, trust: str | None, why: str) -> str:
    """The file's hash, if the caller gave it.

    Raises:
        GanlabError: no file, no or another hash; the message prints the file's and says why it is asked for.
    """
    if not file.is_file():
        raise GanlabError(f"no generator at {file}: there is no such file")
    digest = sha256_file(file)
    if trust is None:
        raise GanlabError(
            f"{file} can run code: {why}. If you trust who made it, say so by its SHA-256: --trust {digest} "
            f'(in Python trust="{digest}")'
        )
    if trust.lower() != digest:
        raise GanlabError(f"{file} has the SHA-256 {digest}, not {trust}: it is not the file you trust")
    return digest


def side_file(file: Path) -> dict[str, Any]:
    """What ``FILE.json`` says of a program's latents and output; {} where there is none.

    Raises:
        GanlabError: a key that nobody knows.
    """
    path = file.with_name(file.name + ".json")
    if not path.is_file():
        return {}
    given: dict[str, Any] = read_json(path, dict)
    unknown = [key for key in given if key not in SIDE_KEYS]
    if unknown:
        raise GanlabError(f"{path}: unknown key {unknown[0]!r}; it may hold {', '.join(SIDE_KEYS)}")
    return given


def own(source: str, trust: str | None) -> AnyGenerator | None:
    """A run folder of ``ganlab train``, a ``.safetensors`` file, or ``zoo:NAME``."""
    path = Path(source)
    if not (
        source.startswith(PREFIX)
        or (path / FILE_NAME).is_file()
        or (path.is_file() and path.suffix == ".safetensors")
    ):
        return None
    generator = load_own(source)
    file = generator_file(source)
    generator.source_name = Path(os.path.abspath(file)).parent.name if file.name == FILE_NAME else file.stem
    generator.source_sha256 = sha256_file(file)
    return generator


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
    if place.endswith(".py"):
        spec = importlib.util.spec_from_file_location(f"ganlab_source_{digest[:12]}", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # where its own classes look themselves up
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    make = getattr(module, factory, None)
    if make is None:
        raise GanlabError(f"{file} has no {factory!r}")
    made = make() if callable(make) and not isinstance(make, Generator | torch.nn.Module) else make
    if not isinstance(made, Generator | OwnGenerator):
        raise GanlabError(
            f"{source} returns {type(made).__name__}: let it return ganlab.wrap(module, latent, ...)"
        )
    if isinstance(made, Generator):
        made.about = {"adapter": "python", "source": source, "sha256": digest, **made.about}
    return made


def _module_file(name: str) -> Path | None:
    """The file of a module, found without importing anything of it."""
    first, *rest = name.split(".")
    if not all(part.isidentifier() for part in (first, *rest)):
        return None
    spec = importlib.util.find_spec(first)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin)
    if rest:
        path = path.parent.joinpath(*rest)
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path if path.is_file() else None


def torchscript(source: str, trust: str | None) -> AnyGenerator | None:
    """A saved TorchScript program (``.pt``, ``.ts``); ``FILE.json`` says its latent: {"latent": 100}."""
    path = Path(source)
    if path.suffix not in (".pt", ".ts", ".torchscript") or not path.is_file():
        return None
    digest = check_trust(path, trust, "a saved program is executed, and its loader reads pickles")
    try:
        module = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise GanlabError(f"{path} is no TorchScript program: {str(error).splitlines()[0]}") from error
    given = side_file(path)
    if "latent" not in given:
        raise GanlabError(
            f"{path} does not say what it takes: write its latent into {path.name}.json, for example "
            '{"latent": [100, 1, 1], "value_range": [-1, 1]}'
        )
    return program(module, given, path, digest, "torchscript")


def pt2(source: str, trust: str | None) -> AnyGenerator | None:
    """A program saved by ``torch.export`` (``.pt2``); the shape of its latent is read from it."""
    path = Path(source)
    if path.suffix != ".pt2" or not path.is_file():
        return None
    digest = check_trust(path, trust, "torch's loader may fall back to unpickling")
    try:
        saved = torch.export.load(str(path))
    except Exception as error:  # the loader lets through whatever its archive reader raises
        raise GanlabError(f"{path} is no program of torch.export: {str(error).splitlines()[0]}") from error
    names = saved.graph_signature.user_inputs
    nodes = {node.name: node for node in saved.graph.nodes}
    shapes = [tuple(nodes[name].meta["val"].shape) for name in names if name in nodes]
    given = side_file(path)
    given.setdefault("latent", [int(side) for side in shapes[0][1:]])
    batch = shapes[0][0]
    return program(saved.module(), given, path, digest, "pt2", batch if isinstance(batch, int) else None)


def program(
    call: Callable[..., Any],
    given: dict[str, Any],
    path: Path,
    digest: str,
    adapter: str,
    block: int | None = None,
) -> Generator:
    """A `Generator` of a program whose latents and output ``given`` describes."""
    about = {"adapter": adapter, "source": path.name, "sha256": digest}
    with reading(path.with_name(path.name + ".json"), expected="what ganlab.wrap takes"):
        generator = Generator(
            call, given["latent"], given.get("labels"), given.get("output"),
            tuple(given.get("value_range", (-1.0, 1.0))), given.get("name", path.stem), block, about,
        )  # fmt: skip
    generator.fixed_batch = block
    return generator


def onnx(source: str, trust: str | None) -> AnyGenerator | None:
    """An ONNX file, by onnxruntime on the CPU; a fixed batch size is kept to."""
    path = Path(source)
    if path.suffix != ".onnx" or not path.is_file():
        return None
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise GanlabError('ONNX files need onnxruntime: pip install "ganlab[onnx]"') from error
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common class of their own
        raise GanlabError(f"{path} is no readable ONNX file: {str(error).splitlines()[0]}") from error
    inputs = session.get_inputs()
    batch, *shape = inputs[0].shape
    given = side_file(path)
    if "latent" not in given:
        if not all(isinstance(side, int) for side in shape):
            raise GanlabError(
                f"{path} leaves the shape of its input open, {inputs[0].shape}: state it in "
                f'{path.name}.json, for example {{"latent": [4, 16, 16]}}'
            )
        given["latent"] = shape
    half = "float16" in inputs[0].type

    def run(*arguments: torch.Tensor) -> torch.Tensor:
        arrays = [value.half() if half and value.is_floating_point() else value for value in arguments]
        feed = {entry.name: value.numpy() for entry, value in zip(inputs, arrays, strict=False)}
        return torch.from_numpy(session.run(None, feed)[0])

    return program(run, given, path, sha256_file(path), "onnx", batch if isinstance(batch, int) else None)


ADAPTERS: dict[str, Loader] = {
    "ganlab": own,
    "pretrained": pretrained,
    "python": python,
    "torchscript": torchscript,
    "pt2": pt2,
    "onnx": onnx,
}
"""Name -> loader: ``loader(source, trust)`` gives a generator, or None if the source is not of its kind."""
