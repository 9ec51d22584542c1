"""``ganlab spectra REAL FAKE [FAKE ...] --out DIR``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def spectra(
    real: Annotated[str, typer.Argument(help="The reals: folder, pack, npz, npy, zip; PATH@val: a part.")],
    fakes: Annotated[list[str], typer.Argument(help="One or more sets of fakes, or generators.")],
    out: Annotated[Path, typer.Option(help="Results folder.")],
    convention: Annotated[
        str, typer.Option(help="Radial profile drawn; see 'ganlab list conventions'.")
    ] = "ganlab",
    window: Annotated[
        str, typer.Option(help="hann, kaiser or none (as published; also draws what theory predicts).")
    ] = "hann",
    limit: Annotated[int | None, typer.Option(min=2, help="At most so many images of each set.")] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="Name of a set, once for each, the reals' first.")
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, max=10**6, help="Resamples for the intervals; 0: none.")
    ] = 1000,
    metrics: Annotated[str, typer.Option(help="all, or basic: seconds less for every set.")] = "all",
    seed: Annotated[int, typer.Option(min=0, help="Of the resampling and the null control.")] = 0,
    stages: Annotated[
        list[str] | None, typer.Option(help="A generator to be measured stage by stage; repeatable.")
    ] = None,
    published: Annotated[
        list[str] | None,
        typer.Option(help="A paper's figure as well: corvi2023, stylegan3, wang2020, frank2020; repeatable."),
    ] = None,
    trust: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of a source that can run code; once for each.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the results of another comparison.")
    ] = False,
) -> None:
    """Compare the mean spectra of real and fake images: figures, their numbers, and a table of deviations.

    A FAKE may be a generator (a run, zoo:NAME, what ganlab.load_generator reads), which draws as many images
    as there are reals. Nothing is resized; sets of different image sizes are refused. The same command again
    leaves a finished results folder alone.
    """
    from ganlab.data.guards import require_comparable
    from ganlab.experiments.sources import open_sets, run_or_generator

    first, *others = open_sets([real, *fakes], limit, trust or ())
    for images in others:
        # Sizes and channels alone: what cannot be compared is refused before torch is imported.
        require_comparable(first, images, sample=0)

    from ganlab.experiments.spectra.options import SpectraOptions
    from ganlab.experiments.spectra.run import compare_spectra

    options = SpectraOptions(
        convention, window, bootstrap, metrics, seed, tuple(dict.fromkeys(published or ())), force,
        shlex.join(["ganlab", *sys.argv[1:]]),
    )  # fmt: skip
    probed = [run_or_generator(source, trust or ()) for source in stages or ()]
    report = compare_spectra(first, others, out, options, name, probed)
    print(report.summary, end="")
    state = "already holds this comparison; nothing was written" if report.was_complete else "written"
    print(f"\n{out} {state}; the page is {out / 'index.html'}")
