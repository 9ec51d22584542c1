"""Generators on disk: one safetensors file with averaged and raw weights and the configuration inside."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from ganlab.config import Config, from_mapping
from ganlab.errors import GanlabError
from ganlab.models.base import NO_GENERATOR, Generator, build_generator, filled
from ganlab.models.decoders import EncoderDecoder, UNet, build_network
from ganlab.util.atomic import write_bytes
from ganlab.util.reading import open_safetensors, parse_json, reading
from ganlab.zoo import PREFIX, zoo_file

FILE_NAME = "generator.safetensors"
METADATA = "ganlab"
FORMAT = "ganlab-generator-1"
WEIGHTS = ("ema", "raw")


def save_generator(
    path: str | os.PathLike[str],
    ema: Mapping[str, Tensor],
    raw: Mapping[str, Tensor],
    config: Config,
    step: int,
) -> None:
    """Write both sets of weights (state dicts) and the configuration, atomically.

    Raises:
        GanlabError: the file cannot be written; an older one stays as it was.
    """
    tensors = {
        f"{kind}.{name}": value.detach().cpu().contiguous().clone()
        for kind, state in zip(WEIGHTS, (ema, raw), strict=True)
        for name, value in state.items()
    }
    # One key only: safetensors writes several in an order that changes from call to call.
    about = {
        "format": FORMAT,
        "step": step,
        "config": config.model_copy(update={"out": None}).model_dump(mode="json"),
    }
    metadata = {METADATA: json.dumps(about)}
    # Not safetensors' own writer: its files are readable by their owner alone, on a shared disk too.
    write_bytes(path, save(tensors, metadata))


def load_generator(path: str | os.PathLike[str], weights: str = "ema") -> Generator:
    """Rebuild a generator from a run folder or a ``.safetensors`` file; no code of the file is ever run.

    Args:
        path: a run folder of ``ganlab train``, the file itself, or ``zoo:NAME``.
        weights: "ema" for the moving average, "raw" for the last step's.

    Returns:
        The generator on the CPU in evaluation mode: ``(N, z_dim)`` latents -> ``(N, 3, S, S)`` in [-1, 1]. Of
        an encoder-decoder it is the decoder alone, whose latents are codes.

    Raises:
        GanlabError: no such file, not a generator of ganlab, or damaged; or a network that makes its images
            of images and has no code that could be drawn.
    """
    config, state, _ = read_generator(path, weights)
    if config.task != "gan":
        network, source = load_network(path, weights), generator_file(path)
        if config.task != "autoencoder" or isinstance(network, UNet) or network.decoder.needs_places:
            why = (
                "has no code to draw"
                if isinstance(network, UNet)
                else "needs the places of an encoder's pooling"
            )
            why = why if config.task == "autoencoder" else f"was trained for {config.task}"
            raise GanlabError(
                f"{source} is no generator: its {config.model.architecture} {why}; {NO_GENERATOR}"
            )
        return network.decoder
    return filled(lambda: build_generator(config), state, str(generator_file(path))).eval()


def load_network(path: str | os.PathLike[str], weights: str = "ema") -> EncoderDecoder | UNet:
    """Rebuild the network of a run of another task than gan; no code of the file is ever run.

    Args:
        path: a run folder of ``ganlab train``, or the file itself.
        weights: "ema" for the moving average, "raw" for the last step's.

    Returns:
        The network on the CPU in evaluation mode: images in [-1, 1] -> (images or logits, divergence).

    Raises:
        GanlabError: no such file, not one of ganlab's, damaged, or a GAN's generator.
    """
    config, state, _ = read_generator(path, weights)
    if config.task == "gan":
        raise GanlabError(
            f"{generator_file(path)} was trained as a GAN: its images come from latents, and it has nothing "
            "to read a photo with; expected a run with task: autoencoder, superres or segment"
        )
    return filled(lambda: build_network(config), state, str(generator_file(path))).eval()


def read_generator(path: str | os.PathLike[str], weights: str) -> tuple[Config, dict[str, Tensor], int]:
    """The configuration, one set of weights and the training step of a generator file.

    Raises:
        GanlabError: as `load_generator`.
    """
    if weights not in WEIGHTS:
        raise GanlabError(f"unknown weights {weights!r}: expected one of {', '.join(WEIGHTS)}")
    file = generator_file(path)
    with open_safetensors(file, "pt", f"the {FILE_NAME} that `ganlab train` writes") as (metadata, opened):
        config, step = _config_of(file, metadata)
        names = [name for name in opened.keys() if name.startswith(f"{weights}.")]  # noqa: SIM118
        if not names:
            raise GanlabError(f"{file} holds no {weights} weights")
        state = {name.removeprefix(f"{weights}."): opened.get_tensor(name) for name in names}
    return config, state, step


def generator_file(path: str | os.PathLike[str]) -> Path:
    """The generator file that a run folder holds, the file itself, or the zoo's of ``zoo:NAME``.

    Raises:
        GanlabError: there is none.
    """
    if os.fspath(path).startswith(PREFIX):
        return zoo_file(os.fspath(path))
    given = Path(path)
    file = given / FILE_NAME if given.is_dir() else given
    if not file.is_file():
        expected = f"a run folder with {FILE_NAME} in it, a .safetensors file, or zoo:NAME"
        raise GanlabError(f"no generator at {given}: expected {expected}")
    return file


def _config_of(file: Path, metadata: Mapping[str, str]) -> tuple[Config, int]:
    about = parse_json(metadata.get(METADATA, "{}"), f"{file}: its metadata", dict)
    if about.get("format") != FORMAT:
        raise GanlabError(f"{file}: no generator of ganlab (format {about.get('format')!r})")
    with reading(file, "the configuration inside"):
        config, step = about["config"], about["step"]
        if type(step) is not int or step < 0:
            raise GanlabError(f"{file}: the configuration inside is damaged: step is {step!r}")
        return from_mapping(config, name=str(file)), step
