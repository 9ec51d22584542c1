"""``ganlab show CONFIG [key.path=value ...]``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ganlab.config import Resolved, dump, resolve
from ganlab.config.architecture import (
    discriminator_norm,
    discriminator_widths,
    generator_widths,
    shape,
    stage_names,
    stage_sides,
    uses_spectral_norm,
)
from ganlab.config.schema import Config


def show(
    config: Annotated[str, typer.Argument(help="YAML file, preset name or run folder.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key.path=value, as often as needed.")] = None,
) -> None:
    """Print the resolved configuration as YAML (defaults included) and, on standard error, its warnings.

    The output is itself a configuration; what follows from it is in comments at the end.
    """
    resolved = resolve(config, overrides or ())
    print(dump(resolved.config), end="")
    for line in derived(resolved.config):
        print(f"# {line}")
    print_warnings(resolved)


def print_warnings(resolved: Resolved) -> None:
    """One ``warning: file:line: key: text`` line each, on standard error."""
    for text in resolved.warnings:
        print(f"warning: {text}", file=sys.stderr)


def derived(config: Config) -> list[str]:
    """What follows from the configuration: stages, widths, normalisation. Empty if unlisted."""
    model = config.model
    if shape(model) is None:
        return []
    sides, widths = stage_sides(model), generator_widths(model)
    stages = [
        f"stage {index + 1}: {sides[index]} -> {sides[index + 1]} px, "
        f"{widths[index]} -> {widths[index + 1] if index + 1 < len(widths) else 'RGB'} channels, {name}"
        for index, name in enumerate(stage_names(model))
    ]
    spectral = "spectral norm" if uses_spectral_norm(model) else "no spectral norm"
    norm = discriminator_norm(model, config.loss)
    blocks = ", ".join(map(str, discriminator_widths(model)))
    opponent = f"discriminator: widths {blocks}; {spectral}, normalisation {norm}"
    return ["generator", *stages, opponent, *spectral_lines(config)]


def spectral_lines(config: Config) -> list[str]:
    """The second discriminator and the spectral losses, one line each; none without them."""
    lines = []
    second = config.model.spectral_discriminator
    if second is not None:
        seen = f"{second.input} ({second.convention})" if second.input == "radial" else second.input
        how = f"{second.combine}, weight {second.ratio / (1 + second.ratio):.3g}"
        lines.append(f"spectral discriminator: {second.head} on {seen}; {how}")
    for term in config.loss.spectral:
        released = ", as released (no gradient through the spectrum)" if term.as_released else ""
        lines.append(f"spectral loss: {term.name or term.kind}, weight {term.weight:g}{released}")
    return lines
