"""What every detector network is: logits, a loss to train on, probabilities to report."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class DetectorNetwork(nn.Module):
    """A network from features ``(N, C, H, W)`` to logits ``(N, K)``.

    Subclasses define ``forward``; those that say something else of an image than one vector of logits also
    override the two methods below.
    """

    def training_loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of ``labels`` ``(N,)``."""
        return F.cross_entropy(self(features), labels)

    def probabilities(self, features: Tensor) -> Tensor:
        """Probability of each class, ``(N, K)``."""
        probabilities: Tensor = self(features).softmax(1)
        return probabilities
