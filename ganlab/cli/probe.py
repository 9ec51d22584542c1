"""``ganlab probe SOURCE``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

FAULTY = 1


def probe(
    source: Annotated[str, typer.Argument(help="A run, or anything that ganlab.load_generator reads.")],
    trust: Annotated[
        str | None, typer.Option(help="SHA-256 of a source that can run code; without it the error says it.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    fail_above: Annotated[
        float, typer.Option(help="Exit with 1 above so many dB; structure alone counts.")
    ] = 3.0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Lines that are the same in every image count too.")
    ] = False,
    samples: Annotated[
        int | None, typer.Option(min=8, help="Images it draws; 64 when absent, or fewer.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the latents.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Results folder with a page.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the results of another probe.")] = False,
) -> None:
    """What lattice does a generator leave, and which of its stages makes it?

    Exits with 0 if it leaves none of its own, 1 if it does, 2 if it cannot be probed: fit for a CI.
    """
    from ganlab.experiments.probe.run import probe_generator, write_probe
    from ganlab.results.tables import aligned, with_interval
    from ganlab.util.atomic import write_json

    report = probe_generator(source, seed, fail_above, samples, trust)
    passes = report.passes(strict)
    if json is not None:
        write_json(json, {**report.to_dict(), "strict": strict, "passes": passes})
    rows = [
        (f.kind, f.what, f.stage, f"{f.period_y}x{f.period_x}", with_interval(f.db, f.low, f.high, 1, True))
        for f in report.findings
    ]
    print(report.verdict)
    if rows:
        print("\n" + aligned([("kind", "what", "stage", "period", "dB"), *rows]), end="")
    for note in report.notes:
        print(f"note: {note}")
    if report.clipped > 0:
        print(f"note: {report.clipped:.2%} of the values stand at the ends of their range")
    if out is not None:
        write_probe(report, out, shlex.join(["ganlab", *sys.argv[1:]]), force)
        print(f"\nthe page is {out / 'index.html'}")
    if not passes:
        raise typer.Exit(FAULTY)
