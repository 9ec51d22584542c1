"""``ganlab quickstart``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for everything it makes.")] = Path("quickstart"),
    steps: Annotated[int | None, typer.Option(min=1, help="Generator updates of each run.")] = None,
    size: Annotated[str, typer.Option(help="normal, or tiny for a smoke test of about a minute.")] = "normal",
    force: Annotated[bool, typer.Option("--force", help="Begin afresh in the place of another.")] = False,
) -> None:
    """See the whole lab work: train three generators that differ only in how they upsample.

    Offline, on built-in images of digits, in about three minutes on 2 idle CPU cores: enlarges a photo by
    each operator, trains the generators, makes their fake datasets and shows on one page what the upsampling
    did to the spectrum. The same command goes on where an interrupted one stopped.
    """
    from ganlab.experiments.quickstart.run import run_quickstart

    run_quickstart(out, steps, size, force, shlex.join(["ganlab", *sys.argv[1:]]))
