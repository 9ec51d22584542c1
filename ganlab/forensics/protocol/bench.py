"""Sets guarded, split and held ready with their features: training and test data of any question."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError, lookup
from ganlab.forensics.features.extract import Matrix, extract
from ganlab.forensics.perturbations.base import Perturbation
from ganlab.forensics.protocol.guards import Finding, check_leakage, check_sets
from ganlab.forensics.protocol.near import Hashes
from ganlab.forensics.protocol.split import DEFAULT_FRACTIONS, Split, split_by_identity
from ganlab.forensics.protocol.systems import System
from ganlab.util.hashing import sha256_json

Labels = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int64]

NULL = "real (null)"
"""The control: reals of even place in the split's random order against those of odd place."""


@dataclass(frozen=True)
class Bench:
    """A real set and fake sets, guarded and split, for one seed.

    Attributes:
        real: the real images.
        fakes: fake sets by name.
        splits: of every set by name.
        findings: what the guards found and were allowed to pass.
        cache: folder for features, or None.
    """

    real: ImageSet
    fakes: Mapping[str, ImageSet]
    splits: Mapping[str, Split]
    findings: tuple[Finding, ...]
    cache: Path | None = None
    _memory: dict[str, Matrix] = field(default_factory=dict, compare=False, repr=False)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the fake sets, in their order."""
        return tuple(self.fakes)

    def images(self, name: str) -> ImageSet:
        """One of the sets.

        Raises:
            GanlabError: an unknown name.
        """
        return lookup({self.real.name: self.real, **self.fakes}, name, "image set")

    def features(self, system: System, name: str) -> Matrix:
        """The system's feature of all images of a set; computed once (kept in memory without a cache)."""
        feature = system.make_feature()
        key = sha256_json([name, feature.spec()])
        if key not in self._memory:
            self._memory[key] = extract(feature, self.images(name), self.cache)
        return self._memory[key]

    def forget(self) -> None:
        """Let go of the features; a cache on disk keeps them."""
        self._memory.clear()

    def training(
        self, system: System, sources: Sequence[str], limit: int | None = None, part: str = "train"
    ) -> tuple[Matrix, Labels]:
        """Equally many reals and fakes of a part; the fakes in equal shares from every source.

        Args:
            system: whose feature.
            sources: names of fake sets, or `NULL` alone.
            limit: at most so many images in all; smaller choices lie within larger ones.
            part: "train" or "val".

        Returns:
            Features ``(N, ...)`` and labels: 0 real, 1 fake.

        Raises:
            GanlabError: no source, or too few images for one of each.
        """
        real, fakes = self._indices(sources, part)
        shares = max(len(fakes), 1)
        each = min([len(real) // shares, *(len(indices) for indices in fakes.values())])
        each = each if limit is None else min(each, limit // (2 * shares))
        if not fakes or each < 1:
            raise GanlabError(f"too few images to train on {', '.join(sources) or 'nothing'}")
        picked = [self.features(system, self._set(name))[chosen[:each]] for name, chosen in fakes.items()]
        reals = self.features(system, self.real.name)[real[: each * shares]]
        return _stacked(reals, np.concatenate(picked))

    def testing(self, system: System, source: str, part: str = "test") -> tuple[Matrix, Labels]:
        """All reals and all fakes of one source in a part."""
        real, fakes = self._indices([source], part)
        made = self.features(system, self._set(source))[fakes[source]]
        return _stacked(self.features(system, self.real.name)[real], made)

    def perturbed(
        self, system: System, source: str, perturbation: Perturbation, seed: int = 0
    ) -> tuple[Matrix, Labels]:
        """The test images of one source and of the reals, perturbed."""
        real, fakes = self._indices([source], "test")
        made = self._perturbed(system, self._set(source), fakes[source], perturbation, seed)
        return _stacked(self._perturbed(system, self.real.name, real, perturbation, seed), made)

    def perturbed_set(self, system: System, name: str, perturbation: Perturbation, seed: int = 0) -> Matrix:
        """The test images of one set, perturbed as in `perturbed`."""
        return self._perturbed(system, name, self.splits[name].test, perturbation, seed)

    def _perturbed(
        self, system: System, name: str, indices: Indices, perturbation: Perturbation, seed: int
    ) -> Matrix:
        subset = self.images(name).subset(indices)
        return extract(system.make_feature(), subset, self.cache, perturbation, seed)

    def counts(self, source: str, part: str) -> tuple[int, int]:
        """How many reals and how many fakes a part holds for one source (or `NULL`)."""
        real, fakes = self._indices([source], part)
        return len(real), len(fakes[source])

    def test_paths(self, source: str) -> list[str]:
        """Identity of the images of `testing`, in its order."""
        real, fakes = self._indices([source], "test")
        reals, made = self.real.paths, self.images(self._set(source)).paths
        return [*(reals[i] for i in real), *(made[i] for i in fakes[source])]

    def _set(self, source: str) -> str:
        return self.real.name if source == NULL else source

    def _indices(self, sources: Sequence[str], part: str) -> tuple[Indices, dict[str, Indices]]:
        """Indices of the reals, and of each source's fakes, in the split's order."""
        real = self.splits[self.real.name].part(part)
        if NULL in sources:
            if len(sources) > 1:
                raise GanlabError("the null control is a source of its own")
            return real[::2], {NULL: real[1::2]}
        for name in sources:
            lookup(self.fakes, name, "fake set")
        return real, {name: self.splits[name].part(part) for name in sources}


def _stacked(reals: Matrix, fakes: Matrix) -> tuple[Matrix, Labels]:
    labels = np.repeat(np.array([0, 1], np.int64), [len(reals), len(fakes)])
    return np.concatenate([reals, fakes]), labels


@dataclass(frozen=True)
class Checked:
    """Sets that the guards have seen, with the identity of every image (near-duplicates share one)."""

    real: ImageSet
    fakes: tuple[ImageSet, ...]
    hashes: Mapping[str, Hashes]
    findings: tuple[Finding, ...]


def check(
    real: ImageSet, fakes: Sequence[ImageSet], allow: Collection[str] = (), unseen: Sequence[ImageSet] = ()
) -> Checked:
    """Run the guards once for all seeds.

    Raises:
        GanlabError: no fake set, or a comparison that is not fair (see `check_sets`).
    """
    if not fakes:
        raise GanlabError("detection needs at least one fake set")
    findings, hashes = check_sets(real, fakes, allow, unseen)
    return Checked(real, tuple(fakes), hashes, tuple(findings))


def make_bench(
    checked: Checked,
    seed: int = 0,
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
    allow: Collection[str] = (),
    cache: Path | None = None,
) -> Bench:
    """Split every set by image identity.

    Raises:
        GanlabError: too few images, or one image in two parts ("leakage").
    """
    splits = {name: split_by_identity(hashes, seed, fractions) for name, hashes in checked.hashes.items()}
    leaks = check_leakage(splits, checked.hashes, allow)
    fakes = {fake.name: fake for fake in checked.fakes}
    return Bench(checked.real, fakes, splits, (*checked.findings, *leaks), cache)
