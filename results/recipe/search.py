"""The recipe search: small generators of 32 px at equal CPU time, judged without looking at losses.

Run from the repository's root (one thread; it goes on where an interrupted call stopped):

    OMP_NUM_THREADS=1 python results/recipe/search.py STAGE [--budget SECONDS] [--arms NAME ...] [--seeds N]
    OMP_NUM_THREADS=1 python results/recipe/search.py STAGE --photos imagewoof_32.npz [...]
    OMP_NUM_THREADS=1 python results/recipe/search.py zoo
    python results/recipe/search.py table [--photos imagewoof_32.npz]

Stages are the dicts of arms below (``sngan``: SNGAN's networks). Every arm of ``wide`` is the quickstart as
it was before this search (DCGAN, width 24, batch norm in both networks, non-saturating, Adam 5e-4 with
betas 0.5/0.999, batch 64) with other keys, and is trained until it has used ``--budget`` seconds of CPU
time. Results: one line of JSON for each arm, upsampler and seed in ``results/recipe/STAGE.jsonl``; sample
grids in ``--pictures`` (not kept in the repository). With ``--photos`` the arms learn the images of that
set (no digits, so nobody judges them), and the file is named after it. ``zoo`` trains nothing: it judges
the generators of the zoo. ``table`` prints the means of the arms that several seeds were tried of, or of
all on photographs.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from ganlab.config import Config, load
from ganlab.data import TrainingImages, load_training_images
from ganlab.generation.quality import sliced_wasserstein
from ganlab.generation.sampling import generate_images
from ganlab.images import to_float
from ganlab.models import load_generator
from ganlab.models.store import read_generator
from ganlab.results.tables import markdown
from ganlab.spectra import power_spectrum, radial_profile
from ganlab.training.distributed import World, place
from ganlab.training.loop import make_reader
from ganlab.training.players import Players, make_players
from ganlab.training.step import Trainer
from ganlab.zoo import names, zoo_file

HERE = Path(__file__).parent
BASE = [
    "data.source=glyphs", "data.num_images=10000", "data.val_fraction=0.1", "data.flip=false",
    "model.generator.width=24", "model.discriminator.width=24", "loss.adversarial=non_saturating",
    "optimizer.lr=5e-4", "optimizer.betas=[0.5, 0.999]", "training.batch_size=64", "training.threads=1",
    "training.ema_decay=0", "training.device=cpu", "training.steps=1000000", "logging.tensorboard=false",
]  # fmt: skip
WIDTH16 = ["model.generator.width=16", "model.discriminator.width=16"]
WIDTH32 = ["model.generator.width=32", "model.discriminator.width=32"]
RELATIVISTIC = [
    "loss.adversarial=relativistic", "loss.penalty=r1_r2", "model.discriminator.norm=none",
    "optimizer.betas=[0.0, 0.99]",
]  # fmt: skip
RESIDUAL = [
    "model.architecture=sngan",
    "loss.adversarial=hinge",
    "optimizer.betas=[0.0, 0.9]",
    "training.ema_decay=0.98",
    *WIDTH32,
]
"""SNGAN's networks and loss, at width 32 and with averaged weights."""
SPECTRAL_NORM = ["loss.adversarial=hinge", "model.discriminator.spectral_norm=true"]

