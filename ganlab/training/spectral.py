"""The spectral side of a run: the second discriminator and the generator's spectral losses in its updates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from ganlab.config.schema import SpectralDiscriminatorConfig
from ganlab.data import BatchReader
from ganlab.images import to_float
from ganlab.losses import AdversarialLoss, SpectralLosses
from ganlab.models import SpectralDiscriminator

FIT_BATCH = 256


class SecondOpinion:
    """What the spectral discriminator adds to both updates; its weights share the main one's optimizer.

    Args:
        options: how both discriminators are combined.
        network: the spectral discriminator.
        call: the same as DDP sees it.
        adversarial: the run's adversarial loss, which both play.
    """

    def __init__(
        self,
        options: SpectralDiscriminatorConfig,
        network: SpectralDiscriminator,
        call: nn.Module,
        adversarial: type[AdversarialLoss],
    ) -> None:
        self.options, self.network, self.call, self.adversarial = options, network, call, adversarial

    def logits(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Its logits of both, in one call."""
        both: Tensor = self.call(torch.cat([real, fake.to(real.dtype)]))
        return both[: len(real)], both[len(real) :]

    def mean(self, main: Tensor, own: Tensor) -> Tensor:
        """Weighted mean of both logits."""
        ratio = self.options.ratio
        return (main.float() + ratio * (own.detach() if self.options.detach else own)) / (1.0 + ratio)

    def judged(self, main: Tensor, own: Tensor) -> Tensor:
        """The logits that the main discriminator's loss sees: its own, or in a mixed head the mean."""
        return self.mean(main, own) if self.options.combine == "mixed" else main

    def generator_losses(self, main: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The generator's adversarial loss against both; the entries add up to it."""
        own, ratio = self.network(fake), self.options.ratio
        if self.options.combine != "errors":
            return {"generator/adversarial": self.adversarial.generator(self.mean(main, own))}
        return {
            "generator/adversarial": self.adversarial.generator(main) / (1.0 + ratio),
            "generator/adversarial_spectral": self.adversarial.generator(own) * ratio / (1.0 + ratio),
        }


def term_values(terms: SpectralLosses, fake: Tensor, real: Tensor, adversarial: Tensor) -> dict[str, Tensor]:
    """Weighted spectral losses under their names in the log; in float32 also inside autocast."""
    with torch.autocast(fake.device.type, enabled=False):
        values = terms(fake.float(), real.float(), adversarial.float())
    return {f"generator/spectral/{name}": value for name, value in values.items()}


def term_distances(terms: SpectralLosses) -> dict[str, Tensor]:
    """Unweighted distances under their names in the log."""
    return {f"spectral/{name}/distance": value for name, value in terms.distances().items()}


def training_images(reader: BatchReader) -> Iterator[Tensor]:
    """All training images once, ``(n, C, H, W)`` in [-1, 1]: neither mirrored nor with noise added."""
    indices = np.sort(reader.indices)
    for start in range(0, len(indices), FIT_BATCH):
        yield to_float(reader.images[indices[start : start + FIT_BATCH]], reader.device)
