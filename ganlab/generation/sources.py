"""Where the images of a set's part come from: a generator, or the photos its run was trained beside."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ganlab.config.schema import Config
from ganlab.data import TrainingImages, load_training_images
from ganlab.errors import GanlabError
from ganlab.generation.sampling import generate_block
from ganlab.images import UInt8Array, to_float, to_uint8
from ganlab.models import Generator, load_generator
from ganlab.models.latents import BLOCK, image_labels
from ganlab.models.store import FILE_NAME, generator_file, read_generator
from ganlab.util.hashing import derive_seed, sha256_file


class Source(Protocol):
    """Blocks of 64 images by number."""

    name: str

    def block(self, number: int) -> UInt8Array:
        """Images ``64 number ...`` as uint8 ``(64 or fewer at the end, H, W, 3)``."""

    def labels(self, first: int, count: int) -> list[int] | None:
        """Classes of images ``first ... first + count - 1``; None without classes."""

    def about(self) -> dict[str, Any]:
        """What the manifest says of the source."""


class Sampled(Protocol):
    """A generator of any kind, as the adapters make them."""

    name: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""

    def sample(self, seed: int, first: int, count: int) -> Tensor:
        """Images ``(count, C, H, W)`` in [-1, 1]; image i depends on the seed and i alone."""

    def identity(self) -> dict[str, Any]:
        """What is known of the source, its hash and the hash of its weights."""

    def drawn_labels(self, seed: int, first: int, count: int) -> list[int] | None:
        """Classes that the images were asked for; None without classes."""


class SampledSource:
    """Somebody's generator: images by number, however it makes them.

    Raises:
        GanlabError: images that are neither grey nor coloured.
    """

    def __init__(self, generator: Sampled, name: str, seed: int) -> None:
        channels = generator.shape[0]
        if channels not in (1, 3):
            raise GanlabError(f"{name} draws {channels} channels; images have 1 (grey) or 3 (colour)")
        self.generator, self.name, self.seed = generator, name, seed
        self._about = {"kind": "fake", "generator": name, "seed": seed, **generator.identity()}

    def block(self, number: int) -> UInt8Array:
        """Images of one block."""
        return to_uint8(self.generator.sample(self.seed, number * BLOCK, BLOCK))

    def labels(self, first: int, count: int) -> list[int] | None:
        """The classes that a conditional generator was asked for."""
        return self.generator.drawn_labels(self.seed, first, count)

    def about(self) -> dict[str, Any]:
        """Name, seed, and what is known of the source."""
        return dict(self._about)


class FakeSource:
    """A trained generator in evaluation mode."""

    def __init__(self, path: Path, name: str, seed: int, weights: str, device: torch.device) -> None:
        self.file = generator_file(path)
        self.name, self.seed, self.weights = name, seed, weights
        self.config, _, self.step = read_generator(self.file, weights)
        self._sha256 = sha256_file(self.file)
        self._device = device
        self._generator: Generator | None = None

    def block(self, number: int) -> UInt8Array:
        """Images of one block; the network is loaded at the first."""
        if self._generator is None:
            self._generator = load_generator(self.file, self.weights).to(self._device)
            # A training that goes on may have replaced the file since the set was planned.
            if sha256_file(self.file) != self._sha256:
                raise GanlabError(
                    f"{self.file} changed while the set was being made: let the training finish, "
                    "or copy the file"
                )
        return generate_block(self._generator, self.seed, number)

    def labels(self, first: int, count: int) -> list[int] | None:
        """The classes that a conditional generator was asked for."""
        drawn = image_labels(self.seed, first, count, self.config.model.num_classes)
        return None if drawn is None else [int(label) for label in drawn]

    def about(self) -> dict[str, Any]:
        """Hash and training step of the weights, seed, configuration without this machine's folders."""
        config = self.config.model_dump(mode="json")
        config["data"] |= {"path": None, "cache": None}
        return {
            "kind": "fake", "generator": self.name, "generator_sha256": self._sha256, "weights": self.weights,
            "step": self.step, "seed": self.seed, "batch_norm": "evaluation mode (running statistics)",
            "device": self._device.type, "config": config,
        }  # fmt: skip


def run_name(path: Path) -> str:
    """What the images of a generator are called: as its run folder, or as its file without suffix.

    Raises:
        GanlabError: there is no generator.
    """
    # Absolute, because "." and ".." have no name of their own.
    file = Path(os.path.abspath(generator_file(path)))
    return file.parent.name if file.name == FILE_NAME else file.stem


@dataclass(frozen=True)
class Reals:
    """Which photos of a data set serve as reals, held-out ones first."""

    images: TrainingImages
    order: np.ndarray[Any, np.dtype[np.int64]]
    held_out: int
    """How many of ``order``, from its start, the generators never saw."""


class RealSource:
    """Photos through the same uint8 -> float -> uint8 path as the fakes."""

    name = "real"

    def __init__(self, reals: Reals, config: Config, seed: int) -> None:
        self.reals, self.config, self.seed = reals, config, seed

    def block(self, number: int) -> UInt8Array:
        """Photos of one block."""
        chosen = self.reals.order[number * BLOCK : (number + 1) * BLOCK]
        return to_uint8(to_float(np.stack([self.reals.images.images[index] for index in chosen])))

    def labels(self, first: int, count: int) -> list[int] | None:
        """The photos' classes, where the generators have classes too."""
        if self.reals.images.labels is None or not self.config.model.num_classes:
            return None
        return [int(label) for label in self.reals.images.labels[self.reals.order[first : first + count]]]

    def about(self) -> dict[str, Any]:
        """Where the photos come from, without the folder they lie in."""
        described = {key: value for key, value in self.reals.images.description.items() if key != "path"}
        counts = {"num": len(self.reals.order), "held_out": self.reals.held_out}
        return {"kind": "real", "seed": self.seed, **counts, "data": described}


def choose_reals(config: Config, count: int, seed: int) -> Reals:
    """``count`` photos in seeded order, held-out ones before training ones.

    Raises:
        GanlabError: the data set has fewer, or is not where it was at the training.
    """
    try:
        images = load_training_images(config.data, config.model.image_size)
    except GanlabError as error:
        raise GanlabError(
            f"the images that the generator was trained on cannot be read ({error}): put them there, or "
            "compare with real images of your own (--real; generate: without --with-real)"
        ) from error
    draw = np.random.default_rng(derive_seed(seed, "real-order"))
    order = np.concatenate([draw.permutation(images.val), draw.permutation(images.train)])
    if count > len(order):
        raise GanlabError(
            f"--with-real: {count} reals asked for, but {config.data.source} has {len(order)} images "
            f"({len(images.val)} held out); lower --num"
        )
    return Reals(images, order[:count], min(count, len(images.val)))
