"""`audit_sets`: all checks over two or more sets, each image read once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ganlab.data.imageset import ImageSet, array_image_set, open_image_set
from ganlab.errors import GanlabError
from ganlab.forensics.audit.files import file_findings
from ganlab.forensics.audit.history import history_findings
from ganlab.forensics.audit.pixels import Signs, joined, signs
from ganlab.forensics.audit.report import KINDS, AuditReport, Finding, finding
from ganlab.forensics.audit.twins import Pictures, twin_findings
from ganlab.forensics.audit.two_samples import named_separation
from ganlab.images import UInt8Array, to_uint8
from ganlab.util.progress import bar

Source = str | os.PathLike[str] | ImageSet | npt.NDArray[np.uint8] | Tensor
"""A path, an opened set, uint8 ``(N, H, W, C)``, or float ``(N, C, H, W)`` in [-1, 1]."""

SAMPLE = 2000
"""Images of each set whose pixels are measured, evenly spaced; headers are read of all."""
COPIES = 10_000
"""Images of each set among which copies are looked for: the time grows with the square."""
SMALLEST = 16
LARGEST = 256
"""Pixels a side: of larger images a part is measured, whose corner lies on JPEG's grid."""
BATCH = 64
PIXELS = 2**20
"""Measured at a time at most: what is measured takes about a hundred bytes a pixel."""
FEWEST = 4
FEW = 30
"""Images below which no test has any power worth the name."""
IMBALANCE = 1.5
CONSTANT_SHARE = 0.01
BAR_FROM = 5000


def audit_sets(
    real: Source, fake: Source | Sequence[Source], limit: int | None = None, copies: bool = True
) -> AuditReport:
    """Is this a fair detection set? Everything beside the generator that tells the two apart.

    Files are read as they are: nothing is resized, turned or converted. Of paths the headers are read too;
    arrays have none, so that the kinds about files stay silent.

    Args:
        real: the real images.
        fake: one set of fakes, or several in a list; each is held against the reals.
        limit: at most so many images of each set, evenly spaced.
        copies: also look for pictures that occur twice, among `COPIES` images of each set; without it only
            the images are read whose pixels are measured.

    Returns:
        The findings; none for two random halves of one set but in 1 % of the cases.

    Raises:
        GanlabError: nothing there, no images, damaged files, fewer than 4 images, arrays of another form.
    """
    others = list(fake) if isinstance(fake, list | tuple) else [fake]
    if not others:
        raise GanlabError("an audit needs at least one set of fakes beside the reals")
    first = _opened(real, "reals", limit)
    sets = [
        _opened(one, f"fakes {k + 1}" if len(others) > 1 else "fakes", limit) for k, one in enumerate(others)
    ]
    for images in (first, *sets):
        if len(images) < FEWEST:
            raise GanlabError(f"{images.name} has {len(images)} images; an audit needs {FEWEST} at least")
    read: dict[tuple[int, ...], tuple[Signs | None, Pictures]] = {}
    findings: list[Finding] = []
    for images in sets:
        cut = (min(first.shape[0], images.shape[0]), min(first.shape[1], images.shape[1]))
        if cut not in read:
            read[cut] = _read(first, cut, first.shape[:2] == images.shape[:2], copies)
        pair = (read[cut], _read(images, cut, first.shape[:2] == images.shape[:2], copies))
        findings += [replace(one, fakes=images.name) for one in _audited(first, images, *pair)]
    return AuditReport(
        tuple(findings), first.name,
        {images.name: len(images) for images in (first, *sets)},
        {images.name: min(len(images), SAMPLE) for images in (first, *sets)},
    )  # fmt: skip


def _opened(source: Any, name: str, limit: int | None) -> ImageSet:
    """An image set of whatever was given."""
    if isinstance(source, str | os.PathLike):
        return open_image_set(source, limit, mixed=True)
    if isinstance(source, Tensor):
        source = to_uint8(source)
    if isinstance(source, np.ndarray):
        if source.ndim != 4 or source.dtype != np.uint8 or source.shape[3] not in (1, 3):
            raise GanlabError(
                f"{name}: {source.dtype} of shape {source.shape}; expected uint8 (N, H, W, 3) or (N, H, "
                f"W, 1), "
                "or a float tensor (N, C, H, W) in [-1, 1]"
            )
        source = array_image_set(source, name)
    if not isinstance(source, ImageSet):
        raise GanlabError(f"{name}: a {type(source).__name__} is no set of images")
    return source if limit is None else source.subset(source.spaced(limit))