STAGES: dict[str, dict[str, list[str]]] = {
    "wide": {
        "today": [],
        "lr 1e-3": ["optimizer.lr=1e-3"],
        "G 2e-3, D 5e-4": ["optimizer.lr=2e-3", "optimizer.lr_discriminator=5e-4"],
        "G 2e-3, D 5e-4, batch 32": [
            "optimizer.lr=2e-3", "optimizer.lr_discriminator=5e-4", "training.batch_size=32",
        ],
        "G 2e-3, D 5e-4, batch 32, average 0.98": [
            "optimizer.lr=2e-3", "optimizer.lr_discriminator=5e-4", "training.batch_size=32",
            "training.ema_decay=0.98",
        ],
        "G 1e-3, D 5e-4, batch 32": [
            "optimizer.lr=1e-3", "optimizer.lr_discriminator=5e-4", "training.batch_size=32",
        ],
        "lr 1e-3, batch 32": ["optimizer.lr=1e-3", "training.batch_size=32"],
        "lr 1e-3, batch 16": ["optimizer.lr=1e-3", "training.batch_size=16"],
        "relativistic, gamma 0.1, lr 5e-4, batch 32": [
            *RELATIVISTIC, "loss.penalty_weight=0.1", "training.batch_size=32",
        ],
        "relativistic, gamma 1, lr 1e-3, batch 32": [
            *RELATIVISTIC, "loss.penalty_weight=1.0", "training.batch_size=32", "optimizer.lr=1e-3",
        ],
        "relativistic, gamma 0.1, lr 2e-3, batch 16": [
            *RELATIVISTIC, "loss.penalty_weight=0.1", "training.batch_size=16", "optimizer.lr=2e-3",
        ],
        "SN hinge, G 5e-4, D 2e-3, batch 32": [
            *SPECTRAL_NORM, "optimizer.lr_discriminator=2e-3", "training.batch_size=32",
        ],
        "SN hinge, G 2e-3, D 2e-3, batch 32": [*SPECTRAL_NORM, "optimizer.lr=2e-3", "training.batch_size=32"],
        "SN hinge, G 1e-3, D 4e-3, betas 0/0.9, batch 32": [
            *SPECTRAL_NORM, "optimizer.lr=1e-3", "optimizer.lr_discriminator=4e-3", "training.batch_size=32",
            "optimizer.betas=[0.0, 0.9]",
        ],
        "lr 1e-3, batch 32, width 16": ["optimizer.lr=1e-3", "training.batch_size=32", *WIDTH16],
        "lr 1e-3, batch 32, width 32": ["optimizer.lr=1e-3", "training.batch_size=32", *WIDTH32],
        "lr 1e-3, batch 32, width 64": [
            "optimizer.lr=1e-3", "training.batch_size=32", "model.generator.width=64",
            "model.discriminator.width=64",
        ],
        "G 2e-3, D 5e-4, batch 32, average 0.98, color, translation": [
            "optimizer.lr=2e-3", "optimizer.lr_discriminator=5e-4", "training.batch_size=32",
            "training.ema_decay=0.98", "training.augment=[color, translation]",
        ],
        "lr 1e-3, batch 32, translation": [
            "optimizer.lr=1e-3", "training.batch_size=32", "training.augment=[translation]",
        ],
        "lr 1e-3, batch 32, color, translation": [
            "optimizer.lr=1e-3", "training.batch_size=32", "training.augment=[color, translation]",
        ],
    },
    "sngan": {
        "as published": [*RESIDUAL, "optimizer.lr=2e-4", "training.n_dis=5"],
        "lr 1e-3, batch 32": [*RESIDUAL, "optimizer.lr=1e-3", "training.batch_size=32"],
        "lr 1e-3, 5 updates, batch 32": [
            *RESIDUAL, "optimizer.lr=1e-3", "training.n_dis=5", "training.batch_size=32",
        ],
        "lr 1e-3, 2 updates, batch 16": [
            *RESIDUAL, "optimizer.lr=1e-3", "training.n_dis=2", "training.batch_size=16",
        ],
        "lr 1e-3, betas 0.5/0.999, batch 32": [
            *RESIDUAL, "optimizer.lr=1e-3", "optimizer.betas=[0.5, 0.999]", "training.batch_size=32",
        ],
        "relativistic with SN, lr 1e-3, batch 32": [
            *RESIDUAL, "loss.adversarial=relativistic", "optimizer.lr=1e-3", "training.batch_size=32",
        ],
        "relativistic with SN, G 1e-3, D 5e-4, batch 32": [
            *RESIDUAL, "loss.adversarial=relativistic", "optimizer.lr=1e-3",
            "optimizer.lr_discriminator=5e-4", "training.batch_size=32",
        ],
        "relativistic with SN, lr 4e-4, betas 0.5/0.999, batch 32": [
            *RESIDUAL, "loss.adversarial=relativistic", "optimizer.lr=4e-4", "optimizer.betas=[0.5, 0.999]",
            "training.batch_size=32",
        ],
        "relativistic with SN, lr 4e-4, batch 16": [
            *RESIDUAL, "loss.adversarial=relativistic", "optimizer.lr=4e-4", "training.batch_size=16",
        ],
        "relativistic with SN, lr 4e-4, 3 updates, batch 16": [
            *RESIDUAL, "loss.adversarial=relativistic", "optimizer.lr=4e-4", "training.batch_size=16",
            "training.n_dis=3",
        ],
        "SN and batch norm, non-saturating, G 2e-3, D 5e-4, betas 0.5/0.999, batch 32": [
            *RESIDUAL, "loss.adversarial=non_saturating", "model.discriminator.norm=batch",
            "optimizer.lr=2e-3", "optimizer.lr_discriminator=5e-4", "optimizer.betas=[0.5, 0.999]",
            "training.batch_size=32",
        ],
        "SN and batch norm, lr 1e-3, batch 32": [
            *RESIDUAL, "model.discriminator.norm=batch", "optimizer.lr=1e-3", "training.batch_size=32",
        ],
        "SN and batch norm, relativistic, lr 1e-3, batch 32": [
            *RESIDUAL, "loss.adversarial=relativistic", "model.discriminator.norm=batch", "optimizer.lr=1e-3",
            "training.batch_size=32",
        ],
        "lr 1e-3, 4 updates, batch 16": [
            *RESIDUAL, "optimizer.lr=1e-3", "training.batch_size=16", "training.n_dis=4",
        ],
        "lr 1e-3, 3 updates, batch 16, R1 gamma 1 beside SN": [
            *RESIDUAL, "optimizer.lr=1e-3", "training.batch_size=16", "training.n_dis=3", "loss.penalty=r1",
            "loss.penalty_weight=1.0",
        ],
        "lr 4e-4, 3 updates, batch 16": [
            *RESIDUAL, "optimizer.lr=4e-4", "training.batch_size=16", "training.n_dis=3",
        ],
        "relativistic, gamma 0.1, lr 1e-3, batch 32": [
            *RESIDUAL, *RELATIVISTIC, "model.discriminator.spectral_norm=false", "loss.penalty_weight=0.1",
            "optimizer.lr=1e-3", "training.batch_size=32",
        ],
        "relativistic, gamma 1, lr 5e-4, batch 32": [
            *RESIDUAL, *RELATIVISTIC, "model.discriminator.spectral_norm=false", "loss.penalty_weight=1.0",
            "training.batch_size=32",
        ],
        "R1 gamma 1, lr 1e-3, batch 32": [
            *RESIDUAL, "loss.adversarial=non_saturating", "loss.penalty=r1", "loss.penalty_weight=1.0",
            "model.discriminator.spectral_norm=false", "optimizer.lr=1e-3", "training.batch_size=32",
        ],
    },
}  # fmt: skip


