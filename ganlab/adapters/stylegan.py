"""StyleGAN2 and StyleGAN3 generators, from the names and shapes of their weights. Nothing runs code.

The networks are those that their papers describe (Karras et al. 2020, 2021), with the names that the authors'
PyTorch releases give their weights. Those releases store pickles, which can run code; who trusts one exports
it in the environment that made it::

    import pickle, safetensors.torch
    weights = pickle.load(open("network.pkl", "rb"))["G_ema"].state_dict()
    safetensors.torch.save_file({k: v.contiguous() for k, v in weights.items()}, "network.safetensors")
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.adapters.programs import side_file
from ganlab.adapters.wrap import Generator
from ganlab.errors import GanlabError
from ganlab.models.base import filled
from ganlab.util.hashing import sha256_file
from ganlab.util.reading import open_safetensors

EXPECTED = "the weights of a StyleGAN2 or StyleGAN3 generator"
MAPPING_RATE = 0.01
"""The mapping network learns a hundredth as fast: its weights are stored a hundred times as large."""
SLOPE, GAIN = 0.2, math.sqrt(2)
CLAMP = 256.0
MARGIN, CRITICAL, FIRST_CUTOFF, FIRST_STOPBAND, LAST_STOPBAND = 10, 2, 2.0, 2**2.1, 2**0.3
"""StyleGAN3's published settings: pixels around the image, layers sampled critically at the end, the first
layer's cutoff and stopband in cycles an image, and the last's stopband over its cutoff."""
LARGEST, MOST_LAYERS = 4096, 64
LAYER = re.compile(r"synthesis\.(L(\d{1,6})_(\d{1,6})_(\d{1,6}))\.weight")

Shapes = Mapping[str, tuple[int, ...]]


def stylegan(source: str, trust: str | None) -> Generator | None:
    """A ``.safetensors`` file with the state dict of a StyleGAN2 or StyleGAN3 generator (G_ema).

    Latents are normal, labels uniform over the classes, noise is drawn anew for every image, and there is no
    truncation. Images are cut off at [-1, 1].

    Raises:
        GanlabError: the weights fit no network of the published kinds; the message names one.
    """
    path = Path(source)
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    try:
        with open_safetensors(path, "pt", EXPECTED) as (_, opened):
            names = set(opened.keys())
            if "mapping.fc0.weight" not in names:
                return None
            state = {name: opened.get_tensor(name) for name in names}
    except GanlabError:
        return None  # damaged: who reads these files otherwise says how
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    if not {"synthesis.b4.const", "synthesis.input.freqs"} & names:
        raise GanlabError(f"{path} has a mapping network and no synthesis network; expected {EXPECTED}")
    try:
        with torch.device("meta"):
            # Nothing is computed: layers that do not take each other's channels are found out.
            planned = Network(shapes)
            images = planned.synthesis(torch.empty(1, *shapes["mapping.w_avg"]))
            if max(images.shape[-2:]) > LARGEST:
                raise GanlabError(f"images of {tuple(images.shape[-2:])}; at most {LARGEST} pixels a side")
    except GanlabError as error:
        raise GanlabError(f"{path}: {error}") from error
    except KeyError as error:
        raise GanlabError(f"{path}: {error} is missing; expected {EXPECTED}") from error
    except Exception as error:  # shapes and names of any kind
        reason = " ".join(str(error).split())[:200]
        raise GanlabError(f"{path}: its layers do not fit each other ({reason})") from error
    other = sorted(names - set(planned.state_dict()))
    if other:
        raise GanlabError(
            f"{path}: {other[0]} is in none of the networks that are known; expected {EXPECTED}"
        )
    network = filled(lambda: Network(shapes), state, str(path)).eval()
    given = side_file(path)
    return Generator(
        network, given.get("latent", network.z_dim), network.classes or None, clamped,
        name=given.get("name", path.stem),
        about={"adapter": "stylegan", "source": path.name, "sha256": sha256_file(path)},
    )  # fmt: skip


def clamped(images: Tensor) -> Tensor:
    """Cut off at [-1, 1], as images of a network without a last nonlinearity are shown."""
    return images.clamp(-1, 1)


class Network(nn.Module):
    """Latents ``(N, z_dim)``, and labels ``(N,)`` where it has classes, to images ``(N, C, S, S)``."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.mapping = StyleMapping(shapes)
        self.z_dim, self.classes = self.mapping.z_dim, self.mapping.classes
        aliased = "synthesis.input.freqs" in shapes
        self.synthesis: nn.Module = AliasFree(shapes) if aliased else Skip(shapes)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images, about in [-1, 1]."""
        images: Tensor = self.synthesis(self.mapping(z, labels))
        return images


class Scaled(nn.Module):
    """A linear layer whose stored weights have variance 1 over the square of its learning rate."""

    def __init__(self, outputs: int, inputs: int, rate: float = 1.0) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.empty(outputs, inputs)),
            nn.Parameter(torch.empty(outputs)),
        )
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs) -> (N, outputs)``."""
        return F.linear(x, self.weight * (self.rate / math.sqrt(self.weight.shape[1])), self.bias * self.rate)


