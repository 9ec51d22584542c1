"""Aligned pairs: photos, and what networks that take images make of each of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ganlab.data import ImageSet, open_image_set
from ganlab.data.decode import prepare
from ganlab.data.pairs import REDUCTION, reduced
from ganlab.errors import GanlabError
from ganlab.images import UInt8Array, to_float, to_uint8
from ganlab.models import load_network
from ganlab.models.decoders import EncoderDecoder, UNet, classes_as_grey, mask_classes
from ganlab.models.latents import BLOCK
from ganlab.models.store import generator_file, read_generator
from ganlab.util.hashing import sha256_file


class Photos:
    """Photos cut to the square and reduced to one size, by number.

    Args:
        path: a folder of images, a pack, an array or a zip.
        count: at most so many, evenly spaced; all when absent.
        size: side in pixels; larger photos are reduced, smaller ones refused.

    Raises:
        GanlabError: no images, or damaged ones.
    """

    name = "real"

    def __init__(self, path: Path, count: int | None, size: int) -> None:
        self.images: ImageSet = open_image_set(path, limit=count, mixed=True)
        self.size = size

    def __len__(self) -> int:
        return len(self.images)

    def block(self, number: int) -> UInt8Array:
        """Photos of one block, uint8 ``(64 or fewer at the end, S, S, 3)``.

        Raises:
            GanlabError: a photo is smaller than the size, or cannot be read; it is named.
        """
        places = range(number * BLOCK, min((number + 1) * BLOCK, len(self)))
        names = [self.images.paths[place] for place in places]
        squares = []
        for name, pixels in zip(names, self.images.subset(list(places)).singly(), strict=True):
            image = Image.fromarray(np.repeat(pixels, 3 // pixels.shape[2], 2))
            try:
                squares.append(prepare(image, self.size))
            except GanlabError as error:
                raise GanlabError(f"{self.images.path}: {name}: {error}") from error
        return to_uint8(to_float(np.stack(squares)))

    def labels(self, first: int, count: int) -> list[int] | None:
        """None: the classes of photos are no classes of the network's."""
        return None

    def about(self) -> dict[str, Any]:
        """The photos' hash, and how each was cut and reduced."""
        return {
            "kind": "real", "num": len(self), "held_out": len(self), "size": self.size,
            "photos_sha256": self.images.fingerprint(),
            "cut": "centre square of the pixels as stored, Lanczos (a = 3) where it is larger",
        }  # fmt: skip


class Reconstructions:
    """What a network makes of each photo, rounded as every fake is.

    Args:
        path: run folder or file of a run of another task than gan.
        name: what its images are called.
        photos: in the size that the network makes.
        weights: "ema" or "raw".
        device: where it computes.

    Raises:
        GanlabError: no such network.
    """

    def __init__(self, path: Path, name: str, photos: Photos, weights: str, device: torch.device) -> None:
        self.file, self.name, self.photos, self.weights = generator_file(path), name, photos, weights
        self.config, _, self.step = read_generator(self.file, weights)
        self.network = load_network(self.file, weights).to(device)
        self._sha256, self._device = sha256_file(self.file), device

    def block(self, number: int) -> UInt8Array:
        """Reconstructions of one block of photos; of a segmentation, each pixel's class as a grey level."""
        photos = to_float(self.photos.block(number), self._device)
        return to_uint8(reconstructed(self.network, photos))

    def labels(self, first: int, count: int) -> list[int] | None:
        """None: these networks know no classes of images."""
        return None

    def about(self) -> dict[str, Any]:
        """Hash and training step of the weights, task, configuration without this machine's folders."""
        config = self.config.model_dump(mode="json")
        config["data"] |= {"path": None, "cache": None, "masks": None}
        return {
            "kind": "fake", "generator": self.name, "generator_sha256": self._sha256, "weights": self.weights,
            "step": self.step, "task": self.config.task, "pairs": "image i is made of real image i",
            "reduced": REDUCTION if self.config.task == "superres" else None,
            "device": self._device.type, "config": config,
        }  # fmt: skip


@torch.no_grad()
def reconstructed(network: EncoderDecoder | UNet, photos: torch.Tensor) -> torch.Tensor:
    """Photos ``(N, 3, S, S)`` in [-1, 1] -> what the network makes of each, ``(N, 3, S, S)`` in [-1, 1].

    A super-resolution network sees them reduced, a segmentation network's classes become grey levels. The
    network is in evaluation mode. It always computes 64 images together: a convolution may sum in another
    order for another number, and a last digit can change a rounded pixel.
    """
    config, images = network.config, []
    for start in range(0, len(photos), BLOCK):
        part = photos[start : start + BLOCK]
        whole = torch.cat([part, part.new_zeros(BLOCK - len(part), *part.shape[1:])])
        given = reduced(whole, config.data.scale) if config.task == "superres" else whole
        output = network(given)[0]
        classes = mask_classes(config)
        images.append((classes_as_grey(output.argmax(1), classes) if classes else output)[: len(part)])
    return torch.cat(images)


def pairs_of(
    runs: Sequence[Path], names: Sequence[str], photos: Path, count: int | None, weights: str,
    device: torch.device,
) -> tuple[Photos, list[Reconstructions]]:  # fmt: skip
    """The photos in the size that all runs make, and a source of reconstructions for each run.

    Raises:
        GanlabError: runs of several sizes, a GAN among them, no photos.
    """
    sizes = [read_generator(run, weights)[0].model.image_size for run in runs]
    if len(set(sizes)) > 1:
        listed = ", ".join(f"{name} {size} px" for name, size in zip(names, sizes, strict=True))
        raise GanlabError(f"these runs make images of several sizes ({listed}); make one set for each size")
    reals = Photos(photos, count, sizes[0])
    return reals, [
        Reconstructions(run, name, reals, weights, device) for run, name in zip(runs, names, strict=True)
    ]
