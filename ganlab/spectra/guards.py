"""What makes two sets incomparable before any spectrum is taken: sizes, ranges, codecs, numbers."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.spectra.summary import summaries
from ganlab.spectra.transforms import POWER_FLOOR, check_images

LOSSY = frozenset({"jpeg", "jpg", "mpo", "jfif", "webp", "avif", "heic", "heif", "jpeg2000", "jp2"})
ENLARGED_DIP = -0.08
"""Nats. Photographs at their own resolution and well reduced ones gave 0.00 to +0.12, sets enlarged by two
-0.10 (Lanczos) to -0.50 (nearest, bilinear, bicubic)."""
ENLARGED_RATIO = 0.025
"""Photographs of several data sets gave 0.04 to 0.08, sets enlarged by 1.5 and 2 with an interpolator 0.0007
to 0.014, photographs blurred with sigma 1 0.0003; nearest keeps a high ratio and shows the dip."""
ENLARGED_MINIMUM = 64
"""Below so many images the dip is not tested: chance would speak."""
FEW_IMAGES = 50
RANGE_SLACK = 1e-3


@dataclass(frozen=True)
class SpectralWarning:
    """One reason to doubt a comparison.

    Attributes:
        code: "codec", "range", "enlarged", "few_images", "few_resamples", "no_profiles".
        message: what was found, why it matters, and what to do.
    """

    code: str
    message: str


def check_sizes(real: tuple[int, ...], fake: tuple[int, ...]) -> None:
    """Refuse sets whose images differ in size or channels.

    Args:
        real: (C, H, W) of the real images.
        fake: (C, H, W) of the others.

    Raises:
        GanlabError: they differ.
    """
    if real[-2:] != fake[-2:]:
        raise GanlabError(
            f"real images are {real[-2]}x{real[-1]} and fake ones {fake[-2]}x{fake[-1]}: size alone "
            "separates their spectra; crop both to one size (resizing changes the spectrum)"
        )
    if real[0] != fake[0]:
        raise GanlabError(
            f"real images have {real[0]} channels and fake ones {fake[0]}: turn both to grey, or both to RGB"
        )


def range_warnings(low: float, high: float, what: str) -> list[SpectralWarning]:
    """Doubts about the value range of a set, from its extremes.

    Raises:
        GanlabError: the values cannot be images in [-1, 1] (0..255, say), or are not finite.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise GanlabError(f"{what} images hold NaN or infinite values")
    if max(-low, high) > 10:
        raise GanlabError(
            f"{what} images run from {low:g} to {high:g}: spectra take [-1, 1]; "
            "ganlab.images.to_float turns uint8 into that"
        )
    if low < -1 - RANGE_SLACK or high > 1 + RANGE_SLACK:
        text = f"{what} images run from {low:g} to {high:g}, beyond [-1, 1]; clamp them as a file would"
        return [SpectralWarning("range", text)]
    if low >= 0 and high > 0:
        text = f"{what} images run from {low:g} to {high:g}; if that is [0, 1], map it to [-1, 1] first"
        return [SpectralWarning("range", text)]
    return []


def codec_warnings(real: Collection[str] | None, fake: Collection[str] | None) -> list[SpectralWarning]:
    """Doubts about the file formats that the images came from.

    A codec leaves a spectrum of its own: PNG and JPEG copies of one and the same process are told apart by
    their profiles (61 % at quality 90, 100 % at quality 75, linear classifier, 128 px).

    Args:
        real: names of formats ("PNG", "JPEG", ".jpg", "npz", ...), any case; None where unknown.
        fake: likewise.
    """
    if real is None or fake is None:
        return []
    kinds = [{name.lower().lstrip(".") in LOSSY for name in names} for names in (real, fake)]
    names = [", ".join(sorted(names)) or "nothing" for names in (real, fake)]
    advice = (
        "a lossy codec has a spectrum of its own; write both sets by one lossless path, from originals that "
        "were never compressed or were reduced several times since"
    )
    if kinds[0] != kinds[1] or len(kinds[0] | kinds[1]) > 1:
        text = f"real files are {names[0]}, fake files {names[1]}: {advice}"
        return [SpectralWarning("codec", text)]
    if kinds[0] == {True}:
        text = f"both sets are lossy ({names[0]}; {names[1]}) and may differ in quality: {advice}"
        return [SpectralWarning("codec", text)]
    return []


