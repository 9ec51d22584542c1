"""``ganlab audit REAL FAKE [FAKE ...]``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

FINDINGS = 1
"""Exit status where something was found; 0 where nothing was, 2 after errors."""


def audit(
    real: Annotated[str, typer.Argument(help="The reals: folder, pack, npz, npy, zip; PATH@val: a part.")],
    fakes: Annotated[list[str], typer.Argument(help="One or more sets of fakes, or generators.")],
    out: Annotated[Path | None, typer.Option(help="Results folder with a page.")] = None,
    json: Annotated[Path | None, typer.Option(help="File for the findings.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many images of each set.")] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="Name of a set, once for each, the reals' first.")
    ] = None,
    trust: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of a source that can run code; once for each.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the results of another audit.")] = False,
) -> None:
    """Is this a fair detection set? What tells reals from fakes beside the generator.

    Codec, JPEG tables and grids, palettes, depth, what the pixels were before, sizes, metadata, copies,
    counts, brightness: each finding with its evidence and the AUC of a detector that sees only this. Exit
    status 0: no finding; 1: findings; 2: an error.
    """
    from ganlab.experiments.audit.measure import opened, text
    from ganlab.experiments.audit.options import AuditOptions
    from ganlab.experiments.audit.run import audit as run
    from ganlab.util.atomic import write_json

    options = AuditOptions(limit, tuple(name or ()))
    sets = opened([real, *fakes], options, trust or ())
    report = run(sets, out, options, shlex.join(["ganlab", *sys.argv[1:]]), force)
    if json is not None:
        write_json(json, report)
    print(text(report), end="")
    if out is not None:
        print(f"the page is {out / 'index.html'}")
    if report["findings"]:
        raise typer.Exit(FINDINGS)
