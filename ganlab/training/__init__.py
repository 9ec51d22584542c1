"""Training: one readable loop, exact resume, checkpoints, moving average, several processes."""

from __future__ import annotations

from ganlab.training.loop import TrainResult, train

__all__ = ["TrainResult", "train"]
