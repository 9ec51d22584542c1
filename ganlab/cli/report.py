"""``ganlab report DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(help="Results folder of ganlab ablate.")],
    out: Annotated[Path | None, typer.Option(help="The page; DIR/report.html when absent.")] = None,
) -> None:
    """Write one self-contained HTML page about a results folder.

    It needs no network and no server: tables that sort, profiles that overlay, images and spectra side by
    side, training curves, the plan.
    """
    from ganlab.experiments.report import write_report

    print(write_report(folder, out))