class StyleMapping(nn.Module):
    """Latents and labels to styles ``(N, w_dim)``."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.count = sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", name)) for name in shapes)
        self.register_buffer("w_avg", torch.empty(shapes["mapping.w_avg"]))
        inputs = shapes["mapping.fc0.weight"][1]
        self.z_dim, self.classes = inputs, 0
        if "mapping.embed.weight" in shapes:
            embedded, self.classes = shapes["mapping.embed.weight"]
            self.embed = Scaled(embedded, self.classes)
            self.z_dim -= embedded
        for number in range(self.count):
            outputs = shapes[f"mapping.fc{number}.weight"][0]
            self.add_module(f"fc{number}", Scaled(outputs, inputs, MAPPING_RATE))
            inputs = outputs

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Both brought to a mean square of 1, then through the layers."""
        x = _normal(z)
        if self.classes:
            one_hot = F.one_hot(torch.as_tensor(labels), self.classes).to(z.dtype)
            x = torch.cat([x, _normal(self.embed(one_hot))], 1)
        for number in range(self.count):
            x = F.leaky_relu(getattr(self, f"fc{number}")(x), SLOPE) * GAIN
        return x


def _normal(x: Tensor) -> Tensor:
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class Modulated(nn.Module):
    """A convolution whose input channels are scaled by a style, and its outputs back to unit variance."""

    def __init__(self, shapes: Shapes, name: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shapes[f"{name}.weight"]))
        self.bias = nn.Parameter(torch.empty(self.weight.shape[0]))
        self.affine = Scaled(self.weight.shape[1], shapes["mapping.w_avg"][0])

    def styles(self, w: Tensor) -> Tensor:
        """``(N, C_in)``."""
        styles: Tensor = self.affine(w)
        return styles

    def demodulation(self, weight: Tensor, styles: Tensor) -> Tensor:
        """What brings each output channel back, ``(N, C_out, 1, 1)``."""
        energy = styles.square() @ weight.square().sum((2, 3)).t()
        return (energy + 1e-8).rsqrt()[:, :, None, None]

    def colours(self, x: Tensor, w: Tensor) -> Tensor:
        """As the layer that makes an image of features: neither demodulated nor bent."""
        styles = self.styles(w) / math.sqrt(math.prod(self.weight.shape[1:]))
        return F.conv2d(x * styles[:, :, None, None], self.weight, self.bias)


# ----------------------------------------------------------------------------------------------- StyleGAN2


class Noisy(Modulated):
    """One layer of StyleGAN2: modulated convolution, noise, bias, leaky ReLU; ``up`` doubles the size."""

    resample_filter: Tensor

    def __init__(self, shapes: Shapes, name: str, up: bool) -> None:
        super().__init__(shapes, name)
        self.up = up
        # The filter and the noise of a release's fixed mode are in every layer of the file.
        self.register_buffer("resample_filter", torch.empty(shapes[f"{name}.resample_filter"]))
        self.register_buffer("noise_const", torch.empty(shapes[f"{name}.noise_const"]))
        self.noise_strength = nn.Parameter(torch.empty(shapes[f"{name}.noise_strength"]))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """``(N, C, H, W) -> (N, C', H, W)``, or twice as high and wide."""
        styles = self.styles(w)
        x, reach = x * styles[:, :, None, None], self.weight.shape[-1] // 2
        if self.up:
            # The low-pass comes after the transposed convolution and takes its lattice away.
            x = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
            x = _filtered(F.pad(x, (1, 1, 1, 1)), self.resample_filter * 4)
        else:
            x = F.conv2d(x, self.weight, padding=reach)
        x = x * self.demodulation(self.weight, styles)
        x = x + torch.randn(len(x), 1, *x.shape[2:], device=x.device, dtype=x.dtype) * self.noise_strength
        return F.leaky_relu(x + self.bias[:, None, None], SLOPE) * GAIN


class Colours(Modulated):
    """Features to colours."""

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """``(N, C, H, W) -> (N, 3, H, W)``."""
        return self.colours(x, w)


