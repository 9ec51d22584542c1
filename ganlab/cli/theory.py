"""``ganlab theory [--out DIR]``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def theory(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Generators whose own layers are asked about as well.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the figures, their numbers, the table.")
    ] = None,
    size: Annotated[
        int, typer.Option(min=32, max=4096, help="Pixels after the last doubling; divisible by 4.")
    ] = 64,
    trust: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of a source that can run code; once for each.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the theory of another size.")] = False,
) -> None:
    """What the fixed upsamplers do to a spectrum by theory: nulls, images, replicas after several stages.

    Prints the table; with --out also draws the responses and the replicas after one to four doublings. Of
    generators (runs, zoo:NAME, what ganlab.load_generator reads) the learned layers, of any whole factor,
    from their weights.
    """
    from ganlab.experiments.theory.run import operator_rows, table_text, write_theory

    learned = []
    if sources:
        from ganlab.adapters import chosen_trust, source_generator
        from ganlab.experiments.theory.learned import learned_rows, learned_text

        for source in sources:
            learned += learned_rows(source_generator(source, chosen_trust(source, trust or [])))
        print(learned_text(learned))
    if out is None:
        print(table_text(operator_rows()), end="")
        return
    command = shlex.join(["ganlab", *sys.argv[1:]])
    rows, was_complete = write_theory(out, size, command, force, learned)
    print(table_text(rows), end="")
    state = "already holds this; nothing was written" if was_complete else "written"
    print(f"\n{out} {state}; the page is {out / 'index.html'}")
