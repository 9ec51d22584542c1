"""What makes a detector look good for the wrong reason: size, codec, resampling, duplicates.

Every guard refuses by default and can be switched off by its name. The reasons are measured: one process cut
to two sizes is separated perfectly by a profile classifier, and so are PNG and JPEG of one process.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ganlab.data.decode import LOSSY
from ganlab.data.guards import compare_sets
from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError, lookup
from ganlab.forensics.audit.audit import audit_sets
from ganlab.forensics.audit.history import jpeg_grid
from ganlab.forensics.audit.pixels import signs
from ganlab.forensics.audit.report import KINDS
from ganlab.forensics.protocol.near import Hashes, Looks, identities, look, shared
from ganlab.forensics.protocol.split import PARTS, Split
from ganlab.images import UInt8Array, to_float
from ganlab.spectra import radial_profile

GUARDS = (
    *KINDS, "channels", "recipe", "jpeg_grid", "near_duplicates", "leakage", "count",
)  # fmt: skip
MEANT = {"jpeg_grid": ("jpeg_history", "grid"), "resampling": ("resampling", "enlarged")}
"""Names that allow several guards."""
FILES = ("codec", "quality", "subsampling", "palette")
"""Kinds of an audit's findings that are refused where the files' headers tell them (codecs if one is
lossy)."""
PAST = ("jpeg_history", "grid")
"""Kinds that are refused of the reals. In fakes the same signs may be the subject, and what a comparison
alone shows (spectra, colours, depth: digits have few of them) changes with the fakes: all other findings
are notes."""
OWN = ("size", "duplicates", "constant", "counts")
"""Kinds that guards of their own look for."""
SAMPLE = 512
"""Images that the measured guards look at."""
ENLARGED_LIMIT = 0.025
"""Power at 0.45 to 0.5 cycles per pixel over that at 0.2 to 0.25. Photographs: 0.04 to 0.1; enlarged
1.5 times (bicubic): 0.014, twice: 0.001."""
CONSTANT_SHARE = 0.01
"""From so large a part of a set on, images of a single value are no accident."""
MINIMUM = 10
MEASURED_MINIMUM = 64
"""Below so many images the measured guards say nothing: chance would speak."""


@dataclass(frozen=True)
class Finding:
    """One reason not to trust a comparison.

    Attributes:
        guard: its name in `GUARDS`, which switches it off.
        message: what was found, where, and what would be right.
        note: told, and never refused.
    """

    guard: str
    message: str
    note: bool = False


def check_sets(
    real: ImageSet, fakes: Sequence[ImageSet], allow: Collection[str] = (), unseen: Sequence[ImageSet] = ()
) -> tuple[list[Finding], dict[str, Hashes]]:
    """Hold a real set against fake sets before anything is measured.

    Args:
        real: the real images.
        fakes: one or more fake sets.
        allow: names of `GUARDS` whose findings are returned instead of raised.
        unseen: further reals that are only tested on; none of their images may occur elsewhere.

    Returns:
        The findings that were allowed, and the identity of every image of real and fake sets by the set's
        name: the hash of its pixels, or the least hash of its near-duplicates (the hash of its pixels for all
        where "near_duplicates" is allowed).

    Raises:
        GanlabError: an unknown guard in ``allow``, two sets of one name, or any finding not allowed.
    """
    for name in allow:
        lookup(dict.fromkeys(GUARDS), name, "guard")
    sets = [real, *fakes]
    every = [*sets, *unseen]
    if len({images.name for images in every}) < len(every):
        names = ", ".join(images.name for images in every)
        raise GanlabError(f"sets need different names; got {names}")
    looks = {images.name: look(images) for images in every}
    same = dict(zip(looks, identities(list(looks.values())), strict=True))
    few = min(len(images) for images in sets) < MINIMUM  # too few for the tests of an audit
    findings = [
        Finding(f.code, str(f))
        for fake in fakes
        for f in compare_sets(real, fake, sample=0)
        if few or f.code in ("size", "channels", "recipe")
    ]
    findings += [] if few else _audited(real, fakes)
    for images in sets:
        different = len(np.unique(same[images.name]))
        if different < MINIMUM:
            message = f"{images.name} has {different} different images; at least {MINIMUM} are needed"
            findings.append(Finding("count", message))
    for name, seen in looks.items():
        # failed generation or missing files, and any detector finds them
        count, total = int(seen.constant.sum()), len(seen.constant)
        if count and count >= CONSTANT_SHARE * total:
            findings.append(Finding("constant", f"{name}: {count} of {total} images hold a single value"))
    told = {one.guard for one in findings if not one.note}
    findings += [one for one in _alone(real) if one.guard not in told]
    findings += _twins(every, looks, same)
    apart = "near_duplicates" in allow
    kept = {images.name: (looks[images.name].exact if apart else same[images.name]) for images in sets}
    return enforce(findings, allow), kept


def enforce(findings: Sequence[Finding], allow: Collection[str]) -> list[Finding]:
    """The findings, when all of them are allowed or mere notes.

    Raises:
        GanlabError: naming every finding that is not, and how to allow it.
    """
    allowed = {guard for name in allow for guard in MEANT.get(name, (name,))}
    refused = [finding for finding in findings if finding.guard not in allowed and not finding.note]
    if refused:
        lines = "\n".join(f"  {finding.guard}: {finding.message}" for finding in refused)
        names = ", ".join(sorted({finding.guard for finding in refused}))
        raise GanlabError(f"the comparison is not fair:\n{lines}\nallow it by name ({names}) to go on anyway")
    return list(findings)


def _audited(real: ImageSet, fakes: Sequence[ImageSet]) -> Iterator[Finding]:
    """What an audit finds that is no guard's own subject."""
    lossy = any(images.codecs & LOSSY for images in (real, *fakes))
    for one in audit_sets(real, fakes, copies=False).findings:
        if one.kind not in OWN:
            of_files = one.kind in FILES and one.side == "both" and (lossy or one.kind != "codec")
            refused = of_files or (one.kind in PAST and one.side in ("reals", "both"))
            yield Finding(
                one.kind,
                f"{real.name} and {one.fakes}: {one.evidence} (a detector that sees only this: ROC-AUC "
                f"{one.auc:.2f})",
                note=not refused,
            )


