"""Several profiles of one batch: the luma, which most of them start from, is taken once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import GanlabError, lookup
from ganlab.images import luma
from ganlab.spectra.conventions import LUMA_FOUR_DIGITS, ProfileConvention
from ganlab.spectra.decay import DECAY_BINS, decay_profile
from ganlab.spectra.rings import FloatArray
from ganlab.spectra.summary import Spectra, image_chunks, spectra_of
from ganlab.spectra.transforms import POWER_FLOOR, WINDOWS, as_convention, dct2, radial_profile

DECAY = "decay"
"""Stands among the names of conventions for Dzanic's amplitudes, ``decay_profile``."""

Weights = tuple[float, float, float]


def _luma_of(name: str) -> Weights | None:
    """Luma weights that a profile starts from; None where it needs the channels."""
    if name == DECAY:
        return LUMA_FOUR_DIGITS
    convention = as_convention(name)
    return None if convention.integer_luma or convention.value_range == "standardised" else convention.luma


def extra_profiles(images: Tensor, names: Iterable[str], window: str | None) -> dict[str, Tensor]:
    """Radial profiles by name of their convention, and "decay" (never windowed): name -> ``(N, K)``.

    Raises:
        GanlabError: as ``radial_profile``.
    """
    greys: dict[Weights, Tensor] = {}
    found = {}
    for name in names:
        weights = _luma_of(name)
        if weights is not None and weights not in greys:
            greys[weights] = luma(images, weights).unsqueeze(1)
        planes = images if weights is None else greys[weights]
        found[name] = decay_profile(planes) if name == DECAY else radial_profile(planes, name, window)
    return found


PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)

_ODD = 0x5851F42D4C957F2D
_MIX = 0x14057B7EF767814F


def empty_reservoir(size: int, length: int) -> Tensor:
    """``(size, 1 + length)`` float64: keys (infinite where no image is) and profiles."""
    reservoir = torch.zeros(size, 1 + length, dtype=torch.float64)
    reservoir[:, 0] = float("inf")
    return reservoir


def _keys(profiles: Tensor) -> Tensor:
    """Uniform on [0, 1): a multiplicative hash of the profile's bits; integers wrap around at 64 bits."""
    bits = profiles.float().contiguous().view(torch.int32).to(torch.int64)
    powers = np.cumprod(np.full(bits.shape[1], _ODD, dtype=np.int64))
    mixed = (bits * torch.from_numpy(powers).to(bits.device)).sum(1)
    mixed = (mixed ^ (mixed >> 29)) * _MIX
    mixed = (mixed ^ (mixed >> 32)) * _ODD
    return ((mixed >> 11) & (2**53 - 1)).double() / 2**53


def _smallest(rows: Tensor, size: int) -> Tensor:
    return rows[rows[:, 0].argsort(stable=True)[:size]]


def add_to_reservoir(reservoir: Tensor, profiles: Tensor, in_place: bool = False) -> Tensor:
    """The sample after ``(N, L)`` more profiles: rows with the largest keys give way to smaller new ones.

    Args:
        reservoir: ``(size, 1 + L)``.
        profiles: of the new images.
        in_place: overwrite ``reservoir`` instead of a copy of it.
    """
    size, keys = len(reservoir), _keys(profiles).to(reservoir.device)
    kept = torch.cat((reservoir[:, 0], keys)).topk(size, largest=False, sorted=False).indices
    stays = torch.zeros(size + len(keys), dtype=torch.bool, device=reservoir.device)
    stays[kept] = True
    leaving, coming = (~stays[:size]).nonzero()[:, 0], stays[size:].nonzero()[:, 0]
    rows = torch.cat((keys[coming, None], profiles[coming.to(profiles.device)].to(reservoir)), 1)
    return (reservoir if in_place else reservoir.clone()).index_copy_(0, leaving, rows)


def merge_reservoirs(first: Tensor, second: Tensor) -> Tensor:
    """The sample of the union of two sets from their samples."""
    return _smallest(torch.cat((first, second)), len(first))


def reduce_reservoirs(stacked: Tensor) -> Tensor:
    """``(processes, size, 1 + L)`` samples of all processes -> the sample of the union."""
    return _smallest(stacked.flatten(0, 1), stacked.shape[1])


def bands(reservoir: Tensor, lengths: Mapping[str, int]) -> tuple[dict[str, FloatArray], int]:
    """Percentiles of every profile over the sample, ``(5, K)`` each, and the number of images in it."""
    rows = reservoir[torch.isfinite(reservoir[:, 0]), 1:].cpu().numpy()
    levels = np.percentile(rows, PERCENTILES, axis=0)
    ends = np.cumsum(list(lengths.values()))[:-1]
    return dict(zip(lengths, np.split(levels, ends, axis=1), strict=True)), len(rows)


