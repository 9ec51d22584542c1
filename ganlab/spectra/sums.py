"""Sums over images from which spectra's statistics follow: begin, add a batch, merge, summarise.

A state is a plain dict of tensors. Adding and merging are pure functions, so that ``SpectrumAccumulator`` is
a thin class over them and any split of the images into batches and processes gives the same sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import GanlabError, lookup
from ganlab.images import luma
from ganlab.spectra.conventions import ProfileConvention
from ganlab.spectra.decay import DECAY_BINS
from ganlab.spectra.rings import FloatArray
from ganlab.spectra.statistics import PROFILES, Moments, SpectrumStatistics
from ganlab.spectra.summary import DECAY, extra_profiles, image_chunks, spectra_of
from ganlab.spectra.transforms import POWER_FLOOR, WINDOWS, as_convention, dct2

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
    dct: bool = False
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


def _sum_of_logs(exact: Tensor, smallest: Tensor) -> Tensor:
    """Sum over images of ``ln``: the log of products of eight, which takes an eighth of the logs.

    float64 holds a product of eight float32 numbers, or of eight powers at the floor, without overflow.

    Args:
        exact: power ``(N, L)``.
        smallest: power of any image, which tells whether the floor matters at all.
    """
    floored = exact if bool(smallest >= POWER_FLOOR) else exact.clamp_min(POWER_FLOOR)
    whole = len(floored) // 8 * 8
    products = floored[:whole].view(-1, 8, exact.shape[1]).prod(1)
    return torch.cat((products, floored[whole:])).log_().sum(0)


def _first_two(exact: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over images of ``(N, L)`` float64 and of its squares, by BLAS; the numbers are overwritten."""
    ones = exact.new_ones(len(exact))
    return ones @ exact, ones @ exact.square_()


def _power_sums(power: Tensor) -> State:
    flat = power.flatten(1)
    smallest = flat.amin()
    exact = flat.to(torch.float64, copy=True)
    logs = _sum_of_logs(exact, smallest)
    sums = dict(zip(("sum", "square", "log"), (*_first_two(exact), logs), strict=True))
    return {f"power.{kind}": value.view(power.shape[1:]) for kind, value in sums.items()}


def _dct_sums(grey: Tensor) -> State:
    values = dct2(grey.unsqueeze(1))[:, 0]
    total, square = _first_two(values.flatten(1).to(torch.float64, copy=True))
    return {"dct.sum": total.view(values.shape[1:]), "dct.square": square.view(values.shape[1:])}


def _moment_sums(profiles: Mapping[str, Tensor], with_logs: bool) -> State:
    """Sums of some profiles and of their squares, and of logarithms where asked for: all side by side."""
    if not profiles:
        return {}
    exact = torch.cat(tuple(profiles.values()), 1).to(torch.float64, copy=True)
    logs = exact.clamp_min(POWER_FLOOR).log_() if with_logs else None
    sums = {"sum": exact.sum(0), "square": exact.square_().sum(0)}
    if logs is not None:
        sums |= {"log": logs.sum(0), "log_square": logs.square_().sum(0)}
    lengths = [values.shape[1] for values in profiles.values()]
    return {
        f"{name}.{kind}": part
        for kind, whole in sums.items()
        for name, part in zip(profiles, torch.split(whole, lengths), strict=True)
    }


def _chunk_state(images: Tensor, settings: Settings) -> tuple[State, dict[str, Tensor]]:
    grey = luma(images)
    power, luma_profiles = spectra_of(grey, settings.window)
    profiles = dict(zip(PROFILES, luma_profiles, strict=True))
    profiles |= extra_profiles(images, settings.extra, settings.window)
    state = {"count": torch.tensor(float(len(images)), dtype=torch.float64, device=images.device)}
    state |= _power_sums(power)
    powers = {name: values for name, values in profiles.items() if "log" in _sums_of(name)}
    others = {name: values for name, values in profiles.items() if name not in powers}
    state |= _moment_sums(powers, True) | _moment_sums(others, False)
    if settings.dct:
        state |= _dct_sums(grey)
    # Two reductions: aminmax takes twice as long as both.
    state |= {"minimum": grey.amin().double(), "maximum": grey.amax().double()}
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
        added = {name: value.to(total[name].device) for name, value in added.items()}
        # Most states are plain sums: one call adds them all, where many calls took longer than a small batch.
        plain = [name for name in added if name not in _MERGE]
        sums = torch._foreach_add([total[name] for name in plain], [added[name] for name in plain])
        total |= dict(zip(plain, sums, strict=True))
        total |= {name: _MERGE[name](total[name], added[name]) for name in added if name in _MERGE}
        kept.append(profiles)
    names = kept[0] if kept else {}
    everything = {
        name: torch.cat([profiles[name] for profiles in kept]) if len(kept) > 1 else kept[0][name]
        for name in names
    }
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
        GanlabError: no image was added, or one with NaN or infinite values.
    """
    if not int(state["count"]):
        raise GanlabError("no image was added: there are no statistics")
    if not (torch.isfinite(state["minimum"]) and torch.isfinite(state["maximum"])):
        raise GanlabError("images that were added hold NaN or infinite values: their mean says nothing")
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
        moments=moments,
        minimum=float(state["minimum"]),
        maximum=float(state["maximum"]),
        bands=percentiles,
        band_count=band_count,
    )
