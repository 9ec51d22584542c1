"""``ganlab bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def bench(
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    json: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    preset: Annotated[
        list[str] | None, typer.Option(help="Time this preset's step, at its full size, instead of a few.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny networks, few rounds: does all of it work?")
    ] = False,
) -> None:
    """What this machine does: training steps, images and spectra a second, held against their limits.

    Every figure is a median with its quartiles; ratios are measured in turns in this one process. Several
    minutes on a CPU.
    """
    from ganlab.experiments.bench import run as library
    from ganlab.util.atomic import write_json

    report = library.bench(device, preset or (), quick, say=lambda text: print(text, flush=True))
    machine = report["machine"]
    print(f"\n{machine['device']}, {machine['threads']} threads, torch {machine['torch']}\n")
    print(library.table(report), end="")
    if json is not None:
        write_json(json, report)
        print(f"\n{json} written")
