"""``ganlab ablate``: a plan of trainings, run side by side, into one table."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab import __version__
from ganlab.errors import GanlabError
from ganlab.experiments.ablation.jobs import Cluster, check_cluster, run_cells
from ganlab.experiments.ablation.measure import FAILURE, busy, read_result, result_file, seconds_per_step
from ganlab.experiments.ablation.page import page
from ganlab.experiments.ablation.plan import (
    CELLS,
    COMMANDS,
    LOGS,
    SPEC,
    Cell,
    Plan,
    chosen,
    expand,
    plan_texts,
    read_plan,
)
from ganlab.experiments.ablation.tables import NOT_RUN, Row, row_of, write_tables
from ganlab.results.folder import PROVENANCE, ResultsFolder
from ganlab.results.page import write_page
from ganlab.util.atomic import write_json, write_text
from ganlab.util.reading import read_text
from ganlab.util.signals import Terminated


@dataclass(frozen=True)
class Ablation:
    """A plan with its results folder."""

    plan: Plan
    cells: Sequence[Cell]
    out: Path

    def folder(self, cell: Cell) -> Path:
        """The cell's folder."""
        return self.out / CELLS / cell.name

    def result(self, cell: Cell) -> dict[str, Any] | None:
        """What was measured on the cell, if it is done."""
        return read_result(result_file(self.folder(cell), self.plan.measure_key))

    def rows(self) -> list[Row]:
        """One row for every cell of the plan; without a result its status is failed, or not run."""
        absent, detectors = {"status": NOT_RUN}, self.plan.detectors
        return [
            row_of(cell, self.result(cell) or read_result(self.folder(cell) / FAILURE) or absent, detectors)
            for cell in self.cells
        ]


def open_ablation(
    plan_file: str | Path, out: str | Path, confirmed: bool = False, overrides: Sequence[str] = ()
) -> Ablation:
    """Read a plan and expand it; writes nothing.

    Args:
        plan_file: the plan.
        out: the results folder.
        confirmed: whether more than 500 cells are meant.
        overrides: ``key.path=value`` texts for all cells.

    Raises:
        GanlabError: what is wrong with the plan.
    """
    plan = read_plan(plan_file, overrides)
    return Ablation(plan, expand(plan, confirmed), Path(out))


def ablate(
    ablation: Ablation,
    cluster: Cluster,
    only: Sequence[str] = (),
    redo: Sequence[str] = (),
    say: Callable[[str], None] = print,
    command: str | None = None,
) -> list[Row]:
    """Run what is not done yet and write the tables and the page about them, ``index.html``.

    Args:
        ablation: from `open_ablation`.
        cluster: where and how many at a time.
        only: ``AXIS=VALUE`` filters: leave the other cells as they are.
        redo: ``AXIS=VALUE`` filters: remove these cells' folders first.
        say: where lines for people go.
        command: the command line to be recorded in commands.jsonl, if there is one.

    Returns:
        The table's rows, all cells of the plan.

    Raises:
        GanlabError: the folder holds something else, a filter matches nothing, no SLURM, or the disk is full.
            Finished cells are kept in every case.
        Terminated: SIGTERM came; the tables are written and the local jobs have saved and ended.
    """
    check_cluster(cluster)
    todo = chosen(ablation.cells, only)
    afresh = chosen(ablation.cells, redo) if redo else []
    # A changed plan keeps the cells that it shares with the one before, so no plan is another experiment.
    results = ResultsFolder(ablation.out, "ablate", {}, unlisted=(CELLS, LOGS))
    with results.open(command or "") as out:
        (out / PROVENANCE).unlink(missing_ok=True)
        for name, text in plan_texts(ablation.plan).items():
            write_text(out / name, text)
        if command is not None:
            earlier = read_text(out / COMMANDS, errors="replace") if (out / COMMANDS).exists() else ""
            line = {"command": command, "time": time.strftime("%Y-%m-%d %H:%M:%S"), "ganlab": __version__}
            write_text(out / COMMANDS, earlier + json.dumps(line) + "\n")
        for cell in afresh:
            if busy(ablation.folder(cell)):
                raise GanlabError(f"--redo: a process works on {ablation.folder(cell)}; stop it first")
            if ablation.folder(cell).exists():
                shutil.rmtree(ablation.folder(cell))
        try:
            _run_waiting(ablation, todo, cluster, say)
        except (KeyboardInterrupt, Terminated):
            say("stopped; the same command goes on from what the cells have saved")
            raise
        finally:
            rows = ablation.rows()
            write_tables(out, ablation.plan, rows)
        results.finish()
        write_page(out, page(out))
    for row in rows:
        if row["status"] == "diverged":
            say(f"diverged: {row['cell']} at step {row['step']}")
    return rows


def _run_waiting(
    ablation: Ablation, todo: Sequence[Cell], cluster: Cluster, say: Callable[[str], None]
) -> None:
    """Every cell without a result, and a note beside each that fails."""
    waiting = {ablation.folder(cell): cell for cell in todo if ablation.result(cell) is None}
    say(f"{len(todo)} cells, {len(todo) - len(waiting)} done; {cluster.at_once} at a time, {cluster.kind}")
    file = ablation.plan.file
    for folder, cell in waiting.items():
        spec = {
            "variant": dict(cell.variant), "seed": cell.seed, "measure_key": ablation.plan.measure_key,
            "config": cell.config.model_dump(mode="json"), "generate": file.generate.model_dump(),
            "measure": file.measure.plain(),
        }  # fmt: skip
        write_json(folder / SPEC, spec)
    failures = run_cells(
        list(waiting), ablation.out / LOGS, cluster,
        lambda folder: ablation.result(waiting[folder]) is not None,
    )  # fmt: skip
    for folder, reason in failures.items():
        say(f"failed: {waiting[folder].title}: {reason}")
        write_json(folder / FAILURE, {"status": "failed", "reason": reason})
    done = sum(ablation.result(cell) is not None for cell in todo)
    if done + len(failures) < len(todo):
        reason = f"stopped after {cluster.minutes:g} minutes" if cluster.minutes else "stopped"
        say(f"{reason}: {done} of {len(todo)} cells done; the same command goes on")


@dataclass(frozen=True)
class Estimate:
    """What a cell will cost on this machine.

    Attributes:
        cell: the cell.
        done: whether it has its result.
        seconds: of training; None where nobody has measured it.
    """

    cell: Cell
    done: bool
    seconds: float | None


def estimates(ablation: Ablation, only: Sequence[str] = (), measured: bool = False) -> list[Estimate]:
    """Cost of every cell, for ``--dry-run``: as long a step as a finished seed of its variant took.

    Args:
        ablation: from `open_ablation`.
        only: ``AXIS=VALUE`` filters.
        measured: whether three steps of each variant without a finished seed are timed now.
    """
    per_step: dict[tuple[str, ...], float] = {}
    results = [(cell, ablation.result(cell)) for cell in chosen(ablation.cells, only)]
    for cell, result in results:
        if result is not None and result.get("seconds"):
            training = result["seconds"]["training"]
            per_step[tuple(cell.variant.values())] = training / cell.config.training.steps
    costs = []
    for cell, result in results:
        variant = tuple(cell.variant.values())
        if measured and variant not in per_step:
            per_step[variant] = seconds_per_step(cell.config)
        step = per_step.get(variant)
        seconds = None if step is None else step * cell.config.training.steps
        costs.append(Estimate(cell, result is not None, seconds))
    return costs
