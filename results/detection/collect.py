"""Tables and figures of this folder from the outputs of the commands in README.md.

    python collect.py FOLDER

FOLDER holds detection/ as those commands leave it: classical/, neural-*/, sngan/,
cloaking/UPSAMPLER-sSEED/.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.results.style import (
    BLACK,
    GREY,
    PAGE,
    SEQUENTIAL,
    new_figure,
    save_figure,
    series_style,
    styled,
)

HERE = Path(__file__).parent
EXPERIMENTS = ("classical", "neural-pixels", "neural-dct")
NULL, POOLED, ALL_BUT = "real (null)", "pooled", "all but "
REMEDIES = (
    "none", "spectral_loss", "as_released", "axis_loss", "discriminator_linear", "discriminator_nonlinear",
    "tail",
)  # fmt: skip
SHORT = {
    "none": "none", "spectral_loss": "radial loss", "as_released": "as released", "axis_loss": "axis loss",
    "discriminator_linear": "D linear", "discriminator_nonlinear": "D non-linear", "tail": "tail 3x5x5",
}  # fmt: skip
Record = dict[str, Any]


def load(folder: Path) -> Record:
    """results.json of one experiment, or the first repetition of one that was not run to its end."""
    whole = folder / "results.json"
    result: Record = json.loads((whole if whole.exists() else folder / "parts" / "0_0.json").read_text())
    return result


def short(name: str) -> str:
    """``dcgan-bed_of_nails-s0`` -> ``dcgan bed_of_nails``."""
    parts = name.split("-")
    return f"{parts[0]} {parts[1]}" if len(parts) == 3 else name


def transfer(records: Iterable[Record], metric: str) -> dict[tuple[str, str, str], list[list[float]]]:
    """(system, trained on, tested on) -> [value, low, high] of every repetition."""
    found: dict[tuple[str, str, str], list[list[float]]] = {}
    for record in records:
        if record["kind"] == "transfer":
            key = record["system"], record["trained_on"], record["tested_on"]
            found.setdefault(key, []).append(record["metrics"][metric])
    return found


def mean(estimates: Sequence[Sequence[float]]) -> float:
    """Mean over repetitions; not a number where nothing was measured."""
    return float(np.mean([one[0] for one in estimates])) if estimates else float("nan")


def text(estimates: Sequence[Sequence[float]]) -> str:
    """Mean over repetitions and the outermost ends of their intervals."""
    if not estimates:
        return ""
    low, high = min(one[1] for one in estimates), max(one[2] for one in estimates)
    return f"{mean(estimates):.3f} [{low:.3f}, {high:.3f}]"


def order(found: dict[tuple[str, str, str], Any]) -> tuple[list[str], list[str]]:
    """Systems and generators (the null last) as they come."""
    systems = list(dict.fromkeys(system for system, _, _ in found))
    tested = list(dict.fromkeys(name for _, _, name in found))
    return systems, [name for name in tested if name != NULL] + [name for name in tested if name == NULL]


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def own_table(accuracy: dict[Any, Any], auc: dict[Any, Any]) -> str:
    """Each generator by detectors trained on it: balanced accuracy and ROC-AUC."""
    systems, names = order(accuracy)
    rows = [
        [
            system,
            short(name),
            text(accuracy.get((system, name, name), [])),
            text(auc.get((system, name, name), [])),
        ]
        for system in systems
        for name in names
    ]
    return markdown(["system", "generator", "balanced accuracy", "ROC-AUC"], rows)


def question_table(found: dict[Any, Any]) -> str:
    """Per system, averaged over generators: own, pooled, all but this one, another generator's detector."""
    systems, names = order(found)
    fakes = [name for name in names if name != NULL]
    rows = []
    for system in systems:
        own = [mean(found.get((system, name, name), [])) for name in fakes]
        pooled = [mean(found.get((system, POOLED, name), [])) for name in fakes]
        left_out = [mean(found.get((system, ALL_BUT + name, name), [])) for name in fakes]
        others = [mean(found.get((system, a, b), [])) for a in fakes for b in fakes if a != b]
        null = [mean(found.get((system, NULL, NULL), []))]
        rows.append(
            [system, *(spread(values) for values in (own, pooled, left_out, others)), f"{null[0]:.3f}"]
        )
    head = ["system", "trained on it", "trained on all", "on all but it", "on another one", "real vs real"]
    return markdown(head, rows)


def spread(values: Sequence[float]) -> str:
    """Mean, lowest and highest."""
    return f"{np.nanmean(values):.3f} ({np.nanmin(values):.3f} to {np.nanmax(values):.3f})"


