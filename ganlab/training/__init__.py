"""Training: one readable loop, exact resume, checkpoints, moving average, several processes."""

from __future__ import annotations

from ganlab.training.loop import DivergedError, TrainResult, train

__all__ = ["DivergedError", "TrainResult", "train"]
