"""Decoders of other libraries, from the folders that their own ``save_pretrained`` writes. Nothing runs code.

``FOLDER.json`` beside a folder states another latent than the usual one, ``{"latent": [4, 16, 16]}``.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ganlab.adapters.programs import side_file
from ganlab.adapters.wrap import Generator
from ganlab.errors import GanlabError
from ganlab.util.hashing import sha256_file
from ganlab.util.reading import read_json, reading

CONFIG = "config.json"
DIFFUSERS_WEIGHTS, SMP_WEIGHTS = "diffusion_pytorch_model.safetensors", "model.safetensors"
USUAL_SIDE = 256
"""Largest image of a decoder that takes latents of any size."""
SMP_SIDE = 128
"""Of the noise that a segmentation model gets: four of the coarsest pixels of an encoder of depth 5."""
REACH = 4.0
"""Deviations of normal values that are kept: predicted noise has no ends of its own."""


def diffusers(source: str, trust: str | None) -> Generator | None:
    """A folder of diffusers with an AutoencoderKL, an AutoencoderTiny or a UNet2DModel, or its pipeline.

    Autoencoders: latents ``(C, h, w)`` of unit variance, as a diffusion model hands them over, to images cut
    off at [-1, 1]. A UNet2DModel decodes noise in one step, at its noisiest time; what it predicts is shown
    from -4 to 4.

    Raises:
        GanlabError: diffusers is not installed, or the folder is damaged.
    """
    root = Path(source)
    parts = [root] if not (root / "model_index.json").is_file() else [root / "vae", root / "unet"]
    folder = next((part for part in parts if (part / CONFIG).is_file()), None)
    if folder is None:
        return None
    config = read_json(folder / CONFIG, dict)
    make = DIFFUSERS.get(str(config.get("_class_name")))
    if make is None:
        return None
    weights = folder / DIFFUSERS_WEIGHTS
    if not weights.is_file():
        raise GanlabError(
            f"{folder} has no {DIFFUSERS_WEIGHTS}: save it anew with save_pretrained(folder); pickled "
            "weights can run code and are not read"
        )
    library = _library("diffusers", "folders of diffusers", "diffusers")
    kind = getattr(library, config["_class_name"])
    module = _read(
        lambda: kind.from_pretrained(
            str(folder), use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
        ),
        folder,
    )
    with reading(folder / CONFIG, expected="what diffusers writes"):
        call, given = make(module, dict(module.config))
    return _generator(call, given, root, weights, "diffusers")


def _decoder(module: Any, config: Mapping[str, Any]) -> tuple[Callable[..., Tensor], dict[str, Any]]:
    widths = config.get("block_out_channels") or config["decoder_block_out_channels"]
    factor = 2 ** (len(widths) - 1)
    side = config.get("sample_size") or USUAL_SIDE
    side = min(int(side if isinstance(side, int) else min(side)), USUAL_SIDE)
    scale, shift = float(config.get("scaling_factor") or 1.0), float(config.get("shift_factor") or 0.0)

    def decode(latents: Tensor) -> Tensor:
        images: Tensor = module.decode(latents / scale + shift).sample
        return images.clamp(-1, 1)

    rows = max(1, side // factor)
    return decode, {"latent": (int(config["latent_channels"]), rows, rows)}


def _unet(module: Any, config: Mapping[str, Any]) -> tuple[Callable[..., Tensor], dict[str, Any]]:
    last = int(config.get("num_train_timesteps") or 1000) - 1
    side = config.get("sample_size") or USUAL_SIDE // 4
    height, width = (side, side) if isinstance(side, int) else side
    classes = config.get("num_class_embeds")

    def decode(noise: Tensor, labels: Tensor | None = None) -> Tensor:
        predicted: Tensor = module(noise, last, class_labels=labels).sample
        return predicted.clamp(-REACH, REACH)

    given = {"latent": (int(config["in_channels"]), int(height), int(width)), "value_range": (-REACH, REACH)}
    return decode, given | ({"labels": int(classes)} if classes else {})


DIFFUSERS: dict[str, Callable[[Any, Mapping[str, Any]], tuple[Callable[..., Tensor], dict[str, Any]]]] = {
    "AutoencoderKL": _decoder,
    "AutoencoderTiny": _decoder,
    "UNet2DModel": _unet,
}
"""Class of diffusers -> what makes its call and its latents."""


def smp(source: str, trust: str | None) -> Generator | None:
    """A folder that a model of segmentation_models.pytorch wrote; its decoder draws maps from white noise.

    Images: probabilities of one or three classes, of the first where there are others, as [0, 1].

    Raises:
        GanlabError: segmentation_models_pytorch is not installed, or the folder is damaged.
    """
    folder = Path(source)
    if not (folder / CONFIG).is_file():
        return None
    name = read_json(folder / CONFIG, dict).get("_model_class")
    if name is None:
        return None
    weights = folder / SMP_WEIGHTS
    if not weights.is_file():
        raise GanlabError(f"{folder} has no {SMP_WEIGHTS}: save it anew with save_pretrained(folder)")
    library = _library("segmentation_models_pytorch", "its folders", "smp")
    kind = getattr(library, str(name), None)
    # The name is the file's: nothing but one of the library's own networks is built by it.
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise GanlabError(f"{folder / CONFIG}: segmentation_models_pytorch has no model {name!r}")
    # Weights of the encoder are in the file; asking for others would download them.
    make: Any = kind
    module = _read(lambda: make.from_pretrained(str(folder), encoder_weights=None), folder)
    with reading(folder / CONFIG, expected="a network of convolutions"):
        first = next(entry for entry in module.modules() if isinstance(entry, nn.Conv2d))

    def draw(noise: Tensor) -> Tensor:
        logits: Tensor = module(noise)
        chances = logits.softmax(1) if logits.shape[1] > 1 else logits.sigmoid()
        return chances if chances.shape[1] in (1, 3) else chances[:, :1]

    given = {"latent": (first.in_channels, SMP_SIDE, SMP_SIDE), "value_range": (0.0, 1.0)}
    return _generator(draw, given, folder, weights, "smp")


def _library(name: str, what: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise GanlabError(f'{what} need {name}: pip install "ganlab[{extra}]"') from error


def _read(load: Callable[[], Any], folder: Path) -> Any:
    try:
        # A loader's remarks are none of what a command prints.
        with contextlib.redirect_stdout(sys.stderr):
            return load().eval()
    except Exception as error:  # what these loaders raise has no common class
        reason = " ".join(str(error).split())[:300]
        raise GanlabError(f"{folder} cannot be read: {type(error).__name__}: {reason}") from error


def _generator(
    call: Callable[..., Tensor], given: Mapping[str, Any], folder: Path, weights: Path, adapter: str
) -> Generator:
    """The call as a `Generator`; ``FOLDER.json`` has the last word on what it takes."""
    stated = {**given, **side_file(Path(folder.resolve()))}
    about = {"adapter": adapter, "source": folder.resolve().name, "sha256": sha256_file(weights)}
    with reading(f"{folder}.json", expected="what ganlab.wrap takes"):
        return Generator(
            call, stated["latent"], stated.get("labels"), stated.get("output"),
            tuple(stated.get("value_range", (-1.0, 1.0))), stated.get("name", folder.resolve().name),
            about=about,
        )  # fmt: skip
