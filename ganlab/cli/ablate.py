"""``ganlab ablate PLAN.yaml``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganlab.errors import GanlabError

if TYPE_CHECKING:
    from ganlab.experiments.ablation.run import Estimate

FAILED = 1


def ablate(
    plan: Annotated[Path, typer.Argument(help="YAML file: base, axes, seeds, generate, measure.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key.path=value, for all cells, as often as needed.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Results folder; results/PLAN's name when absent.")] = None,
    cluster: Annotated[str, typer.Option(help="local (processes here) or slurm.")] = "local",
    at_once: Annotated[int, typer.Option(min=1, max=1024, help="Jobs at a time; they share the cores.")] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the cells and stop.")] = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="--dry-run that times three steps of each variant first.")
    ] = False,
    only: Annotated[list[str] | None, typer.Option(help="AXIS=VALUE (or seed=N): these cells alone.")] = None,
    redo: Annotated[list[str] | None, typer.Option(help="AXIS=VALUE: run these cells from scratch.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Parameter of SLURM jobs, such as slurm_partition=gpu.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Save and stop after so many minutes; the same command goes on.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Go ahead with more than 500 cells.")] = False,
) -> None:
    """Run a plan of many trainings and put the results in one table.

    The same command again continues; finished cells are not computed again. Cells that diverge or fail are
    rows of the table that say so.
    """
    from ganlab.experiments.ablation import run as library
    from ganlab.experiments.ablation.jobs import Cluster

    opened = library.open_ablation(plan, out or Path("results") / plan.stem, yes, overrides or ())
    if dry_run or estimate:
        _print_cells(library.estimates(opened, only or [], estimate), at_once)
        return
    where = Cluster(cluster, at_once, dict(_parameter(text) for text in option or ()), minutes)
    command = shlex.join(["ganlab", *sys.argv[1:]])
    rows = library.ablate(opened, where, only or (), redo or (), command=command)
    print(f"{opened.out / 'table.csv'}: {len(rows)} rows")
    print(f"{opened.out / 'index.html'}: the same to look at")
    if any(row["status"] == "failed" for row in rows):
        raise typer.Exit(FAILED)


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise GanlabError(f"--option {text!r}: expected NAME=VALUE, for example slurm_partition=gpu")
    return name, int(value) if value.lstrip("-").isdecimal() else value


def _print_cells(cells: Sequence[Estimate], at_once: int) -> None:
    todo = [cell for cell in cells if not cell.done]
    for cell in cells:
        cost = "to run" if cell.seconds is None else f"{cell.seconds / 60:.1f} min"
        print(
            f"{'done' if cell.done else cost:>10}  {cell.cell.title}, {cell.cell.config.training.steps} steps"
        )
    print(f"{len(todo)} of {len(cells)} cells to run")
    known = [cell.seconds for cell in todo if cell.seconds is not None]
    if len(known) < len(todo):
        print("--estimate times three steps of each variant to say how long it takes")
    elif todo:
        hours = sum(known) / 3600
        print(f"about {hours:.1f} hours of training on this machine")
        print(f"with {at_once} at a time at best {hours / at_once:.1f} hours, measuring not included")
