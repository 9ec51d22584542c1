"""``ganlab report DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(help="Results folder of ganlab ablate or ganlab detect.")],
    out: Annotated[Path | None, typer.Option(help="The page; DIR/report.html when absent.")] = None,
) -> None:
    """Write one self-contained HTML page about a results folder.

    It needs no network and no server. Of an ablation: tables that sort, profiles that overlay, images and
    spectra side by side, training curves, the plan. Of a detection experiment: its report with all figures.
    """
    from ganlab.experiments.ablation.page import write_report
    from ganlab.experiments.detection.page import is_detection, write_detection_page

    print((write_detection_page if is_detection(folder) else write_report)(folder, out))