def heat(axes: Any, values: Any, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Numbers on colours from 0.5 (chance and below) to 1."""
    axes.imshow(values, cmap=SEQUENTIAL, vmin=0.5, vmax=1.0, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            color = BLACK if value > 0.8 else "white"
            axes.text(
                j,
                i,
                f"{value:.2f}".lstrip("0"),
                ha="center",
                va="center",
                fontsize=5.5,
                color=color,
            )
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)


@styled()
def draw_generators(found: dict[Any, Any]) -> None:
    """Balanced accuracy of every system on every generator it was trained on."""
    systems, names = order(found)
    values = np.array([[mean(found.get((s, n, n), [])) for n in names] for s in systems])
    figure = new_figure(PAGE, 0.24 * len(systems) + 1.4)
    axes = figure.subplots()
    heat(axes, values, systems, [short(name) for name in names])
    axes.set_title("balanced accuracy (0.5 is chance), trained and tested on the same generator")
    save_figure(figure, HERE / "generators")


@styled()
def draw_transfer(found: dict[Any, Any], systems: Sequence[str]) -> None:
    """Train on the row, test on the column, for a few systems."""
    _, names = order(found)
    fakes = [name for name in names if name != NULL]
    rows = [*fakes, POOLED]
    figure = new_figure(PAGE, 6.2)
    panels = figure.subplots(2, 2, sharex=True, sharey=True).flat
    for axes, system in zip(panels, systems, strict=True):
        values = np.array([[mean(found.get((system, a, b), [])) for b in names] for a in rows])
        heat(axes, values, [short(name) for name in rows], [short(name) for name in names])
        axes.set_title(system)
    figure.supxlabel("tested on", fontsize=8)
    figure.supylabel("trained on", fontsize=8)
    save_figure(figure, HERE / "transfer")


@styled()
def draw_training(found: dict[Any, Any]) -> None:
    """A dot a generator: detectors trained on it, on all, on all but it; by system."""
    systems, names = order(found)
    fakes = [name for name in names if name != NULL]
    kinds: dict[str, Callable[[str], str]] = {
        "trained on it": lambda name: name,
        "trained on all together": lambda _: POOLED,
        "on all but it": lambda name: ALL_BUT + name,
    }
    figure = new_figure(PAGE, 0.34 * len(systems) + 1.0)
    axes = figure.subplots()
    for place, (label, trained) in enumerate(kinds.items()):
        style = series_style(place)
        for row, system in enumerate(systems):
            height = len(systems) - 1 - row + 0.25 * (1 - place)
            values = [mean(found.get((system, trained(name), name), [])) for name in fakes]
            axes.plot(
                values, [height] * len(values), style.marker, color=style.color, mfc="white", ms=3,
                label=label if row == 0 else None,
            )  # fmt: skip
            axes.plot([np.nanmean(values)] * 2, [height - 0.1, height + 0.1], color=style.color, lw=2)
    axes.axvline(0.5, color=GREY, lw=0.8)
    axes.set_yticks(range(len(systems)), systems[::-1])
    axes.set_xlabel("balanced accuracy (a mark per generator, bar: their mean; 0.5 is chance)")
    axes.grid(axis="x")
    figure.legend(loc="outside lower center", ncols=3)
    save_figure(figure, HERE / "training")


def cloaking(folder: Path) -> list[Record]:
    """One row per upsampler, generator seed, system and remedy: a fresh detector and the old one."""
    rows = []
    for place in sorted(folder.glob("*-s*")):
        if not (place / "results.json").exists():
            continue
        upsampler, seed, *second = place.name.split("-")
        records = load(place)["records"]
        accuracy, auc = transfer(records, "balanced_accuracy"), transfer(records, "roc_auc")
        systems, names = order(accuracy)
        remedy_of = {name: remedy for name in names for remedy in REMEDIES if f"-{remedy}-s" in name}
        base = next((name for name, remedy in remedy_of.items() if remedy == "none"), None)
        for system in systems:
            for name in names:
                remedy = remedy_of.get(name, NULL)
                if second and remedy != "axis_loss":
                    # The second call repeats the fakes without remedy, to train the old detector on.
                    continue
                old = accuracy.get((system, base, name), [])
                rows.append({
                    "upsampling": upsampler, "seed": int(seed[1:]), "system": system, "remedy": remedy,
                    "fresh": mean(accuracy[system, name, name]), "fresh_auc": mean(auc[system, name, name]),
                    "trained_on_none": mean(old),
                    "trained_on_none_auc": mean(auc.get((system, base, name), [])),
                })  # fmt: skip
    return rows


def cloaking_table(rows: list[Record], key: str) -> str:
    """System by remedy, over upsamplers and generator seeds."""
    systems = list(dict.fromkeys(row["system"] for row in rows))
    upsamplers = list(dict.fromkeys(row["upsampling"] for row in rows))
    lines = []
    for system in systems:
        for upsampler in upsamplers:
            cells = []
            for remedy in (*REMEDIES, NULL):
                wanted = (system, upsampler, remedy)
                values = [r[key] for r in rows if (r["system"], r["upsampling"], r["remedy"]) == wanted]
                cells.append(
                    f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else ""
                )
            lines.append([system, upsampler, *cells])
    return markdown(["system", "upsampling", *(SHORT.get(m, m) for m in (*REMEDIES, NULL))], lines)


@styled()
def draw_cloaking(rows: list[Record]) -> None:
    """Fresh detectors and those trained on fakes without a remedy, by remedy."""
    systems = list(dict.fromkeys(row["system"] for row in rows))
    upsamplers = list(dict.fromkeys(row["upsampling"] for row in rows))
    figure = new_figure(PAGE, 1.55 * len(upsamplers) + 0.9)
    panels = np.atleast_2d(figure.subplots(len(upsamplers), 2, sharex=True, sharey=True))
    titles = {
        "fresh": "a detector trained on these fakes",
        "trained_on_none": "a detector trained without remedy",
    }
    for (row, upsampler), (column, (key, title)) in (
        (a, b) for a in enumerate(upsamplers) for b in enumerate(titles.items())
    ):
        axes = panels[row, column]
        for place, system in enumerate(systems):
            style = series_style(place)
            for x, remedy in enumerate(REMEDIES):
                wanted = (system, upsampler, remedy)
                values = [r[key] for r in rows if (r["system"], r["upsampling"], r["remedy"]) == wanted]
                shift = 0.16 * (place - (len(systems) - 1) / 2)
                axes.plot(
                    [x + shift] * len(values), values, style.marker, color=style.color, mfc="white", ms=3,
                    label=system if x == 0 else None,
                )  # fmt: skip
        axes.axhline(0.5, color=GREY, lw=0.8)
        axes.set_xticks(range(len(REMEDIES)), [SHORT[m] for m in REMEDIES], rotation=40, ha="right")
        axes.set_title(f"{upsampler}: {title}")
        axes.grid(axis="y")
    for axes in panels[:, 0]:
        axes.set_ylabel("balanced accuracy")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(systems))
    save_figure(figure, HERE / "cloaking")


def unseen_table(results: Sequence[Record]) -> str:
    """False alarms on reals of another kind: each generator's detector, and the pooled one."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for result in results:
        for one in result["unseen"]:
            trained = POOLED if one["trained_on"] == POOLED else "one generator"
            if one["trained_on"] != NULL and not one["trained_on"].startswith(ALL_BUT):
                found.setdefault((one["system"], trained, one["tested_on"]), []).append(one["rate"][0])
    sets = list(dict.fromkeys(tested for _, _, tested in found))
    keys = list(dict.fromkeys((system, trained) for system, trained, _ in found))
    rows = [[s, t, *(spread(found[s, t, name]) for name in sets)] for s, t in keys]
    return markdown(["system", "trained on", *sets], rows)


def robustness_table(results: Sequence[Record]) -> str:
    """Balanced accuracy on perturbed test images, averaged over generators and repetitions."""
    found: dict[tuple[str, str], list[float]] = {}
    for result in results:
        for record in result["records"]:
            if record["kind"] == "robustness" and record["tested_on"] not in (NULL, POOLED):
                key = record["system"], record["setting"] or "none"
                found.setdefault(key, []).append(record["metrics"]["balanced_accuracy"][0])
    systems = list(dict.fromkeys(system for system, _ in found))
    settings = list(dict.fromkeys(setting for _, setting in found))
    rows = [
        [s, *(f"{np.mean(found[y, s]):.2f}" if (y, s) in found else "" for y in systems)] for s in settings
    ]
    return markdown(["test images", *systems], rows)


def main() -> None:
    """Everything."""
    root = Path(sys.argv[1]) / "detection"
    results = [load(root / name) for name in EXPERIMENTS]
    records = [record for result in results for record in result["records"]]
    accuracy, auc = transfer(records, "balanced_accuracy"), transfer(records, "roc_auc")
    (HERE / "own.md").write_text(own_table(accuracy, auc))
    (HERE / "questions.md").write_text(question_table(accuracy))
    (HERE / "unseen.md").write_text(unseen_table(results))
    (HERE / "robustness.md").write_text(robustness_table(results))
    with (HERE / "transfer.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            [
                "system",
                "trained_on",
                "tested_on",
                "repetitions",
                "balanced_accuracy",
                "low",
                "high",
                "roc_auc",
            ]
        )
        for key, values in accuracy.items():
            low, high = min(v[1] for v in values), max(v[2] for v in values)
            numbers = mean(values), low, high, mean(auc[key])
            writer.writerow([*key, len(values), *(f"{number:.4f}" for number in numbers)])
    draw_generators(accuracy)
    alone = load(root / "sngan")["records"]
    four, four_auc = transfer(alone, "balanced_accuracy"), transfer(alone, "roc_auc")
    (HERE / "sngan.md").write_text(own_table(four, four_auc) + "\n" + question_table(four))
    draw_transfer(accuracy, ("radial+logistic", "both+logistic", "dct+logistic", "pixels+cnn"))
    draw_training(accuracy)
    rows = cloaking(root / "cloaking")
    if rows:
        with (HERE / "cloaking.csv").open("w", newline="") as stream:
            table = csv.DictWriter(stream, list(rows[0]))
            table.writeheader()
            table.writerows(
                {k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows
            )
        (HERE / "cloaking.md").write_text(
            "A detector trained on these fakes\n\n" + cloaking_table(rows, "fresh")
            + "\nA detector trained on the same generator's fakes without remedy\n\n"
            + cloaking_table(rows, "trained_on_none")
        )  # fmt: skip
        draw_cloaking(rows)
    print((HERE / "questions.md").read_text())


if __name__ == "__main__":
    main()
