"""What the ablation of plan.yaml found, as tables and a figure.

    python results/decoders/figure.py decoders-ablation --out results/decoders

Beside what `ganlab ablate` measures, the lattice is looked for where pairs show it best: in the error, image
by image. A lattice of period 2 makes the error larger at some of the four positions of a 2x2 block than at
others (second order), or gives the error a line at half the sampling rate (first order).
"""

from __future__ import annotations

import argparse
import csv
import itertools
from pathlib import Path

import numpy as np
import torch.nn.functional as F

from ganlab.data.pairs import reduced
from ganlab.generation.fidelity import fidelity
from ganlab.images import to_float, to_uint8
from ganlab.results.style import new_figure, series_style, styled, svg_bytes
from ganlab.results.tables import markdown, write_csv
from ganlab.util.reading import read_json

NAMES = ("transposed", "nearest", "bilinear", "bicubic", "pixel_shuffle", "bed_of_nails")
GREY = np.array([0.299, 0.587, 0.114])
RING = 2
"""Coefficients around a lattice frequency that it is held against, in each direction."""


def lattice_of(real: np.ndarray, made: np.ndarray) -> dict[str, float]:
    """The error's lattice of period 2, in dB.

    Args:
        real: uint8 ``(N, S, S, 3)``.
        made: of the same shape, image i of real image i.

    Returns:
        ``phases_db``: mean square error at the worst of the four positions of a 2x2 block over the best's.
        ``corner_db``, ``axes_db``: power of the error at (1/2, 1/2), and at (0, 1/2) and (1/2, 0), over the
        median of the coefficients around it.
    """
    error = (made.astype(float) - real) @ GREY
    phases = [(error[:, row::2, column::2] ** 2).mean() for row, column in itertools.product((0, 1), (0, 1))]
    power = (np.abs(np.fft.fft2(error)) ** 2).mean(0)
    side = len(power)

    def prominence(row: int, column: int) -> float:
        steps = [step for step in itertools.product(range(-RING, RING + 1), repeat=2) if step != (0, 0)]
        around = [power[(row + down) % side, (column + right) % side] for down, right in steps]
        return float(10 * np.log10(power[row, column] / np.median(around)))

    half = side // 2
    return {
        "phases_db": float(10 * np.log10(max(phases) / min(phases))),
        "corner_db": prominence(half, half),
        "axes_db": (prominence(0, half) + prominence(half, 0)) / 2,
    }


def rows_of(folder: Path) -> list[dict]:
    """The finished cells: their line of the table, and the lattice of their 64 kept pairs."""
    rows = []
    for row in csv.DictReader((folder / "table.csv").open(encoding="utf-8")):
        if row["status"] == "finished":
            cell = folder / "cells" / row["cell"]
            kept = np.load(cell / "samples.npz")
            seconds = read_json(next(cell.glob("result-*.json")), dict)["seconds"]["training"]
            names = ("psnr", "ssim", "lfd", "high_excess_db", "axis_nyquist_excess_db", "peak_diagonal_2")
            measured = {name: float(row[name]) for name in names}
            facts = {name: row[name] for name in ("task", "upsampling", "skips", "seed")}
            rows.append({**facts, **measured, **lattice_of(kept["real"], kept["fake"]), "seconds": seconds})
    return rows


def by_bicubic(folder: Path) -> float:
    """PSNR of the kept photos, reduced as a super-resolution network sees them and enlarged by bicubic."""
    kept = np.load(next(folder.glob("cells/superres-*/samples.npz")))["real"]
    large = F.interpolate(reduced(to_float(kept), 2), scale_factor=2, mode="bicubic")
    return fidelity(kept, to_uint8(large))["psnr"]


def means(rows: list[dict], task: str, skips: str, metric: str) -> list[list[float]]:
    """For each upsampler the values of its seeds."""
    return [
        [row[metric] for row in rows if (row["task"], row["upsampling"], row["skips"]) == (task, name, skips)]
        for name in NAMES
    ]


@styled()
def figure(rows: list[dict]) -> bytes:
    """PSNR, the images' lattice, the error's lattice; a column a task; dots are seeds."""
    drawn = new_figure(7.2, 6.2)
    tasks = ("superres", "autoencoder")
    metrics = {
        "psnr": "PSNR (dB)", "peak_diagonal_2": "line at (1/2, 1/2),\nimages over photos (dB)",
        "phases_db": "error, worst over\nbest position (dB)",
    }  # fmt: skip
    grid = drawn.subplots(len(metrics), len(tasks), sharex=True)
    for (line, (metric, label)), (column, task) in itertools.product(
        enumerate(metrics.items()), enumerate(tasks)
    ):
        axis = grid[line][column]
        for place, skips in enumerate(("with", "without")):
            points = [
                (x + 0.16 * (2 * place - 1), value)
                for x, values in enumerate(means(rows, task, skips, metric))
                for value in values
            ]
            style = series_style(place)
            axis.plot(
                *(zip(*points, strict=True) if points else ((), ())),
                "o",
                color=style.color,
                label=f"{skips} skips",
                ms=4,
            )
        axis.set_xticks(range(len(NAMES)), NAMES, rotation=35, ha="right")
        axis.set_title(task if not line else "")
        axis.set_ylabel("" if column else label)
    grid[0][0].legend()
    return svg_bytes(drawn)


def main() -> None:
    """Read the ablation's folder, write ablation.csv, ablation.md and ablation.svg."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows = rows_of(given.folder)
    write_csv(given.out / "ablation.csv", list(rows[0]), [list(row.values()) for row in rows])
    lines = [f"Bicubic enlarging alone, on 64 photos: {by_bicubic(given.folder):.2f} dB.", ""]
    shown = {
        "psnr": "PSNR, dB", "ssim": "SSIM", "lfd": "LFD, nats", "high_excess_db": "power above 1/4, dB",
        "peak_diagonal_2": "line at (1/2, 1/2), dB", "axis_nyquist_excess_db": "Nyquist, axes, dB",
        "phases_db": "error by phase, dB", "corner_db": "error at (1/2, 1/2), dB",
        "axes_db": "error at (0, 1/2), dB",
    }  # fmt: skip
    for task in ("superres", "autoencoder"):
        table = []
        for name, skips in itertools.product(NAMES, ("with", "without")):
            cells = []
            for metric in shown:
                values = means(rows, task, skips, metric)[NAMES.index(name)]
                digits = 3 if metric == "ssim" else 2
                cells.append(" / ".join(f"{value:.{digits}f}" for value in values) or "-")
            table.append([name, skips, *cells])
        lines += [f"### {task}", "", "Seeds are separated by a stroke.", ""]
        lines += [markdown(["upsampling", "skips", *shown.values()], table, left=(0, 1)), ""]
    (given.out / "ablation.md").write_text("\n".join(lines), encoding="utf-8")
    (given.out / "ablation.svg").write_bytes(figure(rows))


if __name__ == "__main__":
    main()
