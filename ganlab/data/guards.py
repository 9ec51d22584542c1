"""Is a difference between two sets the generator's, or that of how the files were made?

Size, resampling and codec all leave traces that a detector finds more easily than a generator's: images of
one process were told apart with 98 to 100 % when one side was only cropped, resized, or saved as JPEG of
quality 75 (own control experiments with 1/f images; see docs/data.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ganlab.data.decode import LOSSY
from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError

SAMPLE = 10_000
"""How many images of each set are held against each other for exact copies."""


@dataclass(frozen=True)
class SetWarning:
    """Something that makes a comparison of two sets doubtful."""

    code: Literal["size", "channels", "codec", "quality", "recipe", "same_set", "duplicates"]
    severity: Literal["error", "warning"]
    """error: the comparison has no meaning; warning: it measures something else as well."""
    message: str
    """What was found, with its reason."""
    remedy: str
    """What to do."""

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}"


def compare_sets(real: ImageSet, fake: ImageSet, sample: int | None = SAMPLE) -> list[SetWarning]:
    """Everything about two sets that differs, or agrees, for a reason other than the generator.

    Args:
        real: the one set.
        fake: the other.
        sample: look for exact copies among so many images of each set (evenly spaced); None: all; 0: do not.

    Returns:
        The findings, errors first; empty if the sets can be compared.
    """
    found = [*_size(real, fake), *_channels(real, fake), *_codec(real, fake), *_quality(real, fake)]
    found += _recipe(real, fake)
    if real.shape == fake.shape and sample != 0:
        found += _copies(real, fake, sample)
    return sorted(found, key=lambda one: one.severity != "error")


def require_comparable(real: ImageSet, fake: ImageSet, sample: int | None = SAMPLE) -> list[SetWarning]:
    """Like :func:`compare_sets`, but errors are raised and the warnings returned.

    Raises:
        GanlabError: the sets cannot be compared (all errors in one message).
    """
    found = compare_sets(real, fake, sample)
    errors = [str(one) for one in found if one.severity == "error"]
    if errors:
        raise GanlabError("; ".join(errors))
    return found


def _both(real: ImageSet, fake: ImageSet) -> str:
    return f"{real.name} and {fake.name}"


def _size(real: ImageSet, fake: ImageSet) -> Iterator[SetWarning]:
    """Different sizes: spectra have other frequencies, and a resize would put its own trace in."""
    (h1, w1, _), (h2, w2, _) = real.shape, fake.shape
    if (h1, w1) == (h2, w2):
        return
    yield SetWarning(
        "size", "error",
        f"{real.name} has images of {w1}x{h1}, {fake.name} of {w2}x{h2}: a detector finds the resampling",
        "make both the same way at one size ('ganlab data pack FOLDER OUT --size N' for the originals)",
    )  # fmt: skip


def _channels(real: ImageSet, fake: ImageSet) -> Iterator[SetWarning]:
    if real.shape[2] == fake.shape[2]:
        return
    yield SetWarning(
        "channels", "error",
        f"{real.name} has {real.shape[2]} channels and {fake.name} {fake.shape[2]}: colour tells them apart",
        "convert both to RGB or both to grey",
    )  # fmt: skip


def _codec(real: ImageSet, fake: ImageSet) -> Iterator[SetWarning]:
    """One side was through a lossy codec and the other was not, or through another one."""
    lossy = [one.codecs & LOSSY for one in (real, fake)]
    if lossy[0] == lossy[1]:
        return
    shown = [" and ".join(sorted(one.codecs)) for one in (real, fake)]
    yield SetWarning(
        "codec", "warning",
        f"{real.name} is {shown[0]} and {fake.name} is {shown[1]}: lossy compression leaves its own trace in "
        "the spectrum (JPEG: 8x8 blocks, weak high frequencies) and separates the sets whatever made them",
        "save both sides losslessly by the same path, for example 'ganlab generate --with-real'",
    )  # fmt: skip


def _quality(real: ImageSet, fake: ImageSet) -> Iterator[SetWarning]:
    """Both are JPEG, but of other quantisation."""
    if not real.quantization or not fake.quantization or real.quantization == fake.quantization:
        return
    yield SetWarning(
        "quality", "warning",
        f"{_both(real, fake)} are JPEG of different quality (quantisation tables), which spectra show",
        "save both sides losslessly, or with the same quality from lossless originals",
    )  # fmt: skip


def _recipe(real: ImageSet, fake: ImageSet) -> Iterator[SetWarning]:
    """Both sides are packs that were made by different recipes."""
    if not real.recipe or not fake.recipe:
        return
    names = sorted({*real.recipe, *fake.recipe} - {"seed"})
    differing = [name for name in names if real.recipe.get(name) != fake.recipe.get(name)]
    if differing:
        yield SetWarning(
            "recipe", "warning",
            f"{_both(real, fake)} were prepared differently ({', '.join(differing)}), and spectra show it",
            "pack both with the same ganlab and options",
        )  # fmt: skip


def _copies(real: ImageSet, fake: ImageSet, sample: int | None) -> Iterator[SetWarning]:
    """The same pixels on both sides."""
    first, second = real.pixel_hashes(sample), fake.pixel_hashes(sample)
    common = first.keys() & second.keys()
    if not common:
        return
    place = min(common, key=lambda one: first[one])
    pair = f"{real.paths[first[place]]} = {fake.paths[second[place]]}"
    if len(common) == len(first) == len(second):
        code: Literal["same_set", "duplicates"] = "same_set"
        message = f"{_both(real, fake)} hold the same images"
    else:
        code = "duplicates"
        message = f"{len(common)} images are in both {_both(real, fake)} (the first: {pair})"
    yield SetWarning(
        code, "warning", f"{message}: what is measured between them is too small",
        "compare disjoint sets, for example PATH@train with PATH@val",
    )  # fmt: skip
