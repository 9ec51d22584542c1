"""Distances of two sets of mean profiles: by band, of min-max profiles, decay, and peaks at the replicas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.spectra.decay import decay_fit
from ganlab.spectra.transforms import decibels

REPLICAS = (2, 4, 8)
"""Replica frequencies are N/2, N/4, N/8: those at which the last, the last but one, ... upsampling repeats
the zero frequency."""


def prominence_reach(windowed: bool) -> tuple[int, int]:
    """Distances of the neighbours compared with: a window spreads a line over the bins beside it."""
    return (2, 3) if windowed else (1, 2)


def has_replica(size: int, divisor: int, windowed: bool = False) -> bool:
    """Whether ``size`` points have a bin at ``size / divisor`` with enough neighbours above zero."""
    return size % divisor == 0 and size // divisor > prominence_reach(windowed)[1]


def peak_prominence(power: Tensor, size: int, divisor: int, windowed: bool = False) -> Tensor:
    """Local bump of a mean power profile at frequency ``1/divisor`` cycles per pixel, in dB.

    The level at the bin minus the level that its neighbours let expect: the cubic through the neighbours at
    distances a and b on both sides, ``(b^2 m_a - a^2 m_b) / (b^2 - a^2)`` of their mean levels, so that slope
    and curvature of a natural spectrum cancel. (a, b) is (1, 2), with a window (2, 3). The profile continues
    past Nyquist as its own mirror image.

    Args:
        power: ``(..., size//2+1)`` linear mean power over frequencies k/size: horizontal, vertical, diagonal.
        size: number of pixels along that axis.
        divisor: 2 for Nyquist, 4, 8, ...
        windowed: whether the spectra were windowed.

    Returns:
        ``(...)`` dB; 0 for a smooth spectrum, negative for a notch.

    Raises:
        GanlabError: the profile has another length, or no such bin with enough neighbours.
    """
    if power.shape[-1] != size // 2 + 1:
        raise GanlabError(f"a profile of {size} points has {size // 2 + 1} bins; got {power.shape[-1]}")
    if not has_replica(size, divisor, windowed):
        raise GanlabError(f"{size} points have no usable bin at {size}/{divisor}")
    levels = decibels(power)
    near, far = prominence_reach(windowed)
    centre = size // divisor

    def mean_at(distance: int) -> Tensor:
        upper = centre + distance
        upper = size - upper if upper > size // 2 else upper
        mean: Tensor = (levels[..., centre - distance] + levels[..., upper]) / 2
        return mean

    expected = (far**2 * mean_at(near) - near**2 * mean_at(far)) / (far**2 - near**2)
    return torch.sub(levels[..., centre], expected)


Means = Mapping[str, Tensor]
LOW, MID = 1 / 8, 1 / 4
"""Band limits in cycles per pixel: low up to 1/8, mid up to 1/4, high above (half of Nyquist)."""
PROBABILITY_FLOOR = 1e-7


@dataclass(frozen=True)
class Grid:
    """What a metric must know besides the means: (H, W) and whether the spectra were windowed."""

    height: int
    width: int
    windowed: bool = False

    @property
    def smaller(self) -> int:
        """min(H, W)."""
        return min(self.height, self.width)

    def along(self, profile: str) -> int:
        """Number of pixels behind a profile: W for horizontal, H for vertical, min(H, W) for diagonal."""
        return {"horizontal": self.width, "vertical": self.height}.get(profile, self.smaller)


def big_enough(grid: Grid) -> bool:
    """Whether every band holds a ring and no convention drops them all: from 8 pixels."""
    return grid.smaller >= 8


@dataclass(frozen=True)
class DeviationMetric:
    """One named distance.

    Attributes:
        summary: one line that says what it is.
        unit: of the value.
        needs: profiles it is computed from.
        function: ``(real means, fake means, grid) -> (R,)``; torch can differentiate it.
        signed: fake minus real with a sign; tested on both sides.
        apart: of a distance that cannot be negative, the same as a function of ``coordinates``:
            ``(real, fake, grid) -> (...,)`` of ``(..., K)`` each. Its interval inverts a test along a path in
            these coordinates; without it the interval is a bootstrap-t one.
        available: whether images of that size have it.
        single: the number of one set, where the distance is a difference of such.
    """

    summary: str
    unit: str
    needs: tuple[str, ...]
    function: Callable[[Means, Means, Grid], Tensor]
    signed: bool = False
    apart: Callable[[Tensor, Tensor, Grid], Tensor] | None = None
    available: Callable[[Grid], bool] = big_enough
    single: Callable[[Means, Grid], Tensor] | None = None


def coordinates(means: Means, profile: str) -> Tensor:
    """A mean profile in the unit in which two sets differ by a sum, ``(R, K)``.

    dB of the radial profile without the zero frequency (that is brightness); every other profile as it is.
    """
    return decibels(means["radial"][:, 1:]) if profile == "radial" else means[profile]


def _band(values: Tensor, grid: Grid, low: float, high: float) -> Tensor:
    frequencies = torch.arange(1, values.shape[-1] + 1, device=values.device) / grid.smaller
    return values[..., (frequencies > low) & (frequencies <= high)].mean(-1)


def band_distance(low: float, high: float) -> Callable[[Tensor, Tensor, Grid], Tensor]:
    """Mean absolute dB difference of the radial profiles over ``low < f <= high``."""
    return lambda real, fake, grid: _band((fake - real).abs(), grid, low, high)


def nyquist_distance(real: Tensor, fake: Tensor, grid: Grid) -> Tensor:
    """Absolute dB difference of the last ring."""
    return (fake - real)[..., -1].abs()


def log_spectral_distance(real: Tensor, fake: Tensor, grid: Grid) -> Tensor:
    """Root mean square dB difference of the radial profiles."""
    return (fake - real).square().mean(-1).sqrt()


def minmax_l1(real: Tensor, fake: Tensor, grid: Grid) -> Tensor:
    """Sum over bins of the absolute difference of the mean min-max profiles."""
    return (fake - real).abs().sum(-1)


def bce_excess(real: Tensor, fake: Tensor, grid: Grid) -> Tensor:
    """Binary cross-entropy of the mean fake profile against the real one, minus the real one's entropy."""
    target, guess = (one.clamp(PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR) for one in (real, fake))
    gain: Tensor = target * (target / guess).log() + (1 - target) * ((1 - target) / (1 - guess)).log()
    return gain.mean(-1)


def cosine(real: Tensor, fake: Tensor, grid: Grid) -> Tensor:
    """One minus the cosine of the angle between the mean min-max profiles."""
    return 1 - torch.cosine_similarity(real, fake, dim=-1)


def _difference(real: Means, fake: Means) -> Tensor:
    return coordinates(fake, "radial") - coordinates(real, "radial")


def high_excess(real: Means, fake: Means, grid: Grid) -> Tensor:
    """Mean signed dB difference of the radial profiles above half of Nyquist."""
    return _band(_difference(real, fake), grid, MID, 0.5)


def nyquist_excess(real: Means, fake: Means, grid: Grid) -> Tensor:
    """Signed dB difference of the last ring."""
    return _difference(real, fake)[:, -1]


def axis_nyquist_excess(real: Means, fake: Means, grid: Grid) -> Tensor:
    """Signed dB difference of the Nyquist column and row, mean of the two."""
    ends = [decibels(fake[a][:, -1]) - decibels(real[a][:, -1]) for a in ("horizontal", "vertical")]
    return torch.add(*ends) / 2


def decay(part: str) -> Callable[[Means, Grid], Tensor]:
    """One number of the decay fit of one set: the exponent, or the first or last amplitude in dB."""

    def value(means: Means, grid: Grid) -> Tensor:
        # The amplitudes are those of the smoothed profile: no search for the exponent.
        steps = {} if part == "exponent" else {"steps": 0}
        fitted: Tensor = getattr(decay_fit(means["decay"], grid.height, grid.width, **steps), part)
        return fitted if part == "exponent" else decibels(fitted).mul(2)  # an amplitude: 20 log10

    return value


def bump(profile: str, divisor: int) -> Callable[[Means, Grid], Tensor]:
    """Prominence of one set's spectrum at N/divisor of a profile."""
    return lambda means, grid: peak_prominence(means[profile], grid.along(profile), divisor, grid.windowed)


def distance(
    summary: str, unit: str, profile: str, apart: Callable[[Tensor, Tensor, Grid], Tensor]
) -> DeviationMetric:
    """The metric of a distance between one profile's ``coordinates`` that cannot be negative."""

    def function(real: Means, fake: Means, grid: Grid) -> Tensor:
        return apart(coordinates(real, profile), coordinates(fake, profile), grid)

    return DeviationMetric(summary, unit, (profile,), function, apart=apart)


def contrast(
    summary: str,
    unit: str,
    needs: str,
    single: Callable[[Means, Grid], Tensor],
    available: Callable[[Grid], bool] = big_enough,
) -> DeviationMetric:
    """The metric "fake minus real" of a number that every set has for itself."""

    def difference(real: Means, fake: Means, grid: Grid) -> Tensor:
        return torch.sub(single(fake, grid), single(real, grid))

    return DeviationMetric(
        summary, unit, (needs,), difference, signed=True, available=available, single=single
    )


def peak(profile: str, divisor: int) -> DeviationMetric:
    """The prominence at N/divisor of a profile as a metric."""
    return contrast(
        f"local peak at N/{divisor} on the {profile} profile, fake minus real",
        "dB",
        profile,
        bump(profile, divisor),
        lambda grid: has_replica(grid.along(profile), divisor, grid.windowed),
    )


DEVIATIONS: dict[str, DeviationMetric] = {
    "mean_db": distance(
        "mean absolute difference of the radial profiles", "dB", "radial", band_distance(0, 0.5)
    ),
    "low_db": distance("the same up to 1/8 cycles per pixel", "dB", "radial", band_distance(0, LOW)),
    "mid_db": distance("the same from 1/8 to 1/4 cycles per pixel", "dB", "radial", band_distance(LOW, MID)),
    "high_db": distance("the same above 1/4 cycles per pixel", "dB", "radial", band_distance(MID, 0.5)),
    "nyquist_db": distance("absolute difference of the ring at Nyquist", "dB", "radial", nyquist_distance),
    "high_excess_db": DeviationMetric(
        "signed difference above 1/4 cycles per pixel", "dB", ("radial",), high_excess, signed=True
    ),
    "nyquist_excess_db": DeviationMetric(
        "signed difference of the ring at Nyquist", "dB", ("radial",), nyquist_excess, signed=True
    ),
    "axis_nyquist_excess_db": DeviationMetric(
        "signed difference of the Nyquist row and column",
        "dB",
        ("horizontal", "vertical"),
        axis_nyquist_excess,
        signed=True,
    ),
    "log_spectral_distance": distance(
        "root mean square difference of the radial profiles", "dB", "radial", log_spectral_distance
    ),
    "minmax_l1": distance("L1 distance of the mean min-max profiles (Jung 2021)", "1", "jung2021", minmax_l1),
    "bce_excess": distance(
        "cross-entropy of the min-max profiles above its floor (Durall 2020)",
        "nat",
        "durall2020",
        bce_excess,
    ),
    "cosine": distance("one minus the cosine of the mean min-max profiles", "1", "jung2021", cosine),
    "decay_exponent": contrast(
        "decay exponent of the amplitude near the corner (Dzanic 2020), fake minus real",
        "1",
        "decay",
        decay("exponent"),
    ),
    "decay_first_db": contrast(
        "amplitude at 0.85 of the corner frequency (Dzanic 2020), fake over real",
        "dB",
        "decay",
        decay("first"),
    ),
    "decay_last_db": contrast(
        "amplitude at the corner frequency (Dzanic 2020), fake over real", "dB", "decay", decay("last")
    ),
    "peak_horizontal_2": peak("horizontal", 2),
    "peak_horizontal_4": peak("horizontal", 4),
    "peak_horizontal_8": peak("horizontal", 8),
    "peak_vertical_2": peak("vertical", 2),
    "peak_vertical_4": peak("vertical", 4),
    "peak_vertical_8": peak("vertical", 8),
    "peak_diagonal_2": peak("diagonal", 2),
    "peak_diagonal_4": peak("diagonal", 4),
    "peak_diagonal_8": peak("diagonal", 8),
}
"""Distances of mean profiles by name."""