@dataclass(frozen=True)
class EnlargementSigns:
    """Two marks that enlarging leaves in the Hann-windowed mean luma power.

    Attributes:
        dip: level at a quarter of the sampling rate over the straight line, in logarithms of power and
            frequency, through the bins at distances 2 and 3 on both sides, nats; mean of the horizontal and
            the vertical profile. Negative is a notch, where enlarging by two folds the spectrum.
        high_ratio: radial power at 0.45 to 0.5 cycles per pixel over that at 0.2 to 0.25.
    """

    dip: float
    high_ratio: float


@torch.no_grad()
def enlargement_signs(images: Tensor) -> EnlargementSigns:
    """Measure whether images look enlarged.

    Args:
        images: float ``(N, 1 or 3, H, W)`` in [-1, 1]; a few hundred suffice.

    Raises:
        GanlabError: wrong type, shape or channel count; no image; under 16 pixels.
    """
    checked = check_images(images)
    if min(checked.shape[-2:]) < 16:
        raise GanlabError("signs of enlarging are looked for in images of at least 16 pixels")
    summary = summaries(checked, "hann")
    dips = [_dip(p.double().mean(0)) for p in (summary.horizontal, summary.vertical)]
    radial = summary.radial.double().mean(0)
    frequencies = torch.arange(len(radial), device=radial.device) / min(checked.shape[-2:])
    top = radial[frequencies >= 0.45].mean()
    middle = radial[(frequencies >= 0.2) & (frequencies <= 0.25)].mean()
    return EnlargementSigns(sum(dips) / 2, float(top / middle.clamp_min(POWER_FLOOR)))


def _dip(profile: Tensor) -> float:
    levels = np.log(np.maximum(profile.cpu().numpy(), POWER_FLOOR))
    centre = (len(levels) - 1) // 2
    beside = np.array([centre - 3, centre - 2, centre + 2, centre + 3])
    slope, height = np.polyfit(np.log(beside), levels[beside], 1)
    return float(levels[centre] - (slope * np.log(centre) + height))


def enlarged_warnings(images: Tensor, what: str) -> list[SpectralWarning]:
    """Doubt about images that look enlarged; silent with fewer than 64 images or under 16 pixels."""
    if len(images) < ENLARGED_MINIMUM or min(images.shape[-2:]) < 16:
        return []
    signs = enlargement_signs(images)
    if signs.dip <= ENLARGED_DIP:
        found = f"dips by {-signs.dip:.2f} nats at a quarter of the sampling rate: they look enlarged by two"
    elif signs.high_ratio <= ENLARGED_RATIO:
        found = f"is {signs.high_ratio:.4f} of that at 0.2 near 0.5 cycles per pixel: enlarged, or blurred"
    else:
        return []
    text = f"the spectrum of the {what} images {found}; use images of at least the target size"
    return [SpectralWarning("enlarged", text)]


def number_warnings(reals: int, fakes: int, resamples: int, level: float) -> list[SpectralWarning]:
    """Doubts about intervals from few images or few resamples.

    Raises:
        GanlabError: fewer than two images in a set, or a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise GanlabError(f"a confidence level lies between 0 and 1; got {level}")
    if resamples and min(reals, fakes) < 2:
        raise GanlabError(f"an interval needs two images of each kind at least; got {reals} and {fakes}")
    found = []
    if resamples and min(reals, fakes) < FEW_IMAGES:
        text = f"{reals} real and {fakes} fake images: below {FEW_IMAGES} a bootstrap interval is too narrow"
        found.append(SpectralWarning("few_images", text))
    if resamples and resamples * (1 - level) / 2 < 5:
        text = f"{resamples} resamples leave under 5 beyond each end of a {level:.0%} interval; take more"
        found.append(SpectralWarning("few_resamples", text))
    return found
