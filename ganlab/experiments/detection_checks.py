"""What is wrong is said before anything is written: repeated sets, impossible systems, too few images."""

from __future__ import annotations

from collections.abc import Sequence

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.detection_trials import POOLED
from ganlab.experiments.spectra import renamed, unique_names
from ganlab.forensics import NULL, Bench, NetDetector, System

FEWEST = {"train": 2, "test": 1}
"""Images of a class below which a detector can be neither fitted nor tested."""


def named_sets(sets: Sequence[ImageSet], given: Sequence[str] | None = None) -> list[ImageSet]:
    """The sets under different names.

    Args:
        sets: in the order of the command line.
        given: names of the first ones; the others keep their own, with their folder's in front if it repeats.

    Raises:
        GanlabError: one set is given twice, two have one name, one has a name that tables use otherwise, or
            there are more names than sets.
    """
    given = given or ()
    twice = [name for place, name in enumerate(given) if name in given[:place]]
    if twice:
        raise GanlabError(f"two sets cannot both be called {twice[0]!r}")
    if len(given) > len(sets):
        raise GanlabError(f"{len(given)} names for {len(sets)} sets: give at most one each, the reals' first")
    seen: set[tuple[str, str]] = set()
    for one in sets:
        place = (str(one.path.expanduser().absolute().resolve()), one.name)
        if place in seen:
            raise GanlabError(f"{one.path} is given twice: a set cannot be held against itself")
        seen.add(place)
    called = [renamed(one, name) for one, name in zip(sets, given, strict=False)] + list(sets[len(given) :])
    names = unique_names(called)
    for name in names:
        if name in (POOLED, NULL) or name.startswith("all but "):
            raise GanlabError(
                f"no set can be called {name!r}, which is a row of the tables: rename the folder"
            )
    return [renamed(one, name) for one, name in zip(sets, names, strict=True)]


def check_unseen(real: ImageSet, unseen: Sequence[ImageSet]) -> None:
    """Never-seen reals are of the reals' size.

    Raises:
        GanlabError: another size or number of channels.
    """
    for one in unseen:
        if one.shape != real.shape:
            raise GanlabError(
                f"{one.name} (--unseen) has images of {_size(one)}, the reals of {_size(real)}: detectors "
                "fitted on one say nothing about the other"
            )


def _size(images: ImageSet) -> str:
    height, width, channels = images.shape
    return f"{width}x{height}x{channels}"


def check_feasible(bench: Bench, systems: Sequence[System]) -> None:
    """Every system takes images of this size, and every part has images enough.

    Raises:
        GanlabError: naming the system, or the set and what is missing.
    """
    for source in (*bench.sources, NULL):
        for part, least in FEWEST.items():
            counts = dict(zip(("reals", "fakes"), bench.counts(source, part), strict=True))
            for kind, count in counts.items():
                if count < least:
                    raise GanlabError(
                        f"{source}: {count} {kind} fall into the {part} part, at least {least} are "
                        "needed: give more images or another --split"
                    )
    for system in systems:
        _check_system(system, bench.real.shape, 1 + len(bench.sources))


def _check_system(system: System, shape: tuple[int, int, int], classes: int) -> None:
    try:
        dims = system.make_feature().dims(shape)
        detector = system.make_detector(0)
        if isinstance(detector, NetDetector):
            detector.built(dims, classes)
    except GanlabError as error:
        raise GanlabError(f"{system.name} cannot be used here: {error}") from error
