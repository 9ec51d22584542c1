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
    findings = list(_differences(real, fake))
    if real.shape == fake.shape and sample != 0:
        findings += _copies(real, fake, sample)
    return sorted(findings, key=lambda finding: finding.severity != "error")


def require_comparable(real: ImageSet, fake: ImageSet, sample: int | None = SAMPLE) -> list[SetWarning]:
    """Like :func:`compare_sets`, but errors are raised and the warnings returned.

    Raises:
        GanlabError: the sets cannot be compared (all errors in one message).
    """
    findings = compare_sets(real, fake, sample)
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    if errors:
        raise GanlabError("; ".join(errors))
    return findings


def _differences(real: ImageSet, fake: ImageSet) -> Iterator[SetWarning]:
    """What spectra and detectors see of how the files were made."""
    both = f"{real.name} and {fake.name}"
    (h1, w1, c1), (h2, w2, c2) = real.shape, fake.shape
    if (h1, w1) != (h2, w2):
        # Spectra have other frequencies, and a resize would put its own trace in.
        yield SetWarning(
            "size", "error",
            f"{real.name} has images of {w1}x{h1}, {fake.name} of {w2}x{h2}: a detector finds the resampling",
            "make both the same way at one size ('ganlab data pack FOLDER OUT --size N' for the originals)",
        )  # fmt: skip
    if c1 != c2:
        yield SetWarning(
            "channels", "error",
            f"{real.name} has {c1} channels and {fake.name} {c2}: colour tells them apart",
            "convert both to RGB or both to grey",
        )  # fmt: skip
    if real.codecs & LOSSY != fake.codecs & LOSSY:
        made, faked = (" and ".join(sorted(images.codecs)) for images in (real, fake))
        yield SetWarning(
            "codec", "warning",
            f"{real.name} is {made} and {fake.name} is {faked}: lossy compression leaves its own trace "
            "in the spectrum (JPEG: 8x8 blocks, weak high frequencies) and separates the sets whatever made "
            "them",
            "save both sides losslessly by the same path, for example 'ganlab generate --with-real'",
        )  # fmt: skip
    if real.quantization and fake.quantization and real.quantization != fake.quantization:
        yield SetWarning(
            "quality", "warning",
            f"{both} are JPEG of different quality (quantisation tables), which spectra show",
            "save both sides losslessly, or with the same quality from lossless originals",
        )  # fmt: skip
    if real.recipe and fake.recipe:
        names = sorted({*real.recipe, *fake.recipe} - {"seed"})
        differing = [name for name in names if real.recipe.get(name) != fake.recipe.get(name)]
        if differing:
            yield SetWarning(
                "recipe", "warning",
                f"{both} were prepared differently ({', '.join(differing)}), and spectra show it",
                "pack both with the same ganlab and options",
            )  # fmt: skip


def _copies(real: ImageSet, fake: ImageSet, sample: int | None) -> Iterator[SetWarning]:
    """The same pixels on both sides."""
    first, second = real.pixel_hashes(sample), fake.pixel_hashes(sample)
    common = first.keys() & second.keys()
    if not common:
        return
    earliest = min(common, key=lambda pixels: first[pixels])
    pair = f"{real.paths[first[earliest]]} = {fake.paths[second[earliest]]}"
    both = f"{real.name} and {fake.name}"
    if len(common) == len(first) == len(second):
        code: Literal["same_set", "duplicates"] = "same_set"
        message = f"{both} hold the same images"
    else:
        code = "duplicates"
        message = f"{len(common)} images are in both {both} (the first: {pair})"
    yield SetWarning(
        code, "warning", f"{message}: what is measured between them is too small",
        "compare disjoint sets, for example PATH@train with PATH@val",
    )  # fmt: skip
