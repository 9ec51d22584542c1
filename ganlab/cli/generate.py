"""``ganlab generate RUN [RUN ...] --num N --out DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ganlab.errors import GanlabError

AUDITED = 30
"""Images below which an audit says nothing."""


def generate(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Runs, .safetensors files, or what an adapter reads.")
    ] = None,
    num: Annotated[int | None, typer.Option(min=1, help="Images of each generator.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the set.")] = None,
    format: Annotated[str, typer.Option(help="folder (PNG), zip (StyleGAN's) or npy.")] = "folder",
    layout: Annotated[
        str, typer.Option(help="folder (a class folder each) or cnndetection (0_real, 1_fake).")
    ] = "folder",
    with_real: Annotated[
        bool, typer.Option("--with-real", help="Add equally many reals, written the same way.")
    ] = False,
    test_fraction: Annotated[float, typer.Option(help="Split into train/ and test/ by this part.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Image i depends on (weights, seed, i) alone.")] = 0,
    weights: Annotated[str, typer.Option(help="ema (moving average) or raw.")] = "ema",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    batch_size: Annotated[
        int, typer.Option(min=1, help="Images waiting for the encoders; memory only.")
    ] = 256,
    workers: Annotated[int, typer.Option(min=1, max=1024, help="Encoding threads.")] = 4,
    reconstruct: Annotated[
        Path | None, typer.Option(help="Photos that each run makes its images of, instead of latents.")
    ] = None,
    trust: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of a source that can run code; once for each.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only hold finished sets against their manifests.")
    ] = False,
) -> None:
    """Make a fake dataset from one or more generators.

    With --reconstruct, image i of a run is made of photo i (all photos, or --num of them), and the photos are
    written beside, cut to the same size and coded the same way.

    An interrupted set is continued by the same command; a finished one is verified and left alone. With
    --verify, --out is the finished set to check; without --out the arguments are finished sets.
    """
    from ganlab.experiments.ablation.plan import cell_name
    from ganlab.experiments.sources import run_or_generator
    from ganlab.generation import Request, run_name, verify_set
    from ganlab.generation import generate as make

    if verify:
        folders = [Path(run) for run in runs or []] if out is None else [out]
        if not folders:
            raise GanlabError(
                "ganlab generate --verify needs the finished set: --out DIR, or one or more DIR"
            )
        for folder in folders:
            manifest = verify_set(folder)
            print(f"{folder}: {len(manifest['files'])} files as the manifest says")
        return
    if not runs or (num is None and reconstruct is None) or out is None:
        raise GanlabError("ganlab generate needs RUN [RUN ...], --num (or --reconstruct PHOTOS) and --out")
    sources = [run_or_generator(run, trust or ()) for run in runs]
    names = tuple(
        cell_name(source) or run_name(source) if isinstance(source, Path) else source.name
        for source in sources
    )
    request = Request(
        tuple(sources), num or 0, format, layout, with_real, test_fraction, seed, weights, device, names,
        reconstruct,
    )  # fmt: skip
    manifest = make(request, out, batch_size, workers)
    report(manifest, out)
    if with_real:
        audit(manifest, out)


def report(manifest: dict[str, object], out: Path) -> None:
    """Say what is where, and whether reals had to come from the training images."""
    plan = manifest["plan"]
    assert isinstance(plan, dict)
    for part in plan["parts"]:
        source = part["source"]
        print(f"{out / part['path']}: {part['count']} {source['kind']} images")
        if source["kind"] == "real" and source["held_out"] < source["num"]:
            print(f"note: only {source['held_out']} of the {source['num']} reals were held out of training")


def audit(manifest: dict[str, Any], out: Path) -> None:
    """Say what else than the generator tells the set's fakes from its reals."""
    from ganlab.data.imageset import ENDINGS, open_image_set
    from ganlab.forensics import audit_sets

    plan = manifest["plan"]
    for real in (part for part in plan["parts"] if part["source"]["kind"] == "real"):
        beside = [
            part
            for part in plan["parts"]
            if part["source"]["kind"] == "fake" and Path(part["path"]).parent == Path(real["path"]).parent
        ]
        parts = [real, *beside]
        if len(parts) == 1 or min(part["count"] for part in parts) < AUDITED:
            continue
        sets = [open_image_set(out / f"{part['path']}{ENDINGS[plan['format']]}") for part in parts]
        for one in audit_sets(sets[0], sets[1:], copies=False).findings:
            # colours, spectra and what looks enlarged are the generator's own here: both went one way
            if not one.generator:
                print(f"note: {real['path']} and {one.fakes}: {one}")