class Block(nn.Module):
    """One resolution of StyleGAN2: the features doubled, and the image doubled with new detail added."""

    resample_filter: Tensor

    def __init__(self, shapes: Shapes, name: str) -> None:
        super().__init__()
        self.register_buffer("resample_filter", torch.empty(shapes[f"{name}.resample_filter"]))
        self.first = f"{name}.const" in shapes
        if self.first:
            self.const = nn.Parameter(torch.empty(shapes[f"{name}.const"]))
        else:
            self.conv0 = Noisy(shapes, f"{name}.conv0", True)
        self.conv1 = Noisy(shapes, f"{name}.conv1", False)
        self.torgb = Colours(shapes, f"{name}.torgb")

    def forward(self, x: Tensor | None, image: Tensor | None, w: Tensor) -> tuple[Tensor, Tensor]:
        """Features and image of this resolution."""
        if x is None or image is None:
            x = self.const.expand(len(w), -1, -1, -1)
        else:
            x = self.conv0(x, w)
            taps = (self.resample_filter * 4).expand(image.shape[1], 1, -1, -1)
            image = F.conv_transpose2d(image, taps, stride=2, padding=1, groups=image.shape[1])
        x = self.conv1(x, w)
        colours = self.torgb(x, w)
        return x, colours if image is None else image + colours


class Skip(nn.Module):
    """StyleGAN2's synthesis: blocks of 4, 8, 16, ... pixels, each adding to the image."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        pattern = re.compile(r"synthesis\.b(\d{1,6})\.conv1\.weight")
        self.sides = sorted(int(match[1]) for match in map(pattern.fullmatch, shapes) if match)
        for side in self.sides:
            self.add_module(f"b{side}", Block(shapes, f"synthesis.b{side}"))

    def forward(self, w: Tensor) -> Tensor:
        """Styles to images."""
        x: Tensor | None = None
        image: Tensor | None = None
        for side in self.sides:
            x, image = getattr(self, f"b{side}")(x, image, w)
        assert image is not None
        return image


def _filtered(x: Tensor, taps: Tensor) -> Tensor:
    """Every channel convolved with ``(k, l)`` taps, or with ``(k,)`` along both axes; no padding."""
    channels = x.shape[1]
    if taps.ndim == 2:
        return F.conv2d(x, taps.flip(0, 1).expand(channels, 1, -1, -1), groups=channels)
    kernel = taps.flip(0).expand(channels, 1, -1)
    return F.conv2d(F.conv2d(x, kernel[:, :, :, None], groups=channels), kernel[:, :, None], groups=channels)


# ----------------------------------------------------------------------------------------------- StyleGAN3


class Waves(nn.Module):
    """StyleGAN3's input: waves of random frequencies, moved and turned by the style."""

    transform: Tensor
    freqs: Tensor
    phases: Tensor

    def __init__(self, shapes: Shapes, size: int, rate: float, bandwidth: float) -> None:
        super().__init__()
        name = "synthesis.input"
        self.weight = nn.Parameter(torch.empty(shapes[f"{name}.weight"]))
        self.affine = Scaled(4, shapes["mapping.w_avg"][0])
        for buffer in ("transform", "freqs", "phases"):
            self.register_buffer(buffer, torch.empty(shapes[f"{name}.{buffer}"]))
        self.size, self.rate, self.bandwidth = size, rate, bandwidth

    def forward(self, w: Tensor) -> Tensor:
        """Styles to ``(N, C, size, size)``."""
        t = self.affine(w)
        t = t / t[:, :2].norm(dim=1, keepdim=True)
        zero, one = torch.zeros_like(t[:, 0]), torch.ones_like(t[:, 0])
        turn = [t[:, 0], -t[:, 1], zero, t[:, 1], t[:, 0], zero, zero, zero, one]
        move = [one, zero, -t[:, 2], zero, one, -t[:, 3], zero, zero, one]
        turned, moved = (torch.stack(entries, 1).view(-1, 3, 3) for entries in (turn, move))
        transform = turned @ moved @ self.transform
        phases = self.phases + (self.freqs @ transform[:, :2, 2:])[:, :, 0]
        freqs = self.freqs @ transform[:, :2, :2]
        # Turned or enlarged waves may leave the band that the first layer can hold: they fade out there.
        fade = (freqs.norm(dim=2) - self.bandwidth) / (self.rate / 2 - self.bandwidth)
        amplitudes = (1 - fade).clamp(0, 1)
        places = (torch.arange(self.size, device=w.device, dtype=w.dtype) + 0.5 - self.size / 2) / self.rate
        angle = (
            freqs[:, :, 0, None, None] * places
            + freqs[:, :, 1, None, None] * places[:, None]
            + phases[:, :, None, None]
        )
        x = torch.sin(angle * (2 * math.pi)) * amplitudes[:, :, None, None]
        return F.conv2d(x, self.weight[:, :, None, None] / math.sqrt(self.weight.shape[1]))


