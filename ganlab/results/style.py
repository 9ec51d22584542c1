"""One style for every figure: Okabe-Ito colours, and line styles that tell curves apart without colour.

Figures are drawn with matplotlib's objects alone (``Figure`` and its Agg canvas), so that nothing depends on
or changes the state of a notebook. Wrap drawing code with ``@styled``; it sets fonts and lines for the
duration of the call only.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from ganlab.results.readings import describe
from ganlab.util.atomic import atomic_path

COLUMN = 3.5
"""Width of one column of a two-column paper, inches."""
PAGE = 7.0
"""Width of both columns, inches."""

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE, GREY = "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#7F7F7F"
"""Okabe and Ito's colours (jfly.uni-koeln.de/color): told apart with any common colour blindness."""

SEQUENTIAL = "viridis"
DIVERGING = "RdBu_r"
"""Colour maps: perceptually uniform for levels; white at zero for differences."""

PNG_DPI = 200

_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "image.interpolation": "none",
    "svg.fonttype": "path",
    "svg.hashsalt": "ganlab",
    "path.simplify": False,
    # A set may be called "$x_{": no text is a formula.
    "text.parse_math": False,
}


@dataclass(frozen=True)
class SeriesStyle:
    """How one curve or bar looks: colour, dashes and marker each tell it apart alone."""

    color: str
    dashes: Any
    marker: str
    hatch: str = ""

    def line(self, count: int, place: int = 0) -> dict[str, Any]:
        """Keywords for ``Axes.plot`` of ``count`` points; ``place`` staggers the markers of curves."""
        every = max(1, count // 6)
        return {
            "color": self.color, "linestyle": self.dashes, "marker": self.marker,
            "markevery": ((place * every) // 3 % every, every), "markerfacecolor": "white",
            "markeredgewidth": 0.9,
        }  # fmt: skip


REAL = SeriesStyle(BLACK, "-", "", "")
"""The reals, in every figure."""
NULL = SeriesStyle(GREY, "-", "", "....")
"""Real against real: what no difference looks like."""

_COLORS = (VERMILION, BLUE, GREEN, PURPLE, ORANGE, SKY)
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (5, 1, 1, 1)), (0, (3, 1)), (0, (7, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_HATCHES = ("", "////", "\\\\\\\\", "xxxx", "----", "||||", "oooo")


def series_style(place: int) -> SeriesStyle:
    """Style of the ``place``-th fake set (from 0); they repeat only after 210 sets."""
    return SeriesStyle(
        _COLORS[place % len(_COLORS)],
        _DASHES[place % len(_DASHES)],
        _MARKERS[place % len(_MARKERS)],
        _HATCHES[place % len(_HATCHES)],
    )


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Fonts, lines and SVG settings of ganlab's figures, as a context or as a decorator ``@styled()``."""
    with mpl.rc_context(_RC):
        yield


def logarithmic(axis: Axis) -> None:
    """Let a logarithmic axis label its decades by plain numbers: matplotlib's own labels are formulas."""
    axis.set_major_formatter(LogFormatter())
    axis.set_minor_formatter(LogFormatter(minor_thresholds=(1.0, 0.4)))
    # On one line with the decades'.
    axis.set_tick_params(which="both", length=3, pad=3)


def new_figure(width: float = COLUMN, height: float = 2.6) -> Figure:
    """An empty figure of so many inches, laid out so that labels never overlap."""
    figure = Figure(figsize=(width, height), dpi=PNG_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@contextlib.contextmanager
def _laid_out(figure: Figure) -> Iterator[dict[str, dict[str, Any]]]:
    """The figure drawn and laid out once, for all its files; what each of them says of itself.

    No date and no version: equal figures give equal bytes.
    """
    figure.draw_without_rendering()
    engine = figure.get_layout_engine()
    figure.set_layout_engine("none")
    text = {"Description": known} if (known := describe(figure)) else {}
    try:
        yield {"svg": {"Date": None, "Creator": "ganlab", **text}, "png": {"Software": None, **text}}
    finally:
        figure.set_layout_engine(engine)


@styled()
def svg_bytes(figure: Figure) -> bytes:
    """The figure as an SVG file's bytes; equal figures give equal bytes."""
    stream = io.BytesIO()
    with _laid_out(figure) as texts:
        figure.savefig(stream, format="svg", metadata=texts["svg"])
    return stream.getvalue()


@styled()
def save_figure(figure: Figure, path_without_suffix: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write ``PATH.svg`` and ``PATH.png``, each atomically; equal figures give equal bytes.

    Both hold a description of their curves and maps (`ganlab.results.readings`), which the page reads.

    Returns:
        The two paths.

    Raises:
        GanlabError: a file cannot be written; what was there stays.
    """
    stem = Path(path_without_suffix)
    # with_name: a name such as "v1.5" is no suffix to replace.
    targets = stem.with_name(f"{stem.name}.svg"), stem.with_name(f"{stem.name}.png")
    with _laid_out(figure) as texts:
        for target in targets:
            kind = target.suffix[1:]
            with atomic_path(target) as temporary:
                figure.savefig(temporary, format=kind, dpi=PNG_DPI, metadata=texts[kind])
    return targets
