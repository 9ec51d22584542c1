"""``ganlab train CONFIG [key.path=value ...]``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from ganlab.cli.show import print_warnings
from ganlab.config import Resolved, dump, preset_names, resolve

SIGNALLED = 128


def train(
    config: Annotated[str, typer.Argument(help="YAML file, preset name or run folder.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key.path=value, as often as needed.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved plan and stop.")] = False,
    stop_at: Annotated[
        int | None, typer.Option(min=1, help="Stop cleanly after this step; the same command goes on.")
    ] = None,
) -> None:
    """Train the generator that a configuration describes.

    The run folder is ``out``, by default ``runs/<name>``; where CONFIG is a run folder, that one, wherever
    it was moved. The same command again resumes an unfinished run and leaves a finished one alone. Ctrl-C
    and SIGTERM save first.
    """
    resolved = resolve(config, overrides or ())
    is_main = int(os.environ.get("RANK", "0")) == 0
    if is_main:
        print_warnings(resolved)
    folder = run_folder(config, resolved, overrides or ())
    if dry_run:
        print(dump(resolved.config), end="")
        print(f"# would train in {folder}")
        return
    from ganlab.training import train as run

    result = run(resolved.config, folder, stop_at)
    if result.signal is not None and not result.finished:
        raise typer.Exit(SIGNALLED + result.signal)
    if is_main:
        from ganlab.experiments.training_run import page
        from ganlab.results.page import write_page

        print(f"the page is {write_page(result.folder, page(result.folder))}")


def run_folder(config: str, resolved: Resolved, overrides: Sequence[str]) -> str:
    """Where to train: ``out=`` of the command, CONFIG if it is a run folder, its ``out``, or the default."""
    asked = any(text.partition("=")[0].strip() == "out" for text in overrides)
    if not asked and config not in preset_names() and os.path.isdir(config):
        return config
    return resolved.config.out or os.path.join("runs", resolved.name)
