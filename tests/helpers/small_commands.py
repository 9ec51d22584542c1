"""The commands of the pages on a small scale, and a folder in which they run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from shared import ROOT

SMALL = [
    "training.steps=4", "training.batch_size=8", "training.generator_batch_size=8", "model.generator.width=4",
    "model.discriminator.width=4", "logging.log_every=2", "logging.samples_every=4", "training.n_dis=1",
    "logging.checkpoint_every=4", "training.device=cpu", "data.num_images=96",
]  # fmt: skip


def scaled(command: str) -> str:
    """The same command on a small scale."""
    verb = command.split()[1] if command.startswith("ganlab ") else ""
    if verb == "train" and "--dry-run" not in command:
        return " ".join([command, *SMALL])
    if verb == "ablate":
        one = ["--only", "remedy=none", "--only", "upsampling=nearest"]
        few = ["--only", "seed=0"] + ([] if "--only" in command else one)
        return " ".join([command, *few, *SMALL])
    if verb == "quickstart":
        return f"{command} --steps 6" + ("" if "--size" in command else " --size tiny")
    if verb == "detect" and "--model" not in command:
        return f"{command} --limit 60 --seeds 1 --resamples 20" + (
            "" if "--bands" in command else " --bands 0"
        )
    if verb == "reproduce" and len(command.split()) > 2:
        return f"{command} --scale tiny"
    if verb == "spectra":
        return f"{command} --bootstrap 20"
    if verb == "patches":
        return f"{command} --shown 2 --gallery 2 --pairs 1 --resamples 20"
    if verb == "evade":
        return f"{command} --num 24 --steps 2 --seeds 1 --epochs 1 --resamples 20"
    return re.sub(r"--num \d+", "--num 60", command)


def furnish(folder: Path) -> None:
    """Put into a folder what the pages assume: configs/, photos/, data/."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    draw = np.random.default_rng(0)
    (folder / "photos").mkdir()
    (folder / "data").mkdir()
    for index in range(120):
        pixels = draw.integers(0, 256, (80, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{index:03d}.png")
    images = draw.integers(0, 256, (300, 32, 32, 3), dtype=np.uint8)
    split = np.repeat([0, 1], [150, 150])
    np.savez(folder / "data" / "imagewoof_32.npz", images=images, labels=np.arange(300) % 10, split=split)
