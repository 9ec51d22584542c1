"""The page of a reproduced experiment: published, here, verdict, then its tables and figures."""

from __future__ import annotations

import re
from pathlib import Path

from ganlab.errors import GanlabError
from ganlab.experiments.claims.outcome import VERDICTS
from ganlab.results.folder import PLAN, PROVENANCE, RESULTS
from ganlab.results.page import Cell, Figure, Page, Section, Table
from ganlab.util.reading import read_json

READING = (
    "Square brackets are 95 % intervals over images, for several repeats their outermost ends; round ones "
    "are ranges over repeats. The null is the same measurement on reals against reals."
)


def page(folder: Path) -> Page:
    """What ``ganlab reproduce`` found, from its folder.

    Raises:
        GanlabError: no finished results of that command.
    """
    results = read_json(folder / RESULTS, dict)
    warnings = read_json(folder / PROVENANCE, dict)["warnings"]
    identity = read_json(folder / PLAN, dict)["identity"]
    try:
        verdict = f"{results['verdict']}: {VERDICTS[results['verdict']]}"
        judged = [
            *(f"Published ({entry['source']}): {entry['text']}." for entry in results["published"]),
            *(f"Here: {sentence}" for sentence in results["here"]),
            f"Verdict: {verdict}. {results['because']}",
        ]
        sections = [
            Section("Published, here, verdict", judged),
            *(
                Section(
                    part["title"], part["text"], [_table(table) for table in part["tables"]],
                    [_figure(folder, drawing) for drawing in part["drawings"]],
                )
                for part in results["parts"]
            ),
        ]  # fmt: skip
        facts = {
            "verdict": str(results["verdict"]),
            "scale": str(results["scale"]),
            "images of each set": str(identity["scale"]["images"]),
            "seed": str(identity["seed"]),
        }
        title, source = str(results["title"]), str(results["source"])
    except (KeyError, TypeError) as error:
        raise GanlabError(f"{folder / RESULTS} is no result of 'ganlab reproduce': {error}") from error
    summary = [f"{source}. Verdict: {verdict}.", results["because"]]
    return Page(
        title, "reproduce", summary, [*sections, Section("How to read this", [READING])], facts, warnings
    )


def _table(table: dict[str, object]) -> Table:
    """Cells that begin with a number are sorted by it; columns without numbers are flush left."""

    def sortable(text: object) -> object:
        number = re.match(r"[+-]?\d+(\.\d+)?(?![\w.])", text) if isinstance(text, str) else None
        return Cell(str(text), float(number[0])) if number else text

    rows = [[sortable(value) for value in row] for row in table["rows"]]  # type: ignore[attr-defined]
    header = [str(word) for word in table["header"]]  # type: ignore[attr-defined]
    left = [k for k in range(len(header)) if all(isinstance(row[k], str) for row in rows)]
    return Table(header, rows, str(table["title"]), str(table["note"]), left or (0,))


def _figure(folder: Path, drawing: dict[str, object]) -> Figure:
    file = folder / f"{drawing['stem']}{'.svg' if drawing['ink'] else '.png'}"
    caption = str(drawing["caption"])
    return Figure(file, caption, caption, folder / f"{drawing['stem']}.csv", bool(drawing["ink"]))
