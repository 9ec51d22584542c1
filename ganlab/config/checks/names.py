"""Names in the configuration against the registries of the rooms."""

from __future__ import annotations

from collections.abc import Iterator

from ganlab.config.checks.problem import Problem, error
from ganlab.config.registries import REGISTRIES, names
from ganlab.config.schema import Config
from ganlab.errors import nearest_name


def registered_names(config: Config) -> Iterator[Problem]:
    """Every name is in its registry; a room that has no registry file yet accepts any name."""
    for kind, key, name in _uses(config):
        valid = names(kind)
        if valid and name not in valid:
            what = f"unknown {REGISTRIES[kind].entry} {name!r}"
            yield error(key, f"{what}; expected one of {', '.join(valid)}{nearest_name(name, valid)}")


def architecture_pair(config: Config) -> Iterator[Problem]:
    """An architecture is a generator and a discriminator of the same name."""
    name = config.model.architecture
    valid = names("discriminators")
    if valid and name not in valid and name in names("generators"):
        text = f"{name!r} has a generator but no discriminator; expected one of {', '.join(valid)}"
        yield error("model.architecture", text)


def _uses(config: Config) -> Iterator[tuple[str, str, str]]:
    """(registry, key, name) of everything that is named."""
    upsampling = config.model.upsampling
    yield "sources", "data.source", config.data.source
    yield "generators", "model.architecture", config.model.architecture
    if isinstance(upsampling.name, str):
        yield "upsamplers", "model.upsampling.name", upsampling.name
    else:
        for index, name in enumerate(upsampling.name):
            yield "upsamplers", f"model.upsampling.name[{index}]", name
    if upsampling.last is not None:
        yield "upsamplers", "model.upsampling.last", upsampling.last
    yield "adversarial", "loss.adversarial", config.loss.adversarial
    yield "penalties", "loss.penalty", config.loss.penalty
    for index, term in enumerate(config.loss.spectral):
        yield "spectral", f"loss.spectral[{index}].kind", term.kind
        yield "conventions", f"loss.spectral[{index}].convention", term.convention
    spectral = config.model.spectral_discriminator
    if spectral is not None:
        yield "spectral_inputs", "model.spectral_discriminator.input", spectral.input
        yield "conventions", "model.spectral_discriminator.convention", spectral.convention
