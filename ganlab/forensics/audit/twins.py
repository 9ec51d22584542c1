"""Pictures that occur twice: the same pixels, nearly the same, or mirrored; within a set or in both."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ganlab.forensics.audit.report import Finding, finding
from ganlab.forensics.audit.two_samples import separation
from ganlab.forensics.protocol.near import CORRELATION, DISTANCE, exact_hashes, perceptual_hashes, thumbnails
from ganlab.images import UInt8Array

LEAST_NEAR = 2
"""Pairs that only look alike, below which nothing is said: 9,000 photographs of a public set hold five."""
NEAR_SHARE = 0.002
"""And the share of the smaller set's images, likewise."""
ROWS = 512

Floats = npt.NDArray[np.float32]


class Pictures:
    """What is kept of every image of a set to find it again, turned left to right as well."""

    def __init__(self) -> None:
        self.parts: list[tuple[npt.NDArray[np.uint64], ...]] = []
        self.small: list[tuple[Floats, Floats]] = []

    def add(self, images: UInt8Array) -> None:
        """Keep images, uint8 ``(N, H, W, C)``; sizes may differ between calls."""
        mirrored = np.ascontiguousarray(images[:, :, ::-1])
        pair = (images, mirrored)
        self.parts.append((*map(exact_hashes, pair), *map(perceptual_hashes, pair)))
        first, second = (thumbnails(part).astype(np.float32) for part in pair)
        self.small.append((first, second))

    def joined(self) -> tuple[npt.NDArray[np.uint64], ...]:
        """Exact hashes as they are and mirrored, perceptual ones likewise, each ``(N,)``."""
        return tuple(np.concatenate(part) for part in zip(*self.parts, strict=True))

    def thumbnails(self) -> tuple[Floats, Floats]:
        """As they are and mirrored, ``(N, 256)``."""
        first, second = (np.concatenate(part) for part in zip(*self.small, strict=True))
        return first, second


def twin_pairs(first: Pictures, second: Pictures) -> dict[str, npt.NDArray[np.int64]]:
    """Pairs of places ``(K, 2)`` in the two sets: "same" pixels, "mirrored" pixels, "near" (neither of them).

    With one set given twice every pair occurs once.
    """
    own = first is second
    exact, _, seen, _ = first.joined()
    other_exact, other_mirrored, other_seen, other_seen_mirrored = second.joined()
    small = first.thumbnails()[0]
    others, others_mirrored = second.thumbnails()
    pairs: dict[str, list[npt.NDArray[np.int64]]] = {"same": [], "mirrored": [], "near": []}
    for start in range(0, len(exact), ROWS):
        rows = slice(start, start + ROWS)
        same = exact[rows, None] == other_exact[None]
        turned = (exact[rows, None] == other_mirrored[None]) & ~same
        alike = np.zeros_like(same)
        for pictures, hashes in ((others, other_seen), (others_mirrored, other_seen_mirrored)):
            close = small[rows] @ pictures.T >= CORRELATION
            i, j = np.nonzero(close)
            alike[i, j] |= np.bitwise_count(seen[rows][i] ^ hashes[j]) <= DISTANCE
        # images of one value have no picture: thumbnails of zeros, so that only `same` must be kept from them
        blank = np.logical_not(np.any(small[rows] != 0, axis=1))
        for name, marks in (("same", same), ("mirrored", turned), ("near", alike & ~same & ~turned)):
            marks = marks & ~blank[:, None]
            if own:
                marks &= np.arange(marks.shape[1])[None] > start + np.arange(len(marks))[:, None]
            pairs[name].append(np.argwhere(marks) + np.array([start, 0]))
    return {name: np.concatenate(parts) for name, parts in pairs.items()}


def twin_findings(real: Pictures, fake: Pictures, paths: tuple[list[str], list[str]]) -> Iterator[Finding]:
    """Copies between the sets, and copies within one more often than chance and nature make them.

    Args:
        real: the reals' pictures.
        fake: the fakes'.
        paths: of both sets' images, for examples.
    """
    lengths = len(paths[0]), len(paths[1])
    votes = [np.zeros(length) for length in lengths]
    told: list[str] = []
    for names, (i, j) in (("both sets", (0, 1)), ("the reals", (0, 0)), ("the fakes", (1, 1))):
        pairs = twin_pairs((real, fake)[i], (real, fake)[j])
        near = len(pairs["near"])
        kept = {name: found for name, found in pairs.items() if name != "near" or
                near >= max(LEAST_NEAR, NEAR_SHARE * min(lengths))}  # fmt: skip
        counted = {name: found for name, found in kept.items() if len(found)}
        if not counted:
            continue
        for found in counted.values():
            # a detector that remembers: an image with a twin among the fakes is called fake
            votes[i][found[:, 0]] += 1 if j else -1
            votes[j][found[:, 1]] += 1 if i else -1
        words = {"same": "identical", "mirrored": "mirrored", "near": "nearly identical"}
        listed = ", ".join(f"{len(found)} {words[name]}" for name, found in counted.items())
        a, b = next(iter(counted.values()))[0]
        told.append(f"{listed} pairs in {names} (such as {paths[i][a]} and {paths[j][b]})")
    if told:
        measured = separation(votes[0], votes[1], tails=False)
        evidence = "; ".join(told) + ": a detector that remembers pictures is right or wrong for that alone"
        yield finding("duplicates", evidence, measured)
