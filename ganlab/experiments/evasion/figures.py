"""Figures of ``ganlab evade``: scores, tuning, spectra and quality; detectors; images before and after."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ganlab.experiments.evasion.fresh import AFTER, BEFORE, FROZEN, TESTS
from ganlab.experiments.evasion.report import ACCURACY, CHANCE, Evasion
from ganlab.experiments.patches.figures import SMALL, difference_image, draw_picture, gain
from ganlab.forensics import NULL
from ganlab.results.style import NULL as NULL_STYLE
from ganlab.results.style import PAGE, REAL, SeriesStyle, new_figure, series_style, styled

STYLES: dict[str, SeriesStyle] = {
    "real": REAL, BEFORE: series_style(0), AFTER: series_style(1), NULL: NULL_STYLE,
}  # fmt: skip
SHOWN_IMAGES = 8


@styled()
def draw_evasion(found: Evasion) -> Figure:
    """Four panels: the frozen detector's scores, the tuning, the spectra, the quality."""
    figure = new_figure(PAGE, 4.6)
    panels = figure.subplots(2, 2)
    _draw_scores(panels[0, 0], found)
    _draw_tuning(panels[0, 1], found)
    _draw_spectra(panels[1, 0], found)
    _draw_quality(panels[1, 1], found)
    return figure


def _draw_scores(axes: Any, found: Evasion) -> None:
    """Share of images whose probability of fake is at most that."""
    for name, values in found.scores.items():
        ordered = np.concatenate([[0.0], np.sort(values), [1.0]])
        share = np.concatenate([np.arange(len(values) + 1) / len(values), [1.0]])
        style = STYLES[name]
        axes.step(ordered, share, where="post", color=style.color, linestyle=style.dashes,
                  label=f"{name}, {len(values)} images")  # fmt: skip
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("probability of fake, frozen detector")
    axes.set_ylabel("share of images up to there")
    axes.set_title("(a) scores of the frozen detector")
    axes.legend(loc="best")


def _draw_tuning(axes: Any, found: Evasion) -> None:
    """Probability of fake and change of the images over the steps of the tuning."""
    steps = np.arange(1, len(found.curve) + 1)
    change = 127.5 * np.sqrt([one.change for one in found.curve])
    axes.plot(steps, [one.p_fake for one in found.curve], color=STYLES[AFTER].color)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("step of the tuning")
    axes.set_ylabel("probability of fake (solid)", color=STYLES[AFTER].color)
    other = axes.twinx()
    other.spines["right"].set_visible(True)
    other.plot(steps, change, color=STYLES[BEFORE].color, linestyle=(0, (3, 1)))
    other.set_ylim(bottom=0)
    other.set_ylabel("change, grey levels (dashed)", color=STYLES[BEFORE].color)
    axes.set_title("(b) tuning, every batch")


def _draw_spectra(axes: Any, found: Evasion) -> None:
    """Mean radial profiles relative to the reals."""
    for place, (name, values) in enumerate(found.spectra.difference.items()):
        style = STYLES[name]
        axes.plot(found.spectra.frequencies, values, label=name, **style.line(len(values), place))
    axes.axhline(0, color=REAL.color, linewidth=0.6)
    axes.set_xlim(0, 0.5)
    axes.set_xlabel("radial frequency (cycles per pixel)")
    axes.set_ylabel("power over the reals (dB)")
    axes.set_title("(c) mean radial spectrum, convention ganlab")
    axes.legend()


def _draw_quality(axes: Any, found: Evasion) -> None:
    """Sliced Wasserstein distances, a point a draw."""
    names = (BEFORE, AFTER, NULL)
    for place, name in enumerate(names):
        values = [draw["swd"] for draw in found.wasserstein[name]]
        style = STYLES[name]
        spread = place + np.linspace(-0.12, 0.12, len(values))
        axes.plot(spread, values, style.marker or "x", color=style.color, markerfacecolor="white")
        axes.hlines(np.mean(values), place - 0.25, place + 0.25, color=style.color)
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("sliced Wasserstein x1000")
    axes.set_title("(d) distance to the reals (lower is better)")


@styled()
def draw_detectors(found: Evasion) -> Figure:
    """Balanced accuracy of the frozen and the fresh detectors: a panel a kind, a point a seed."""
    figure = new_figure(PAGE, 2.9)
    panels = figure.subplots(1, len(found.systems), sharey=True, squeeze=False)[0]
    for axes, system in zip(panels, found.systems, strict=True):
        own = system == found.systems[0]
        rows = [(found.frozen, FROZEN)] if own else []
        _draw_kind(axes, found, rows + [(system, row) for row in (BEFORE, AFTER)])
        axes.set_title(found.label(system), fontsize=7)
    panels[0].set_ylabel("balanced accuracy")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _draw_kind(axes: Any, found: Evasion, rows: list[tuple[str, str]]) -> None:
    """Points with intervals: tested on before, after and reals against reals."""
    styles = {FROZEN: REAL, BEFORE: STYLES[BEFORE], AFTER: STYLES[AFTER]}
    for place, (system, row) in enumerate(rows):
        label = "frozen" if row == FROZEN else f"fresh, trained on {row}"
        for column, test in enumerate(TESTS):
            records = found.of(system, row, test)
            for k, record in enumerate(records):
                value = record.metrics[ACCURACY]
                where = column + 0.26 * (place - (len(rows) - 1) / 2) + 0.05 * (k - (len(records) - 1) / 2)
                ends = [[value.value - value.low], [value.high - value.value]]
                shown = label if column == k == 0 else None
                axes.errorbar([where], [value.value], ends, fmt=styles[row].marker or "x", capsize=1.5,
                              color=styles[row].color, markerfacecolor="white", label=shown)  # fmt: skip
    axes.axhline(CHANCE, color=NULL_STYLE.color, linewidth=0.8, linestyle=(0, (3, 1)))
    axes.set_xticks(range(len(TESTS)), TESTS)
    axes.set_xlim(-0.5, len(TESTS) - 0.5)
    axes.set_ylim(-0.02, 1.04)
    axes.set_xlabel("tested on")


@styled()
def draw_pairs(found: Evasion) -> Figure:
    """Images of the same latents before and after, and what changed; evenly spaced, not chosen."""
    _, before, after = found.images
    places = np.arange(min(SHOWN_IMAGES, len(before))) * len(before) // min(SHOWN_IMAGES, len(before))
    factor = gain(after[places].astype(np.float64) - before[places])
    side = (PAGE - 0.7) / SHOWN_IMAGES
    figure = new_figure(PAGE, 3 * (side + 0.16) + 0.3)
    grid = figure.subplots(3, len(places), squeeze=False)
    for column, place in zip(grid.T, places, strict=True):
        change = difference_image(after[place], before[place], factor)
        for axes, image in zip(column, (before[place], after[place], change), strict=True):
            draw_picture(axes, image)
        for axes, name in zip(column, (BEFORE, AFTER), strict=False):
            axes.set_xlabel(f"{found.scores[name][place]:.2f}", fontsize=SMALL, labelpad=1.5)
    for axes, name in zip(grid[:, 0], (BEFORE, AFTER, f"change x{factor}"), strict=True):
        axes.set_ylabel(name)
    figure.suptitle("same latents; below: probability of fake, frozen detector", fontsize=7)
    return figure