class Filtered(Modulated):
    """A layer of StyleGAN3: modulated convolution, a leaky ReLU at a raised rate, low-passes around it."""

    magnitude_ema: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(self, shapes: Shapes, name: str, sizes: tuple[int, int], factors: tuple[int, int]) -> None:
        super().__init__(shapes, name)
        self.register_buffer("magnitude_ema", torch.empty(shapes[f"{name}.magnitude_ema"]))
        self.up, self.down = factors
        taps = 2
        for buffer in ("up_filter", "down_filter"):
            shape = shapes.get(f"{name}.{buffer}")
            self.register_buffer(buffer, None if shape is None else torch.empty(shape))
            taps += shape[0] - 1 if shape else 0
        before, after = sizes
        # What the two filters and the convolution take from the borders, so that the size comes out.
        total = (after - 1) * self.down + 1 - (before + self.weight.shape[-1] - 1) * self.up + taps - 2
        self.low = (total + self.up) // 2
        self.high = total - self.low

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """``(N, C, before, before) -> (N, C', after, after)``."""
        x = x * self.magnitude_ema.rsqrt()
        if self.up_filter is None or self.down_filter is None:
            return self.colours(x, w)
        weight = self.weight * self.weight.square().mean((1, 2, 3), keepdim=True).rsqrt()
        styles = self.styles(w)
        styles = styles * styles.square().mean(1, keepdim=True).rsqrt()
        x = F.conv2d(x * styles[:, :, None, None], weight, padding=self.weight.shape[-1] - 1)
        x = x * self.demodulation(weight, styles) + self.bias[:, None, None]
        raised = x.new_zeros(*x.shape[:2], x.shape[2] * self.up, x.shape[3] * self.up)
        raised[:, :, :: self.up, :: self.up] = x
        gain = self.up if self.up_filter.ndim == 1 else self.up**2
        x = _filtered(F.pad(raised, (self.low, self.high) * 2), self.up_filter * gain)
        x = (F.leaky_relu(x, SLOPE) * GAIN).clamp(-CLAMP, CLAMP)
        return _filtered(x, self.down_filter)[:, :, :: self.down, :: self.down]


class AliasFree(nn.Module):
    """StyleGAN3's synthesis."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        found = {int(match[2]): match for match in map(LAYER.fullmatch, shapes) if match}
        last = max(found)
        if last > MOST_LAYERS:
            raise GanlabError(f"layer {last}; StyleGAN3 has 14, and {MOST_LAYERS} are the most that are read")
        sizes, rates, cutoff = plan(int(found[last][3]), last)
        named = [int(found[number][3]) for number in range(last + 1)]
        if named != sizes:
            raise GanlabError(
                f"layers of {', '.join(map(str, named))} pixels; StyleGAN3 of {named[-1]} pixels and {last} "
                f"layers has {', '.join(map(str, sizes))}: only the published settings are known"
            )
        self.input = Waves(shapes, sizes[0], rates[0], cutoff)
        self.layers = [found[number][1] for number in range(last + 1)]
        for number, name in enumerate(self.layers):
            before = max(number - 1, 0)
            raised = max(rates[before], rates[number]) * (1 if number == last else 2)
            factors = (round(raised / rates[before]), round(raised / rates[number]))
            pair = (sizes[before], sizes[number])
            self.add_module(name, Filtered(shapes, f"synthesis.{name}", pair, factors))

    def forward(self, w: Tensor) -> Tensor:
        """Styles to images."""
        x: Tensor = self.input(w)
        for name in self.layers:
            x = getattr(self, name)(x, w)
        return x * 0.25


def plan(resolution: int, layers: int) -> tuple[list[int], list[float], float]:
    """Sizes and sampling rates of the layers 0 ... ``layers``, and the cutoff of the first."""
    half = resolution / 2
    sizes, rates = [], []
    for number in range(layers + 1):
        share = min(number / (layers - CRITICAL), 1)
        stopband = FIRST_STOPBAND * (half * LAST_STOPBAND / FIRST_STOPBAND) ** share
        rates.append(2.0 ** math.ceil(math.log2(min(stopband * 2, resolution))))
        sizes.append(resolution if number > layers - CRITICAL else int(rates[-1]) + 2 * MARGIN)
    return sizes, rates, FIRST_CUTOFF
