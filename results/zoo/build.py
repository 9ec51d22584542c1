"""Train the zoo's generators and write their files and cards; it goes on where an interrupted call stopped.

Run from the repository's root (one thread):

    OMP_NUM_THREADS=1 python results/zoo/build.py [--runs FOLDER] [--only TEXT] [--list]

``--part 2/8`` is for eight processes side by side on one device, ``--minutes`` for a slice of borrowed time.

Every generator is one command, ``ganlab train small32 ...``, which its card repeats. All see the same images
in the same order and start from the same weights wherever shapes agree (``training.same_start``). The order
of the plan is the order of their use: one seed of everything before a second seed. The three photographs'
generators are trained where a set of that name lies in the current folder (``--list`` says so).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save

from ganlab.config import load
from ganlab.data import load_training_images
from ganlab.generation.sampling import generate_images
from ganlab.images import to_float
from ganlab.models import load_generator
from ganlab.models.store import METADATA, generator_file
from ganlab.spectra import decibels, lattice_lines, radial_profile, spectral_deviation
from ganlab.training import train
from ganlab.training.monitor import grid
from ganlab.upsampling import UPSAMPLERS
from ganlab.util.atomic import atomic_path, write_bytes, write_json
from ganlab.util.lock import InUseError
from ganlab.zoo import FOLDER

COMMON = ["training.same_start=true", "model.generator.z_dim=64", "training.threads=1"]
GLYPHS = [*COMMON, "data.num_images=10000"]
PHOTOS = "imagewoof_32.npz"
"""ImageWoof, 32 px: images, labels, split. A relative name: it is kept in the generators' files."""
IMAGEWOOF = [*COMMON, "data.source=pack", f"data.path={PHOTOS}", "data.flip=true", "training.steps=20000"]
REMEDIES = {
    "durall": ["loss.spectral=[{kind: radial_profile, weight: 0.5}]"],
    "axis": ["loss.spectral=[{kind: axis_profiles, weight: 0.1}]"],
    "spectral-discriminator": ["model.spectral_discriminator={input: radial}"],
}
SNGAN = [
    "model.architecture=sngan", "loss.adversarial=hinge", "optimizer.betas=[0.0, 0.9]", "optimizer.lr=1e-3",
    "optimizer.lr_discriminator=1e-3", "model.generator.width=32", "model.discriminator.width=32",
]  # fmt: skip
HALVED_FROM = 5000
"""Weights of a layer from which on it may be halved. Halving small layers as well changed 44 of 3 million
values by two levels."""
IMAGES = 1000
"""Fakes and reals that a card's numbers come from."""


def plan() -> Iterator[tuple[str, str, list[str]]]:
    """Name, what it differs in, and the overrides of ``small32``."""
    first = ("transposed", "nearest", "bilinear")
    for seed in range(3):
        tail = [*GLYPHS, f"seed={seed}"]
        for name in (*first, *(name for name in UPSAMPLERS if name not in first)):
            yield f"dcgan-{name}-s{seed}", f"upsampling {name}", [f"model.upsampling={name}", *tail]
        for name in ("transposed", "bilinear"):
            for remedy, options in REMEDIES.items():
                differs = f"upsampling {name}, {remedy}"
                yield f"dcgan-{name}-{remedy}-s{seed}", differs, [f"model.upsampling={name}", *options, *tail]
        # The last two are for `ganlab reproduce lecture`; one seed of them, so that all fit in 25 MB.
        for name in (*first, *(("bicubic", "pixel_shuffle") if seed == 0 else ())):
            yield f"sngan-{name}-s{seed}", f"SNGAN, upsampling {name}", [
                *SNGAN, f"model.upsampling={name}", *tail,
            ]  # fmt: skip
    for name in first:
        yield f"dcgan-{name}-imagewoof-s0", f"ImageWoof, upsampling {name}", [
            *IMAGEWOOF, f"model.upsampling={name}", "seed=0",
        ]  # fmt: skip


def halved(source: Path, target: Path, layers: Sequence[str] | None = None) -> str:
    """Write the averaged weights alone, these layers (by default all large ones) as float16; the SHA-256."""
    tensors = {name: value for name, value in load_file(source).items() if name.startswith("ema.")}
    chosen = large_layers(tensors) if layers is None else layers
    halves = {name: value.half() if name in chosen else value for name, value in tensors.items()}
    with source.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        about = json.loads(stream.read(length))["__metadata__"][METADATA]
    content = save(halves, {METADATA: about})
    write_bytes(target, content)
    return hashlib.sha256(content).hexdigest()