def _read(
    images: ImageSet, cut: tuple[int, ...], one_size: bool, copies: bool = True
) -> tuple[Signs | None, Pictures]:
    """Measurements of a sample, and pictures if copies are looked for, in one pass."""
    images = images.subset(images.spaced(COPIES if copies else SAMPLE))
    height, width = (min(side, LARGEST) for side in cut)
    # the middle of large images, its corner at a multiple of 16 so that JPEG's grids stay where they are
    top, left = (
        (side - kept) // 32 * 16 if one_size else 0 for side, kept in zip(cut, (height, width), strict=True)
    )
    sampled = np.zeros(len(images), bool)
    sampled[images.spaced(SAMPLE)] = True
    pictures, measured, parts, waiting = Pictures(), min(height, width) >= SMALLEST, [], []
    batch = max(1, min(BATCH, PIXELS // (height * width)))
    steps: Iterator[UInt8Array] = images.singly()
    if len(images) >= BAR_FROM:
        steps = bar(steps, total=len(images), desc=f"auditing {images.name}", unit="img")
    for number, image in enumerate(steps):
        waiting.append((image, sampled[number]))
        last = number + 1 == len(images)
        if len(waiting) == batch or last:
            if copies:
                _add(waiting, pictures)
            chosen = [one[top : top + height, left : left + width] for one, wanted in waiting if wanted]
            if measured and chosen:
                parts.append(signs(np.stack(chosen)))
            waiting = []
    return (joined(parts) if parts else None), pictures


def _add(waiting: Sequence[tuple[UInt8Array, Any]], pictures: Pictures) -> None:
    """Pictures of a batch: together where the sizes agree, else one by one, in order."""
    if len({image.shape for image, _ in waiting}) == 1:
        pictures.add(np.stack([image for image, _ in waiting]))
    else:
        for image, _ in waiting:
            pictures.add(image[None])


def _audited(
    real: ImageSet,
    fake: ImageSet,
    of_real: tuple[Signs | None, Pictures],
    of_fake: tuple[Signs | None, Pictures],
) -> list[Finding]:
    """All findings about one pair of sets, in the order of `KINDS`."""
    findings = list(file_findings(real, fake))
    if not any(one.kind == "size" for one in findings) and real.shape[:2] != fake.shape[:2]:
        findings.append(_shapes(real, fake))
    first, second = of_real[0], of_fake[0]
    if first is not None and second is not None:
        findings += _constants(first, second)
        first, second = first.where(~first.constant), second.where(~second.constant)
        if min(len(first), len(second)) >= FEWEST:
            jpeg = tuple(
                headers is not None and any(h.codec == "JPEG" for h in headers)
                for headers in (real.headers, fake.headers)
            )
            told = frozenset(one.kind for one in findings)
            findings += history_findings(first, second, told, (jpeg[0], jpeg[1]))
    if of_real[1].parts:
        paths = tuple([images.paths[k] for k in images.spaced(COPIES)] for images in (real, fake))
        findings += twin_findings(of_real[1], of_fake[1], (paths[0], paths[1]))
    findings += _counts(real, fake)
    return sorted(findings, key=lambda one: list(KINDS).index(one.kind))


def _shapes(real: ImageSet, fake: ImageSet) -> Finding:
    names = [f"{images.shape[1]}x{images.shape[0]}" for images in (real, fake)]
    tested = named_separation([names[0]] * len(real), [names[1]] * len(fake))
    return finding("size", f"images are {names[0]} among the reals, {names[1]} among the fakes", tested)


def _constants(real: Signs, fake: Signs) -> Iterator[Finding]:
    """Images of a single value: a failed generation, or files that are missing."""
    flat = [part.constant for part in (real, fake)]
    tested = named_separation(flat[0].tolist(), flat[1].tolist())
    if tested.p < 0.01 / len(KINDS) or max(part.mean() for part in flat) >= CONSTANT_SHARE:
        counts = [int(part.sum()) for part in flat]
        text = f"{counts[0]} of {len(real)} reals and {counts[1]} of {len(fake)} fakes hold a single value"
        yield finding("constant", text, tested, "fakes" if flat[1].mean() > flat[0].mean() else "reals")


def _counts(real: ImageSet, fake: ImageSet) -> Iterator[Finding]:
    """Sets of very different size, or too small to say anything."""
    few, many = sorted((len(real), len(fake)))
    text = f"{len(real)} reals and {len(fake)} fakes"
    if many >= IMBALANCE * few:
        name = "real" if len(real) > len(fake) else "fake"
        share = 100 * many / (few + many)
        yield finding(
            "counts", f"{text}: always saying '{name}' is right in {share:.1f} % of the cases", None
        )
    elif few < FEW:
        yield finding("counts", f"{text}: too few for any of these tests to see more than the obvious", None)
