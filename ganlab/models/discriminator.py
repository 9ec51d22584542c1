"""What every discriminator shares: size check, spectral normalisation, the projection of the class."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganlab.config.schema import ModelConfig
from ganlab.errors import GanlabError


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
        """Put torch's spectral-norm parametrisation on every layer with weights."""
        if not self.spectral:
            return
        for module in [*self.modules()]:
            if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
                spectral_norm(module)
