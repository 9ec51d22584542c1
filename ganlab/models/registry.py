"""Architectures by name, and networks from a configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ganlab.config import from_mapping, load
from ganlab.config.architecture import DECODERS as TAKE_IMAGES
from ganlab.config.architecture import discriminator_norm, shape, uses_spectral_norm
from ganlab.config.schema import Config, LossConfig, ModelConfig
from ganlab.errors import GanlabError, lookup
from ganlab.models.base import Discriminator, Generator
from ganlab.models.dcgan import (
    DCGANDiscriminator,
    DCGANGenerator,
    SNDCGANDiscriminator,
    SNDCGANGenerator,
)
from ganlab.models.decoders import CodeDecoder
from ganlab.models.sngan import SNGANDiscriminator, SNGANGenerator

GENERATORS: dict[str, type[Generator]] = {
    "dcgan": DCGANGenerator,
    "sndcgan": SNDCGANGenerator,
    "sngan": SNGANGenerator,
}

DISCRIMINATORS: dict[str, type[Discriminator]] = {
    "dcgan": DCGANDiscriminator,
    "sndcgan": SNDCGANDiscriminator,
    "sngan": SNGANDiscriminator,
}

NO_GENERATOR = "give it photos, with `ganlab generate RUN --reconstruct PHOTOS`"

ANY_DATA = {"source": "pack", "path": "-"}

ConfigLike = Config | ModelConfig | Mapping[str, Any] | str | os.PathLike[str]


def build_generator(config: ConfigLike) -> Generator:
    """A freshly initialised generator, in training mode.

    Args:
        config: a whole configuration, its ``model`` section, either of them as a mapping, or what
            ``ganlab.config.load`` takes (a preset name, a YAML file, a run folder).

    Returns:
        A module ``(N, z_dim)`` latents -> ``(N, 3, S, S)`` images in [-1, 1]. Weights come from torch's
        global generator: seed it for a reproducible start. Of an encoder_decoder it is the second half.

    Raises:
        GanlabError: an invalid configuration, or no such architecture at this size.
    """
    model, _ = _sections(config)
    if model.architecture == "encoder_decoder":
        return CodeDecoder(_possible(model))
    if model.architecture in TAKE_IMAGES:
        raise GanlabError(f"a {model.architecture} makes images of images, not of latents: {NO_GENERATOR}")
    return lookup(GENERATORS, model.architecture, "architecture")(_possible(model))


def build_discriminator(config: ConfigLike) -> Discriminator:
    """A freshly initialised discriminator, in training mode: ``(N, 3, S, S)`` images -> logits ``(N,)``.

    Args:
        config: as for `build_generator`. With the ``model`` section alone, a norm of "auto" knows of no
            gradient penalty.

    Raises:
        GanlabError: an invalid configuration, or no such architecture at this size.
    """
    model, loss = _sections(config)
    name = "dcgan" if model.architecture in TAKE_IMAGES else model.architecture
    network = lookup(DISCRIMINATORS, name, "architecture")
    return network(_possible(model), discriminator_norm(model, loss), uses_spectral_norm(model))


def count_parameters(module: Any) -> int:
    """Number of trainable scalars."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def _sections(config: ConfigLike) -> tuple[ModelConfig, LossConfig]:
    if isinstance(config, ModelConfig):
        return config, LossConfig()
    if isinstance(config, Mapping):
        # A model alone says nothing of data; a pack may have classes, which the default source has not.
        task = "autoencoder" if config.get("architecture") in TAKE_IMAGES else "gan"
        whole = config if "model" in config else {"model": dict(config), "data": ANY_DATA, "task": task}
        config = from_mapping(whole)
    elif not isinstance(config, Config):
        config = load(config)
    return config.model, config.loss


def _possible(model: ModelConfig) -> ModelConfig:
    if shape(model) is None:
        raise GanlabError(f"no {model.architecture} of {model.image_size} pixels; see `ganlab list`")
    return model
