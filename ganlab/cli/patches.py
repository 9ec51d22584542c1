"""``ganlab patches MODEL REAL FAKE --out DIR``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def patches(
    model: Annotated[Path, typer.Argument(help="A patch detector that 'ganlab detect' saved.")],
    real: Annotated[str, typer.Argument(help="The reals: folder, pack, npz, npy, zip; PATH@val: a part.")],
    fake: Annotated[str, typer.Argument(help="The fakes, the same kinds, or a generator.")],
    out: Annotated[Path, typer.Option(help="Results folder.")],
    shown: Annotated[int, typer.Option(help="Images of each set with a heat map.")] = 7,
    gallery: Annotated[int, typer.Option(help="Patches in each row of the gallery.")] = 10,
    pairs: Annotated[int, typer.Option(help="Images of each set that are exaggerated.")] = 3,
    strength: Annotated[float, typer.Option(help="Of the exaggeration: RMS, images in [-1, 1].")] = 0.1,
    steps: Annotated[int, typer.Option(help="Gradient steps of the exaggeration.")] = 10,
    resamples: Annotated[int, typer.Option(help="Bootstrap draws of every interval.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    allow: Annotated[list[str] | None, typer.Option(help="Tolerate this guard's findings.")] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="At most so many images of each set.")] = None,
    trust: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of a source that can run code; once for each.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make all anew, also in the place of another.")
    ] = False,
) -> None:
    """Show what a patch detector sees: heat maps, telling patches, exaggerated images, ensembling rules.

    Images that the detector was trained on are left out where the folder of 'ganlab detect' names them. The
    same command again leaves finished results alone.
    """
    from ganlab.experiments.patches.options import PatchOptions
    from ganlab.experiments.patches.run import view_patches
    from ganlab.experiments.sources import open_sets

    options = PatchOptions(shown, gallery, pairs, strength, steps, resamples, seed, tuple(allow or ()), limit)
    sets = open_sets([real, fake], trust=trust or ())
    report = view_patches(model, sets[0], sets[1], out, options, shlex.join(["ganlab", *sys.argv[1:]]), force)
    print(report.text)
    print(f"{'already in' if report.was_complete else 'written to'} {out}; the page is {out / 'index.html'}")
