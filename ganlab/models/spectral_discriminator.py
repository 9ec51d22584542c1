"""The spectral discriminator of Jung and Keuper: a second opponent that sees only the spectrum.

What it sees of an image is its input: the radial profile, the axis profiles, or the plane.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as normalised

from ganlab.config.schema import Config, ModelConfig, SpectralDiscriminatorConfig
from ganlab.errors import GanlabError, lookup
from ganlab.images import luma
from ganlab.spectra import axis_profiles, radial_profile
from ganlab.spectra.transforms import as_convention, check_images, half_power

MAX_HIDDEN = 512
SLOPE = 0.2
LOG_FLOOR = 1e-8
"""Added to a linear power before its logarithm (-80 dB)."""
LINEAR = ("power", "raw_power")
MIN_VALUES = 2


class SpectralInput(ABC):
    """Features of each image for square images of one size; ``(N, C, S, S) -> (N, length)``, differentiable.

    Args:
        image_size: S in pixels.
        convention: profile convention, for inputs that are radial profiles.
    """

    length: int

    @abstractmethod
    def __init__(self, image_size: int, convention: str) -> None: ...

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor:
        """The features."""


class RadialInput(SpectralInput):
    """Radial profile, logarithmic, min-max normalised per image (Jung and Keuper 2021).

    With "jung2021" or "ssdgan2021" the published codes' numbers; conventions of linear power are taken to
    logarithms, and every convention is min-max normalised.

    Raises:
        GanlabError: a convention without gradient, or images smaller than the profile.
    """

    def __init__(self, image_size: int, convention: str) -> None:
        rule = as_convention(convention)
        if rule.integer_luma:
            raise GanlabError(
                f"{convention} rounds RGB images to integers, so that no gradient passes; use durall2020"
            )
        self.linear = rule.measure in LINEAR
        self.rule = dataclasses.replace(rule, normalise="none")
        self.length = rule.length(image_size, image_size)
        if self.length < MIN_VALUES:
            raise GanlabError(f"images of {image_size} pixels are smaller than the profile {convention}")

    def __call__(self, images: Tensor) -> Tensor:
        """Profiles in [0, 1], ``(N, K)``."""
        profiles = radial_profile(images, self.rule)
        return min_max((profiles + LOG_FLOOR).log() if self.linear else profiles)


class AxisInput(SpectralInput):
    """Horizontal and vertical power profile, logarithmic, min-max normalised together per image."""

    def __init__(self, image_size: int, convention: str) -> None:
        self.length = 2 * (image_size // 2 + 1)

    def __call__(self, images: Tensor) -> Tensor:
        """Both profiles side by side, in [0, 1]."""
        return min_max((torch.cat(axis_profiles(images), 1) + LOG_FLOOR).log())


class PlaneInput(SpectralInput):
    """Log power of the luma at every frequency of the half plane, standardised per image."""

    def __init__(self, image_size: int, convention: str) -> None:
        self.length = image_size * (image_size // 2 + 1)

    def __call__(self, images: Tensor) -> Tensor:
        """Mean 0 and standard deviation 1 in each row; single coefficients have no useful minimum."""
        logs = (half_power(luma(check_images(images))) + LOG_FLOOR).log().flatten(1)
        centred = logs - logs.mean(1, keepdim=True)
        variance = centred.square().mean(1, keepdim=True)
        return centred * torch.where(variance > 0, variance, torch.ones_like(variance)).rsqrt()


def min_max(rows: Tensor) -> Tensor:
    """Each row to [0, 1]; a constant one becomes zero."""
    raised = rows - rows.amin(1, keepdim=True)
    span = raised.amax(1, keepdim=True)
    return raised / torch.where(span > 0, span, torch.ones_like(span))


SPECTRAL_INPUTS: dict[str, type[SpectralInput]] = {
    "radial": RadialInput,
    "axis": AxisInput,
    "plane": PlaneInput,
}


class SpectralDiscriminator(nn.Module):
    """Images ``(N, 3, S, S)`` in [-1, 1] -> logits ``(N,)`` from their spectra; differentiable to the pixels.

    Jung and Keuper 2021, arXiv 2012.03110: profile, then one linear layer, or linear, leaky ReLU 0.2, linear;
    torch's own initial weights. The images of a batch do not see each other.

    Args:
        image_size: S in pixels.
        input: a name of ``SPECTRAL_INPUTS``: "radial", "axis" or "plane".
        convention: profile convention of the radial input.
        head: "linear" or "nonlinear".
        hidden: width of the nonlinear head; the input's length (Jung and Keuper), but 512 at most, when None.
        spectral_norm: normalise the layers to spectral norm 1 (SSD-GAN).

    Raises:
        GanlabError: unknown names, a convention without gradient, images smaller than the profile.
    """

    def __init__(
        self,
        image_size: int,
        input: str = "radial",
        convention: str = "jung2021",
        head: str = "linear",
        hidden: int | None = None,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.input = lookup(SPECTRAL_INPUTS, input, "input of the spectral discriminator")(
            image_size, convention
        )
        if head == "linear":
            layers: list[nn.Module] = [nn.Linear(self.input.length, 1)]
        elif head == "nonlinear":
            width = hidden or min(self.input.length, MAX_HIDDEN)
            layers = [nn.Linear(self.input.length, width), nn.LeakyReLU(SLOPE), nn.Linear(width, 1)]
        else:
            raise GanlabError(f"unknown head {head!r}: expected linear or nonlinear")
        if spectral_norm:
            layers = [normalised(layer) if isinstance(layer, nn.Linear) else layer for layer in layers]
        self.head = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(N,)``; computed in float32 also inside autocast, whose half precision spoils spectra.

        Raises:
            GanlabError: images of another size.
        """
        side = self.image_size
        if images.ndim != 4 or tuple(images.shape[-2:]) != (side, side):
            raise GanlabError(
                f"this spectral discriminator takes (N, 3, {side}, {side}); got {tuple(images.shape)}"
            )
        with torch.autocast(images.device.type, enabled=False):
            logits: Tensor = self.head(self.input(images))
        return logits.flatten()


def build_spectral_discriminator(config: Config | ModelConfig) -> SpectralDiscriminator | None:
    """The spectral discriminator of ``model.spectral_discriminator``; None where there is none.

    Raises:
        GanlabError: as `SpectralDiscriminator`.
    """
    model = config.model if isinstance(config, Config) else config
    options: SpectralDiscriminatorConfig | None = model.spectral_discriminator
    if options is None:
        return None
    names = ("input", "convention", "head", "hidden", "spectral_norm")
    return SpectralDiscriminator(model.image_size, **{name: getattr(options, name) for name in names})
