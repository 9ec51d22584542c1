"""Programs: sources that state what they compute and not what they take; ``FILE.json`` beside them does."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ganlab.adapters.wrap import Generator
from ganlab.errors import GanlabError
from ganlab.util.hashing import sha256_file
from ganlab.util.reading import read_json, reading, reason

SIDE_KEYS = ("latent", "labels", "output", "value_range", "name")


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
    if not isinstance(given.get("name", ""), str):
        raise GanlabError(f"{path}: name is a text; got {given['name']!r:.80}")
    return given


def torchscript(source: str, trust: str | None) -> Generator | None:
    """A saved TorchScript program (``.pt``, ``.ts``); ``FILE.json`` says its latent: {"latent": 100}."""
    path = Path(source)
    if path.suffix not in (".pt", ".ts", ".torchscript") or not path.is_file():
        return None
    digest = check_trust(path, trust, "a saved program is executed, and its loader reads pickles")
    with reading(path, expected="a TorchScript program"):
        module = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    given = side_file(path)
    if "latent" not in given:
        raise GanlabError(
            f"{path} does not say what it takes: write its latent into {path.name}.json, for example "
            '{"latent": [100, 1, 1], "value_range": [-1, 1]}'
        )
    return program(module, given, path, digest, "torchscript")


def pt2(source: str, trust: str | None) -> Generator | None:
    """A program saved by ``torch.export`` (``.pt2``); the shape of its latent is read from it."""
    path = Path(source)
    if path.suffix != ".pt2" or not path.is_file():
        return None
    digest = check_trust(path, trust, "torch's loader may fall back to unpickling")
    with reading(path, expected="a program of torch.export that takes latents"):
        saved = torch.export.load(str(path))
        names = saved.graph_signature.user_inputs
        nodes = {node.name: node for node in saved.graph.nodes}
        batch, *shape = next(tuple(nodes[name].meta["val"].shape) for name in names if name in nodes)
        call, latent = saved.module(), [int(side) for side in shape]
    given = {"latent": latent, **side_file(path)}
    return program(call, given, path, digest, "pt2", batch if isinstance(batch, int) else None)


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


def onnx(source: str, trust: str | None) -> Generator | None:
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
        inputs = session.get_inputs()
        batch, *shape = inputs[0].shape
    except Exception as error:  # its exceptions have no common class of their own
        raise GanlabError(f"{path} is no readable ONNX file: {reason(error)}") from error
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
        if len(arguments) != len(inputs):
            names = ", ".join(entry.name for entry in inputs)
            raise GanlabError(
                f"{path} takes {names} and got {len(arguments)}: a number of classes in {path.name}.json, "
                '{"labels": 10}, is its second input'
            )
        arrays = [value.half() if half and value.is_floating_point() else value for value in arguments]
        feed = {entry.name: value.numpy() for entry, value in zip(inputs, arrays, strict=True)}
        return torch.from_numpy(session.run(None, feed)[0])

    return program(run, given, path, sha256_file(path), "onnx", batch if isinstance(batch, int) else None)
