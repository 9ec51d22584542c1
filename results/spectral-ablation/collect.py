"""Tables and figures of this folder from the outputs of the commands in README.md.

    python collect.py FOLDER

FOLDER holds results/spectral-ablation/ and results/spectral-weights/ as those commands leave them.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import stats

from ganlab.results.style import (
    BLACK,
    DIVERGING,
    GREY,
    PAGE,
    SEQUENTIAL,
    new_figure,
    save_figure,
    series_style,
    styled,
)
from ganlab.training.monitor import grid

HERE = Path(__file__).parent
UPSAMPLERS = ("transposed", "pixel_shuffle", "bed_of_nails", "nearest", "bicubic", "bilinear")
REMEDIES = (
    "none", "spectral_loss", "as_released", "axis_loss", "discriminator_linear", "discriminator_nonlinear",
    "tail",
)  # fmt: skip
SHORT = {
    "none": "none", "spectral_loss": "radial loss", "as_released": "as released", "axis_loss": "axis loss",
    "discriminator_linear": "D linear", "discriminator_nonlinear": "D non-linear", "tail": "tail 3x5x5",
}  # fmt: skip
METRICS = {
    "radial_db": "radial profile,\nmean abs. dB",
    "axis_db": "axis profiles,\nmean abs. dB",
    "nyquist_db": "Nyquist row and\ncolumn, dB",
    "bce": "Durall's distance\n(BCE excess x 1000)",
    "swd": "sliced Wasserstein\n(x 1000)",
}
SIGNED = {"nyquist_db"}
Row = dict[str, Any]
T_LEVEL = 0.975


def decibels(values: list[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """10 log10 of a linear profile."""
    return 10 * np.log10(np.asarray(values))


def read_cells(folder: Path) -> list[Row]:
    """One row a cell: its axes, seed, status, and the four numbers of the tables."""
    rows = []
    for spec in sorted(folder.glob("cells/*/cell.json")):
        about = json.loads(spec.read_text())
        found = sorted(spec.parent.glob("result-*.json"))
        if not found:
            continue
        result = json.loads(found[0].read_text())
        row = {
            **about["variant"],
            "seed": about["seed"],
            "cell": spec.parent.name,
            "status": result["status"],
        }
        rows.append(row | (numbers(result) if result["status"] == "finished" else {}))
    return rows


def numbers(result: Row) -> Row:
    """Deviations of one finished cell; axis_db is the mean over both axes and all frequencies above zero."""
    real, fake = result["profiles"]["real"], result["profiles"]["fake"]
    apart = {name: decibels(fake[name]) - decibels(real[name]) for name in real}
    axes = np.concatenate([apart["horizontal"][1:], apart["vertical"][1:]])
    deviations = result["deviations"]
    return {
        "radial_db": deviations["mean_db"]["value"],
        "axis_db": float(np.abs(axes).mean()),
        "nyquist_db": deviations["axis_nyquist_excess_db"]["value"],
        "bce": 1e3 * deviations["bce_excess"]["value"],
        "swd": result["quality"]["swd"],
        "swd_null": result["quality"]["swd_null"],
        "apart": apart,
    }


def chosen(rows: list[Row], **wanted: str) -> list[Row]:
    """Finished cells with these axis values, by seed."""
    found = [r for r in rows if r["status"] == "finished" and all(r[k] == v for k, v in wanted.items())]
    return sorted(found, key=lambda row: row["seed"])


def cell_text(rows: list[Row], metric: str) -> str:
    """Mean over seeds, lowest and highest seed in brackets."""
    values = [row[metric] for row in rows]
    if not values:
        return "none finished"
    sign = "+" if metric in SIGNED else ""
    low, high = min(values), max(values)
    return f"{np.mean(values):{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


def main_table(rows: list[Row]) -> str:
    """Upsampler and remedy against the four numbers."""
    head = ["upsampling", "remedy", "seeds", *(title.replace("\n", " ") for title in METRICS.values())]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for upsampler in UPSAMPLERS:
        for remedy in REMEDIES:
            found = chosen(rows, upsampling=upsampler, remedy=remedy)
            cells = " | ".join(cell_text(found, metric) for metric in METRICS)
            lines.append(f"| {upsampler} | {remedy} | {len(found)} | {cells} |")
    return "\n".join(lines) + "\n"


def paired(rows: list[Row], remedy: str, metric: str, upsampler: str | None = None) -> list[float]:
    """Remedy minus none for the same upsampler and seed; numbers with a sign by their magnitude."""
    size = abs if metric in SIGNED else float
    differences = []
    for name in UPSAMPLERS if upsampler is None else (upsampler,):
        base = {row["seed"]: row for row in chosen(rows, upsampling=name, remedy="none")}
        for row in chosen(rows, upsampling=name, remedy=remedy):
            if row["seed"] in base:
                differences.append(size(row[metric]) - size(base[row["seed"]][metric]))
    return differences


def interval(values: list[float]) -> tuple[float, float]:
    """Student's 95 % interval of the mean."""
    half = stats.t.ppf(T_LEVEL, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def effects(rows: list[Row]) -> list[Row]:
    """Every remedy against none, over all upsamplers and seeds and for each upsampler."""
    found = []
    for metric in METRICS:
        for remedy in REMEDIES[1:]:
            for upsampler in (None, *UPSAMPLERS):
                values = paired(rows, remedy, metric, upsampler)
                if len(values) < 2:
                    continue
                low, high = interval(values)
                lower = sum(value < 0 for value in values)
                found.append({
                    "metric": metric, "remedy": remedy, "upsampling": upsampler or "all",
                    "pairs": len(values),
                    "difference": float(np.mean(values)), "low": low, "high": high, "lower_in": lower,
                    "sign_test_p": float(stats.binomtest(lower, len(values)).pvalue),
                })  # fmt: skip
    return found


def effect_table(found: list[Row]) -> str:
    """Differences over all upsamplers."""
    head = ["remedy - none", *(title.replace("\n", " ") for title in METRICS.values())]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for remedy in REMEDIES[1:]:
        cells = []
        for metric in METRICS:
            one = next(
                (e for e in found if (e["metric"], e["remedy"], e["upsampling"]) == (metric, remedy, "all")),
                None,
            )
            if one is None:
                cells.append("too few")
                continue
            text = f"{one['difference']:+.2f} [{one['low']:+.2f}, {one['high']:+.2f}]"
            stands_out = one["low"] > 0 or one["high"] < 0
            cells.append(
                (f"**{text}**" if stands_out else text) + f", lower in {one['lower_in']} of {one['pairs']}"
            )
        lines.append(f"| {remedy} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


@styled()
def draw_levels(rows: list[Row]) -> None:
    """Each number as a table of colours: upsampler by remedy, mean over seeds."""
    figure = new_figure(PAGE, 6.4)
    panels = figure.subplots(3, 2, sharey=True).flat
    panels[len(METRICS)].set_axis_off()
    for axes, (metric, title) in zip(panels, METRICS.items(), strict=False):
        values = np.array([
            [np.mean([r[metric] for r in chosen(rows, upsampling=u, remedy=m)] or [np.nan]) for m in REMEDIES]
            for u in UPSAMPLERS
        ])  # fmt: skip
        limit = np.nanmax(np.abs(values))
        signed = metric in SIGNED
        image = axes.imshow(
            values, cmap=DIVERGING if signed else SEQUENTIAL, aspect="auto",
            vmin=-limit if signed else None, vmax=limit if signed else None,
        )  # fmt: skip
        low, high = image.get_clim()
        for (i, j), value in np.ndenumerate(values):
            place = (value - low) / (high - low)
            dark = 0.2 < place < 0.8 if signed else place > 0.6
            axes.text(
                j, i, f"{value:.1f}", ha="center", va="center", fontsize=6, color=BLACK if dark else "white"
            )
        axes.set_title(title.replace("\n", " "))
        axes.set_xticks(range(len(REMEDIES)), [SHORT[m] for m in REMEDIES], rotation=40, ha="right")
        axes.set_yticks(range(len(UPSAMPLERS)), UPSAMPLERS)
        axes.tick_params(length=0)
    save_figure(figure, HERE / "levels")


@styled()
def draw_effects(found: list[Row]) -> None:
    """Remedy minus none: every upsampler's mean as a dot, the mean over all pairs with its interval."""
    figure = new_figure(PAGE, 3.2)
    panels = figure.subplots(1, len(METRICS), sharey=True)
    remedies = REMEDIES[1:]
    for axes, (metric, title) in zip(panels, METRICS.items(), strict=True):
        for place, remedy in enumerate(remedies):
            mine = [e for e in found if e["metric"] == metric and e["remedy"] == remedy]
            height = len(remedies) - 1 - place
            for one in mine:
                if one["upsampling"] != "all":
                    style = series_style(UPSAMPLERS.index(one["upsampling"]))
                    axes.plot(
                        one["difference"], height + 0.18, style.marker, color=style.color, mfc="white", ms=3
                    )
            whole = next((e for e in mine if e["upsampling"] == "all"), None)
            if whole:
                axes.plot([whole["low"], whole["high"]], [height - 0.15] * 2, color=BLACK, lw=1.5)
                axes.plot(whole["difference"], height - 0.15, "o", color=BLACK, ms=4)
        axes.axvline(0, color=GREY, lw=0.8)
        axes.set_xlabel(title + (", magnitude" if metric in SIGNED else "") + "\nremedy - none")
        axes.grid(axis="x")
    panels[0].set_yticks(range(len(remedies)), [SHORT[m] for m in remedies[::-1]])
    handles = [
        panels[0].plot(
            [], [], series_style(i).marker, color=series_style(i).color, mfc="white", ms=3, label=u
        )[0]
        for i, u in enumerate(UPSAMPLERS)
    ]
    handles += panels[0].plot([], [], "-o", color=BLACK, ms=4, label="mean of all pairs, 95 % interval")
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    save_figure(figure, HERE / "effects")


SHOWN = ("none", "spectral_loss", "axis_loss", "discriminator_nonlinear")


@styled()
def draw_profiles(rows: list[Row]) -> None:
    """Fake minus real for the radial and the horizontal profile: what ring means hide."""
    figure = new_figure(PAGE, 4.4)
    panels = figure.subplots(2, 3, sharex=True, sharey="row")
    kinds = {"radial": "radial profile", "horizontal": "horizontal profile"}
    names = ("transposed", "nearest", "bilinear")
    lines = []
    for column, upsampler in enumerate(names):
        for row, (kind, title) in enumerate(kinds.items()):
            axes = panels[row, column]
            for place, remedy in enumerate(SHOWN):
                curves = [r["apart"][kind][1:] for r in chosen(rows, upsampling=upsampler, remedy=remedy)]
                if not curves:
                    continue
                frequencies = np.arange(1, len(curves[0]) + 1) / (2 * len(curves[0]))
                mean = np.mean(curves, axis=0)
                style = series_style(place) if remedy != "none" else None
                keywords = style.line(len(mean), place) if style else {"color": BLACK, "lw": 1.6}
                axes.fill_between(
                    frequencies, np.min(curves, axis=0), np.max(curves, axis=0), alpha=0.12, lw=0,
                    color=keywords["color"],
                )  # fmt: skip
                axes.plot(frequencies, mean, label=SHORT[remedy], **keywords)
                lines.append((frequencies, upsampler, kind, remedy, mean))
            axes.axhline(0, color=GREY, lw=0.8)
            axes.grid(axis="y")
            axes.set_title(f"{upsampler}, {title}")
    for axes in panels[1]:
        axes.set_xlabel("frequency (cycles per pixel)")
    for axes in panels[:, 0]:
        axes.set_ylabel("fake - real (dB)")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    save_figure(figure, HERE / "profiles")
    with (HERE / "profiles.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["upsampling", "profile", "remedy", "frequency_cycles_per_pixel", "fake_minus_real_db"]
        )
        for frequencies, upsampler, kind, remedy, mean in lines:
            for f, value in zip(frequencies, mean, strict=True):
                writer.writerow([upsampler, kind, remedy, f"{f:.5f}", f"{value:.4f}"])


def gradient_ratio(run: Path) -> float:
    """Median over the second half of training of the spectral loss's pull at a pixel, relative to D's."""
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    half = logged[len(logged) // 2 :]
    values = [value for line in half for key, value in line.items() if key.endswith("/gradient_ratio")]
    return float(np.median(values)) if values else 0.0


@styled()
def draw_weights(rows: list[Row], folder: Path) -> str:
    """The weight sweep: each seed's numbers over the gradient ratio that its weight came to."""
    order = ["none", "0.03", "0.2", "1", "6", "30"]
    figure = new_figure(PAGE, 2.4)
    panels = figure.subplots(1, len(METRICS))
    lines = [
        "| weight | gradient ratio | " + " | ".join(t.replace("\n", " ") for t in METRICS.values()) + " |"
    ]
    lines.append("|" + "---|" * (2 + len(METRICS)))
    for place, weight in enumerate(order):
        found = [r for r in rows if r["weight"] == weight and r["status"] == "finished"]
        ratio = np.mean([gradient_ratio(folder / "cells" / r["cell"] / "run") for r in found])
        lines.append(f"| {weight} | {ratio:.3g} | " + " | ".join(cell_text(found, m) for m in METRICS) + " |")
        for axes, metric in zip(panels, METRICS, strict=True):
            values = [r[metric] for r in found]
            axes.plot([place] * len(values), values, "o", color=series_style(1).color, mfc="white")
            axes.plot([place - 0.25, place + 0.25], [np.mean(values)] * 2, color=BLACK)
    for axes, (_, title) in zip(panels, METRICS.items(), strict=True):
        axes.set_title(title)
        axes.set_xticks(range(len(order)), order, rotation=60)
        axes.set_xlabel("weight")
        axes.grid(axis="y")
    save_figure(figure, HERE / "weights")
    return "\n".join(lines) + "\n"


def draw_samples(rows: list[Row], folder: Path) -> None:
    """Twelve fakes of seed 0, a row a remedy, for two upsamplers; the first row is photos."""
    for upsampler in ("transposed", "nearest"):
        shown, names = [], []
        for remedy in REMEDIES:
            for row in chosen(rows, upsampling=upsampler, remedy=remedy)[:1]:
                saved = np.load(folder / "cells" / row["cell"] / "samples.npz")
                if not shown:
                    shown.append(saved["real"][:12])
                shown.append(saved["fake"][:12])
                names.append(remedy)
        if not shown:
            continue
        sheet = Image.fromarray(grid(np.concatenate(shown), 12))
        sheet = sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.NEAREST)
        sheet.save(HERE / f"samples-{upsampler}.png")
        print(f"rows of samples-{upsampler}.png: photos,", ", ".join(names))


def write_rows(path: Path, rows: list[Row]) -> None:
    """Plain columns as CSV."""
    names = [name for name in max(rows, key=len) if name != "apart"]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})


def main() -> None:
    """Everything."""
    results = Path(sys.argv[1]) / "results"
    rows, sweep = read_cells(results / "spectral-ablation"), read_cells(results / "spectral-weights")
    found = effects(rows)
    write_rows(HERE / "cells.csv", rows)
    write_rows(HERE / "weights.csv", sweep)
    write_rows(HERE / "effects.csv", found)
    (HERE / "table.md").write_text(main_table(rows))
    (HERE / "effects.md").write_text(effect_table(found))
    (HERE / "weights.md").write_text(draw_weights(sweep, results / "spectral-weights"))
    draw_levels(rows)
    draw_effects(found)
    draw_profiles(rows)
    draw_samples(rows, results / "spectral-ablation")
    print((HERE / "effects.md").read_text())


if __name__ == "__main__":
    main()
