"""The page of a training run: its losses, its samples, their spectrum, its configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ganlab.config import load
from ganlab.config.architecture import stage_names
from ganlab.results.page import Figure, Page, Section, Table
from ganlab.results.style import PAGE, logarithmic, new_figure, series_style, styled, svg_bytes
from ganlab.util.reading import open_regular, read_json, read_json_lines, read_text, reading

CURVES = {
    "Losses": "Losses over generator updates, as logged.",
    "Logits": "What the discriminator says of reals and of fakes: the mean logit of a batch.",
    "Gradient ratios": "Norm of a loss's gradient at the images over that of the adversarial loss: far below "
    "1 the loss does next to nothing.",
    "Spectral distances": "The unweighted distance that each spectral loss measures.",
}
SAMPLES = "The same 64 latents at every step, drawn with the moving average of the weights."
PAIRS = "The same held-out photos at every step, in rows: input, output of the averaged weights, target."
SHOWN_SHEETS = 4
DECADES = 100.0
"""Positive values that span more than this factor are drawn on a logarithmic scale."""


def page(folder: Path) -> Page:
    """What the page of a run folder shows, finished or not.

    Raises:
        GanlabError: the configuration or a file of the run cannot be read.
    """
    config = load(folder / "config.yaml")
    logged = _metrics(folder / "metrics.jsonl")
    steps, model, training = config.training.steps, config.model, config.training
    upsampling = ", ".join(dict.fromkeys(stage_names(model)))
    data = read_json(folder / "data.json", dict) if (folder / "data.json").is_file() else {}
    environment = (
        read_json(folder / "environment.json", dict) if (folder / "environment.json").is_file() else {}
    )
    finished = (folder / "checkpoints" / f"step-{steps:09d}.pt").is_file()
    step = steps if finished else int(logged[-1]["step"]) if logged else 0
    loss = {"gan": config.loss.adversarial, "segment": "cross-entropy"}.get(config.task, config.loss.pixel)
    state = "finished" if finished else "not finished; the same command goes on"
    sections = [
        Section("Training", ["Logarithmic where the values span more than two decades."],
                figures=_curves(logged)),
        Section("Samples", [SAMPLES if config.task == "gan" else PAIRS],
                figures=_sheets(folder / "samples", "samples", "Images of the fixed latents", 2)),
        Section("Spectrum", ["Mean power over rings, of those samples and of held-out reals, in dB."],
                figures=_sheets(folder / "samples", "spectrum", "Mean radial power of samples and reals", 1)),
    ]  # fmt: skip
    return Page(
        folder.resolve().name, "train",
        summary=[
            f"{step:,} of {steps:,} generator updates: {state}.",
            f"{model.architecture} at {model.image_size}×{model.image_size}, upsampling `{upsampling}`, "
            f"{loss} loss, batch {training.batch_size}, seed {config.seed}.",
        ],
        facts={
            "state": "finished" if finished else "unfinished", "updates": f"{step:,}",
            "upsampling": upsampling, "architecture": model.architecture,
            "size": f"{model.image_size} × {model.image_size}", "loss": loss,
            "data": str(data.get("source", config.data.source)),
        },
        sections=[section for section in sections if section.figures],
        sources={"log.txt": _text(folder / "log.txt"), "data.json": json.dumps(data, indent=2)},
        made={
            "command": environment.get("command", ""), "complete": finished, "files": {},
            "versions": {name: value for name, value in environment.items() if name != "command"},
            "inputs": [{
                "name": data["source"], "images": data["num_train"] + data["num_val"], "path": data["path"],
                "sha256": data["pixels_sha256"],
            }] if data else [],
            "identity": _text(folder / "config.yaml"),
        },
    )  # fmt: skip


def _text(path: Path) -> str:
    return read_text(path, errors="replace") if path.exists() else ""


def _metrics(path: Path) -> list[dict[str, float]]:
    """The logged lines; one that a kill cut off is left out."""
    return [
        {name: float(value) for name, value in row.items()} | {"step": row["step"]}
        for row in (read_json_lines(path) if path.exists() else ())
        if isinstance(row.get("step"), int) and all(isinstance(value, int | float) for value in row.values())
    ]


def _kind(name: str) -> str:
    """Under which title of ``CURVES`` a logged value stands."""
    ends = {"gradient_ratio": "Gradient ratios", "distance": "Spectral distances"}
    last = name.rsplit("/", 1)[-1]
    return "Logits" if last.startswith("logit") else ends.get(last, "Losses")


def _curves(logged: Sequence[dict[str, float]]) -> list[Figure]:
    """A figure for every kind of value, with its numbers."""
    names = dict.fromkeys(name for row in logged for name in row if name != "step")
    found = []
    for title, caption in CURVES.items():
        own = [name for name in names if _kind(name) == title]
        if own:
            rows = [[int(row["step"]), *(row.get(name) for name in own)] for row in logged]
            table = Table(["step", *own], rows, title="metrics.jsonl")
            found.append(Figure(_drawn(title, own, logged), f"{title} over steps", caption, table, ink=True))
    return found


@styled()
def _drawn(title: str, names: Sequence[str], logged: Sequence[dict[str, float]]) -> bytes:
    """The curves as SVG."""
    figure = new_figure(PAGE, 2.4)
    axes: Any = figure.subplots()
    for place, name in enumerate(names):
        points = [(row["step"], row[name]) for row in logged if name in row]
        style = series_style(place).line(len(points), place)
        axes.plot(*zip(*points, strict=True), label=name, **style)
    values = [row[name] for row in logged for name in names if name in row]
    if min(values) > 0 and max(values) > DECADES * min(values):
        axes.set_yscale("log")
        logarithmic(axes.yaxis)
    axes.set(xlabel="generator updates", title=title)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return svg_bytes(figure)


def _sheets(folder: Path, kind: str, what: str, scale: int) -> list[Figure]:
    """Pictures of a few steps, the last one always among them."""
    paths = sorted(folder.glob(f"{kind}-*.png"))
    spaced = (round(k * (len(paths) - 1) / (SHOWN_SHEETS - 1)) for k in range(SHOWN_SHEETS))
    chosen = dict.fromkeys(paths[place] for place in spaced) if paths else {}
    found = []
    for path in chosen:
        with reading(path), open_regular(path) as stream, Image.open(stream, formats=("PNG",)) as picture:
            step, width = int(path.stem.rsplit("-", 1)[-1]), min(440, scale * picture.width)
        alt, drawn = f"{what} after {step} steps", kind == "spectrum"
        found.append(Figure(path, alt, f"{step:,} updates", ink=drawn, natural=width))
    return found
