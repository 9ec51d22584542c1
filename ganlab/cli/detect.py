"""``ganlab detect REAL FAKE [FAKE ...] --out DIR`` and ``ganlab detect --model M IMAGES``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ganlab.errors import GanlabError


def detect(
    sets: Annotated[list[str], typer.Argument(help="REAL FAKE [FAKE ...]; with --model, images to score.")],
    out: Annotated[Path | None, typer.Option(help="Results folder; with --model, a CSV file.")] = None,
    model: Annotated[Path | None, typer.Option(help="Score images with this saved detector.")] = None,
    preset: Annotated[str | None, typer.Option(help="A published method, such as frank2020.")] = None,
    systems: Annotated[
        list[str] | None, typer.Option("--system", help="feature+detector, repeatable; beside a preset's.")
    ] = None,
    unseen: Annotated[
        list[str] | None, typer.Option("--unseen", help="Reals of another kind: false alarms on them.")
    ] = None,
    unseen_fakes: Annotated[
        list[str] | None,
        typer.Option(
            "--unseen-fake", help="Their fakes: accuracy and ROC-AUC; one for each --unseen, or many."
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, max=1000, help="Repeats, new splits.  [3]")] = None,
    split: Annotated[
        str | None, typer.Option(help="TRAIN/VAL/TEST or TRAIN/TEST in per cent.  [60/20/20]")
    ] = None,
    perturbations: Annotated[
        list[str] | None,
        typer.Option("--perturbation", help="Measure robustness against it; none: not a preset's."),
    ] = None,
    sizes: Annotated[
        list[int] | None, typer.Option("--size", help="A training-set size to try; 0: none.")
    ] = None,
    bands: Annotated[int, typer.Option(min=0, max=4096, help="Bands of the importance table; 0: none.")] = 8,
    resamples: Annotated[int, typer.Option(min=0, max=10**6, help="Draws of every interval.")] = 1000,
    attribution: Annotated[bool | None, typer.Option(help="Also name the source.")] = None,
    immunise: Annotated[
        bool | None, typer.Option(help="Train source networks on under each perturbation; test again.")
    ] = None,
    tsne: Annotated[int | None, typer.Option(min=0, help="Images in a t-SNE map; 0: none.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most so many epochs of a network.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="DETECTOR.OPTION=VALUE, such as random_forest.trees=100."),
    ] = None,
    optimize: Annotated[int, typer.Option(min=0, max=10**6, help="Candidates tried; 0: none.")] = 0,
    allow: Annotated[list[str] | None, typer.Option(help="Tolerate this guard's findings.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many images of each set.")] = None,
    trust: Annotated[list[str] | None, typer.Option(help="SHA-256 of a source that can run code.")] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="Name of a set, once for each of REAL FAKE ..., in order.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make all anew, also in the place of another.")
    ] = False,
) -> None:
    """Train and test detectors of fake images, or score images with a saved one.

    A FAKE may be a generator (a run, zoo:NAME, what ganlab.load_generator reads), which draws as many images
    as there are reals. Tables carry bootstrap intervals and a real-against-real control. The same command
    continues an interrupted experiment. Sets that differ in size, codec or preparation are refused; --allow
    NAME tolerates a finding. A preset brings its paper's settings; options given beside it win.
    """
    if model is not None:
        _score(model, sets, out, limit, trust or [])
        return
    if out is None or len(sets) < 2:
        raise GanlabError("ganlab detect needs REAL, at least one FAKE and --out (or --model M IMAGES)")
    given = {
        "systems": systems, "seeds": seeds, "fractions": split, "perturbations": perturbations,
        "sizes": sizes, "bands": bands, "resamples": resamples, "attribution": attribution,
        "immunise": immunise, "tsne": tsne, "epochs": epochs, "changes": changes,
        "optimize": optimize, "allow": allow,
    }  # fmt: skip
    _run((sets, unseen or [], unseen_fakes or []), (limit, trust or []), out, (preset, given), name, force)


def _run(
    paths: tuple[list[str], list[str], list[str]],
    opening: tuple[int | None, list[str]],
    out: Path,
    asked: tuple[str | None, dict[str, Any]],
    names: list[str] | None,
    force: bool,
) -> None:
    """Open the sets, run the experiment, print its report.

    ``paths``: of what is trained on, of unseen reals and fakes; ``opening``: limit and trusted hashes;
    ``asked``: a preset's name, and options that win over it.
    """
    from ganlab.experiments.detection.measure import named_sets
    from ganlab.experiments.detection.options import chosen_options
    from ganlab.experiments.detection.run import detect as run
    from ganlab.experiments.sources import open_sets

    options, (sets, unseen, unseen_fakes) = chosen_options(*asked), paths
    real, *others = named_sets(open_sets([*sets, *unseen, *unseen_fakes], *opening), names)
    fakes, held = others[: len(sets) - 1], others[len(sets) - 1 :]
    held_reals, held_fakes = held[: len(unseen)], held[len(unseen) :]
    command = shlex.join(["ganlab", *sys.argv[1:]])
    report = run(real, fakes, out, options, held_reals, command, force, held_fakes)
    print(report.text)
    print(f"{'already in' if report.was_complete else 'written to'} {out}; the page is {out / 'index.html'}")


def _score(model: Path, sets: list[str], out: Path | None, limit: int | None, trust: list[str]) -> None:
    """Print how many images of each set are called what (of one image: what it is called).

    With ``out`` every image's scores go to a CSV file.
    """
    from ganlab.experiments.sources import open_sets
    from ganlab.forensics import load_detector, score_images, write_scores

    if len(sets) != 1 and out is not None:
        raise GanlabError("with --model and --out give one set of images")
    saved = load_detector(model)
    for path in sets:
        scores = score_images(saved, open_sets([path], limit, trust)[0])
        verdicts, mean = scores.probabilities.argmax(1), f"probability of fake {scores.fake.mean():.3f}"
        if len(verdicts) == 1:
            print(f"{path}: {scores.class_names[verdicts[0]]}; {mean}")
        else:
            counts = ", ".join(f"{(verdicts == k).sum()} {name}" for k, name in enumerate(scores.class_names))
            print(f"{path}: {len(verdicts)} images, {counts}; mean {mean}")
        if scores.warning:
            print(f"{path}: {scores.warning}")
        if out is not None:
            write_scores(out, scores)
