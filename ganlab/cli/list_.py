"""``ganlab list [KIND]``."""

from __future__ import annotations

from typing import Annotated

import typer

from ganlab.config.names import entries
from ganlab.config.sources import preset_names, preset_summary
from ganlab.errors import lookup

KINDS: dict[str, str] = {
    "presets": "presets (CONFIG in train, show)",
    "upsamplers": "upsamplers (model.upsampling)",
    "unpoolers": "upsamplers that need an encoder (model.upsampling, task other than gan)",
    "decoders": "architectures that take images (model.architecture, task other than gan)",
    "generators": "architectures (model.architecture)",
    "adversarial": "adversarial losses (loss.adversarial)",
    "penalties": "penalties (loss.penalty)",
    "augmentations": "augmentations (training.augment)",
    "spectral": "spectral losses (loss.spectral: [{kind: ...}])",
    "spectral_inputs": "spectral discriminator (model.spectral_discriminator.input)",
    "sources": "data sources (data.source)",
    "conventions": "spectrum conventions (--convention)",
    "features": "features (detect --system FEATURE+detector)",
    "detectors": "detectors (detect --system feature+DETECTOR)",
    "perturbations": "perturbations (detect --perturbation)",
    "methods": "published methods (detect --preset)",
}


def list_(
    kind: Annotated[str | None, typer.Argument(help=f"Only one of {', '.join(KINDS)}.")] = None,
) -> None:
    """List every name that a configuration or an option accepts, with one line about each."""
    chosen = KINDS if kind is None else {kind: lookup(KINDS, kind, "kind of names")}
    for name, title in chosen.items():
        if name == "presets":
            lines = {preset: preset_summary(preset) for preset in preset_names()}
        else:
            lines = entries(name)
        width = max(map(len, lines))
        print(f"{title}:")
        for entry, text in lines.items():
            # A method's second line, its trap, stands under its first.
            print(f"  {entry:<{width}}  {text}".rstrip().replace("\n", "\n" + " " * (width + 4)))
        print()
