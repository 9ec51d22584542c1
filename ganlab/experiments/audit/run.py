"""``ganlab audit``: findings printed, written as JSON, or kept in a results folder with a page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganlab.data.imageset import ImageSet
from ganlab.experiments.audit.measure import HEADER, identity, measured, rows
from ganlab.experiments.audit.options import AuditOptions
from ganlab.experiments.audit.page import page
from ganlab.results.folder import RESULTS, ResultsFolder, describe_sets
from ganlab.results.page import write_page
from ganlab.results.tables import write_csv
from ganlab.util.reading import read_json

VERB = "audit"


def audit(
    sets: Sequence[ImageSet],
    out: str | os.PathLike[str] | None = None,
    options: AuditOptions | None = None,
    command: str = "",
    force: bool = False,
) -> dict[str, Any]:
    """Audit sets of fakes against reals.

    Args:
        sets: the reals, then one or more sets of fakes.
        out: a results folder for findings.csv, results.json and a page; the same audit there is read, not
            made.
        options: which images; only kept for the record here.
        command: what the user typed.
        force: replace the results of another audit.

    Returns:
        JSON values of the report (`ganlab.forensics.AuditReport.as_json`).

    Raises:
        GanlabError: images that cannot be read, fewer than 4 of a set, or a folder that holds something else.
    """
    if out is None:
        return measured(sets).as_json()
    folder = ResultsFolder(
        out, VERB, identity(sets, options or AuditOptions()), staged=True, inputs=describe_sets(sets)
    )
    with folder.open(command, force) as place:
        if not folder.is_complete:
            report = measured(sets).as_json()
            write_csv(place / "findings.csv", HEADER, rows(report["findings"]))
            folder.finish(report)
        if not (Path(out) / "index.html").is_file():
            write_page(out, page(Path(out)))
        kept: dict[str, Any] = read_json(Path(out) / RESULTS)
        return kept