PROFILES = ("radial", "horizontal", "vertical", "diagonal")
"""Linear luma profiles that every state holds, in the "ganlab" convention."""

BLOCK = 2**16
"""Numbers turned to float64 at a time."""

State = dict[str, Tensor]


@dataclass(frozen=True)
class Settings:
    """What a state adds up.

    Attributes:
        window: None or "none", "hann", "kaiser"; for the power and every profile, not for the DCT.
        conventions: names of further radial profiles, beside "ganlab" which is always there; "decay" stands
            for Dzanic's amplitudes (``decay_profile``, never windowed).
        dct: whether to add up the DCT of the luma.
        reservoir: number of images whose profiles are kept as a uniform random sample, for percentiles.
    """

    window: str | None = None
    conventions: tuple[str, ...] = ()
    dct: bool = True
    reservoir: int = 0

    def __post_init__(self) -> None:
        if self.window is not None:
            lookup(WINDOWS, self.window, "window")
        for name in self.conventions:
            if name != DECAY:
                as_convention(name)
        if self.reservoir < 0:
            raise GanlabError(f"reservoir is a number of images, 0 or more; got {self.reservoir}")

    @property
    def extra(self) -> tuple[str, ...]:
        """The conventions besides "ganlab", once each."""
        return tuple(dict.fromkeys(name for name in self.conventions if name != "ganlab"))

    @property
    def kept(self) -> tuple[str, ...]:
        """Every profile there is: those of ``PROFILES``, then the extra ones."""
        return (*PROFILES, *self.extra)


@dataclass(frozen=True)
class Moments:
    """Mean, spread and logarithms of one quantity over images.

    Attributes:
        count: number of images.
        mean: arithmetic mean.
        std: standard deviation over images (n - 1); NaN for one image.
        mean_log: mean of the natural logarithm, None where the quantity is no power.
        std_log: standard deviation of the natural logarithm over images, None where it was not added up.
    """

    count: int
    mean: FloatArray
    std: FloatArray
    mean_log: FloatArray | None = None
    std_log: FloatArray | None = None

    @property
    def standard_error(self) -> FloatArray:
        """Of the mean: ``std / sqrt(count)``."""
        error: FloatArray = self.std / np.sqrt(self.count)
        return error

    @property
    def db(self) -> FloatArray:
        """The mean power in dB, ``10 log10(mean)``, no lower than the floor of -120 dB."""
        level: FloatArray = 10 * np.log10(np.maximum(self.mean, POWER_FLOOR))
        return level

    @property
    def mean_db(self) -> FloatArray:
        """Mean over images of the power in dB: the log first, then the mean.

        Raises:
            GanlabError: the quantity is no power.
        """
        if self.mean_log is None:
            raise GanlabError("this quantity is no linear power: it has no decibels")
        level: FloatArray = self.mean_log * (10 / np.log(10))
        return level


