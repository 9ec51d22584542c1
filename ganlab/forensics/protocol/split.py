"""Train, validation, test by image identity: fixed by the pixels and a seed, stored, never by position."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganlab.errors import GanlabError
from ganlab.forensics.protocol.near import Hashes
from ganlab.util.atomic import write_json
from ganlab.util.hashing import sha256_json
from ganlab.util.reading import read_json, reading

Indices = npt.NDArray[np.int64]

PARTS = ("train", "val", "test")
DEFAULT_FRACTIONS = (0.6, 0.2, 0.2)


@dataclass(frozen=True)
class Split:
    """Where each image of one set belongs.

    Attributes:
        train: indices into the set, in the order in which smaller training sets are cut from it.
        val: indices for choosing hyper-parameters and for early stopping.
        test: indices that nothing is ever fitted on.
        seed: of the split.
        fingerprint: SHA-256 over the set's identities: a stored split fits no other set.
    """

    train: Indices
    val: Indices
    test: Indices
    seed: int
    fingerprint: str

    def part(self, name: str) -> Indices:
        """One of "train", "val", "test".

        Raises:
            GanlabError: another name.
        """
        if name not in PARTS:
            raise GanlabError(f"a split has the parts {', '.join(PARTS)}; got {name!r}")
        indices: Indices = getattr(self, name)
        return indices


def split_by_identity(
    identities: Hashes, seed: int = 0, fractions: tuple[float, float, float] = DEFAULT_FRACTIONS
) -> Split:
    """Split a set so that equal images always fall into the same part.

    Identities are ordered by a hash of (seed, identity) and cut at the fractions: the result does not depend
    on the order of the files, and the same seed gives the same cut for a set that was renamed or copied.

    Args:
        identities: ``(N,)`` from `exact_hashes`.
        seed: another seed, another split.
        fractions: of train, val, test; they sum to 1. The one of val may be 0.

    Raises:
        GanlabError: fractions that are no partition, or fewer different images than parts.
    """
    check_fractions(fractions)
    identities = np.asarray(identities, np.uint64)
    unique, inverse = np.unique(identities, return_inverse=True)
    parts = sum(fraction > 0 for fraction in fractions)
    if len(unique) < parts:
        raise GanlabError(f"a split needs at least {parts} different images; this set has {len(unique)}")
    # a pseudo-random 64-bit key for every identity
    key = f"split/{seed}".encode()
    digests = [hashlib.blake2b(i.tobytes(), digest_size=8, key=key).digest() for i in unique]
    rank = np.empty(len(unique), np.int64)
    keys = np.frombuffer(b"".join(digests), dtype=np.uint64)
    rank[np.argsort(keys, kind="stable")] = np.arange(len(unique))
    # end of train and end of val; every part of a positive fraction gets at least one identity
    count, validation = len(unique), int(fractions[1] > 0)
    first = min(max(round(fractions[0] * count), 1), count - 1 - validation)
    second = min(max(round((fractions[0] + fractions[1]) * count), first + 1), count - 1)
    ranks = rank[inverse]
    order = np.argsort(ranks, kind="stable")
    part = np.digitize(ranks[order], [first, second if validation else first])
    train, val, test = (order[part == i] for i in range(3))
    return Split(train, val, test, seed, fingerprint(identities))


def check_fractions(fractions: tuple[float, float, float]) -> None:
    """Refuse fractions of train, val, test that are no partition; only val may be empty.

    Raises:
        GanlabError: not three, train or test not positive, val negative, or a sum that is not 1.
    """
    fits = len(fractions) == 3 and min(fractions[0], fractions[2]) > 0 <= fractions[1]
    if not fits or abs(sum(fractions) - 1) > 1e-9:
        raise GanlabError(
            "fractions of train, val, test are positive (val may be 0 where nothing is chosen on it) and "
            f"sum to 1; got {fractions}"
        )


def fingerprint(identities: Hashes) -> str:
    """SHA-256 over the identities in their order."""
    return hashlib.sha256(identities.tobytes()).hexdigest()


def save_splits(path: str | os.PathLike[str], splits: Mapping[str, Split]) -> None:
    """Write the splits of several sets to one JSON file."""
    record = {
        name: {
            "seed": split.seed,
            "fingerprint": split.fingerprint,
            **{part: split.part(part).tolist() for part in PARTS},
        }
        for name, split in splits.items()
    }
    write_json(path, {"sets": record, "sha256": sha256_json(record)})


def load_splits(path: str | os.PathLike[str]) -> dict[str, Split]:
    """Read what `save_splits` wrote.

    Raises:
        GanlabError: not such a file, or changed by hand.
    """
    with reading(path, expected="the splits that 'ganlab detect' wrote"):
        content = read_json(path, dict)
        record = content["sets"]
        intact = content["sha256"] == sha256_json(record)
        splits = {}
        for name, entry in record.items():
            train, val, test = (np.asarray(entry[part], np.int64) for part in PARTS)
            splits[name] = Split(train, val, test, int(entry["seed"]), str(entry["fingerprint"]))
    if not intact:
        raise GanlabError(f"{path} was changed after it was written (its checksum does not fit)")
    return splits
