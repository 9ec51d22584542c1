"""Adversarial losses and gradient penalties."""

from __future__ import annotations

from ganlab.losses.adversarial import AdversarialLoss
from ganlab.losses.penalties import Penalty
from ganlab.losses.registry import ADVERSARIAL, PENALTIES

__all__ = ["ADVERSARIAL", "PENALTIES", "AdversarialLoss", "Penalty"]