def large_layers(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of the averaged layers worth halving, largest first."""
    sizes = {
        name: value.numel()
        for name, value in tensors.items()
        if name.startswith("ema.") and value.is_floating_point() and value.numel() >= HALVED_FROM
    }
    return sorted(sizes, key=lambda name: -sizes[name])


def halved_unseen(source: Path, target: Path, before: np.ndarray) -> tuple[str, np.ndarray]:
    """Halve as many large layers as change no value of ``before`` by more than a level; SHA-256 and images.

    All of them mostly; else one by one, largest first, each that changes no more beside those before it.
    """

    def tried(layers: Sequence[str]) -> tuple[str, np.ndarray, bool]:
        digest = halved(source, target, layers)
        images = generate_images(load_generator(target), 0, 0, len(before))
        return digest, images, bool(np.abs(before.astype(int) - images.astype(int)).max() <= 1)

    large = large_layers(load_file(source))
    if not tried(large)[2]:
        chosen: list[str] = []
        for layer in large:
            chosen += [layer] if tried([*chosen, layer])[2] else []
        large = chosen
    return tried(large)[:2]


def commit() -> str:
    """The checkout's commit; "unknown" in a copy without git, as on a borrowed machine."""
    if not shutil.which("git"):
        return "unknown"
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def write_card(name: str, differs: str, overrides: list[str], run: Path, folder: Path = FOLDER) -> None:
    """Halve the weights, measure what that changed, and write file, card and samples into the folder."""
    config = load("small32", overrides)
    data = load_training_images(config.data, config.model.image_size)
    real = np.asarray(data.images[data.val])[:IMAGES]
    target = folder / f"{name}.safetensors"
    before = generate_images(load_generator(run), 0, 0, IMAGES)
    digest, after = halved_unseen(generator_file(run), target, before)
    generator = load_generator(target)
    changes = np.abs(before.astype(int) - after.astype(int))
    sets = [to_float(images) for images in (real, before, after)]
    deviation, halves = (spectral_deviation(sets[0], fake)["mean_db"] for fake in sets[1:])
    lines = lattice_lines(sets[0], sets[2])
    best = max(lines, key=lambda line: abs(line.db), default=None)
    profiles = [decibels(radial_profile(images.double()).mean(0)) for images in (sets[0], sets[2])]
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    metrics = metrics[9 :: max(1, len(metrics) // 10)]
    what = "glyphs, digits" if config.data.source == "glyphs" else "ImageWoof"
    command = ["ganlab", "train", "small32", *overrides]
    with atomic_path(target.with_suffix(".png")) as temporary:
        Image.fromarray(grid(after[:32], 8)).save(temporary, format="PNG")
    write_json(target.with_suffix(".json"), {
        "name": name,
        "differs": differs,
        "data": f"{what}, {config.model.image_size} px, {len(data.train)} images",
        "pixels_sha256": data.description["pixels_sha256"],
        "steps": config.training.steps,
        "seed": config.seed,
        "parameters": sum(weight.numel() for weight in generator.parameters()),
        "command": shlex.join(command),
        "commit": commit(),
        "sha256": digest,
        "samples": f"{name}.png",
        "curve": [
            [row["step"], round(row["generator/adversarial"], 3), round(row["discriminator/adversarial"], 3)]
            for row in metrics
        ],
        "spectrum": {
            "convention": "ganlab",
            "real_db": [round(value, 2) for value in profiles[0].tolist()],
            "fake_db": [round(value, 2) for value in profiles[1].tolist()],
        },
        "strongest_line": "no line stands out" if best is None else best.words,
        "float16": {
            "images": IMAGES,
            "levels": int(changes.max()),
            "changed_share": round(float((changes > 0).mean()), 5),
            "mean_db": round(deviation.value, 4),
            "low": round(deviation.low, 4),
            "high": round(deviation.high, 4),
            "mean_db_float16": round(halves.value, 4),
        },
    })  # fmt: skip


def main() -> None:
    """Train and write what is not there yet."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--runs", type=Path, default=Path("runs/zoo"))
    options.add_argument("--folder", type=Path, default=FOLDER, help="where files and cards go")
    options.add_argument("--anew", action="store_true", help="also what is in the package already")
    options.add_argument("--only", default="")
    options.add_argument("--part", default="1/1", help="K/N: the K-th of N processes side by side")
    options.add_argument("--minutes", type=float, help="save and stop after so many; the same call goes on")
    options.add_argument("--set", action="append", default=[], help="key.path=value, for all")
    options.add_argument("--list", action="store_true", help="say what there is and what is missing")
    asked = options.parse_args()
    torch.set_num_threads(1)
    number, processes = (int(text) for text in asked.part.split("/"))
    end = math.inf if asked.minutes is None else time.monotonic() + 60 * asked.minutes
    planned = list(plan())
    start = (number - 1) * len(planned) // processes
    for name, differs, overrides in planned[start:] + planned[:start]:
        folders = [asked.folder] if asked.anew else [asked.folder, FOLDER]
        there = any((folder / f"{name}.json").exists() for folder in folders)
        if asked.list:
            print("there  " if there else "missing", name)  # noqa: T201
        elif not there and asked.only in name and (Path(PHOTOS).exists() or PHOTOS not in str(overrides)):
            left = (end - time.monotonic()) / 60
            if left <= 0:
                return
            options_here = [*overrides, *asked.set]
            limit = [] if asked.minutes is None else [f"training.max_minutes={left}"]
            try:
                finished = train(load("small32", [*options_here, *limit]), asked.runs / name).finished
            except InUseError:
                continue  # another process is at it
            if not finished:
                return  # stopped by a signal or the clock: the same call goes on
            write_card(name, differs, options_here, asked.runs / name, asked.folder)
            print("done", name, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
