"""Spectral losses and the spectral discriminator: options that contradict each other or change nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ganlab.config.errors import Problem, error, no_effect, warning
from ganlab.config.schema import Config, LoggingConfig, SpectralDiscriminatorConfig, SpectralTermConfig


class Kind(NamedTuple):
    """What one kind of spectral loss takes: its own options, and its distances (the default first)."""

    options: tuple[str, ...]
    distances: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "radial_profile": Kind(
        ("convention", "normalisation", "reference", "decay", "distance", "compare", "as_released"),
        ("bce", "l1", "l2", "log_l1"),
    ),
    "axis_profiles": Kind(("reference", "decay", "distance", "compare"), ("l1", "l2")),
    "log_power": Kind(("reference", "decay", "distance"), ("l1", "l2")),
    "focal_frequency": Kind(("reference", "decay", "alpha", "log_weight", "average")),
    "sliced": Kind(("convention", "normalisation", "projections")),
    "frechet": Kind(("convention", "normalisation", "reference", "decay")),
}
"""Kind of spectral loss -> what it takes beside kind, weight, name and warmup."""

FIXED_AS_RELEASED = ("normalisation", "reference", "decay", "distance", "compare")
"""What the released code leaves no choice of."""


class Facts(NamedTuple):
    """What a profile convention's values are."""

    normalise: str
    logarithmic: bool
    differentiable: bool = True


CONVENTIONS: dict[str, Facts] = {
    "ganlab": Facts("none", False),
    "durall2019": Facts("none", True, differentiable=False),
    "durall2020": Facts("min_max", True),
    "jung2021": Facts("min_max", True),
    "ssdgan2021": Facts("min_max", True),
    "schwarz2021": Facts("none", False),
    "corvi2023": Facts("none", False),
}
"""Convention -> its values; an unlisted one is checked by the loss itself."""

_COMMON = ("kind", "weight", "name", "warmup")


def kind_options(config: Config) -> Iterator[Problem]:
    """Options that the kind does not have, or that ``as_released`` decides."""
    for index, term in enumerate(config.loss.spectral):
        kind = KINDS.get(term.kind)
        if kind is None:
            continue
        for name in sorted(_chosen(term) - set(kind.options)):
            yield no_effect(f"loss.spectral[{index}].{name}", f"{term.kind} has no such option")
        if term.as_released and "as_released" in kind.options:
            for name in sorted(_chosen(term) & set(FIXED_AS_RELEASED)):
                yield no_effect(f"loss.spectral[{index}].{name}", "as_released fixes it")


def _chosen(term: SpectralTermConfig) -> set[str]:
    """Options of one kind or another that differ from their defaults."""
    fields = SpectralTermConfig.model_fields
    return {name for name in fields if name not in _COMMON and getattr(term, name) != fields[name].default}


def term_values(config: Config) -> Iterator[Problem]:
    """A convention without a gradient, a distance the kind lacks, values outside the distance's domain."""
    for index, term in enumerate(config.loss.spectral):
        key, kind = f"loss.spectral[{index}]", KINDS.get(term.kind)
        if kind is None:
            continue
        if term.distance is not None and kind.distances and term.distance not in kind.distances:
            listed = ", ".join(kind.distances)
            yield error(f"{key}.distance", f"{term.kind} has no {term.distance}; expected one of {listed}")
        if "convention" in kind.options and term.convention in CONVENTIONS:
            yield from _profile_values(key, term, CONVENTIONS[term.convention])


def _profile_values(key: str, term: SpectralTermConfig, facts: Facts) -> Iterator[Problem]:
    if not facts.differentiable:
        yield _no_gradient(f"{key}.convention", term.convention)
        return
    if term.as_released:
        return
    values = term.normalisation or facts.normalise
    if values == "log" and facts.logarithmic:
        yield error(
            f"{key}.normalisation",
            f"profiles of {term.convention} are logarithms already; expected none, min_max or first_ring",
        )
        return
    if term.kind == "radial_profile" and term.distance is not None:
        yield from _domain(key, term.distance, values, term.convention, facts.logarithmic)


