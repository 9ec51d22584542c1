"""Spectral deviation as a torchmetrics metric, for other people's loops."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from ganlab.errors import GanlabError, lookup, names_of
from ganlab.spectra.accumulator import SpectrumAccumulator
from ganlab.spectra.deviation import spectral_deviation
from ganlab.spectra.deviation_metrics import DEVIATIONS
from ganlab.spectra.summary import DECAY

CHOSEN = ("mean_db", "high_excess_db")


class SpectralDeviation(Metric):
    """How far the mean spectrum of generated images is from that of real ones; used as FID is.

    ``update(images, real=True)`` and ``update(images, real=False)`` add float images ``(N, 1 or 3, H, W)`` in
    [-1, 1]; ``compute()`` gives a scalar tensor a name. Memory is constant; the sums of all processes are
    reduced, the reals alone may be kept by ``reset_real_features=False``.

    Args:
        metrics: names out of ``DEVIATIONS``, or one.
        window: as in ``power_spectrum``.
        size: (H, W) of the images; by default that of the first batch. Give it under several processes.
        reset_real_features: whether ``reset`` forgets the reals too.
        **options: of ``torchmetrics.Metric``.

    Raises:
        GanlabError: unknown metric or window; in ``update`` what is no image in [-1, 1], or of another size.
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False

    def __init__(
        self,
        metrics: str | Iterable[str] = CHOSEN,
        window: str | None = None,
        size: tuple[int, int] | None = None,
        reset_real_features: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.metrics = names_of(metrics)
        for name in self.metrics:
            lookup(DEVIATIONS, name, "deviation")
        self.reset_real_features = reset_real_features
        conventions = ("jung2021", "durall2020", DECAY)
        # An accumulator each: they bring their states, their reduction and their checks.
        self.real = SpectrumAccumulator(window, conventions, size=size, **options)
        self.fake = SpectrumAccumulator(window, conventions, size=size, **options)

    def update(self, images: Tensor, real: bool) -> None:
        """Add images, float ``(N, 1 or 3, H, W)`` in [-1, 1], to the reals or to the fakes.

        Raises:
            GanlabError: wrong type, shape, channel count or size.
        """
        (self.real if real else self.fake).update(images)

    def forward(self, images: Tensor, real: bool) -> dict[str, Tensor]:
        """Add images; a batch has no deviation of its own, so nothing is returned."""
        self.update(images, real=real)
        return {}

    def compute(self) -> dict[str, Tensor]:
        """Name -> scalar tensor, over all processes.

        Raises:
            GanlabError: no reals or no fakes were added, or a metric that these images do not admit.
        """
        for name, side in (("real", self.real), ("generated", self.fake)):
            if side.size is None or not float(side.state["count"]):
                raise GanlabError(
                    f"no {name} images were added: call update(images, real=True) and real=False"
                )
        report = spectral_deviation(self.real.result(), self.fake.result(), metrics=self.metrics, resamples=0)
        missing = [f"{name} ({report.skipped[name]})" for name in self.metrics if name in report.skipped]
        if missing:
            raise GanlabError(f"these images do not admit {', '.join(missing)}")
        return {name: torch.tensor(report[name].value, device=self.device) for name in self.metrics}

    def reset(self) -> None:
        """Forget the fakes, and the reals unless they are to be kept."""
        super().reset()
        self.fake.reset()
        if self.reset_real_features:
            self.real.reset()