@dataclass(frozen=True)
class SpectrumStatistics:
    """Statistics of the spectra of a set of images; powers are linear luma power of images in [-1, 1].

    Attributes:
        count: number of images.
        height: H, pixels.
        width: W, pixels.
        window: name of the window, "none" without.
        power: ``(H, W//2+1)`` un-shifted, as ``power_spectrum``.
        radial: profile by name of the convention; "ganlab" is always there.
        horizontal: ``(W//2+1)`` and
        vertical: ``(H//2+1)`` as ``axis_profiles``.
        diagonal: ``(min(H, W)//2+1)`` power at equal frequencies on both axes.
        dct: signed coefficients ``(H, W)``, or None.
        minimum: smallest luma seen, and
        maximum: the largest.
        bands: percentiles 5, 25, 50, 75, 95 of each profile over a random sample of the images, or None;
            "radial", "horizontal", "vertical", "diagonal" and the extra conventions, ``(5, K)`` each.
        band_count: number of images in that sample.
    """

    count: int
    height: int
    width: int
    window: str
    power: Moments
    radial: dict[str, Moments]
    horizontal: Moments
    vertical: Moments
    diagonal: Moments
    dct: Moments | None
    minimum: float
    maximum: float
    bands: dict[str, FloatArray] | None = field(default=None)
    band_count: int = 0

    def frequencies(self, profile: str) -> FloatArray:
        """Frequencies of a profile in cycles per pixel.

        Args:
            profile: "horizontal", "vertical", "diagonal" (frequency along each axis) or the name of a
                convention ("radial" stands for "ganlab").

        Raises:
            GanlabError: unknown name.
        """
        steps = {"horizontal": self.width, "vertical": self.height, "diagonal": min(self.height, self.width)}
        if profile in steps:
            return np.arange(steps[profile] // 2 + 1) / steps[profile]
        convention = as_convention("ganlab" if profile == "radial" else profile)
        return np.array(convention.frequencies(self.height, self.width))


def _lengths(height: int, width: int, settings: Settings) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "power": (height, width // 2 + 1),
        "radial": (min(height, width) // 2 + 1,),
        "horizontal": (width // 2 + 1,),
        "vertical": (height // 2 + 1,),
        "diagonal": (min(height, width) // 2 + 1,),
    }
    if settings.dct:
        shapes["dct"] = (height, width)
    for name in settings.extra:
        shapes[name] = (DECAY_BINS if name == DECAY else as_convention(name).length(height, width),)
    return shapes


def is_power(convention: ProfileConvention) -> bool:
    """Whether a convention gives linear power, whose logarithm means something."""
    return convention.measure in ("power", "raw_power")


def _sums_of(name: str) -> tuple[str, ...]:
    if name == "power":
        return ("sum", "square", "log")
    if name in PROFILES or (name not in ("dct", DECAY) and is_power(as_convention(name))):
        return ("sum", "square", "log", "log_square")
    return ("sum", "square")


def empty_state(height: int, width: int, settings: Settings, device: torch.device | str = "cpu") -> State:
    """The state of no image of ``height`` x ``width``, float64 on ``device``.

    Raises:
        GanlabError: the images are too small for a convention asked for.
    """
    shapes = _lengths(height, width, settings)
    state = {"count": torch.zeros((), dtype=torch.float64)}
    for name, shape in shapes.items():
        for kind in _sums_of(name):
            state[f"{name}.{kind}"] = torch.zeros(shape, dtype=torch.float64)
    state["minimum"] = torch.tensor(float("inf"), dtype=torch.float64)
    state["maximum"] = torch.tensor(float("-inf"), dtype=torch.float64)
    if settings.reservoir:
        state["reservoir"] = empty_reservoir(
            settings.reservoir, sum(shapes[name][0] for name in settings.kept)
        )
    return {name: value.to(device) for name, value in state.items()}


def _blocks(values: Tensor) -> Iterator[Tensor]:
    """A few images at a time in float64, so that the wider copies stay in the cache; eight or a multiple."""
    cells = values.shape[1] * values.shape[2]
    for block in torch.split(values, max(8, BLOCK // cells // 8 * 8)):
        yield block.to(torch.float64, copy=True)


def _sum_of_logs(exact: Tensor, floor: float) -> Tensor:
    """Sum over images of ``ln``: the log of products of eight, which takes an eighth of the logs.

    float64 holds a product of eight float32 numbers, or of eight powers at the floor, without overflow.
    """
    floored = exact.clamp_min(floor)
    whole = len(floored) // 8 * 8
    products = floored[:whole].reshape(-1, 8, *exact.shape[1:]).prod(1)
    return torch.cat((products, floored[whole:])).log_().sum(0)


def _power_sums(spectra: Spectra) -> State:
    total = torch.zeros_like(spectra.squares[0], dtype=torch.float64)
    square, logs = total.clone(), total.clone()
    for exact in _blocks(spectra.squares):
        total += exact.sum(0)
        logs += _sum_of_logs(exact, POWER_FLOOR * spectra.area)
        square += exact.square_().sum(0)
    return {
        "power.sum": total / spectra.area,
        "power.square": square / spectra.area**2,
        "power.log": logs - len(spectra.squares) * math.log(spectra.area),
    }


def _dct_sums(grey: Tensor) -> State:
    values = dct2(grey.unsqueeze(1))[:, 0]
    total = torch.zeros_like(values[0], dtype=torch.float64)
    square = total.clone()
    for exact in _blocks(values):
        total += exact.sum(0)
        square += exact.square_().sum(0)
    return {"dct.sum": total, "dct.square": square}


def _moment_sums(name: str, values: Tensor) -> State:
    exact = values.double()
    sums = {f"{name}.sum": exact.sum(0), f"{name}.square": exact.square().sum(0)}
    if "log" in _sums_of(name):
        logs = exact.clamp_min(POWER_FLOOR).log()
        sums |= {f"{name}.log": logs.sum(0), f"{name}.log_square": logs.square().sum(0)}
    return sums


def _chunk_state(images: Tensor, settings: Settings) -> tuple[State, dict[str, Tensor]]:
    grey = luma(images)
    spectra: Spectra = spectra_of(grey, settings.window)
    profiles = dict(zip(PROFILES, spectra.profiles(), strict=True))
    profiles |= extra_profiles(images, settings.extra, settings.window)
    state = {"count": torch.tensor(float(len(images)), dtype=torch.float64, device=images.device)}
    state |= _power_sums(spectra)
    for name, values in profiles.items():
        state |= _moment_sums(name, values)
    if settings.dct:
        state |= _dct_sums(grey)
    low, high = torch.aminmax(grey)
    state |= {"minimum": low.double(), "maximum": high.double()}
    return state, profiles


def merge_states(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> State:
    """The state of both sets of images together.

    Raises:
        GanlabError: the states are of different image sizes or settings.
    """
    sizes = [{name: tuple(value.shape) for name, value in state.items()} for state in (first, second)]
    if sizes[0] != sizes[1]:
        raise GanlabError(
            "spectra of different image sizes or settings cannot be merged: "
            f"{sizes[0].get('power.sum')} and {sizes[1].get('power.sum')}"
        )
    return {name: _MERGE.get(name, torch.add)(value, second[name]) for name, value in first.items()}


_MERGE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "minimum": torch.minimum,
    "maximum": torch.maximum,
    "reservoir": merge_reservoirs,
}


@torch.no_grad()
def update_state(
    state: Mapping[str, Tensor], images: Tensor, settings: Settings, in_place: bool = False
) -> tuple[State, dict[str, Tensor]]:
    """The state with these images added, and the profiles of each of them.

    Args:
        state: of images of the same size.
        images: float ``(N, 1 or 3, H, W)`` in [-1, 1].
        settings: those the state was made with.
        in_place: let the new state take over the old one's reservoir, which saves copying it.

    Returns:
        The new state and name -> ``(N, K)`` profiles in the images' precision.

    Raises:
        GanlabError: wrong type, shape, channel count or size.
    """
    total, kept = dict(state), []
    for chunk in image_chunks(images):
        added, profiles = _chunk_state(chunk, settings)
        for name, value in added.items():
            total[name] = _MERGE.get(name, torch.add)(total[name], value.to(total[name].device))
        kept.append(profiles)
    names = kept[0] if kept else {}
    everything = {name: torch.cat([profiles[name] for profiles in kept]) for name in names}
    if settings.reservoir and kept:
        rows = torch.cat([everything[name] for name in settings.kept], 1)
        total["reservoir"] = add_to_reservoir(total["reservoir"], rows, in_place)
    return total, everything


def _moments(state: Mapping[str, Tensor], name: str) -> Moments:
    count = state["count"]
    sums = {kind: state[f"{name}.{kind}"] / count for kind in _sums_of(name)}

    def spread(mean: Tensor, square: Tensor) -> FloatArray:
        variance = (square - mean.square()).clamp_min(0) * (count / (count - 1))
        deviation: FloatArray = variance.sqrt().cpu().numpy()
        return deviation

    logs: dict[str, Any] = {}
    if "log" in sums:
        logs["mean_log"] = sums["log"].cpu().numpy()
    if "log_square" in sums:
        logs["std_log"] = spread(sums["log"], sums["log_square"])
    mean = sums["sum"]
    return Moments(int(count), mean.cpu().numpy(), spread(mean, sums["square"]), **logs)


def summarise(state: Mapping[str, Tensor], height: int, width: int, settings: Settings) -> SpectrumStatistics:
    """Means, deviations and standard errors from a state.

    Raises:
        GanlabError: no image was added.
    """
    if not int(state["count"]):
        raise GanlabError("no image was added: there are no statistics")
    moments = {name: _moments(state, name) for name in _lengths(height, width, settings)}
    percentiles, band_count = None, 0
    if settings.reservoir:
        lengths = {name: len(moments[name].mean) for name in settings.kept}
        percentiles, band_count = bands(state["reservoir"], lengths)
    return SpectrumStatistics(
        count=int(state["count"]),
        height=height,
        width=width,
        window=settings.window or "none",
        power=moments["power"],
        radial={"ganlab": moments["radial"], **{name: moments[name] for name in settings.extra}},
        horizontal=moments["horizontal"],
        vertical=moments["vertical"],
        diagonal=moments["diagonal"],
        dct=moments.get("dct"),
        minimum=float(state["minimum"]),
        maximum=float(state["maximum"]),
        bands=percentiles,
        band_count=band_count,
    )
