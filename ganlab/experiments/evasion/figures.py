"""Figures of ``ganlab evade``: scores, tuning, spectra and quality; detectors; images before and after."""

from __future__ import annotations

from itertools import product

import numpy as np
from matplotlib.figure import Figure

from ganlab.experiments.evasion.measure import ACCURACY, AFTER, BEFORE, CHANCE, FROZEN, TESTS, Evasion
from ganlab.experiments.patches.figures import SMALL, difference_image, draw_picture, gain
from ganlab.forensics import NULL
from ganlab.results.style import NULL as NULL_STYLE
from ganlab.results.style import PAGE, REAL, SeriesStyle, new_figure, series_style, styled

STYLES: dict[str, SeriesStyle] = {
    "real": REAL, BEFORE: series_style(0), AFTER: series_style(1), NULL: NULL_STYLE,
}  # fmt: skip
SHOWN_IMAGES = 8


@styled()
def draw_evasion(measured: Evasion) -> Figure:
    """Four panels: the frozen detector's scores, the tuning, the spectra, the quality."""
    figure = new_figure(PAGE, 4.6)
    (scores, tuning), (spectra, quality) = figure.subplots(2, 2)
    for name, values in measured.scores.items():
        # share of images whose probability of fake is at most that
        ordered = np.concatenate([[0.0], np.sort(values), [1.0]])
        share = np.concatenate([np.arange(len(values) + 1) / len(values), [1.0]])
        style, label = STYLES[name], f"{name}, {len(values)} images"
        scores.step(ordered, share, where="post", color=style.color, linestyle=style.dashes, label=label)
    scores.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="probability of fake, frozen detector",
               ylabel="share of images up to there", title="(a) scores of the frozen detector")  # fmt: skip
    scores.legend(loc="lower right")

    steps = np.arange(1, len(measured.curve) + 1)
    tuning.plot(steps, [one.p_fake for one in measured.curve], color=STYLES[AFTER].color)
    tuning.set(ylim=(-0.02, 1.02), xlabel="step of the tuning", title="(b) tuning, every batch")
    tuning.set_ylabel("probability of fake (solid)", color=STYLES[AFTER].color)
    change = tuning.twinx()
    change.spines["right"].set_visible(True)
    grey_levels = 127.5 * np.sqrt([one.change for one in measured.curve])
    change.plot(steps, grey_levels, color=STYLES[BEFORE].color, linestyle=(0, (3, 1)))
    change.set_ylim(bottom=0)
    change.set_ylabel("change, grey levels (dashed)", color=STYLES[BEFORE].color)

    for k, (name, values) in enumerate(measured.spectra.difference.items()):
        line = STYLES[name].line(len(values), k)
        spectra.plot(measured.spectra.frequencies, values, label=name, **line)
    spectra.axhline(0, color=REAL.color, linewidth=0.6)
    spectra.set(xlim=(0, 0.5), xlabel="frequency (cycles per pixel)",
                ylabel="power over the reals (dB)",
                title="(c) ring average of the power, convention ganlab")  # fmt: skip
    spectra.legend()

    names = (BEFORE, AFTER, NULL)
    for k, name in enumerate(names):
        values = np.array([draw["swd"] for draw in measured.wasserstein[name]])
        color = STYLES[name].color
        spread = k + np.linspace(-0.12, 0.12, len(values))
        quality.plot(spread, values, STYLES[name].marker or "x", color=color, markerfacecolor="white")
        quality.hlines(values.mean(), k - 0.25, k + 0.25, color=color)
    quality.set_xticks(range(len(names)), names)
    quality.set(xlim=(-0.6, len(names) - 0.4), ylabel="sliced Wasserstein x1000",
                title="(d) distance to the reals (lower is better)")  # fmt: skip
    quality.set_ylim(bottom=0)
    return figure


@styled()
def draw_detectors(measured: Evasion) -> Figure:
    """Balanced accuracy of the frozen and the fresh detectors: a panel a kind, a point a seed.

    Points with intervals: tested on before, after and reals against reals.
    """
    figure = new_figure(PAGE, 2.9)
    panels = figure.subplots(1, len(measured.systems), sharey=True, squeeze=False)[0]
    styles = {FROZEN: REAL, BEFORE: STYLES[BEFORE], AFTER: STYLES[AFTER]}
    for axes, system in zip(panels, measured.systems, strict=True):
        rows = [(measured.frozen, FROZEN)] if system == measured.systems[0] else []
        rows += [(system, row) for row in (BEFORE, AFTER)]
        for (k, (own, row)), (column, test) in product(enumerate(rows), enumerate(TESTS)):
            label = "frozen" if row == FROZEN else f"fresh, trained on {row}"
            records = measured.of(own, row, test)
            for seed, record in enumerate(records):
                value = record.metrics[ACCURACY]
                x = column + 0.26 * (k - (len(rows) - 1) / 2) + 0.05 * (seed - (len(records) - 1) / 2)
                ends = [[value.value - value.low], [value.high - value.value]]
                axes.errorbar([x], [value.value], ends, fmt=styles[row].marker or "x", capsize=1.5,
                              color=styles[row].color, markerfacecolor="white",
                              label=label if column == seed == 0 else None)  # fmt: skip
        axes.axhline(CHANCE, color=NULL_STYLE.color, linewidth=0.8, linestyle=(0, (3, 1)))
        axes.set_xticks(range(len(TESTS)), TESTS)
        axes.set(xlim=(-0.5, len(TESTS) - 0.5), ylim=(-0.02, 1.04), xlabel="tested on")
        axes.set_title(measured.label(system), fontsize=7)
    panels[0].set_ylabel("balanced accuracy")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@styled()
def draw_pairs(measured: Evasion) -> Figure:
    """Images of the same latents before and after, and what changed; evenly spaced, not chosen."""
    _, before, after = measured.images
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
            axes.set_xlabel(f"{measured.scores[name][place]:.2f}", fontsize=SMALL, labelpad=1.5)
    for axes, name in zip(grid[:, 0], (BEFORE, AFTER, f"change x{factor}"), strict=True):
        axes.set_ylabel(name)
    figure.suptitle("same latents; below: probability of fake, frozen detector", fontsize=7)
    return figure
