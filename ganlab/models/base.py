"""What every generator and every discriminator shares, and how one is built from its configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganlab.config import from_mapping, load
from ganlab.config.architecture import DECODERS as TAKE_IMAGES
from ganlab.config.architecture import discriminator_norm, shape, uses_spectral_norm
from ganlab.config.schema import Config, LossConfig, ModelConfig
from ganlab.errors import GanlabError, lookup
from ganlab.models.latents import BLOCK, image_labels, image_latents
from ganlab.util.atomic import write_bytes, write_json
from ganlab.util.reading import open_safetensors, read_json, reading

PRETRAINED_CONFIG, PRETRAINED_WEIGHTS = "config.json", "model.safetensors"
HALVES = (torch.float16, torch.bfloat16)
REASON = 300
"""Characters of torch's list of names; whole, it fills the screen."""
Network = TypeVar("Network", bound=nn.Module)


class Generator(nn.Module):
    """Latents ``(N, z_dim)`` -> images ``(N, 3, S, S)`` in [-1, 1].

    ``start`` makes the coarsest feature map, each of ``stages`` doubles it, ``finish`` makes the image.
    """

    stages: nn.ModuleList

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.z_dim = config.generator.z_dim
        self.num_classes = config.num_classes
        self.image_size = config.image_size
        self.source_name = config.architecture
        """What its images are called; a loader puts the name of its folder here."""
        self.source_sha256 = ""
        """Of the file that the weights were read from, if they were."""

    def start(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Latents ``(N, z_dim)`` -> the coarsest feature map."""
        raise GanlabError(f"{type(self).__name__} does not define start")

    def stage(self, index: int, x: Tensor, labels: Tensor | None) -> Tensor:
        """Feature map -> feature map of twice the size."""
        out: Tensor = self.stages[index](x, labels)
        return out

    def finish(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Last feature map -> images in [-1, 1]."""
        raise GanlabError(f"{type(self).__name__} does not define finish")

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents, and class labels ``(N,)`` when the generator is conditional, to images in [-1, 1].

        Raises:
            GanlabError: latents of another length; labels missing, not integers, or of another number.
        """
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise GanlabError(f"latents are (N, {self.z_dim}); got {tuple(z.shape)}")
        integers = labels is not None and labels.dtype in (torch.int64, torch.int32)
        if self.num_classes and (labels is None or not integers or labels.shape != z.shape[:1]):
            raise GanlabError(
                f"this generator is conditional on {self.num_classes} classes: give integer labels (N,)"
            )
        x = self.start(z, labels)
        for index in range(len(self.stages)):
            x = self.stage(index, x, labels)
        return self.finish(x, labels)

    @property
    def module(self) -> Generator:
        """The network itself: what other generators wrap."""
        return self

    @torch.no_grad()
    def sample(self, seed: int, first: int, count: int) -> Tensor:
        """Images ``first ... first + count - 1``: ``(count, 3, S, S)`` in [-1, 1], on the network's device.

        Image i depends on the weights, ``seed`` and i alone; in bytes they are the images of
        `ganlab generate`. The network is in evaluation mode meanwhile.

        Raises:
            GanlabError: a negative number, or no images.
        """
        if first < 0 or count < 1:
            raise GanlabError(f"images are numbered from 0 and at least one is made; got {first} and {count}")
        device, training = next(self.parameters()).device, self.training
        blocks = range(first // BLOCK, (first + count - 1) // BLOCK + 1)
        images = []
        self.eval()
        try:
            for block in blocks:
                z = image_latents(seed, block * BLOCK, BLOCK, self.z_dim).to(device)
                labels = image_labels(seed, block * BLOCK, BLOCK, self.num_classes)
                images.append(self(z, None if labels is None else labels.to(device)))
        finally:
            self.train(training)
        start = first - blocks.start * BLOCK
        return torch.cat(images)[start : start + count]

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write ``config.json`` (its model section) and ``model.safetensors`` (its weights) into a folder.

        Raises:
            GanlabError: they cannot be written.
        """
        target = Path(folder)
        state = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        write_bytes(target / PRETRAINED_WEIGHTS, save(state, {"format": "pt"}))
        write_json(target / PRETRAINED_CONFIG, {"ganlab": self.config.model_dump(mode="json")})

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str]) -> Generator:
        """The generator that `save_pretrained` wrote, on the CPU in evaluation mode.

        Raises:
            GanlabError: no such folder, or its files are damaged or do not fit each other.
        """
        place = Path(folder)
        expected = f"{PRETRAINED_CONFIG} and {PRETRAINED_WEIGHTS} as save_pretrained writes them"
        try:
            with reading(place, expected=expected):
                sections = read_json(place / PRETRAINED_CONFIG, dict)["ganlab"]
                with open_safetensors(place / PRETRAINED_WEIGHTS, "pt", expected) as (_, opened):
                    state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
                return filled(lambda: build_generator(dict(sections)), state, str(place)).eval()
        except GanlabError as error:
            raise GanlabError(f"{place} holds no generator of ganlab: {error}") from error