def _domain(key: str, distance: str, values: str, convention: str, logarithmic: bool) -> Iterator[Problem]:
    """Cross-entropy is defined on [0, 1], the logarithm of a profile where it is positive."""
    if distance == "bce" and (values in ("none", "log") or (values == "first_ring" and logarithmic)):
        yield error(
            f"{key}.distance",
            f"bce needs profiles in [0, 1], and those of {convention} with normalisation {values} are not; "
            "expected normalisation: min_max, or distance: l1 or l2",
        )
    if distance == "log_l1" and (logarithmic or values in ("log", "min_max")):
        yield error(
            f"{key}.distance",
            f"log_l1 takes logarithms of linear power; profiles of {convention} with normalisation {values} "
            "are logarithms already or reach 0; expected l1, or convention: ganlab",
        )


def _no_gradient(key: str, convention: str) -> Problem:
    text = f"{convention} rounds RGB images to integers, so that no gradient passes; expected durall2020"
    return error(key, f"{text} for the same rings")


def term_names(config: Config) -> Iterator[Problem]:
    """Each term has its own line in the log."""
    names = [term.name or term.kind for term in config.loss.spectral]
    for index, name in enumerate(names):
        if Counter(names)[name] > 1 and name in names[:index]:
            text = f"a second term called {name!r}; expected a name of its own, such as {name}_{index + 1}"
            yield error(f"loss.spectral[{index}].name", text)


def term_weights(config: Config) -> Iterator[Problem]:
    """A weight of zero, a warm-up that never ends, a decay of what is not averaged, idle measurements."""
    for index, term in enumerate(config.loss.spectral):
        key = f"loss.spectral[{index}]"
        if term.weight == 0:
            yield no_effect(f"{key}.weight", "it is 0; the distance is logged all the same")
        if term.warmup > config.training.steps:
            text = f"the weight reaches {term.weight} at step {term.warmup} of {config.training.steps}"
            yield warning(f"{key}.warmup", text)
        default = SpectralTermConfig.model_fields["decay"].default
        takes = "decay" in KINDS.get(term.kind, Kind(())).options and not term.as_released
        if takes and term.decay != default and term.reference != "running":
            yield no_effect(f"{key}.decay", f"reference is {term.reference}; nothing is averaged over steps")


def idle_measurement(config: Config) -> Iterator[Problem]:
    """Gradients are compared only where there is more than the adversarial one."""
    default = LoggingConfig.model_fields["gradients_every"].default
    second = config.model.spectral_discriminator
    alone = second is None or second.combine != "errors"
    if config.logging.gradients_every != default and alone and not config.loss.spectral:
        yield no_effect("logging.gradients_every", "the generator has no loss beside the adversarial one")


def spectral_discriminator(config: Config) -> Iterator[Problem]:
    """A convention without gradient, an unbounded Wasserstein critic, options of another input or head."""
    second, key = config.model.spectral_discriminator, "model.spectral_discriminator"
    if second is None:
        return
    facts = CONVENTIONS.get(second.convention)
    if second.input == "radial" and facts is not None and not facts.differentiable:
        yield _no_gradient(f"{key}.convention", second.convention)
    bounded = second.spectral_norm or config.loss.penalty == "wgan_gp"
    if config.loss.adversarial == "wasserstein" and not bounded:
        yield error(
            f"{key}.spectral_norm",
            "wasserstein needs a Lipschitz critic here too; expected true, or loss.penalty: wgan_gp",
        )
    default = SpectralDiscriminatorConfig.model_fields["convention"].default
    if second.input in ("axis", "plane") and second.convention != default:
        yield no_effect(f"{key}.convention", f"input {second.input} is no radial profile")
    if second.head == "linear" and second.hidden is not None:
        yield no_effect(f"{key}.hidden", "the linear head has no hidden layer")
    if second.detach and second.combine != "mixed":
        yield no_effect(
            f"{key}.detach", f"combine is {second.combine}; only the mean of mixed can be detached"
        )