def _alone(real: ImageSet) -> Iterator[Finding]:
    """What the reals' pixels say without any fakes beside them, which may have learned the same."""
    sample = next(iter(real.batches(SAMPLE)))
    if len(sample) < MEASURED_MINIMUM or min(sample.shape[1:3]) < 16:
        return
    place = None if real.codecs & LOSSY else jpeg_grid(signs(sample))
    if place is not None:
        yield Finding(
            "jpeg_history",
            f"{real.name}: coefficients of 8 x 8 blocks vanish on a grid that begins at row {place[0]}, "
            f"column "
            f"{place[1]}; the images were JPEG files once",
        )
    power = high_frequency_ratio(sample)
    if power < ENLARGED_LIMIT:
        yield Finding(
            "enlarged",
            f"{real.name}: almost no power near the highest frequency (ratio {power:.1e}); "
            "the images look enlarged",
        )


def high_frequency_ratio(images: UInt8Array) -> float:
    """Mean luma power at 0.45 to 0.5 cycles per pixel over that at 0.2 to 0.25, uint8 ``(N, H, W, C)``.

    A Hann window keeps the image's borders out of it.
    """
    profile = radial_profile(to_float(images), window="hann").double().mean(0).numpy()
    frequency = np.arange(len(profile)) / min(images.shape[1:3])
    high = profile[frequency >= 0.45].mean()
    middle = profile[(frequency >= 0.2) & (frequency <= 0.25)].mean()
    return float(high / middle) if middle > 0 else 1.0


def _twins(
    sets: Sequence[ImageSet], looks: Mapping[str, Looks], same: Mapping[str, Hashes]
) -> Iterator[Finding]:
    """Images in two sets: the same pixels, or the same picture."""
    for i, left in enumerate(sets):
        for right in sets[i + 1 :]:
            common = len(shared(looks[left.name].exact, looks[right.name].exact))
            if common:
                yield Finding("duplicates", f"{left.name} and {right.name} share {common} identical images")
            near = shared(same[left.name], same[right.name])
            if len(near) > common:
                first, second = (
                    images.paths[int(np.argmax(same[images.name] == near[0]))] for images in (left, right)
                )
                yield Finding(
                    "near_duplicates",
                    f"{left.name} and {right.name} share {len(near)} pictures that are the same or differ by "
                    f"little more than a codec (such as {first} and {second})",
                )


def check_leakage(
    splits: Mapping[str, Split], hashes: Mapping[str, Hashes], allow: Collection[str] = ()
) -> list[Finding]:
    """Refuse a split in which one image lies in two parts, within a set or between sets.

    Raises:
        GanlabError: an identity is in more than one of train, val and test, unless "leakage" is allowed.
    """
    members = {
        part: np.unique(np.concatenate([hashes[name][split.part(part)] for name, split in splits.items()]))
        for part in PARTS
    }
    findings = []
    for i, first in enumerate(PARTS):
        for second in PARTS[i + 1 :]:
            common = len(shared(members[first], members[second]))
            if common:
                findings.append(Finding("leakage", f"{common} images lie in {first} and in {second}"))
    return enforce(findings, allow)
