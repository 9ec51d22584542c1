"""``ganlab reproduce [NAME]``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from ganlab.errors import GanlabError


def reproduce(
    name: Annotated[str | None, typer.Argument(help="An experiment; without one all are listed.")] = None,
    real: Annotated[str | None, typer.Option(help="Your reals: folder, pack, npz, npy, zip.")] = None,
    fake: Annotated[
        list[str] | None, typer.Option(help="Your fakes, repeatable: images, zoo:NAME, a run, a generator.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Results folder.  [reproduced/NAME]")] = None,
    scale: Annotated[
        str, typer.Option(help="small (minutes), paper, or tiny (seconds; for a look).")
    ] = "small",
    seed: Annotated[int, typer.Option(min=0, help="Everything random follows from it.")] = 0,
    allow: Annotated[list[str] | None, typer.Option(help="Tolerate this guard's findings.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Make all anew, also in another's place.")] = False,
) -> None:
    """Run a published experiment or a claim by its name: trained, measured, drawn and judged.

    Generators are the zoo's, those it lacks are trained; --real and --fake take your own. The page says what
    was published, what came out here, and the verdict. The same command goes on with what was interrupted.
    """
    from ganlab.experiments.claims.run import listing, words
    from ganlab.experiments.claims.run import reproduce as run

    if name is None:
        if real or fake or out:
            raise GanlabError("ganlab reproduce needs NAME; without any options it lists the names")
        print(listing())
        return
    folder = out or Path("reproduced") / name
    command = shlex.join(["ganlab", *sys.argv[1:]])
    print(words(run(name, folder, real, fake or (), scale, seed, force, allow or (), command)))
    print(f"the page is {folder / 'index.html'}")
