"""The page of an audit."""

from __future__ import annotations

from pathlib import Path

from ganlab.errors import GanlabError
from ganlab.experiments.audit.measure import HEADER, rows, summary
from ganlab.forensics import KINDS
from ganlab.results.folder import RESULTS
from ganlab.results.page import Cell, Page, Section, Table
from ganlab.util.reading import read_json

READING = (
    "Every finding comes with the area under the ROC curve of a detector that sees only this: 0.5 is "
    "chance, 1 "
    "separates the sets perfectly. Brackets: 95 % interval (Newcombe). A difference is reported when two "
    "samples of "
    "one population would show it in less than 1 % of all audits, over all kinds together."
)
HISTORY = (
    "What the pixels of the fakes show may be the generator's own doing: enlarging inside the network "
    "looks like "
    "enlarging afterwards. Only the history of the files can tell."
)


def page(folder: Path) -> Page:
    """What ``ganlab audit --out`` found, from its folder.

    Raises:
        GanlabError: no finished results of that command.
    """
    report = read_json(folder / RESULTS)
    try:
        table = [
            [fakes, kind, Cell(area, one["auc"], "bad" if one["auc"] >= 0.75 else ""), side, evidence]
            for one, (fakes, kind, area, side, evidence) in zip(
                report["findings"], rows(report["findings"]), strict=True
            )
        ]
        found = {one["kind"] for one in report["findings"]}
        facts = {name: f"{count} images" for name, count in report["images"].items()}
        sentences = summary(report)
    except (KeyError, TypeError, ValueError) as error:
        raise GanlabError(f"{folder / RESULTS} is no audit's: {error}") from error
    tables = [Table(list(HEADER), table, left=(0, 1, 3, 4))] if table else []
    looked = [[kind, what, "found" if kind in found else "no"] for kind, what in KINDS.items()]
    return Page(
        "Is this a fair detection set?", "audit", summary=sentences, facts=facts,
        sections=[
            Section("Findings", [READING, HISTORY] if table else ["None.", READING], tables),
            Section("What was looked for", tables=[Table(["kind", "what it is", "found"], looked, left=(0,
            1, 2))]),
        ],
    )  # fmt: skip
