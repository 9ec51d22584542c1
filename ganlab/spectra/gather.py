"""From images, batches of images or an accumulator to the ``ProfileSet`` that comparisons work on."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.images import luma
from ganlab.spectra.accumulator import SpectrumAccumulator
from ganlab.spectra.extra import DECAY, extra_profiles
from ganlab.spectra.profile_set import ProfileSet
from ganlab.spectra.statistics import PROFILES, SpectrumStatistics
from ganlab.spectra.summary import image_chunks, spectra_of

NEEDED = ("jung2021", "durall2020", DECAY)
"""Profiles that deviations use beside those every accumulator has."""


def _chunk_profiles(images: Tensor, window: str | None) -> dict[str, Tensor]:
    profiles = dict(zip(PROFILES, spectra_of(luma(images), window).profiles(), strict=True))
    return profiles | extra_profiles(images, NEEDED, window)


def _from_images(images: Tensor | Iterable[Tensor], window: str | None) -> ProfileSet:
    kept: dict[str, list[Tensor]] = {}
    low, high, shape = float("inf"), float("-inf"), (0, 0, 0)
    for chunk in image_chunks(images):
        ends = torch.aminmax(chunk)
        low, high = min(low, float(ends.min)), max(high, float(ends.max))
        shape = (chunk.shape[1], chunk.shape[2], chunk.shape[3])
        for name, values in _chunk_profiles(chunk, window).items():
            kept.setdefault(name, []).append(values.cpu())
    if not kept:
        raise GanlabError("a set of images without an image has no spectrum")
    profiles = {name: torch.cat(parts) for name, parts in kept.items()}
    return ProfileSet(
        count=len(profiles["radial"]),
        height=shape[1],
        width=shape[2],
        channels=shape[0],
        window=window or "none",
        minimum=low,
        maximum=high,
        means={name: values.double().mean(0, keepdim=True) for name, values in profiles.items()},
        profiles=profiles,
        images=images if isinstance(images, Tensor) else None,
    )


def _means(result: SpectrumStatistics) -> dict[str, Tensor]:
    found = {"radial": result.radial["ganlab"].mean}
    found |= {name: getattr(result, name).mean for name in PROFILES if name != "radial"}
    found |= {name: moments.mean for name, moments in result.radial.items() if name != "ganlab"}
    return {name: torch.from_numpy(mean)[None] for name, mean in found.items()}


def _from_accumulator(accumulator: SpectrumAccumulator) -> ProfileSet:
    result = accumulator.result()
    if accumulator.keep_profiles:
        profiles = accumulator.profiles()
    else:
        profiles = accumulator.sampled_profiles() if accumulator.settings.reservoir else {}
    return ProfileSet(
        count=result.count,
        height=result.height,
        width=result.width,
        channels=None,
        window=result.window,
        minimum=result.minimum,
        maximum=result.maximum,
        means=_means(result),
        profiles={name: values.cpu() for name, values in profiles.items()},
    )


@torch.no_grad()
def profile_set(
    images: Tensor | Iterable[Tensor] | SpectrumAccumulator | ProfileSet, window: str | None = None
) -> ProfileSet:
    """The profiles of a set of images, from whatever form it comes in.

    Give the result to ``spectral_deviation`` instead of the images to compare one real set with many others
    without computing its profiles again.

    Args:
        images: float ``(N, 1 or 3, H, W)`` in [-1, 1]; batches of such; a ``SpectrumAccumulator`` (with
            ``keep_profiles`` or ``reservoir`` for intervals, with ``conventions=("jung2021", "durall2020",
            "decay")`` for every metric); or a ``ProfileSet``, which is returned.
        window: as in ``power_spectrum``; accumulators bring their own.

    Raises:
        GanlabError: no image, wrong type, shape or channel count, unknown window; a window beside an
            accumulator with another one.
    """
    if isinstance(images, ProfileSet | SpectrumAccumulator):
        ready = images if isinstance(images, ProfileSet) else _from_accumulator(images)
        if window is not None and ready.window != window:
            raise GanlabError(f"these spectra were made with window {ready.window!r}, not {window!r}")
        return ready
    return _from_images(images, window)
