"""``ganlab data pack FOLDER OUT --size N``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ganlab.cli.verbs import VerbCommand

data = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Prepare images: pack a folder.",
)


class OnError(StrEnum):
    """What to do with a file that cannot be used."""

    skip = "skip"
    fail = "fail"


@data.callback()
def data_() -> None:
    """Prepare images: pack a folder."""


@data.command(cls=VerbCommand)
def pack(
    folder: Annotated[Path, typer.Argument(help="Images: flat, in class folders, or below train/ and val/.")],
    out: Annotated[Path, typer.Argument(help="The pack to make, a folder (for example dogs64.gpack).")],
    size: Annotated[int, typer.Option(min=1, max=65_536, help="Side of the packed images in pixels.")],
    on_error: Annotated[
        OnError, typer.Option(help="Unreadable or too small files: name and count them, or stop.")
    ] = OnError.fail,
    val_fraction: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Hold out this part, drawn by --seed.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the held-out part.")] = 0,
    tiles: Annotated[
        bool, typer.Option("--tiles", help="Cut into all tiles of this size instead, never resized.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a pack that is already there.")] = False,
) -> None:
    """Images -> one memory-mapped pack: upright, RGB, centre square, antialiased Lanczos, never enlarged."""
    from ganlab.data.folder import pack_folder

    report = pack_folder(folder, out, size, on_error.value, val_fraction, seed, overwrite=force, tiles=tiles)
    for note in report.notes:
        print(f"warning: {note}", file=sys.stderr)
    for refused in report.skipped:
        print(f"skipped: {refused.name}: {refused.reason}", file=sys.stderr)
    left_out = f", {len(report.skipped)} skipped" if report.skipped else ""
    print(f"{report.path}: {report.num_images} images of {size}x{size}{left_out}")
    print(f"train on it with: data.source=pack data.path={report.path} model.image_size={size}")
