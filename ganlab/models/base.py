"""What every generator and every discriminator shares; a generator's stages can be stopped at anywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganlab.config.schema import ModelConfig, UpsamplingConfig
from ganlab.errors import GanlabError
from ganlab.models.latents import BLOCK, image_labels, image_latents
from ganlab.upsampling import UPSAMPLERS, FixedUpsampler, Upsampler, interpolate2x, make_upsampler
from ganlab.upsampling.layers import same_conv
from ganlab.util.atomic import write_bytes, write_json
from ganlab.util.reading import open_safetensors, read_json, reading


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
        target.mkdir(parents=True, exist_ok=True)
        state = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        write_bytes(target / PRETRAINED_WEIGHTS, save(state, {"format": "pt"}))
        write_json(target / PRETRAINED_CONFIG, {"ganlab": self.config.model_dump(mode="json")})

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str]) -> Generator:
        """The generator that `save_pretrained` wrote, on the CPU in evaluation mode.

        Raises:
            GanlabError: no such folder, or its files are damaged or do not fit each other.
        """
        # Late: the registry imports this file for the classes it lists.
        from ganlab.models.registry import build_generator
        from ganlab.models.store import filled

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


PRETRAINED_CONFIG, PRETRAINED_WEIGHTS = "config.json", "model.safetensors"


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


class BareOperator(nn.Module):
    """A fixed x2 operator with no weights, for a tail that brings the convolutions."""

    def __init__(self, name: str, border: str) -> None:
        super().__init__()
        self.name, self.border = name, border

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W) -> (N, C, 2H, 2W)``."""
        return interpolate2x(x, self.name, self.border)


def upsampler_for(
    config: UpsamplingConfig, name: str, in_channels: int, out_channels: int, kernel: int | None = None,
    bias: bool = True,
) -> Upsampler:  # fmt: skip
    """The configured upsampler; options that another one of the stages needs are left out where unknown."""
    given: dict[str, Any] = {"icnr": config.icnr, "shuffle_first": config.shuffle_first}
    options = {key: given[key] for key in UPSAMPLERS[name].OPTIONS if key in given}
    side = config.kernel if kernel is None else kernel
    return make_upsampler(name, in_channels, out_channels, side, border=config.border, bias=bias, **options)


def doubling_for_tail(config: UpsamplingConfig, name: str, channels: int, bias: bool) -> nn.Module:
    """The doubling before a tail: a fixed operator bare (UpConv, X.n.k), a learned one whole (Jung)."""
    if issubclass(UPSAMPLERS[name], FixedUpsampler):
        return BareOperator(name, config.border)
    return upsampler_for(config, name, channels, channels, bias=bias)


def tail_convs(config: UpsamplingConfig, channels: int, bias: bool = True) -> nn.Sequential:
    """The tail's convolutions, the last of them to RGB."""
    assert config.tail is not None
    layers: list[nn.Module] = []
    for index in range(config.tail.convs):
        last = index == config.tail.convs - 1
        layers.append(same_conv(channels, 3 if last else channels, config.tail.kernel, config.border, bias))
        if config.tail.activation == "relu" and not last:
            layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def as_image(x: Tensor) -> Tensor:
    """The range of images, by tanh."""
    return torch.tanh(x)
