"""A small source of every adapter's kind, made here: random weights, images of 32 to 64 pixels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from stylegan_weights import stylegan2, written
from torch import nn

from ganlab.models import build_generator
from ganlab.zoo import names

LATENT = (4, 16, 16)
MINE = """
import torch
from torch import nn
import ganlab

def make():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(8, 3, 3, padding=1)
    )
    return ganlab.wrap(net, (4, 16, 16), output=torch.tanh, name="mine")

def odd():
    return ganlab.wrap(nn.Conv2d(4, 2, 1), (4, 4, 4), output=torch.tanh)
"""
"""A file of the `python` adapter: ``make``, and ``odd`` that draws two channels."""


def network() -> nn.Module:
    """Latents of `LATENT` to images of 32 pixels, by a transposed convolution of random weights."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.ReLU(),
        nn.Conv2d(8, 3, 3, padding=1), nn.Tanh(),
    ).eval()  # fmt: skip


def side(path: Path, **given: object) -> Path:
    """The path, after ``PATH.json`` beside it was written."""
    path.with_name(path.name + ".json").write_text(json.dumps(given))
    return path


def zoo(folder: Path) -> str:
    return f"zoo:{next(name for name in names() if 'nearest' in name)}"


def own(folder: Path) -> Path:
    from shared import TINY

    from ganlab.config import load
    from ganlab.training import train

    train(load("dcgan32", [*TINY, "model.image_size=32"]), folder / "run")
    return folder / "run"


def pretrained(folder: Path) -> Path:
    model = {"architecture": "dcgan", "image_size": 32, "upsampling": "nearest", "generator": {"width": 8}}
    build_generator(model).save_pretrained(folder / "saved")
    return folder / "saved"


def python(folder: Path) -> str:
    (folder / "mine.py").write_text(MINE)
    return f"{folder / 'mine.py'}:make"


def torchscript(folder: Path) -> Path:
    torch.jit.trace(network(), torch.zeros(2, *LATENT)).save(str(folder / "net.pt"))
    return side(folder / "net.pt", latent=LATENT)


def pt2(folder: Path) -> Path:
    batch = {"input": {0: torch.export.Dim("n", min=1, max=512)}}
    program = torch.export.export(network(), (torch.zeros(2, *LATENT),), dynamic_shapes=batch)
    torch.export.save(program, str(folder / "net.pt2"))
    return folder / "net.pt2"


def onnx(folder: Path) -> Path:
    # The older exporter: the newer one needs a package more.
    torch.onnx.export(
        network(), (torch.zeros(2, *LATENT),), str(folder / "net.onnx"), dynamo=False,
        input_names=["z"], dynamic_axes={"z": {0: "n"}},
    )  # fmt: skip
    return folder / "net.onnx"


def diffusers(folder: Path) -> Path:
    import diffusers as library

    torch.manual_seed(0)
    library.AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2, norm_num_groups=4, sample_size=32, latent_channels=3,
    ).save_pretrained(folder / "vae")  # fmt: skip
    return folder / "vae"


def smp(folder: Path) -> Path:
    import segmentation_models_pytorch as library

    torch.manual_seed(0)
    library.Unet("resnet18", encoder_weights=None, classes=1).save_pretrained(folder / "unet")
    return side(folder / "unet", latent=(3, 64, 64))


def stylegan(folder: Path) -> Path:
    return written(stylegan2(side=32), folder / "network.safetensors")


SOURCES: dict[str, Callable[[Path], str | Path]] = {
    "ganlab": own, "zoo": zoo, "pretrained": pretrained, "python": python, "torchscript": torchscript,
    "pt2": pt2, "onnx": onnx, "diffusers": diffusers, "smp": smp, "stylegan": stylegan,
}  # fmt: skip
"""Adapter -> what makes a source of its kind in a folder, and returns what a user would type."""
TRUSTED = {"python", "torchscript", "pt2"}
"""Adapters of sources that can run code."""


def file_of(source: str) -> Path:
    """The file whose hash is asked for."""
    return Path(source.rpartition(":")[0] or source)
