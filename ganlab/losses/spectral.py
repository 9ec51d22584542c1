"""Losses on one-dimensional profiles: Durall's spectral regularisation, axis profiles, sets of profiles."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganlab.errors import GanlabError, lookup
from ganlab.losses.spectral_base import ReferenceKind, SpectralLoss
from ganlab.losses.spectral_functions import (
    NORMALISATIONS,
    distance_named,
    excess_cross_entropy,
    frechet_distance,
    log_profile,
    moments,
    partners,
    released_cross_entropy,
    sliced_distance,
)
from ganlab.spectra import ProfileConvention, axis_profiles, radial_profile
from ganlab.spectra.transforms import as_convention
from ganlab.util.hashing import derive_seed

LOGARITHMS = ("log_amplitude", "log_power", "log_guarded")
MIN_RINGS = 2


class RadialInput:
    """A radial profile in some convention with the normalisation of one's choice, ``(N, C, H, W) -> (N, K)``.

    Args:
        convention: a name of ``CONVENTIONS``, or a `ProfileConvention`, with a gradient.
        normalisation: a name of `NORMALISATIONS` that replaces the convention's own; None keeps that.
        size: height and width of the images.

    Raises:
        GanlabError: unknown names; a convention without gradient; the logarithm of logarithms; images so
            small that the profile has fewer than two rings.
    """

    def __init__(
        self, convention: str | ProfileConvention, normalisation: str | None, size: tuple[int, ...]
    ) -> None:
        rule = as_convention(convention)
        self.normalisation = (
            ("min_max" if rule.normalise == "minmax" else "none")
            if normalisation is None
            else (normalisation)
        )
        self.logarithmic = rule.measure in LOGARITHMS
        self.normalise = lookup(NORMALISATIONS, self.normalisation, "normalisation")
        self.rule = dataclasses.replace(rule, normalise="none")
        self._check(str(getattr(convention, "summary", convention)), size)
        self.rings = self.rule.length(*size)

    def _check(self, name: str, size: tuple[int, ...]) -> None:
        if self.rule.integer_luma:
            raise GanlabError(
                f"{name} rounds RGB images to integers, so that no gradient passes; use durall2020"
            )
        if self.normalisation == "log" and self.logarithmic:
            raise GanlabError(f"profiles of {name} are logarithms already: use normalisation none or min_max")
        rings = self.rule.length(*size)
        if rings < MIN_RINGS:
            raise GanlabError(
                f"images of {size[0]}x{size[1]} are smaller than the profile {name}: {rings} ring, a "
                f"spectral loss needs {MIN_RINGS}"
            )

    @property
    def distances(self) -> tuple[str, ...]:
        """Distances that are defined on these values."""
        unit = self.normalisation == "min_max" or (
            self.normalisation == "first_ring" and not self.logarithmic
        )
        linear = not self.logarithmic and self.normalisation in ("none", "first_ring")
        return (*(("bce",) if unit else ()), "l1", "l2", *(("log_l1",) if linear else ()))

    def __call__(self, images: Tensor) -> Tensor:
        """Profiles of the images; differentiable."""
        return self.normalise(radial_profile(images, self.rule))


class SpectralRegularization(SpectralLoss):
    """Radial profile of the fakes against that of the reals (Durall et al. 2020, arXiv 2003.01826).

    With the defaults: profiles in the released code's convention, min-max normalised, binary cross-entropy of
    each fake's profile towards the reals' running mean; the gradient passes through the spectrum. `distance`
    is the cross-entropy minus its floor.

    Args:
        image_size: as in `SpectralLoss`, like weight, warmup, reference and decay.
        weight: its factor.
        warmup: steps of linear growth.
        convention: name of a profile convention that has a gradient.
        normalisation: "min_max", "first_ring", "log", "none", or None for the convention's own.
        reference: "running", "dataset", "batch" (fake i against real i; the pairs are arbitrary).
        decay: of the running reference.
        distance: "bce", "l1", "l2" or "log_l1"; None: bce where it is defined, otherwise l1.
        compare: "each" fake's profile with the reference, or the "mean" of the fakes' profiles, which leaves
            images free to differ.
        as_released: what the code published with the paper computes: profiles min-max normalised, real i
            against fake i in the current batch, prediction and target swapped, both constants, and
            ``adversarial * weight * bce`` added, so that the generator's loss is
            ``adversarial * (1 + weight * bce)``. No gradient passes through the spectrum. normalisation,
            reference, decay, distance and compare are then fixed.

    Raises:
        GanlabError: as `SpectralLoss` and `RadialInput`, or a distance that is not defined on these values.
    """

    options: ClassVar[tuple[str, ...]] = (
        "convention", "normalisation", "reference", "decay", "distance", "compare", "as_released",
    )  # fmt: skip

    def __init__(
        self,
        image_size: int | tuple[int, int],
        *,
        weight: float = 1.0,
        warmup: int = 0,
        convention: str | ProfileConvention = "durall2020",
        normalisation: str | None = None,
        reference: ReferenceKind = "running",
        decay: float = 0.99,
        distance: str | None = None,
        compare: Literal["each", "mean"] = "each",
        as_released: bool = False,
    ) -> None:
        size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
        if as_released:
            normalisation, reference, distance, compare = "min_max", "batch", "bce", "each"
        self.input = RadialInput(convention, normalisation, size)
        super().__init__(image_size, weight=weight, warmup=warmup, reference=reference, decay=decay)
        self.distance_name = distance or ("bce" if "bce" in self.input.distances else "l1")
        self.function = distance_named(self.distance_name, self.input.distances)
        self.each, self.as_released = _each(compare), as_released

    def reference_shape(self) -> tuple[int, ...]:
        """``(K,)``."""
        return (self.input.rings,)

    def describe(self, images: Tensor) -> Tensor:
        """Profiles ``(N, K)``."""
        return self.input(images)

    def of_batch(self, rows: Tensor, count: int) -> Tensor:
        """A real profile for each fake, or their mean."""
        return partners(rows, count) if self.each else rows.mean(0)

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


class AxisProfileLoss(SpectralLoss):
    """Log power along each image axis against the reals' mean: what the mean over rings hides.

    Each image's horizontal and vertical profile (``ganlab.spectra.axis_profiles``), in natural logarithms.

    Args:
        image_size: as in `SpectralLoss`, like weight, warmup, reference and decay.
        weight: its factor.
        warmup: steps of linear growth.
        reference: "running", "dataset" or "batch".
        decay: of the running reference.
        distance: "l1" (when None) or "l2".
        compare: "each" fake's profiles or their "mean".

    Raises:
        GanlabError: as `SpectralLoss`, or another distance.
    """

    options: ClassVar[tuple[str, ...]] = ("reference", "decay", "distance", "compare")

    def __init__(
        self,
        image_size: int | tuple[int, int],
        *,
        weight: float = 1.0,
        warmup: int = 0,
        reference: ReferenceKind = "running",
        decay: float = 0.99,
        distance: str | None = None,
        compare: Literal["each", "mean"] = "each",
    ) -> None:
        super().__init__(image_size, weight=weight, warmup=warmup, reference=reference, decay=decay)
        self.function = distance_named(distance or "l1", ("l1", "l2"))
        self.each = _each(compare)

    def reference_shape(self) -> tuple[int, ...]:
        """``(W//2+1 + H//2+1,)``."""
        return (self.size[1] // 2 + 1 + self.size[0] // 2 + 1,)

    def describe(self, images: Tensor) -> Tensor:
        """Both log profiles side by side, ``(N, W//2+1 + H//2+1)``."""
        return log_profile(torch.cat(axis_profiles(images), 1))

    def of_batch(self, rows: Tensor, count: int) -> Tensor:
        """A real image's profiles for each fake, or their mean."""
        return partners(rows, count) if self.each else rows.mean(0)

    def measure(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The distance."""
        value = self.function(rows if self.each else rows.mean(0, keepdim=True), target)
        return value, value


class SlicedProfileLoss(SpectralLoss):
    """Sliced Wasserstein-2 distance between the sets of radial profiles of both batches.

    It compares distributions, not means: a generator may not give every image the mean profile. Directions
    are drawn anew in each step from (seed, step).

    Args:
        image_size: as in `SpectralLoss`, like weight and warmup.
        weight: its factor.
        warmup: steps of linear growth.
        convention: name of a profile convention that has a gradient.
        normalisation: as in `SpectralRegularization`.
        projections: number of random directions in each step.
        seed: of the directions.

    Raises:
        GanlabError: as `SpectralLoss` and `RadialInput`.
    """

    options: ClassVar[tuple[str, ...]] = ("convention", "normalisation", "projections")
    takes_seed: ClassVar[bool] = True

    def __init__(
        self,
        image_size: int | tuple[int, int],
        *,
        weight: float = 1.0,
        warmup: int = 0,
        convention: str | ProfileConvention = "durall2020",
        normalisation: str | None = None,
        projections: int = 64,
        seed: int = 0,
    ) -> None:
        size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
        self.input = RadialInput(convention, normalisation, size)
        super().__init__(image_size, weight=weight, warmup=warmup, reference="batch")
        if projections < 1:
            raise GanlabError(f"expected at least one projection; got {projections}")
        self.projections, self.seed = projections, seed

    def reference_shape(self) -> tuple[int, ...]:
        """Nothing is kept of the reals: ``(0,)``."""
        return (0,)

    def describe(self, images: Tensor) -> Tensor:
        """Profiles ``(N, K)``."""
        return self.input(images)

    def of_batch(self, rows: Tensor, count: int) -> Tensor:
        """The reals' profiles themselves."""
        return rows

    def measure(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared distance of sorted projections."""
        value = sliced_distance(rows, target, self._directions().to(rows))
        return value, value

    def _directions(self) -> Tensor:
        draw = torch.Generator().manual_seed(derive_seed(self.seed, "spectral/sliced", self.step))
        directions = torch.randn(self.input.rings, self.projections, generator=draw, dtype=torch.float64)
        unit: Tensor = directions / directions.norm(dim=0, keepdim=True)
        return unit


class FrechetProfileLoss(SpectralLoss):
    """Squared Frechet distance between Gaussians fitted to both sets of radial profiles.

    Mean and covariance over rings, in float64. Against a running or data-set reference the reals' covariance
    comes from many more images than one batch of fakes has; the distance then stays above 0 even for a
    perfect generator.

    Args:
        image_size: as in `SpectralLoss`, like weight, warmup, reference and decay.
        weight: its factor.
        warmup: steps of linear growth.
        convention: name of a profile convention that has a gradient.
        normalisation: as in `SpectralRegularization`.
        reference: "running", "dataset" or "batch".
        decay: of the running reference.

    Raises:
        GanlabError: as `SpectralLoss` and `RadialInput`.
    """

    options: ClassVar[tuple[str, ...]] = ("convention", "normalisation", "reference", "decay")

    def __init__(
        self,
        image_size: int | tuple[int, int],
        *,
        weight: float = 1.0,
        warmup: int = 0,
        convention: str | ProfileConvention = "durall2020",
        normalisation: str | None = None,
        reference: ReferenceKind = "running",
        decay: float = 0.99,
    ) -> None:
        size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
        self.input = RadialInput(convention, normalisation, size)
        super().__init__(image_size, weight=weight, warmup=warmup, reference=reference, decay=decay)
        self.reference = self.reference.to(torch.float64)

    def reference_shape(self) -> tuple[int, ...]:
        """``(K + 1, K)``: mean, then second moment."""
        return (self.input.rings + 1, self.input.rings)

    def describe(self, images: Tensor) -> Tensor:
        """Profiles ``(N, K)`` in float64."""
        return self.input(images).double()

    def summarise(self, rows: Tensor) -> Tensor:
        """Mean and second moment."""
        return moments(rows)

    def measure(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The Frechet distance."""
        value = frechet_distance(moments(rows), target)
        return value, value


def _each(compare: str) -> bool:
    if compare not in ("each", "mean"):
        raise GanlabError(f"unknown compare {compare!r}: expected each or mean")
    return compare == "each"
