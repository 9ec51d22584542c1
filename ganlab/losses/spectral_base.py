"""What every spectral loss shares: the real reference, the weight and its warm-up, several processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError

ReferenceKind = Literal["running", "dataset", "batch"]


class SpectralLoss(nn.Module, ABC):
    """A loss of the generator's images, from their spectra and those of the reals.

    ``loss(fake, real)`` returns the weighted scalar to add to the generator's loss. In training mode it first
    takes the reals into a running reference and afterwards counts the step for the warm-up. The reference and
    the count are in the state dict, so that a resumed run goes on exactly.

    Args:
        image_size: side of the square images in pixels, or (height, width).
        weight: factor of the loss, finite and not negative. 0 still measures `distance`.
        warmup: over so many steps the weight grows linearly: ``weight * (step + 1) / warmup``.
        reference: "running", a moving average over the real batches; "dataset", a mean that `fit` computes
            once; "batch", the real batch given with the fakes.
        decay: of the running average; 1 weighs every batch alike.

    Attributes:
        distance: the last step's unweighted distance, detached, 0 where the spectra agree.
        gather: rows of this process -> rows of all processes, differentiable; the identity by default.

    Raises:
        GanlabError: a weight, decay or warm-up out of range, or an unknown reference.
    """

    options: ClassVar[tuple[str, ...]] = ()
    """Arguments beside image_size, weight and warmup; configurations use the same names."""
    takes_seed: ClassVar[bool] = False
    """Whether the constructor has a ``seed``."""

    reference: Tensor

    def __init__(
        self,
        image_size: int | tuple[int, int],
        *,
        weight: float = 1.0,
        warmup: int = 0,
        reference: ReferenceKind = "running",
        decay: float = 0.99,
    ) -> None:
        super().__init__()
        _check_numbers(weight, warmup, reference, decay)
        self.size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
        self.weight, self.warmup = weight, warmup
        self.reference_kind, self.decay = reference, decay
        self.step = 0
        self.total = 0.0
        self.distance = torch.zeros(())
        self.gather: Callable[[Tensor], Tensor] = _alone
        self.register_buffer("reference", torch.zeros(self.reference_shape()))

    @abstractmethod
    def reference_shape(self) -> tuple[int, ...]:
        """Shape of what the reals are reduced to.

        Raises:
            GanlabError: images of this size have no such spectrum.
        """

    @abstractmethod
    def describe(self, images: Tensor) -> Tensor:
        """Rows that describe this process's images, gathered over processes: one an image, or one a batch."""

    @abstractmethod
    def measure(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The differentiable loss of the fakes' rows against the target, and the distance to be logged."""

    def summarise(self, rows: Tensor) -> Tensor:
        """What the reference averages, from the reals' rows; their mean."""
        return rows.mean(0)

    def of_batch(self, rows: Tensor, count: int) -> Tensor:
        """The target that one real batch gives, for ``count`` rows of fakes."""
        return self.summarise(rows)

    def forward(self, fake: Tensor, real: Tensor | None = None, adversarial: Tensor | None = None) -> Tensor:
        """The weighted loss.

        Args:
            fake: ``(N, C, H, W)`` in [-1, 1], with gradient.
            real: ``(M, C, H, W)``; needed unless the reference is a data set's mean.
            adversarial: the generator's adversarial loss, for losses that multiply it.

        Raises:
            GanlabError: another image size, no reals where they are needed, or no reference yet.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.weight > 0):
            rows = self.gather(self.describe(self.checked(fake)))
            value, distance = self.measure(rows, self._target(real, len(rows)))
        self.distance = distance.detach()
        factor = self.current_weight()
        self.step += int(self.training)
        return self.weighted(factor, value, adversarial)

    def weighted(self, factor: float, value: Tensor, adversarial: Tensor | None) -> Tensor:
        """The term that joins the generator's loss."""
        return factor * value if factor > 0 else torch.zeros_like(value)

    def current_weight(self) -> float:
        """The weight of the step to come, warm-up included."""
        return self.weight * min(1.0, (self.step + 1) / self.warmup) if self.warmup else self.weight

    @property
    def needs_fit(self) -> bool:
        """Whether `fit` must come before the first step."""
        return self.reference_kind == "dataset" and self.total == 0

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> SpectralLoss:
        """Set the reference to the mean over real images, given as batches ``(n, C, H, W)`` in [-1, 1].

        Call it in every process with all images: nothing is exchanged.

        Raises:
            GanlabError: no images, or images of another size than the loss was made for.
        """
        self.total = 0.0
        self.reference.zero_()
        for batch in batches:
            self._take_in(self.summarise(self.describe(self.checked(batch))), len(batch), 1.0)
        if self.total == 0:
            raise GanlabError("no images to fit the spectral reference to")
        return self

    def checked(self, images: Tensor) -> Tensor:
        """The images, if they have the size the loss was made for.

        Raises:
            GanlabError: another shape.
        """
        if images.ndim != 4 or tuple(images.shape[-2:]) != self.size:
            height, width = self.size
            raise GanlabError(
                f"{type(self).__name__} and its reference are for images of {height}x{width} "
                f"(N, C, {height}, {width}); got {tuple(images.shape)}"
            )
        return images

    @torch.no_grad()
    def _target(self, real: Tensor | None, count: int) -> Tensor:
        """What the fakes are held against; a running reference takes in the reals first."""
        if self.reference_kind == "dataset" or (self.reference_kind == "running" and not self.training):
            if self.total == 0:
                raise GanlabError(f"{type(self).__name__} has no reference yet: call fit(batches of reals)")
            return self.reference
        if real is None:
            raise GanlabError(
                f"{type(self).__name__} with reference {self.reference_kind!r} needs a real batch: "
                "loss(fake, real)"
            )
        rows = self.gather(self.describe(self.checked(real)))
        if self.reference_kind == "batch":
            return self.of_batch(rows, count)
        self._take_in(self.summarise(rows), 1.0, self.decay)
        return self.reference

    def _take_in(self, found: Tensor, weight: float, decay: float) -> None:
        """Weighted mean with forgetting: after n batches the weights are decay^(n-1), ..., decay, 1."""
        self.total = decay * self.total + weight
        self.reference.lerp_(found.to(self.reference.dtype), weight / self.total)

    def get_extra_state(self) -> dict[str, Any]:
        """Step count and weight of the reference, for the state dict."""
        return {"step": self.step, "total": self.total}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_extra_state` returned."""
        self.step, self.total = int(state["step"]), float(state["total"])


def _alone(rows: Tensor) -> Tensor:
    return rows


def _check_numbers(weight: float, warmup: int, reference: str, decay: float) -> None:
    if not 0 <= weight < float("inf"):
        raise GanlabError(f"a spectral loss has a finite weight >= 0; got {weight}")
    if warmup < 0 or not 0 <= decay <= 1:
        raise GanlabError(f"expected warmup >= 0 and decay from 0 to 1; got {warmup} and {decay}")
    if reference not in ("running", "dataset", "batch"):
        raise GanlabError(f"unknown reference {reference!r}: expected one of running, dataset, batch")
