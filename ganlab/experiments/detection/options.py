"""What a detection experiment does, and how thoroughly."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ganlab.errors import GanlabError, lookup
from ganlab.forensics import GUARDS, LEVELS, PERTURBATIONS, SEVERITIES, System, find_preset, systems_of
from ganlab.forensics.protocol.split import DEFAULT_FRACTIONS, check_fractions
from ganlab.util.reading import parse_json

DEFAULT_SYSTEMS = ("both+logistic", "radial+logistic", "dct+ridge", "pixels+ridge", "both+random_forest")


@dataclass(frozen=True)
class DetectionOptions:
    """Options of ``detect``; what they are named here they are named on the command line.

    Attributes:
        systems: presets and ``feature+detector`` texts.
        seeds: repetitions: split, training and bootstrap are drawn anew in each.
        fractions: of train, validation, test; without validation nothing can be optimised.
        perturbations: names whose effect on a fitted detector is measured: single operators at their five
            severities, published mixtures once.
        sizes: training-set sizes (images in all) of the sample-size curve; empty: none.
        bands: number of frequency bands of the importance figure; 0: none.
        resamples: bootstrap draws of every interval.
        attribution: also learn to name the source of an image, clean and under every perturbation.
        immunise: train the networks on pixels that name sources on, under each perturbation, and test again.
        tsne: draw so many images, equally many of each set, by t-SNE of every feature; 0: none.
        epochs: at most so many passes of every network; absent: each detector's own number.
        changes: ``DETECTOR.OPTION=VALUE``, for every system with that detector.
        optimize: candidates of hyper-parameters tried for each system on validation images; 0: none.
        allow: guards whose findings are tolerated.
    """

    systems: tuple[str, ...] = DEFAULT_SYSTEMS
    seeds: int = 3
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS
    perturbations: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    bands: int = 8
    resamples: int = 1000
    attribution: bool = False
    immunise: bool = False
    tsne: int = 0
    epochs: int | None = None
    changes: tuple[str, ...] = ()
    optimize: int = 0
    allow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.chosen_systems()
        for name in self.perturbations:
            lookup(PERTURBATIONS, name, "perturbation")
        for name in self.allow:
            lookup(dict.fromkeys(GUARDS), name, "guard")
        counts = (self.bands, self.resamples, self.optimize, self.tsne)
        if min(self.seeds, len(self.systems), self.epochs or 1) < 1 or min(counts) < 0:
            raise GanlabError(f"at least one system, seed and epoch, and no negative numbers; got {self}")
        check_fractions(self.fractions)
        if self.optimize and not self.fractions[1]:
            raise GanlabError("--optimize chooses on validation images, and this split has none")
        if self.immunise and not (self.attribution and self.perturbations):
            raise GanlabError("--immunise needs --attribution and at least one --perturbation")

    def chosen_systems(self) -> tuple[System, ...]:
        """The systems with ``epochs`` and ``changes``, which their names then show.

        Raises:
            GanlabError: an unknown name, or a change that fits no system.
        """
        systems = systems_of(self.systems)
        for change in self.changes:
            name, equals, text = change.partition("=")
            detector, dot, option = name.partition(".")
            if not (equals and dot and detector and option.isidentifier()):
                raise GanlabError(
                    f"--set is DETECTOR.OPTION=VALUE, such as random_forest.trees=100; got {change!r}"
                )
            if all(system.detector != detector for system in systems):
                used = ", ".join(dict.fromkeys(system.detector for system in systems))
                raise GanlabError(
                    f"--set {change}: no system has the detector {detector!r}; there are {used}"
                )
            value: Any = text
            with contextlib.suppress(GanlabError):  # what is no JSON is text, such as gamma=scale
                value = parse_json(text, change)
            systems = tuple(
                system.with_detector_options({option: value}) if system.detector == detector else system
                for system in systems
            )
        if self.epochs:
            fewer = {"epochs": self.epochs}
            systems = tuple(s.with_detector_options(fewer) if s.is_network else s for s in systems)
        for system in systems:
            system.make_detector(0)  # an option that it does not have is an error now, not after an hour
        return systems

    def severities(self) -> dict[str, tuple[int | None, ...]]:
        """Levels of every perturbation; None where it has none."""
        return {
            name: tuple(range(1, LEVELS + 1)) if SEVERITIES.get(name, ({},))[0] else (None,)
            for name in self.perturbations
        }

    def as_json(self) -> Mapping[str, Any]:
        """For results."""
        return asdict(self)


def preset_options(name: str, **changes: Any) -> DetectionOptions:
    """The options of a published preset: its systems and what its protocol prescribes, with some changed.

    Raises:
        GanlabError: an unknown preset.
    """
    preset = find_preset(name)
    chosen: dict[str, Any] = {
        "systems": (name,),
        "perturbations": preset.perturbations,
        "attribution": preset.attribution,
        "sizes": preset.training_sizes,
        "immunise": preset.immunise,
        "tsne": preset.tsne_images,
    }
    # where a paper says nothing the defaults of this laboratory hold
    prescribed = {"seeds": preset.seeds, "fractions": preset.fractions}
    chosen |= {option: value for option, value in prescribed.items() if value is not None}
    if not changes.get("attribution", True):
        changes = {"immunise": False, **changes}
    return DetectionOptions(**{**chosen, **changes})


def chosen_options(preset: str | None, given: Mapping[str, Any]) -> DetectionOptions:
    """Options from a command line: a preset's, or the defaults, with what was given.

    Args:
        preset: its name, or None.
        given: values by field, None where nothing was given; lists for tuples, ``fractions`` as text such as
            ``80/20``; ``systems`` are added to those of a preset; the perturbation ``none`` alone and the
            size 0 alone mean that a preset's are left out.

    Raises:
        GanlabError: unknown names, impossible values.
    """
    found = {name: value for name, value in given.items() if value is not None}
    changes: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in found.items()}
    if "fractions" in changes:
        changes["fractions"] = split_fractions(changes["fractions"])
    for name, nothing in (("perturbations", ("none",)), ("sizes", (0,))):
        if changes.get(name) == nothing:
            changes[name] = ()
    if preset is None:
        return DetectionOptions(**changes)
    if "systems" in changes:
        changes["systems"] = (preset, *changes["systems"])
    return preset_options(preset, **changes)


def split_fractions(text: str) -> tuple[float, float, float]:
    """Fractions from ``80/20`` (train, test) or ``60/20/20`` (train, validation, test) in per cent.

    Raises:
        GanlabError: another form, or a sum that is not 100.
    """
    try:
        parts = [float(part) / 100 for part in text.split("/")]
    except ValueError:
        parts = []
    if len(parts) not in (2, 3) or abs(sum(parts) - 1) > 1e-9:
        raise GanlabError(f"--split is TRAIN/TEST or TRAIN/VAL/TEST in per cent, as 60/20/20; got {text!r}")
    fractions = (parts[0], parts[1] if len(parts) == 3 else 0.0, parts[-1])
    check_fractions(fractions)
    return fractions
