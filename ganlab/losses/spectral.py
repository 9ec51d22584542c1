"""The spectral losses: what they share, then one class each, from radial profiles to the whole plane."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal, TypedDict, Unpack

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError, lookup
from ganlab.images import luma
from ganlab.losses.spectral_functions import (
    NORMALISATIONS,
    distance_named,
    excess_cross_entropy,
    focal_frequency_distance,
    frechet_distance,
    log_profile,
    moments,
    partners,
    plane_mean,
    released_cross_entropy,
    sliced_distance,
)
from ganlab.spectra import ProfileConvention, axis_profiles, radial_profile
from ganlab.spectra.transforms import as_convention, check_images, half_power
from ganlab.util.hashing import derive_seed

ReferenceKind = Literal["running", "dataset", "batch"]
ImageSize = int | tuple[int, int]

LOGARITHMS = ("log_amplitude", "log_power", "log_guarded")
"""Measures of a `ProfileConvention` whose values are logarithms already."""
MIN_RINGS = 2
MODULUS_FLOOR = 1e-12
"""Added to a power before its square root, whose slope at 0 is unbounded."""


class Shared(TypedDict, total=False):
    """The keyword arguments that every spectral loss hands on to `SpectralLoss`."""

    weight: float
    warmup: int
    reference: ReferenceKind
    decay: float


class SpectralLoss(nn.Module, ABC):
    """A loss of the generator's images, from their spectra and those of the reals.

    ``loss(fake, real)`` returns the weighted scalar to add to the generator's loss. In training mode it first
    takes the reals into a running reference and afterwards counts the step for the warm-up. The reference and
    the count are in the state dict, so that a resumed run goes on exactly.

    A subclass calls `hold` with the shape of what it keeps of the reals, and brings `describe` and `measure`.

    Args:
        image_size: side of the square images in pixels, or (height, width).
        weight: factor of the loss, finite and not negative. 0 still measures `distance`.
        warmup: over so many steps the weight grows linearly: ``weight * (step + 1) / warmup``.
        reference: "running", a moving average over the real batches; "dataset", a mean that `fit` computes
            once; "batch", the real batch given with the fakes.
        decay: of the running average, 0 to 1; 1 weighs every batch alike.

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
    each: bool = False
    """Whether every fake is held against the target by itself, instead of what the batch has in common."""

    def __init__(
        self,
        image_size: ImageSize,
        *,
        weight: float = 1.0,
        warmup: int = 0,
        reference: ReferenceKind = "running",
        decay: float = 0.99,
    ) -> None:
        super().__init__()
        if not 0 <= weight < float("inf"):
            raise GanlabError(f"a spectral loss has a finite weight >= 0; got {weight}")
        if warmup < 0 or not 0 <= decay <= 1:
            raise GanlabError(f"expected warmup >= 0 and decay from 0 to 1; got {warmup} and {decay}")
        if reference not in ("running", "dataset", "batch"):
            raise GanlabError(f"unknown reference {reference!r}: expected one of running, dataset, batch")
        self.size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
        self.weight, self.warmup = weight, warmup
        self.reference_kind, self.decay = reference, decay
        self.step = 0
        self.total = 0.0
        self.distance = torch.zeros(())
        self.gather: Callable[[Tensor], Tensor] = _of_one_process

    def hold(self, *shape: int, dtype: torch.dtype = torch.float32) -> None:
        """Make room for the reference: what the reals are reduced to, of this shape."""
        self.register_buffer("reference", torch.zeros(shape, dtype=dtype))

    @abstractmethod
    def describe(self, images: Tensor) -> Tensor:
        """Rows that describe this process's images ``(N, C, H, W)``: one an image, or one a batch."""

    @abstractmethod
    def measure(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The differentiable loss of the fakes' rows against the target, and the distance to be logged."""

    def summarise(self, rows: Tensor) -> Tensor:
        """What the reference averages, from the reals' rows; their mean."""
        return rows.mean(0)

    def of_batch(self, rows: Tensor, count: int) -> Tensor:
        """The target that one real batch gives for ``count`` rows of fakes: a real each, or their summary."""
        return partners(rows, count) if self.each else self.summarise(rows)

    def forward(self, fake: Tensor, real: Tensor | None = None, adversarial: Tensor | None = None) -> Tensor:
        """The weighted loss.

        Args:
            fake: ``(N, C, H, W)`` in [-1, 1], with gradient.
            real: ``(M, C, H, W)``; needed unless the reference is a data set's mean.
            adversarial: the generator's adversarial loss, for losses that multiply it.

        Raises:
            GanlabError: another image size, no reals where they are needed, or no reference yet.
        """
        # A weight of 0 measures only: no graph is kept for it.
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

    def _take_in(self, summary: Tensor, weight: float, decay: float) -> None:
        """Weighted mean with forgetting: after n batches the weights are decay^(n-1), ..., decay, 1."""
        self.total = decay * self.total + weight
        self.reference.lerp_(summary.to(self.reference.dtype), weight / self.total)

    def get_extra_state(self) -> dict[str, Any]:
        """Step count and weight of the reference, for the state dict."""
        return {"step": self.step, "total": self.total}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_extra_state` returned."""
        self.step, self.total = int(state["step"]), float(state["total"])


class RadialLoss(SpectralLoss):
    """A loss on radial profiles in some convention, with the normalisation of one's choice.

    Args:
        image_size: as in `SpectralLoss`, like the shared arguments.
        convention: a name of ``CONVENTIONS``, or a `ProfileConvention`, with a gradient.
        normalisation: "min_max", "first_ring", "log" or "none", which replaces the convention's own; None
            keeps that.

    Raises:
        GanlabError: as `SpectralLoss`; unknown names; a convention without gradient; the logarithm of
            logarithms; images so small that the profile has fewer than two rings.
    """

    def __init__(
        self,
        image_size: ImageSize,
        *,
        convention: str | ProfileConvention = "durall2020",
        normalisation: str | None = None,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(image_size, **shared)
        rule = as_convention(convention)
        name = str(getattr(convention, "summary", convention))
        own = "min_max" if rule.normalise == "minmax" else "none"
        self.normalisation = own if normalisation is None else normalisation
        self.normalise = lookup(NORMALISATIONS, self.normalisation, "normalisation")
        self.logarithmic = rule.measure in LOGARITHMS
        self.rule = dataclasses.replace(rule, normalise="none")
        self.rings = rule.length(*self.size)
        if rule.integer_luma:
            raise GanlabError(
                f"{name} rounds RGB images to integers, so that no gradient passes; use durall2020"
            )
        if self.normalisation == "log" and self.logarithmic:
            raise GanlabError(f"profiles of {name} are logarithms already: use normalisation none or min_max")
        if self.rings < MIN_RINGS:
            raise GanlabError(
                f"images of {self.size[0]}x{self.size[1]} are smaller than the profile {name}: "
                f"{self.rings} ring, a spectral loss needs {MIN_RINGS}"
            )

    def describe(self, images: Tensor) -> Tensor:
        """Profiles ``(N, K)``."""
        return self.normalise(radial_profile(images, self.rule))


class SpectralRegularization(RadialLoss):
    """Radial profile of the fakes against that of the reals (Durall et al. 2020, arXiv 2003.01826).

    With the defaults: profiles in the released code's convention, min-max normalised, binary cross-entropy of
    each fake's profile towards the reals' running mean; the gradient passes through the spectrum. `distance`
    is the cross-entropy minus its floor.

    Args:
        image_size: as in `SpectralLoss`, like the shared arguments; with the reference "batch" fake i is
            held against real i (the pairs are arbitrary).
        convention: as in `RadialLoss`, like normalisation.
        normalisation: of the profiles.
        distance: "bce", "l1", "l2" or "log_l1"; None: bce where it is defined, otherwise l1.
        compare: "each" fake's profile with the reference, or the "mean" of the fakes' profiles, which leaves
            images free to differ.
        as_released: what the code published with the paper computes: profiles min-max normalised, real i
            against fake i in the current batch, prediction and target swapped, both constants, and
            ``adversarial * weight * bce`` added, so that the generator's loss is
            ``adversarial * (1 + weight * bce)``. No gradient passes through the spectrum. normalisation,
            reference, decay, distance and compare are then fixed.

    Raises:
        GanlabError: as `RadialLoss`, or a distance that is not defined on these values.
    """

    options: ClassVar[tuple[str, ...]] = (
        "convention", "normalisation", "reference", "decay", "distance", "compare", "as_released",
    )  # fmt: skip

    def __init__(
        self,
        image_size: ImageSize,
        *,
        convention: str | ProfileConvention = "durall2020",
        normalisation: str | None = None,
        distance: str | None = None,
        compare: Literal["each", "mean"] = "each",
        as_released: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        if as_released:
            normalisation, distance, compare = "min_max", "bce", "each"
            shared["reference"] = "batch"
        super().__init__(image_size, convention=convention, normalisation=normalisation, **shared)
        # Cross-entropy needs values in [0, 1], a logarithm values that are no logarithms yet.
        allowed = ["l1", "l2"]
        if self.normalisation == "min_max" or (self.normalisation == "first_ring" and not self.logarithmic):
            allowed.insert(0, "bce")
        if self.normalisation in ("none", "first_ring") and not self.logarithmic:
            allowed.append("log_l1")
        self.distance_name = distance or ("bce" if "bce" in allowed else "l1")
        self.function = distance_named(self.distance_name, tuple(allowed))
        self.each, self.as_released = _each(compare), as_released
        self.hold(self.rings)

    def measure(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy (logged without its floor) or a distance of profiles."""
        if self.as_released:
            fake = rows.detach()
            value = released_cross_entropy(target, fake)
            return value, value - released_cross_entropy(fake, fake)
        rows = rows if self.each else rows.mean(0, keepdim=True)
        value = self.function(rows, target)
        return value, excess_cross_entropy(rows, target) if self.distance_name == "bce" else value

    def weighted(self, factor: float, value: Tensor, adversarial: Tensor | None) -> Tensor:
        """The weighted distance; as released: a constant multiple of the adversarial loss."""
        if not self.as_released:
            return super().weighted(factor, value, adversarial)
        if adversarial is None:
            raise GanlabError("as_released multiplies the adversarial loss: loss(fake, real, adversarial)")
        return factor * value.detach() * adversarial


class SlicedProfileLoss(RadialLoss):
    """Sliced Wasserstein-2 distance between the sets of radial profiles of both batches.

    It compares distributions, not means: a generator may not give every image the mean profile. Directions
    are drawn anew in each step from (seed, step). Only the batch of reals counts, no reference is kept.

    Args:
        image_size: as in `SpectralLoss`, like weight and warmup.
        weight: its factor.
        warmup: steps of linear growth.
        convention: as in `RadialLoss`, like normalisation.
        normalisation: of the profiles.
        projections: number of random directions in each step.
        seed: of the directions.

    Raises:
        GanlabError: as `RadialLoss`, or no projection.
    """

    options: ClassVar[tuple[str, ...]] = ("convention", "normalisation", "projections")
    takes_seed: ClassVar[bool] = True

    def __init__(
        self,
        image_size: ImageSize,
        *,
        weight: float = 1.0,
        warmup: int = 0,
        convention: str | ProfileConvention = "durall2020",
        normalisation: str | None = None,
        projections: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(
            image_size, weight=weight, warmup=warmup, reference="batch", convention=convention,
            normalisation=normalisation,
        )  # fmt: skip
        if projections < 1:
            raise GanlabError(f"expected at least one projection; got {projections}")
        self.projections, self.seed = projections, seed
        self.hold(0)

    def of_batch(self, rows: Tensor, count: int) -> Tensor:
        """The reals' profiles themselves: two sets are compared, however many there are."""
        return rows

    def measure(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared distance of sorted projections."""
        # Drawn on the CPU in float64: the same directions on every device and in every precision.
        draw = torch.Generator().manual_seed(derive_seed(self.seed, "spectral/sliced", self.step))
        directions = torch.randn(self.rings, self.projections, generator=draw, dtype=torch.float64)
        directions = directions / directions.norm(dim=0, keepdim=True)
        value = sliced_distance(rows, target, directions.to(rows))
        return value, value


class FrechetProfileLoss(RadialLoss):
    """Squared Frechet distance between Gaussians fitted to both sets of radial profiles.

    Mean and covariance over rings, in float64. Against a running or data-set reference the reals' covariance
    comes from many more images than one batch of fakes has; the distance then stays above 0 even for a
    perfect generator. Arguments and errors are those of `RadialLoss`.
    """

    options: ClassVar[tuple[str, ...]] = ("convention", "normalisation", "reference", "decay")

    def __init__(
        self,
        image_size: ImageSize,
        *,
        convention: str | ProfileConvention = "durall2020",
        normalisation: str | None = None,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(image_size, convention=convention, normalisation=normalisation, **shared)
        # Mean, then second moment. A covariance is a small difference of them: float32 would lose it.
        self.hold(self.rings + 1, self.rings, dtype=torch.float64)

    def describe(self, images: Tensor) -> Tensor:
        """Profiles ``(N, K)`` in float64."""
        return super().describe(images).double()

    def summarise(self, rows: Tensor) -> Tensor:
        """Mean and second moment, ``(K + 1, K)``."""
        return moments(rows)

    def measure(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The Frechet distance."""
        value = frechet_distance(moments(rows), target)
        return value, value


class AxisProfileLoss(SpectralLoss):
    """Log power along each image axis against the reals' mean: what the mean over rings hides.

    Each image's horizontal and vertical profile (``ganlab.spectra.axis_profiles``), in natural logarithms.

    Args:
        image_size: as in `SpectralLoss`, like the shared arguments.
        distance: "l1" (when None) or "l2".
        compare: "each" fake's profiles or their "mean".

    Raises:
        GanlabError: as `SpectralLoss`, or another distance.
    """

    options: ClassVar[tuple[str, ...]] = ("reference", "decay", "distance", "compare")

    def __init__(
        self,
        image_size: ImageSize,
        *,
        distance: str | None = None,
        compare: Literal["each", "mean"] = "each",
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(image_size, **shared)
        self.function = distance_named(distance or "l1", ("l1", "l2"))
        self.each = _each(compare)
        self.hold(self.size[1] // 2 + 1 + self.size[0] // 2 + 1)

    def describe(self, images: Tensor) -> Tensor:
        """Both log profiles side by side, ``(N, W//2+1 + H//2+1)``."""
        return log_profile(torch.cat(axis_profiles(images), 1))

    def measure(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The distance."""
        value = self.function(rows if self.each else rows.mean(0, keepdim=True), target)
        return value, value


class LogPowerLoss(SpectralLoss):
    """Logarithm of the mean luma power at every frequency of the plane, fakes against reals.

    The power is averaged over the batch before the logarithm, since one image's coefficient scatters as
    widely as its mean. Nothing is averaged over rings or axes, so that lines and isolated peaks count.

    Args:
        image_size: as in `SpectralLoss`, like the shared arguments.
        distance: "l1" (when None) or "l2", of natural logarithms.

    Raises:
        GanlabError: as `SpectralLoss`, or another distance.
    """

    options: ClassVar[tuple[str, ...]] = ("reference", "decay", "distance")

    def __init__(
        self, image_size: ImageSize, *, distance: str | None = None, **shared: Unpack[Shared]
    ) -> None:
        super().__init__(image_size, **shared)
        distance_named(distance or "l1", ("l1", "l2"))
        self.squared = distance == "l2"
        self.hold(self.size[0], self.size[1] // 2 + 1)

    def describe(self, images: Tensor) -> Tensor:
        """The batch's mean power, linear, ``(1, H, W//2+1)``."""
        return half_power(luma(check_images(images))).mean(0, keepdim=True)

    def measure(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Mean over the full plane of the logarithms' difference."""
        difference = log_profile(rows.mean(0)) - log_profile(target)
        value = plane_mean(difference.square() if self.squared else difference.abs(), self.size[1])
        return value, value


class FocalFrequencyLoss(SpectralLoss):
    """Focal frequency loss (Jiang et al. 2021, arXiv 2012.12821), between mean spectra or of pairs.

    The published loss compares an image with its own reconstruction: average "none", for networks that have
    such pairs. A GAN has none; what can be compared is averages over batches. "complex" is the published
    ``ave_spectrum``: the DFT is linear, so it is the spectrum of the mean image, in which phases cancel and
    texture leaves no trace. "amplitude" averages the modulus of every coefficient and does see texture.

    Args:
        image_size: as in `SpectralLoss`, like the shared arguments.
        alpha: focal exponent, >= 0.
        log_weight: focal weights through ``ln(1 + w)``.
        average: "amplitude", "complex", or "none": fake i against real i of the batch.
        channels: C of the images.

    Raises:
        GanlabError: as `SpectralLoss`; a negative alpha; another average.
    """

    options: ClassVar[tuple[str, ...]] = ("reference", "decay", "alpha", "log_weight", "average")

    def __init__(
        self,
        image_size: ImageSize,
        *,
        alpha: float = 1.0,
        log_weight: bool = False,
        average: Literal["amplitude", "complex", "none"] = "amplitude",
        channels: int = 3,
        **shared: Unpack[Shared],
    ) -> None:
        if average not in ("amplitude", "complex", "none") or not 0 <= alpha < float("inf"):
            expected = "average amplitude, complex or none, alpha >= 0"
            raise GanlabError(f"expected {expected}; got {average!r}, {alpha}")
        if average == "none":
            shared["reference"] = "batch"
        super().__init__(image_size, **shared)
        self.each = average == "none"
        self.alpha, self.log_weight, self.complex = alpha, log_weight, average != "amplitude"
        # The last axis: real and imaginary part, or the modulus.
        self.hold(channels, self.size[0], self.size[1] // 2 + 1, 2 if self.complex else 1)

    def describe(self, images: Tensor) -> Tensor:
        """The batch's mean orthonormal spectrum, ``(1, C, H, W//2+1, components)``; of pairs each one's.

        Raises:
            GanlabError: another number of channels than the loss was made for.
        """
        channels = len(self.reference)
        if images.shape[1] != channels:
            # They would be broadcast: grey reals against every channel of the fakes.
            raise GanlabError(
                f"FocalFrequencyLoss was made for images of {channels} channels; got {tuple(images.shape)}: "
                f"give channels={images.shape[1]}"
            )
        parts = torch.view_as_real(torch.fft.rfft2(check_images(images), norm="ortho"))
        if not self.complex:
            parts = (parts.square().sum(-1, keepdim=True) + MODULUS_FLOOR).sqrt()
        return parts if self.each else parts.mean(0, keepdim=True)

    def measure(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The focally weighted squared distance."""
        rows = rows if self.each else rows.mean(0)
        value = focal_frequency_distance(rows, target, self.size[1], self.alpha, self.log_weight)
        return value, value


def _of_one_process(rows: Tensor) -> Tensor:
    """The default `SpectralLoss.gather`; a function with a name, so that a loss can be pickled."""
    return rows


def _each(compare: str) -> bool:
    if compare not in ("each", "mean"):
        raise GanlabError(f"unknown compare {compare!r}: expected each or mean")
    return compare == "each"
