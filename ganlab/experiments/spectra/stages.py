"""A generator measured stage by stage: spectra of its feature maps, and how even its upsampling layers are.

Three questions: what the feature maps look like after every stage, what they look like before training, and
what the later stages make of white noise. Beside them `ganlab.spectra.unevenness` of every upsampling layer:
the share of its output power at the replicas of zero frequency, (1/2, 0), (0, 1/2) and (1/2, 1/2), when its
input is constant. An interpolation has 0, whatever convolution follows it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ganlab.adapters import Generator as AnyGenerator
from ganlab.config import Config
from ganlab.config.architecture import stage_names
from ganlab.errors import GanlabError
from ganlab.models import Generator, build_generator, load_generator
from ganlab.models.latents import BLOCK, image_labels, image_latents
from ganlab.models.store import FILE_NAME, generator_file, read_generator
from ganlab.spectra import POWER_FLOOR, decibels, power_spectrum
from ganlab.spectra.layers import Unevenness, layer_kernel, unevenness
from ganlab.spectra.rings import FloatArray, orbit_sums
from ganlab.spectra.transforms import axis_means, full_plane
from ganlab.upsampling import UPSAMPLERS, Upsampler
from ganlab.util.hashing import derive_seed, sha256_file


@dataclass(frozen=True)
class LayerRow:
    """One upsampling layer.

    Attributes:
        stage: 1 for the first doubling.
        layer: its name inside the stage, "up", "residual_up", "shortcut".
        operator: name of its upsampler.
        weights: "trained" or "untrained".
        mean: unevenness for a random constant input.
        given: unevenness for the mean activations that enter this layer.
    """

    stage: int
    layer: str
    operator: str
    weights: str
    mean: float
    given: float


@torch.no_grad()
def layer_rows(generator: Generator, weights: str, run: Callable[[], object]) -> list[LayerRow]:
    """One row for every upsampling layer that is a filter.

    Args:
        generator: the network.
        weights: "trained" or "untrained", for the rows.
        run: sends some latents through the generator; what enters each layer then is averaged.
    """
    found = list(_layers(generator))
    means = _mean_inputs([layer for _, _, layer in found], run)
    rows = []
    for (stage, name, layer), activation in zip(found, means, strict=True):
        numbers = _unevenness(layer, activation)
        if numbers is not None and numbers.given is not None:
            operator = next(key for key, kind in UPSAMPLERS.items() if kind is type(layer))
            rows.append(LayerRow(stage, name, operator, weights, numbers.mean, numbers.given))
    return rows


def _layers(generator: Generator) -> Iterator[tuple[int, str, Upsampler]]:
    for stage, block in enumerate(generator.stages, 1):
        for name, module in block.named_modules():
            if isinstance(module, Upsampler):
                yield stage, name, module


def _mean_inputs(layers: list[Upsampler], run: Callable[[], object]) -> list[Tensor]:
    """Mean over images and pixels of every channel that enters each layer."""
    seen: dict[int, Tensor] = {}

    def look(layer: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[id(layer)] = inputs[0].double().mean((0, 2, 3))

    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return [seen[id(layer)] for layer in layers]


def _unevenness(layer: Upsampler, activation: Tensor) -> Unevenness | None:
    """None for a layer that depends on position and so has no kernel."""
    try:
        return unevenness(layer_kernel(layer, layer.in_channels), activation)
    except GanlabError:
        return None


QUESTIONS = ("features", "untrained", "noise")
See = Callable[[int, Tensor], None]


@dataclass(frozen=True)
class StageSpectrum:
    """One panel of the stage figure.

    Attributes:
        question: one of ``QUESTIONS``.
        stage: 1 for the first doubling ... S for the last; S + 1 stands for the layers after it: their output
            is the image, and for ``noise`` their input is what is replaced.
        operator: name of the stage's upsampler; "" for the layers after the last.
        level: ``(H, W)`` dB over white noise, DC in the middle (it holds 0).
        horizontal: ``(W//2+1)`` mean over the vertical frequencies, dB over white noise; DC left out.
        vertical: ``(H//2+1)`` likewise.
    """

    question: str
    stage: int
    operator: str
    level: FloatArray
    horizontal: FloatArray
    vertical: FloatArray

    @property
    def side(self) -> int:
        """Width of the map, pixels."""
        return int(self.level.shape[1])


@dataclass(frozen=True)
class StageProbe:
    """All panels of one generator.

    Attributes:
        name: of the generator.
        sha256: of its file.
        step: training steps behind it.
        count: number of latents.
        seed: of the latents (those of ``ganlab generate``), of the noise and of the untrained weights.
        operators: upsampler of every stage.
        panels: by question, then by stage.
        layers: every upsampling layer that is a filter, trained and untrained.
    """

    name: str
    sha256: str
    step: int
    count: int
    seed: int
    operators: tuple[str, ...]
    panels: tuple[StageSpectrum, ...]
    layers: tuple[LayerRow, ...]

    def of(self, question: str) -> tuple[StageSpectrum, ...]:
        """The panels that answer one question, by stage."""
        return tuple(panel for panel in self.panels if panel.question == question)


def generators(sources: Sequence[str | os.PathLike[str] | AnyGenerator]) -> dict[str, str]:
    """Name -> SHA-256 of the file (of the weights, where there is no file) of every generator.

    Raises:
        GanlabError: no generator there, or two of one name.
    """
    found: dict[str, str] = {}
    for source in sources:
        if isinstance(source, str | os.PathLike):
            file = generator_file(source)
            name, digest = _name(file), sha256_file(file)
        else:
            known = source.identity()
            name, digest = source.name, str(known.get("sha256") or known["weights_sha256"])
        if name in found:
            raise GanlabError(f"two generators are called {name!r}: rename a run folder")
        found[name] = digest
    return found


def _name(file: Path) -> str:
    """A run folder's name, or that of a file of another name."""
    return file.resolve().parent.name if file.name == FILE_NAME else file.stem


def probe_stages(
    path: str | os.PathLike[str], count: int = 256, seed: int = 0, weights: str = "ema"
) -> StageProbe:
    """Measure a generator stage by stage.

    Args:
        path: a run folder of ``ganlab train`` or a ``.safetensors`` file.
        count: number of latents; more make smoother spectra.
        seed: everything random follows from it.
        weights: "ema" or "raw".

    Raises:
        GanlabError: no generator there, or fewer than two latents.
    """
    if count < 2:
        raise GanlabError(f"a stage probe needs 2 latents or more; got {count}")
    file = generator_file(path)
    config, _, step = read_generator(file, weights)
    trained, untrained = _networks(file, weights, config, seed)
    panels = tuple(stage_spectra(trained, untrained, count, seed))
    layers = [
        *_layer_rows(trained, "trained", min(count, BLOCK), seed),
        *_layer_rows(untrained, "untrained", min(count, BLOCK), seed),
    ]
    return StageProbe(
        _name(file), sha256_file(file), step, count, seed, stage_names(config.model), panels, tuple(layers)
    )


def _layer_rows(generator: Generator, weights: str, count: int, seed: int) -> list[LayerRow]:
    return layer_rows(generator, weights, lambda: _walk(generator, 0, count, seed, lambda index, x: None))


@torch.no_grad()
def stage_spectra(trained: Generator, untrained: Generator, count: int, seed: int) -> Iterator[StageSpectrum]:
    """The panels of two generators of one shape: features of both, and images of the first from noise."""
    operators = (*stage_names(trained.config), "")
    inputs = [Channels() for _ in operators]
    for question, generator in (("features", trained), ("untrained", untrained)):
        sums = _feature_power(generator, count, seed, inputs if generator is trained else None)
        for stage, (power, operator) in enumerate(zip(sums, operators, strict=True), 1):
            yield panel_of(question, stage, operator, power)
    for stage, (channels, operator) in enumerate(zip(inputs, operators, strict=True), 1):
        yield panel_of("noise", stage, operator, _noise_power(trained, stage - 1, channels, count, seed))


def _networks(file: Path, weights: str, config: Config, seed: int) -> tuple[Generator, Generator]:
    """The trained generator, and one as before its first step, where batch norm sees batches."""
    # Building a network draws its first weights from torch's global generator.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "untrained"))
        return load_generator(file, weights), build_generator(config).train()


class Channels:
    """Mean and standard deviation of every channel over images and pixels, batch by batch."""

    def __init__(self) -> None:
        self.sums: list[Tensor] = []
        self.side = (0, 0)

    def add(self, x: Tensor) -> None:
        """Add a batch of feature maps ``(N, C, H, W)``."""
        self.side = (x.shape[2], x.shape[3])
        wide = x.double()
        pixels = torch.tensor(float(wide.numel() // wide.shape[1])).double()
        row = torch.stack([wide.sum((0, 2, 3)), wide.square().sum((0, 2, 3)), pixels.expand(x.shape[1])])
        self.sums.append(row)

    def noise(self, count: int, source: torch.Generator) -> Tensor:
        """Independent normal pixels with these means and deviations, ``(count, C, H, W)``."""
        total, square, pixels = torch.stack(self.sums).sum(0)
        mean = total / pixels
        spread = (square / pixels - mean.square()).clamp_min(0).sqrt()
        white: Tensor = torch.randn(count, len(mean), *self.side, generator=source)
        return white.mul(spread.float()[:, None, None]).add(mean.float()[:, None, None])


def _walk(generator: Generator, first: int, count: int, seed: int, see: See) -> Tensor:
    """Latents ``first ...`` through the network; ``see`` gets every stage's input and its number, from 0."""
    z = image_latents(seed, first, count, generator.z_dim)
    labels = image_labels(seed, first, count, generator.num_classes)
    x = generator.start(z, labels)
    for index in range(len(generator.stages)):
        see(index, x)
        x = generator.stage(index, x, labels)
    see(len(generator.stages), x)
    return generator.finish(x, labels)


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    for first in range(0, count, BLOCK):
        yield first, min(BLOCK, count - first)


def _feature_power(
    generator: Generator, count: int, seed: int, inputs: Sequence[Channels] | None
) -> list[Tensor]:
    """Summed power after every stage and of the image; ``inputs`` collect what enters the stages."""
    sums: dict[int, Tensor] = {}

    def see(index: int, x: Tensor) -> None:
        if inputs is not None:
            inputs[index].add(x)
        if index:
            _add(sums, index, x)

    for first, number in _blocks(count):
        image = _walk(generator, first, number, seed, see)
        _add(sums, len(generator.stages) + 1, image)
    return [sums[index] for index in sorted(sums)]


def _add(sums: dict[int, Tensor], index: int, x: Tensor) -> None:
    power = power_spectrum(x).sum((0, 1), dtype=torch.float64)
    sums[index] = sums[index] + power if index in sums else power


def _noise_power(generator: Generator, stage: int, channels: Channels, count: int, seed: int) -> Tensor:
    """Summed power of images whose stage ``stage`` (from 0) was fed with noise."""
    sums: dict[int, Tensor] = {}
    for first, number in _blocks(count):
        source = torch.Generator().manual_seed(derive_seed(seed, f"stage-noise/{stage}", first))
        labels = image_labels(seed, first, number, generator.num_classes)
        # The noise stands where the earlier stages' output would: they need not run.
        x = channels.noise(number, source)
        for index in range(stage, len(generator.stages)):
            x = generator.stage(index, x, labels)
        _add(sums, 0, generator.finish(x, labels))
    return sums[0]


def panel_of(question: str, stage: int, operator: str, power: Tensor) -> StageSpectrum:
    """The panel of a summed half plane of power, ``(H, W//2+1)``."""
    height, width = power.shape[0], 2 * (power.shape[1] - 1)
    silent = power.clone()
    silent[0, 0] = 0
    quarter = orbit_sums(silent[None], width)
    relative = silent / (quarter.sum() / (height * width - 1)).clamp_min(POWER_FLOOR)
    horizontal, vertical = axis_means(orbit_sums(relative[None], width), height, width)
    relative[0, 0] = 1
    profiles = [decibels(profile[0]).numpy() for profile in (horizontal, vertical)]
    return StageSpectrum(question, stage, operator, full_plane(decibels(relative).numpy(), width), *profiles)
