"""Figures of published papers beside ganlab's own, with the numbers behind them: ``--published NAME``.

Each has its own conventions, window included, whatever ``--window`` says; captions and files name them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ganlab.data.imageset import ImageSet
from ganlab.experiments.spectra.figures import closed, mark_plane, pooled
from ganlab.experiments.spectra.measure import batch_size
from ganlab.images import to_float
from ganlab.results.style import (
    DIVERGING,
    PAGE,
    REAL,
    SEQUENTIAL,
    new_figure,
    save_figure,
    series_style,
    styled,
)
from ganlab.results.tables import write_csv
from ganlab.spectra import (
    CONVENTIONS,
    angular_profile,
    autocorrelation,
    dct_statistics,
    decibels,
    padded_spectrum,
    pixel_moments,
    radial_profile,
    residual_spectrum,
)
from ganlab.spectra.rings import FloatArray
from ganlab.spectra.transforms import full_plane
from ganlab.util.progress import bar

Curves = list[tuple[str, FloatArray, FloatArray]]
"""(set, x, y) of one panel, the reals first."""


def write_published(name: str, sets: Sequence[ImageSet], folder: Path) -> None:
    """Draw one paper's figure of all sets into ``folder``, with its numbers beside it.

    Args:
        name: a key of ``ganlab.experiments.spectra.options.PUBLISHED``.
        sets: the reals, then the fakes.
        folder: gets ``published-NAME.svg``, ``.png`` and ``.csv``, and a second figure with its numbers where
            the paper has one.

    Raises:
        GanlabError: images that the definition cannot take, or a file that cannot be written.
    """
    _WRITERS[name](sets, folder / f"published-{name}")


class _Stream:
    """A set as batches of floats, with a bar; every loop over it reads the set once."""

    def __init__(self, images: ImageSet, what: str) -> None:
        self.images, self.what = images, what

    def __iter__(self) -> Iterator[Tensor]:
        with bar(total=len(self.images), desc=f"{self.what} {self.images.name}", unit="img") as line:
            for batch in self.images.batches(batch_size(self.images)):
                yield to_float(batch)
                line.update(len(batch))


def _corvi2023(sets: Sequence[ImageSet], stem: Path) -> None:
    """Corvi et al. 2023: how the power is spread over radii and directions, and periodic residuals."""
    height, width, _ = sets[0].shape
    radial, angular, planes = [], [], []
    for images in sets:
        sums = [torch.zeros(()).double()] * 2
        for batch in _Stream(images, "corvi2023"):
            profiles = radial_profile(batch, "corvi2023"), angular_profile(batch)
            sums = [
                total + rows.sum(0, dtype=torch.float64) for total, rows in zip(sums, profiles, strict=True)
            ]
        shares = [(total / len(images)).numpy() for total in sums]
        frequencies = np.array(CONVENTIONS["corvi2023"].frequencies(height, width))
        radial.append((images.name, frequencies, shares[0]))
        angular.append((images.name, np.arange(len(shares[1])) * 180 / len(shares[1]), shares[1]))
        residual = residual_spectrum(_Stream(images, "residuals"), average="power").square()
        planes.append((images.name, np.fft.fftshift(autocorrelation(residual, width).numpy())))
    panels = {
        "frequency (cycles per pixel)": ("share of the power in a ring", radial),
        "direction (degrees from horizontal)": ("share of the power beyond 0.1", angular),
    }
    caption = "Corvi et al. 2023: images standardised one by one; no window"
    _write_curves(stem, panels, caption)
    for _, plane in planes:
        plane[height // 2, width // 2] = 0  # 1 by definition; it would set the scale
    caption = "Corvi et al. 2023: autocorrelation of 5x5 median residuals (lag 0 left out); no window"
    _write_planes(stem.with_name(f"{stem.name}-autocorrelation"), planes, "autocorrelation", caption, True)


def _stylegan3(sets: Sequence[ImageSet], stem: Path) -> None:
    """Karras et al. 2021: all sets whitened by the reals, on a grid four times finer than theirs."""
    moments = pixel_moments(_Stream(sets[0], "moments"))
    spectra = {one.name: padded_spectrum(_Stream(one, "stylegan3"), *moments) for one in sets}
    panels = {
        "horizontal frequency (cycles per pixel)": (
            "power (dB)", [(name, *spectrum.slice_0()) for name, spectrum in spectra.items()]
        )
    }  # fmt: skip
    if sets[0].shape[0] == sets[0].shape[1]:
        diagonal = [(name, *spectrum.slice_45()) for name, spectrum in spectra.items()]
        panels["frequency along the diagonal (cycles per pixel)"] = ("power (dB)", diagonal)
    caption = "Karras et al. 2021 (StyleGAN3): whitened by the reals' mean and deviation; window kaiser"
    _write_curves(stem, panels, caption)
    planes = [(name, spectrum.heatmap()[:-1, :-1]) for name, spectrum in spectra.items()]
    _write_planes(stem.with_name(f"{stem.name}-heatmaps"), planes, "power (dB)", caption)


def _wang2020(sets: Sequence[ImageSet], stem: Path) -> None:
    """Wang et al. 2020: what the residuals of all images have in common, phase included."""
    width = sets[0].shape[1]
    planes = [
        (one.name, full_plane(2 * decibels(residual_spectrum(_Stream(one, "wang2020")).numpy()), width))
        for one in sets
    ]
    caption = "Wang et al. 2020: modulus of the mean complex spectrum of 5x5 median residuals; no window"
    _write_planes(stem, planes, "amplitude (dB)", caption)


def _frank2020(sets: Sequence[ImageSet], stem: Path) -> None:
    """Frank et al. 2020: mean over channels of ln |mean DCT coefficient|."""
    planes = [(one.name, dct_statistics(_Stream(one, "frank2020")).log_mean.mean(0)) for one in sets]
    caption = "Frank et al. 2020: DCT-II of images in 0..255, mean over channels; no window"
    _write_planes(stem, planes, "ln |mean coefficient|", caption, centred=False)


_WRITERS: dict[str, Callable[[Sequence[ImageSet], Path], None]] = {
    "corvi2023": _corvi2023,
    "stylegan3": _stylegan3,
    "wang2020": _wang2020,
    "frank2020": _frank2020,
}


@styled()
def _write_curves(stem: Path, panels: dict[str, tuple[str, Curves]], caption: str) -> None:
    """One panel for every x axis, one curve a set; a CSV line for every point."""
    lines = (
        (name, x_label, x, y_label, y, caption)
        for x_label, (y_label, curves) in panels.items()
        for name, xs, ys in curves
        for x, y in zip(xs, ys, strict=True)
    )
    write_csv(
        stem.with_name(f"{stem.name}.csv"), ("set", "axis", "x", "quantity", "value", "convention"), lines
    )
    figure = new_figure(PAGE, 3.0)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (x_label, (y_label, curves)) in zip(grid, panels.items(), strict=True):
        for k, (name, xs, ys) in enumerate(curves):
            style = series_style(k - 1) if k else REAL
            # The mean's own power (DC) is brightness: it would flatten everything else.
            first = 0 if "direction" in x_label else 1
            label = textwrap.shorten(name, 38, placeholder="…")
            axes.plot(xs[first:], ys[first:], label=label, **style.line(len(xs) - first, k))
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.grid(axis="y")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.suptitle(caption, fontsize=7)
    save_figure(figure, stem)


@styled()
def _write_planes(
    stem: Path,
    planes: Sequence[tuple[str, FloatArray]],
    quantity: str,
    caption: str,
    lags: bool = False,
    centred: bool = True,
) -> None:
    """One map a set on one scale; a CSV line for every set and row.

    Args:
        stem: path without an ending.
        planes: (set, values), the centre of the axes in the middle where ``centred``.
        quantity: what the values are.
        caption: source, conventions, window.
        lags: the axes are lags in pixels, and the values go both ways from 0; otherwise frequencies.
        centred: the axes run both ways from the middle; otherwise upwards from 0 in half cycles (a DCT).
    """
    height, width = planes[0][1].shape
    if lags:
        scales = [np.arange(size) - size // 2 for size in (height, width)]
    else:
        steps = [np.fft.fftshift(np.fft.fftfreq(size)) if centred else np.arange(size) / (2 * size)
                 for size in (height, width)]  # fmt: skip
        scales = steps
    header = ("set", "quantity", "convention", "vertical", *(f"horizontal_{x:.6g}" for x in scales[1]))
    lines = ((name, quantity, caption, y, *row) for name, plane in planes
             for y, row in zip(scales[0], plane, strict=True))  # fmt: skip
    write_csv(stem.with_name(f"{stem.name}.csv"), header, lines)
    values = np.concatenate([plane.ravel() for _, plane in planes])
    low, high = np.percentile(values, (0.5, 99.5))
    if lags:
        high = max(abs(low), abs(high), 1e-3)
        low = -high
    figure = _planes_figure(planes, quantity, caption, (float(low), float(high)), lags, centred)
    save_figure(figure, stem)


def _planes_figure(
    planes: Sequence[tuple[str, FloatArray]],
    quantity: str,
    caption: str,
    limits: tuple[float, float],
    lags: bool,
    centred: bool,
) -> Figure:
    columns = min(4, len(planes))
    rows = -(-len(planes) // columns)
    figure = new_figure(PAGE, rows * ((PAGE - 1.3) / max(columns, 2) + 0.35) + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in list(grid.flat)[len(planes) :]:
        axes.set_axis_off()
    for axes, (name, plane) in zip(grid.flat, planes, strict=False):
        height, width = plane.shape
        x, y = (width / 2, height / 2) if lags else (0.5 + 0.5 / width, 0.5 + 0.5 / height)
        reach = (-x, x, -y, y) if centred else (0, 0.5, 0, 0.5)
        cells = pooled(closed(plane) if centred else plane, difference=lags)
        picture = axes.imshow(
            cells, origin="lower", extent=reach, aspect="equal", cmap=DIVERGING if lags else SEQUENTIAL,
            vmin=limits[0], vmax=limits[1],
        )  # fmt: skip
        axes.set_title("\n".join(textwrap.wrap(name, 24)))
        if centred and not lags:
            mark_plane(axes, sparse=True)
    figure.colorbar(picture, ax=list(grid.flat), label=quantity, extend="both", shrink=0.9, pad=0.015)
    unit = "lag (pixels)" if lags else "frequency (cycles per pixel)"
    figure.supxlabel(f"horizontal {unit}", fontsize=8)
    figure.supylabel("vertical", fontsize=8)
    figure.suptitle(caption, fontsize=7)
    return figure
