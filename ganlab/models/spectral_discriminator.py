"""The spectral discriminator of Jung and Keuper: a second opponent that sees only the spectrum."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as normalised

from ganlab.config.schema import Config, ModelConfig, SpectralDiscriminatorConfig
from ganlab.errors import GanlabError, lookup
from ganlab.models.registry import SPECTRAL_INPUTS

MAX_HIDDEN = 512
SLOPE = 0.2


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
        layers = _layers(head, self.input.length, hidden)
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


def _layers(head: str, length: int, hidden: int | None) -> list[nn.Module]:
    if head == "linear":
        return [nn.Linear(length, 1)]
    if head != "nonlinear":
        raise GanlabError(f"unknown head {head!r}: expected linear or nonlinear")
    width = hidden or min(length, MAX_HIDDEN)
    return [nn.Linear(length, width), nn.LeakyReLU(SLOPE), nn.Linear(width, 1)]


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