class Judge(nn.Module):
    """A small classifier of the reals' ten digits."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 64)
        blocks = [
            nn.Sequential(nn.Conv2d(a, b, 3, 1, 1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
            for a, b in pairwise(widths)
        ]
        self.body, self.head = nn.Sequential(*blocks, nn.Flatten()), nn.Linear(64 * 16, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, 10)``."""
        return self.head(self.body(images))

    @torch.no_grad()
    def verdicts(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class and its probability for each image."""
        parts = [torch.softmax(self(to_float(part)), 1) for part in np.array_split(images, 8)]
        confidence, digit = torch.cat(parts).max(1)
        return digit.numpy(), confidence.numpy()


def trained_judge(data: TrainingImages, path: Path) -> Judge:
    """The classifier, trained once on the training part (four epochs) and kept."""
    torch.manual_seed(0)
    judge = Judge()
    if path.exists():
        judge.load_state_dict(torch.load(path, weights_only=True))
        return judge.eval()
    optimizer = torch.optim.Adam(judge.parameters(), 2e-3)
    for _ in range(4):
        for part in torch.randperm(len(data.train)).split(64):
            images, labels = data.images[data.train[part]], torch.from_numpy(data.labels[data.train[part]])
            loss = F.cross_entropy(judge(to_float(images)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.save(judge.state_dict(), path)
    return judge.eval()


def mean_distance(images: np.ndarray) -> float:
    """Mean root-mean-square difference of different images, in [-1, 1] units: small where all look alike."""
    flat = to_float(images[:400]).flatten(1)
    return float((torch.pdist(flat) / flat.shape[1] ** 0.5).mean())


def measure(judge: Judge | None, real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """All measures of one fake set against as many held-out reals."""
    verdicts = {}
    if judge is not None:
        digit, confidence = judge.verdicts(fake)
        sure = confidence > 0.9
        shares = np.bincount(digit[sure], minlength=10) / len(fake)
        verdicts = {"sure": float(sure.mean()), "digits": int((shares >= 0.02).sum())}
    ours, theirs = to_float(fake), to_float(real)
    bands = 10 * torch.log10(radial_profile(ours).mean(0) / radial_profile(theirs).mean(0))
    size = fake.shape[1]
    below, above = bands[1 : size // 4], bands[size // 4 + 1 :]
    power, real_power = (power_spectrum(images).mean((0, 1)) for images in (ours, theirs))
    half, quarter = size // 2, size // 4
    lines = {
        "corner_db": [(half, half)], "axis_db": [(half, 0), (0, half)],
        "quarter_db": [(quarter, 0), (0, quarter)],
    }  # fmt: skip
    excess = {
        name: float(10 * torch.log10(sum(power[p] for p in places) / sum(real_power[p] for p in places)))
        for name, places in lines.items()
    }
    return {
        **verdicts,
        "low_db": float(below.abs().mean()),
        "high_db": float(above.mean()),
        "swd": sliced_wasserstein(real, fake)["swd"],
        "spread": mean_distance(fake) / mean_distance(real),
        **excess,
    }


def train(config: Config, data: TrainingImages, budget: float) -> tuple[Players, int]:
    """Train until ``budget`` seconds of CPU time are used; the networks and the number of steps."""
    placement, world = place(config.training), World()
    players = make_players(config, placement, world)
    trainer = Trainer(config, players, make_reader(config, data, placement, world), placement, world)
    started, step = time.process_time(), 0
    while time.process_time() - started < budget:
        losses = trainer.step(step)
        players.average.update(players.generator, step)
        step += 1
        if not all(bool(torch.isfinite(value)) for value in losses.values()):
            break
    return players, step


def grid(images: np.ndarray, path: Path) -> None:
    """The first 64 images, enlarged three times without interpolation."""
    rows = images[:64].reshape(8, 8, *images.shape[1:]).transpose(0, 2, 1, 3, 4)
    side = 8 * images.shape[1]
    Image.fromarray(rows.reshape(side, side, 3)).resize((3 * side, 3 * side), 0).save(path)


def judge_zoo(pictures: Path) -> None:
    """Measure every generator of the zoo that ``zoo.jsonl`` lacks; of photographs, where these lie here."""
    log = HERE / "zoo.jsonl"
    there = {json.loads(line)["name"] for line in log.read_text().splitlines()} if log.exists() else set()
    for name in names():
        if name in there:
            continue
        described = read_generator(zoo_file(name), "ema")[0].data
        digits = described.source == "glyphs"
        if not digits and not Path(str(described.path)).exists():
            continue
        data = load_training_images(described, 32)
        real = np.asarray(data.images[data.val])[:1000]
        fake = generate_images(load_generator(zoo_file(name)), 0, 0, len(real))
        numbers = measure(trained_judge(data, pictures / "judge.pt") if digits else None, real, fake)
        row = {"name": name} | {key: round(value, 3) for key, value in numbers.items()}
        with log.open("a") as stream:
            print(json.dumps(row), file=stream)
        print(json.dumps(row), flush=True)  # noqa: T201


def table(rows: list[dict], least: int) -> str:
    """Means and ranges over the seeds of each arm with at least so many, in Markdown, best patches first."""
    columns = {
        "steps": 0, "sure": 2, "digits": 1, "low_db": 1, "high_db": 1, "swd": 0, "spread": 2, "corner_db": 1,
    }  # fmt: skip
    columns = {name: digits for name, digits in columns.items() if name in rows[0]}
    arms = {row["arm"]: [one for one in rows if one["arm"] == row["arm"]] for row in rows}
    several = {arm: own for arm, own in arms.items() if len(own) >= least}
    lines = []
    for arm in sorted(several, key=lambda arm: np.mean([row["swd"] for row in several[arm]])):
        cells = [arm, str(len(several[arm]))]
        for name, digits in columns.items():
            values = [row[name] for row in several[arm]]
            ends = f" ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.{digits}f}{ends}")
        lines.append(cells)
    return markdown(["arm", "seeds", *columns], lines)


def main() -> None:
    """Train and measure every arm that is not in the stage's file yet."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("stage", choices=[*STAGES, "zoo", "table"])
    options.add_argument("--budget", type=float, default=60.0, help="CPU seconds an arm")
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--upsampling", nargs="+", default=["bilinear"])
    options.add_argument("--arms", nargs="+", default=None)
    options.add_argument("--photos", type=Path, help="a pack, folder or npz of 32 px to learn, not glyphs")
    options.add_argument("--images", type=int, default=10_000, help="of the photos, if there are fewer")
    options.add_argument("--pictures", type=Path, default=Path("recipe-pictures"))
    asked = options.parse_args()
    asked.pictures.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    if asked.stage == "zoo":
        judge_zoo(asked.pictures)
        return
    stage = "wide" if asked.stage == "table" else asked.stage
    stage += f"-{asked.photos.stem}" if asked.photos else ""
    log = HERE / f"{stage}.jsonl"
    keys = ("arm", "upsampling", "seed", "budget")
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    if asked.stage == "table":
        print(table(done, 1 if asked.photos else 3))  # noqa: T201
        return
    there = {tuple(row[key] for key in keys) for row in done}
    chosen = asked.arms or list(STAGES[asked.stage])
    for seed in range(asked.seeds):
        for arm in chosen:
            for name in asked.upsampling:
                if (arm, name, seed, asked.budget) in there:
                    continue
                overrides = [*BASE, *STAGES[asked.stage][arm], f"model.upsampling={name}", f"seed={seed}"]
                if asked.photos:
                    overrides += [
                        "data.source=pack", f"data.path={asked.photos}", f"data.num_images={asked.images}",
                    ]  # fmt: skip
                config = load("dcgan32", overrides)
                data = load_training_images(config.data, config.model.image_size)
                judge = None if asked.photos else trained_judge(data, asked.pictures / "judge.pt")
                real = np.asarray(data.images[data.val])[:1000]
                players, steps = train(config, data, asked.budget)
                averaged = config.training.ema_decay > 0
                network = players.average.network if averaged else players.generator
                fake = generate_images(network.eval(), 0, 0, len(real))
                row = dict(zip(keys, (arm, name, seed, asked.budget), strict=True)) | {"steps": steps}
                row |= {key: round(value, 3) for key, value in measure(judge, real, fake).items()}
                with log.open("a") as stream:
                    print(json.dumps(row), file=stream)
                print(json.dumps(row), flush=True)  # noqa: T201
                file = f"{stage}-{arm}-{name}-{seed}-{asked.budget:.0f}.png".replace(" ", "_")
                grid(fake, asked.pictures / file.replace("/", "_").replace(",", ""))


if __name__ == "__main__":
    main()