class Discriminator(nn.Module):
    """Images ``(N, 3, S, S)`` in [-1, 1] -> logits ``(N,)``."""

    projection: nn.Embedding | None

    def __init__(self, config: ModelConfig, norm: str, spectral: bool) -> None:
        super().__init__()
        self.config = config
        self.num_classes = config.num_classes
        self.norm, self.spectral = norm, spectral
        self.projection = None

    def add_projection(self, features: int) -> None:
        """Create the class embedding of a projection discriminator (Miyato and Koyama 2018)."""
        if self.num_classes:
            self.projection = nn.Embedding(self.num_classes, features)
            nn.init.xavier_uniform_(self.projection.weight)

    def projected(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """Inner product of pooled features ``(N, F)`` with the class embedding; zeros without classes.

        Raises:
            GanlabError: a conditional discriminator called without labels.
        """
        if self.projection is None:
            return features.new_zeros(len(features))
        if labels is None:
            raise GanlabError(
                f"this discriminator is conditional on {self.num_classes} classes: give labels (N,)"
            )
        out: Tensor = (self.projection(labels) * features).sum(1)
        return out

    def checked(self, images: Tensor) -> Tensor:
        """The images, if they have the size the network was built for.

        Raises:
            GanlabError: another shape.
        """
        side = self.config.image_size
        if tuple(images.shape[1:]) != (3, side, side):
            raise GanlabError(f"this discriminator takes (N, 3, {side}, {side}); got {tuple(images.shape)}")
        return images

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, 3, S, S)``, and labels ``(N,)`` when conditional, -> logits ``(N,)``."""
        features, logits = self.features_and_logits(self.checked(images))
        return logits + self.projected(features, labels)

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(N, F)`` summed over pixels, and the unconditional logits ``(N,)``."""
        raise GanlabError(f"{type(self).__name__} does not define features_and_logits")

    def finish_init(self) -> None:
        """Put torch's spectral-norm parametrisation on every layer with weights (Miyato et al. 2018).

        Last, because initialisers write to weights, which a parametrised layer computes anew in each call.
        """
        if not self.spectral:
            return
        for module in [*self.modules()]:
            if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
                spectral_norm(module)


GENERATORS: dict[str, type[Generator]] = {}
DISCRIMINATORS: dict[str, type[Discriminator]] = {}
"""Architectures by name; the package's ``__init__`` enters those that ganlab brings."""
CODED: dict[str, type[Generator]] = {}
"""Networks that take images, of which the second half makes images of codes."""

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
    networks = GENERATORS | CODED
    if model.architecture in TAKE_IMAGES and model.architecture not in networks:
        raise GanlabError(f"a {model.architecture} makes images of images, not of latents: {NO_GENERATOR}")
    return lookup(networks, model.architecture, "architecture")(_possible(model))


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


def filled(build: Callable[[], Network], state: Mapping[str, Tensor], source: str) -> Network:
    """The network that ``build`` makes, with the weights of a file that may be anybody's.

    Args:
        build: makes the network as the file describes it; called twice.
        state: its weights and buffers.
        source: the file, for messages.

    Raises:
        GanlabError: names, shapes or types differ from the network's, or a weight is not finite.
    """
    # First where nothing takes memory: a description may ask for more than the file, and the machine, hold.
    with torch.device("meta"):
        planned = build()
    kinds = {name: value.dtype for name, value in planned.state_dict().items()}
    # The zoo keeps halves, and so does who saves a network in half precision; these compute in single.
    state = {
        name: value.float() if value.dtype in HALVES and kinds.get(name) == torch.float32 else value
        for name, value in state.items()
    }
    try:
        planned.load_state_dict(state, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:REASON]
        raise GanlabError(f"{source}: the weights do not fit its configuration: {reason} ...") from error
    for name, value in state.items():
        if value.dtype != kinds[name]:
            raise GanlabError(f"{source}: {name} is {value.dtype}, expected {kinds[name]}")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise GanlabError(f"{source}: {name} is not finite; expected trained weights")
    network = build()
    network.load_state_dict(state)
    return network
