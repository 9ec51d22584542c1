"""Tables of a detection experiment, from its records."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ganlab.experiments.detection_trials import Record
from ganlab.forensics import METRICS

Floats = npt.NDArray[np.float64]

HEAD = ("kind", "system", "trained_on", "tested_on", "seed", "images", "tested", "setting")
SHOWN = ("balanced_accuracy", "roc_auc", "average_precision", "tpr_at_1", "tpr_at_5")
TITLES = {
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "tpr_at_1": "true positives at 1 %",
    "tpr_at_5": "true positives at 5 %",
}


def records_csv(records: Iterable[Record]) -> str:
    """Every measurement, a row each; every metric with the ends of its interval."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    ends = [f"{name}{end}" for name in METRICS for end in ("", "_low", "_high")]
    writer.writerow([*HEAD, *ends])
    for one in records:
        values = [f"{value:.6f}" for name in METRICS for value in one.metrics[name].as_list()]
        writer.writerow([*(getattr(one, name) for name in HEAD), *values])
    return buffer.getvalue()


def select(records: Iterable[Record], **wanted: object) -> list[Record]:
    """Records whose fields have these values."""
    return [r for r in records if all(getattr(r, name) == value for name, value in wanted.items())]


def unique(records: Iterable[Record], name: str) -> list[str]:
    """Values of a field in the order of their first appearance."""
    return list(dict.fromkeys(str(getattr(record, name)) for record in records))


def cell(records: Sequence[Record], metric: str) -> str:
    """``mean [low, high]`` over seeds: mean of the values, lowest and highest end of the intervals."""
    if not records:
        return ""
    intervals = [record.metrics[metric] for record in records]
    mean = float(np.mean([one.value for one in intervals]))
    return f"{mean:.3f} [{min(o.low for o in intervals):.3f}, {max(o.high for o in intervals):.3f}]"


def matrix(records: Sequence[Record], metric: str) -> tuple[list[str], list[str], Floats]:
    """Rows (trained on), columns (tested on) and the mean over seeds, ``(R, C)``."""
    rows, columns = unique(records, "trained_on"), unique(records, "tested_on")
    values = np.full((len(rows), len(columns)), np.nan)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            found = select(records, trained_on=row, tested_on=column)
            if found:
                values[i, j] = np.mean([one.metrics[metric].value for one in found])
    return rows, columns, values


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A table whose first line is its head."""
    head, *body = lines
    rule = ["---", *["---:"] * (len(head) - 1)]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in (head, rule, *body)]
    return "".join("| " + " | ".join(line) + " |\n" for line in escaped)


def generator_table(records: Sequence[Record]) -> str:
    """Each system on each source it was fitted on, the null control included."""
    own = [r for r in records if r.kind == "transfer" and r.trained_on == r.tested_on]
    lines = [["system", "source", *(TITLES[name] for name in SHOWN)]]
    for system in unique(own, "system"):
        for source in unique(own, "tested_on"):
            found = select(own, system=system, tested_on=source)
            lines.append([system, source, *(cell(found, name) for name in SHOWN)])
    return markdown(lines)


def transfer_table(records: Sequence[Record], system: str, metric: str) -> str:
    """Trained on the row, tested on the column."""
    rows, columns, values = matrix(select(records, kind="transfer", system=system), metric)
    lines = [["trained on \\ tested on", *columns]]
    lines += [[row, *(f"{value:.3f}" for value in line)] for row, line in zip(rows, values, strict=True)]
    return markdown(lines)


def setting_table(records: Sequence[Record], kind: str, metric: str) -> str:
    """A column for each system, a row for each setting, averaged over sources and seeds."""
    chosen = select(records, kind=kind)
    systems = unique(chosen, "system")
    lines = [["setting", *systems]]
    for setting in unique(chosen, "setting"):
        row = [cell(select(chosen, system=system, setting=setting), metric) for system in systems]
        lines.append([setting, *row])
    return markdown(lines)
