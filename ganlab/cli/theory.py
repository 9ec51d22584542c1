"""``ganlab theory [--out DIR]``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def theory(
    out: Annotated[
        Path | None, typer.Option(help="Folder for the figures, their numbers, the table.")
    ] = None,
    size: Annotated[
        int, typer.Option(min=32, max=4096, help="Pixels after the last doubling; divisible by 4.")
    ] = 64,
    force: Annotated[bool, typer.Option("--force", help="Replace the theory of another size.")] = False,
) -> None:
    """What the fixed upsamplers do to a spectrum by theory: nulls, images, replicas after several stages.

    Prints the table; with --out also draws the responses and the replicas after one to four doublings.
    """
    from ganlab.experiments.theory.run import operator_rows, table_text, write_theory

    if out is None:
        print(table_text(operator_rows()), end="")
        return
    rows, was_complete = write_theory(out, size, shlex.join(["ganlab", *sys.argv[1:]]), force)
    print(table_text(rows), end="")
    state = "already holds this; nothing was written" if was_complete else "written"
    print(f"\n{out} {state}; the page is {out / 'index.html'}")
