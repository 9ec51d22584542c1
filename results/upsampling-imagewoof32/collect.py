"""Tables and figures of this folder from the outputs of the commands in README.md.

    python collect.py FOLDER

FOLDER holds data/, runs/, fakes/ and spectra/ as those commands leave them.

Writes table.csv, table.md, nyquist.{svg,png}, samples.png and copies the figures of two comparisons here.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganlab.data import open_image_set
from ganlab.results.style import PAGE, new_figure, save_figure, series_style, styled
from ganlab.training.monitor import grid

HERE = Path(__file__).parent
UPSAMPLERS = ("transposed", "pixel_shuffle", "bed_of_nails", "nearest", "bicubic", "bilinear")
HANN = "axis_nyquist_hann"
COLUMNS = {
    "axis_nyquist_excess_db": "Nyquist row and column",
    HANN: "the same, Hann window",
    "nyquist_excess_db": "Nyquist ring",
    "high_excess_db": "ring mean above 1/4",
    "mean_db": "mean abs. difference",
    "peak_horizontal_4": "bump at N/4, horizontal",
    "peak_diagonal_2": "bump at N/2, diagonal",
}
Row = dict[str, Any]


def rows_of(folder: Path) -> list[Row]:
    """One row per fake set of every finished comparison, with its windowed Nyquist power where measured."""
    rows: dict[tuple[str, str], Row] = {}
    for table in sorted(folder.glob("spectra/*/table.json")):
        comparison = table.parent.name
        for row in json.loads(table.read_text())["rows"]:
            values = {name: estimate["value"] for name, estimate in row["values"].items() if name in COLUMNS}
            key = comparison.removesuffix("-hann"), row["set"]
            if comparison.endswith("-hann"):
                rows[key][HANN] = values["axis_nyquist_excess_db"]
            else:
                rows[key] = {"comparison": comparison, "role": row["role"], "set": row["set"], **values}
    return list(rows.values())


def kind_of(row: Row) -> tuple[str, str, str]:
    """Network, upsampler and kind of weights of a row; its set is called network-upsampler-seed."""
    network, upsampler, _ = row["set"].split("-")
    return network, upsampler, "average" if row["comparison"].endswith("ema") else "raw"


def grouped(rows: list[Row]) -> dict[tuple[str, str, str], list[Row]]:
    """(network, weights, upsampler) -> a row a seed, in the order of the tables."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for network in ("dcgan", "sngan"):
        for weights in ("raw", "average"):
            for upsampler in UPSAMPLERS:
                wanted = (network, upsampler, weights)
                found = [row for row in rows if row["role"] == "fake" and kind_of(row) == wanted]
                if found:
                    groups[network, weights, upsampler] = sorted(found, key=lambda row: row["set"])
    return groups


def markdown(groups: dict[tuple[str, str, str], list[Row]], rows: list[Row]) -> str:
    """Mean over seeds with the single seeds in brackets."""
    head = ["network", "weights", "upsampling", "seeds", *(f"{title} (dB)" for title in COLUMNS.values())]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for (network, weights, upsampler), found in groups.items():
        cells = [cell([row[name] for row in found if name in row]) for name in COLUMNS]
        lines.append(f"| {network} | {weights} | {upsampler} | {len(found)} | " + " | ".join(cells) + " |")
    null = next(row for row in rows if row["role"] == "null")
    cells = [f"{null[name]:+.2f}" if name in null else "" for name in COLUMNS]
    lines.append("| real vs real | | | | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(values: list[float]) -> str:
    """``+1.2 (+1.0, +1.4)``; nothing where nothing was measured."""
    if not values:
        return ""
    single = ", ".join(f"{value:+.1f}" for value in values)
    return f"{np.mean(values):+.1f}" + (f" ({single})" if len(values) > 1 else "")


KINDS = (
    ("raw", "axis_nyquist_excess_db", "raw weights, no window"),
    ("raw", HANN, "raw weights, Hann window"),
    ("average", "axis_nyquist_excess_db", "averaged weights, no window"),
)


@styled()
def draw(groups: dict[tuple[str, str, str], list[Row]]) -> None:
    """Power at the Nyquist row and column by upsampler: a dot a seed."""
    figure = new_figure(PAGE, 3.0)
    panels = figure.subplots(1, 2, sharex=True)
    for axes, network in zip(panels, ("dcgan", "sngan"), strict=True):
        names = [name for name in UPSAMPLERS if (network, "raw", name) in groups]
        for index, (weights, column, label) in enumerate(KINDS):
            dots = [
                (row[column], len(names) - 1 - height + 0.22 * (1 - index))
                for height, name in enumerate(names)
                for row in groups.get((network, weights, name), [])
                if column in row
            ]
            style = series_style(index)
            axes.plot(*zip(*dots, strict=True), style.marker, color=style.color, mfc="white", label=label)
        axes.axvline(0.0, color="black", linewidth=0.6)
        axes.set_yticks(range(len(names)), names[::-1])
        axes.set_title(f"{network.upper()}, a dot per seed")
        axes.set_xlabel("power at the Nyquist row and column\nagainst the photos (dB)")
        axes.grid(axis="x")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    save_figure(figure, HERE / "nyquist")


def samples(folder: Path) -> None:
    """Eight images of each seed-0 set, in the order of the printed list, photos first."""
    sets = [("photos", open_image_set(f"{folder}/data/imagewoof_32.npz@val"))]
    for network in ("dcgan", "sngan"):
        for name in UPSAMPLERS:
            path = folder / "fakes" / f"{network}-s0" / f"{network}-{name}-s0"
            if path.exists():
                sets.append((path.name, open_image_set(path)))
    shown = [np.asarray(next(iter(images.batches(16))))[:16] for _, images in sets]
    sheet = Image.fromarray(grid(np.concatenate(shown), 16))
    sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.NEAREST).save(HERE / "samples.png")
    print("rows of samples.png:", ", ".join(name for name, _ in sets))


def main() -> None:
    """Everything."""
    folder = Path(sys.argv[1])
    rows = rows_of(folder)
    groups = grouped(rows)
    with (HERE / "table.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["comparison", "role", "set", *COLUMNS])
        writer.writeheader()
        writer.writerows(rows)
    (HERE / "table.md").write_text(markdown(groups, rows))
    draw(groups)
    samples(folder)
    for comparison in ("dcgan-s0", "sngan-s0"):
        target = HERE / comparison
        target.mkdir(exist_ok=True)
        for stem in ("heatmaps", "difference-maps", "radial", "horizontal", "vertical", "peaks", "table"):
            for suffix in ("csv",) if stem == "vertical" else ("png", "csv"):
                if stem not in ("heatmaps", "difference-maps") or suffix == "png":
                    shutil.copy(folder / "spectra" / comparison / f"{stem}.{suffix}", target)
        shutil.copy(folder / "spectra" / comparison / "provenance.json", target)
    print((HERE / "table.md").read_text())


if __name__ == "__main__":
    main()
