"""Spectra of natural images in every convention, and how far resampling, JPEG and enlarging move them.

    python natural.py DATA

DATA is the folder of real images that README.md describes. Writes the CSV files and figures of this folder.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ganlab.data import open_image_set
from ganlab.data.folder import prepare
from ganlab.experiments.spectra.figures import draw_deviation, mark_replicas
from ganlab.experiments.spectra.profiles import unit_of
from ganlab.experiments.spectra.tables import FREQUENCY, number, write_csv
from ganlab.images import UInt8Array, to_float, to_uint8
from ganlab.results.style import (
    BLACK,
    GREY,
    PAGE,
    REAL,
    SeriesStyle,
    new_figure,
    save_figure,
    series_style,
    styled,
)
from ganlab.spectra import (
    CONVENTIONS,
    DEVIATIONS,
    Deviation,
    SpectrumStatistics,
    decibels,
    enlargement_signs,
    peak_prominence,
    profile_set,
    radial_profile,
    spectral_deviation,
)
from ganlab.spectra.deviation_metrics import LOW, MID
from ganlab.upsampling import KERNELS, interpolate2x
from ganlab.util.hashing import derive_seed

HERE = Path(__file__).parent
SEED = 0
RESAMPLES = 1000
SIZES = (64, 32)
REFERENCE = "lanczos"
QUALITIES = (95, 90, 75, 50)
SUBSAMPLINGS = {"4:4:4": 0, "4:2:0": 2}
NATS = np.log(10) / 10
"""Nats of power in a decibel."""
FIT_RANGES = ((1 / 16, 1 / 4), (1 / 4, 1 / 2))
BANDS = {"low": (0.0, LOW), "mid": (LOW, MID), "high": (MID, 0.5), "nyquist": (0.4999, 0.5)}
SHOWN_NULL = {
    "mean_db": "mean |dB|",
    "high_excess_db": "excess above 1/4 (dB)",
    "axis_nyquist_excess_db": "Nyquist row, column (dB)",
    "peak_horizontal_4": "bump at N/4, horiz. (dB)",
}
Lines = list[list[Any]]


@dataclass(frozen=True)
class Naturals:
    """One set of natural images.

    Attributes:
        name: for tables and legends.
        images: float ``(N, 3, H, W)`` in [-1, 1].
        photos: number of the photograph that each image was cut from, ``(N,)``; crops of one photograph are
            not independent, so that resampling goes over photographs.
    """

    name: str
    images: Tensor
    photos: Tensor

    @property
    def size(self) -> int:
        """Side in pixels."""
        return int(self.images.shape[-1])

    def averaged(self, profiles: Tensor) -> Tensor:
        """Profiles ``(N, K)`` averaged over the crops of every photograph: float64 ``(photos, K)``."""
        count = int(self.photos.max()) + 1
        sums = torch.zeros(count, profiles.shape[1], dtype=torch.float64)
        sums.index_add_(0, self.photos, profiles.double())
        return sums / torch.bincount(self.photos, minlength=count)[:, None]

    def profile_set(self, window: str | None = None) -> SpectrumStatistics:
        """Profiles of the set, one row a photograph, for comparisons that resample photographs."""
        whole = profile_set(self.images, window)
        rows = {name: self.averaged(values) for name, values in whole.profiles.items()}
        return picked(whole, rows, torch.arange(int(self.photos.max()) + 1))


def picked(like: SpectrumStatistics, rows: dict[str, Tensor], places: Tensor) -> SpectrumStatistics:
    """The set made of these rows of profiles."""
    profiles = {name: values[places] for name, values in rows.items()}
    means = {name: values.double().mean(0, keepdim=True) for name, values in profiles.items()}
    return replace(like, count=len(places), means=means, profiles=profiles, images=None)


def independent(name: str, images: UInt8Array) -> Naturals:
    """A set whose images are all of different photographs."""
    return Naturals(name, to_float(images), torch.arange(len(images)))


def crops(name: str, photos: Iterable[UInt8Array], size: int) -> Naturals:
    """All non-overlapping crops from the upper left corner, never resized."""
    pieces, owners = [], []
    for place, photo in enumerate(photos):
        rows, columns = photo.shape[0] // size, photo.shape[1] // size
        cut = photo[: rows * size, : columns * size].reshape(rows, size, columns, size, 3)
        pieces.append(cut.swapaxes(1, 2).reshape(-1, size, size, 3))
        owners += [place] * (rows * columns)
    return Naturals(name, to_float(np.concatenate(pieces)), torch.tensor(owners))


def read_photos(folder: Path, pattern: str) -> list[Image.Image]:
    """The photographs below a folder in the order of their names, RGB."""
    found = []
    for path in sorted(folder.glob(pattern)):
        with Image.open(path) as image:
            found.append(image.convert("RGB"))
    return found


def centre_square(photo: Image.Image) -> Image.Image:
    """The centre square, offset rounded down, as ``ganlab data pack`` cuts it."""
    side = min(photo.size)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    return photo.crop((left, top, left + side, top + side))


def natural_sets(data: Path, photos: Sequence[Image.Image]) -> list[Naturals]:
    """The sets of the first part; the last are native crops of JPEG files, for contrast."""
    kodak = [np.asarray(photo) for photo in read_photos(data / "kodak", "*.png")]
    jpeg = [np.asarray(photo) for photo in photos]
    packs = {
        "ImageWoof 64": "imagewoof_64.npz",
        "ImageWoof 32 val": "imagewoof_32.npz@val",
        "CIFAR-10 32": "cifar10_lossless_32.npz",
    }
    sets = [crops(f"Kodak crops {size}", kodak, size) for size in SIZES]
    for name, path in packs.items():
        images = open_image_set(data / path)
        sets.append(independent(name, np.concatenate(list(images.batches()))))
    return [*sets, crops("JPEG crops 64", jpeg, 64)]


def save(figure: Any, name: str) -> None:
    """Both formats; the PNG with a palette, which is a third of the size."""
    _, png = save_figure(figure, HERE / name)
    with Image.open(png) as image:
        small = image.convert("RGB").quantize(128)
    small.save(png, optimize=True)


# Part 1: natural sets ------------------------------------------------------------------------------------


def convention_lines(sets: Sequence[Naturals]) -> Lines:
    """Mean, spread over photographs and frequency of every ring in every convention."""
    lines: Lines = []
    for one in sets:
        for name, rule in CONVENTIONS.items():
            unit, quantity = unit_of(rule)
            quantity = "share of the power" if rule.reduction == "fraction" else quantity
            rows = one.averaged(radial_profile(one.images, name))
            mean, deviation = rows.mean(0).numpy(), rows.std(0).numpy()
            level = 10 * np.log10(mean) if unit == "dB" else mean
            frequencies = rule.frequencies(one.size, one.size)
            for place, frequency in enumerate(frequencies):
                values = [
                    number(float(v), 6) for v in (frequency, mean[place], deviation[place], level[place])
                ]
                lines.append([one.name, name, quantity, unit or "1", place, *values])
    return lines


def set_style(place: int) -> SeriesStyle:
    """Style of the natural sets; Kodak, the clean reference, is black."""
    return replace(REAL, marker="o") if place == 0 else series_style(place - 1)


@styled()
def draw_conventions(lines: Lines) -> Any:
    """A panel a convention, a curve a set."""
    figure = new_figure(PAGE, 4.9)
    panels = list(figure.subplots(2, 4).flat)
    names = list(dict.fromkeys(line[0] for line in lines))
    for axes, convention in zip(panels, CONVENTIONS, strict=False):
        for place, name in enumerate(names):
            chosen = [line for line in lines if line[0] == name and line[1] == convention]
            shown = [(float(line[5]), float(line[8])) for line in chosen if float(line[5]) > 0]
            axes.plot(*zip(*shown, strict=True), label=name, **set_style(place).line(len(shown), place))
        axes.set_title(convention)
        axes.set_ylabel(f"{chosen[0][2]} ({chosen[0][3]})" if chosen[0][3] != "1" else chosen[0][2])
        mark_replicas(axes, max(float(line[5]) for line in chosen))
    panels[-1].set_axis_off()
    panels[-1].legend(*panels[0].get_legend_handles_labels(), loc="center")
    figure.supxlabel("radial frequency (cycles per pixel)", fontsize=8)
    title = "mean radial profiles of natural images; title: convention; no window; DC not drawn; "
    figure.suptitle(title + "where no dB stands, no unit", fontsize=7)
    return figure


def slopes(profiles: Tensor, size: int, low: float, high: float) -> Tensor:
    """Exponent of power over frequency, least squares in logarithms, of profiles ``(R, K)``: ``(R,)``."""
    frequencies = torch.arange(profiles.shape[1], dtype=torch.float64) / size
    used = (frequencies >= low) & (frequencies <= high)
    x = frequencies[used].log()
    x = x - x.mean()
    return (profiles[:, used].log() @ x) / x.square().sum()


def resampled_means(rows: Tensor, stream: str) -> Tensor:
    """Bootstrap means ``(RESAMPLES, K)`` of rows ``(n, K)``."""
    generator = torch.Generator().manual_seed(derive_seed(SEED, stream))
    means = []
    for _ in range(RESAMPLES):
        places = torch.randint(len(rows), (len(rows),), generator=generator)
        means.append(rows[places].mean(0))
    return torch.stack(means)


def slope_lines(sets: Sequence[Naturals]) -> Lines:
    """Exponents of the mean radial power with 95 % intervals over photographs."""
    lines: Lines = []
    for one in sets:
        for window in ("none", "hann"):
            rows = one.averaged(radial_profile(one.images, "ganlab", window))
            drawn = resampled_means(rows, f"slope/{one.name}/{window}")
            for low, high in FIT_RANGES:
                value = slopes(rows.mean(0, keepdim=True), one.size, low, high)[0]
                ends = np.percentile(slopes(drawn, one.size, low, high).numpy(), (2.5, 97.5))
                numbers = [number(float(v), 4) for v in (value, *ends)]
                lines.append([one.name, window, number(low), number(high), *numbers])
    return lines


def bump_lines(name: str, profiles: SpectrumStatistics, size: int) -> Lines:
    """Local bump at N/2, N/4 and N/8 on every axis with 95 % intervals over photographs, dB and nats."""
    lines: Lines = []
    for direction in ("horizontal", "vertical", "diagonal"):
        drawn = resampled_means(profiles.profiles[direction].double(), f"bump/{name}/{direction}")
        for divisor in (2, 4, 8):
            windowed = profiles.window != "none"
            value = peak_prominence(profiles.means[direction], size, divisor, windowed)[0]
            ends = np.percentile(peak_prominence(drawn, size, divisor, windowed).numpy(), (2.5, 97.5))
            decibel = [number(float(v), 3) for v in (value, *ends)]
            nats = [number(float(v) * NATS, 3) for v in (value, *ends)]
            lines.append([name, profiles.window, direction, f"1/{divisor}", *decibel, *nats])
    return lines


def extremes(one: Naturals) -> list[str]:
    """Lowest and highest corner bump of a photograph, dB; empty where a photograph gave one image only."""
    if len(one.photos) == int(one.photos.max()) + 1:
        return ["", ""]
    bumps = peak_prominence(one.profile_set().profiles["diagonal"], one.size, 2)
    return [number(float(end), 3) for end in (bumps.min(), bumps.max())]


def corner_lines(sets: Sequence[Naturals]) -> Lines:
    """Bump at the corner (1/2, 1/2) of the luma and of each channel, without window."""
    lines: Lines = []
    for one in sets:
        planes = {"luma": one.images, **{name: one.images[:, k : k + 1] for k, name in enumerate("RGB")}}
        for name, images in planes.items():
            bumps = bump_lines(one.name, replace(one, images=images).profile_set(), one.size)
            corner = next(line for line in bumps if line[2:4] == ["diagonal", "1/2"])
            lines.append([one.name, name, *corner[4:], *extremes(replace(one, images=images))])
    return lines


def null_control(name: str, whole: SpectrumStatistics) -> tuple[list[str], dict[str, Deviation]]:
    """One random half of the photographs against the other: what no difference looks like."""
    source = torch.Generator().manual_seed(derive_seed(SEED, f"halves/{name}"))
    order = torch.randperm(whole.count, generator=source)
    half = whole.count // 2
    parts = [picked(whole, whole.profiles, places) for places in (order[:half], order[half : 2 * half])]
    report = spectral_deviation(*parts, metrics=DEVIATIONS, resamples=RESAMPLES, seed=SEED)
    return [name, str(half), str(half)], dict(report)


def deviation_cells(value: Deviation) -> list[str]:
    """Value, interval, null interval and p-value as text."""
    ends = (value.value, value.low, value.high, value.null_low, value.null_high, value.p_value)
    return [value.unit, *(number(v, 4) for v in ends)]


DEVIATION_HEAD = ["deviation", "unit", "value", "low", "high", "null_low", "null_high", "p_value"]


def deviation_table(rows: Iterable[tuple[list[str], dict[str, Deviation]]]) -> Lines:
    """A line a deviation of every comparison."""
    return [[*about, key, *deviation_cells(value)] for about, found in rows for key, value in found.items()]


@styled()
def draw_null(rows: Sequence[tuple[list[str], dict[str, Deviation]]]) -> Any:
    """A panel a deviation, a line a set; grey is the null control by resampling."""
    figure = new_figure(PAGE, 2.7)
    panels = figure.subplots(1, len(SHOWN_NULL), sharey=True)
    for axes, (key, title) in zip(panels, SHOWN_NULL.items(), strict=True):
        for place, (_, found) in enumerate(rows):
            draw_deviation(axes, place, found[key], set_style(place))
        axes.axvline(0, color=BLACK, linewidth=0.6)
        axes.set_xlabel(title)
        axes.grid(axis="x")
    labels = [f"{about[0]}\n{about[1]} vs {about[2]}" for about, _ in rows]
    panels[0].set_yticks(range(len(rows)), labels)
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    note = "line: 95 % interval over photographs; grey: null control of the same counts"
    figure.suptitle(
        f"one half of a set against the other (photographs); convention ganlab; {note}", fontsize=7
    )
    return figure


# Part 2: the same photographs by different paths ----------------------------------------------------------


def pillow_resize(kernel: str) -> Callable[[Image.Image, int], UInt8Array]:
    """Antialiased resizing by a Pillow kernel (nearest takes single pixels)."""
    method = Image.Resampling[kernel.upper()]
    return lambda square, size: np.asarray(square.resize((size, size), method))


def torch_bilinear(antialias: bool) -> Callable[[Image.Image, int], UInt8Array]:
    """Bilinear resizing by ``torch.nn.functional.interpolate``, rounded to 8 bits."""

    def resize(square: Image.Image, size: int) -> UInt8Array:
        images = to_float(np.array(square)[None])
        smaller = F.interpolate(
            images, (size, size), mode="bilinear", align_corners=False, antialias=antialias
        )
        return to_uint8(smaller)[0]

    return resize


RESIZERS: dict[str, Callable[[Image.Image, int], UInt8Array]] = {
    **{name: pillow_resize(name) for name in (REFERENCE, "bicubic", "hamming", "bilinear", "box", "nearest")},
    "bilinear torch antialias": torch_bilinear(True),
    "bilinear torch no antialias": torch_bilinear(False),
}


def packed(photos: Sequence[Image.Image], kernel: str, size: int) -> UInt8Array:
    """The photographs' centre squares at a size: uint8 (N, size, size, 3).

    Raises:
        RuntimeError: the reference is not what ``ganlab data pack`` makes.
    """
    images = np.stack([RESIZERS[kernel](centre_square(photo), size) for photo in photos])
    if kernel == REFERENCE and not np.array_equal(images[0], prepare(photos[0], size)):
        raise RuntimeError(f"{kernel} differs from the recipe of 'ganlab data pack'")
    return images


def through_jpeg(images: UInt8Array, quality: int, subsampling: str) -> UInt8Array:
    """Saved as JPEG by Pillow and read again."""
    decoded = []
    for pixels in images:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling=SUBSAMPLINGS[subsampling])
        decoded.append(np.asarray(Image.open(stream)))
    return np.stack(decoded)


@dataclass(frozen=True)
class Path2:
    """One way from the photographs to images of a size.

    Attributes:
        group: "resampling", or the chroma subsampling of the JPEG step.
        name: the kernel or the quality.
        size: side in pixels.
        difference: signed dB to the reference path by ring, without DC.
        report: deviations from the reference path.
        band: of the null control alone, ``(2, K-1)``: 95 % of the differences between two draws with
            replacement from all photographs, dB.
    """

    group: str
    name: str
    size: int
    difference: np.ndarray
    report: dict[str, Deviation]
    band: np.ndarray | None = None


METRICS = ("mean_db", "low_db", "mid_db", "high_db", "nyquist_excess_db", "high_excess_db",
           "axis_nyquist_excess_db", "peak_horizontal_2", "peak_horizontal_4", "peak_horizontal_8",
           "cloaking_held_out")  # fmt: skip


def level_difference(first: SpectrumStatistics, second: SpectrumStatistics) -> np.ndarray:
    """Second minus first mean radial profile, dB, without DC."""
    levels = [decibels(one.means["radial"][0, 1:]) for one in (first, second)]
    difference: np.ndarray = (levels[1] - levels[0]).numpy()
    return difference


def compared(reference: SpectrumStatistics, images: UInt8Array, group: str, name: str) -> Path2:
    """One path against the reference path."""
    other = profile_set(to_float(images))
    report = spectral_deviation(reference, other, metrics=METRICS, resamples=RESAMPLES, seed=SEED)
    return Path2(group, name, images.shape[1], level_difference(reference, other), dict(report))


def halves(reference: SpectrumStatistics, size: int) -> Path2:
    """Null control: the reference path of one half of the photographs against that of the other half."""
    order = torch.randperm(
        reference.count, generator=torch.Generator().manual_seed(derive_seed(SEED, "photographs"))
    )
    rows = reference.profiles
    parts = [picked(reference, rows, places) for places in order.chunk(2)]
    report = spectral_deviation(*parts, metrics=METRICS, resamples=RESAMPLES, seed=SEED)
    band = null_band(rows["radial"].double(), size)
    return Path2("null", "half against half", size, level_difference(*parts), dict(report), band)


def null_band(rows: Tensor, size: int) -> np.ndarray:
    """Between which differences 95 % of pairs of draws of as many photographs lie, dB: ``(2, K-1)``."""
    first, second = (decibels(resampled_means(rows, f"null/{size}/{name}")) for name in ("a", "b"))
    band: np.ndarray = np.percentile((second - first)[:, 1:].numpy(), (2.5, 97.5), axis=0)
    return band


def all_paths(photos: Sequence[Image.Image]) -> list[Path2]:
    """Every kernel, and every JPEG setting after the reference kernel, at both sizes."""
    found = []
    for size in SIZES:
        base = packed(photos, REFERENCE, size)
        reference = profile_set(to_float(base))
        found.append(halves(reference, size))
        for kernel in list(RESIZERS)[1:]:
            found.append(compared(reference, packed(photos, kernel, size), "resampling", kernel))
        for chroma in SUBSAMPLINGS:
            for quality in QUALITIES:
                images = through_jpeg(base, quality, chroma)
                found.append(compared(reference, images, f"JPEG {chroma}", f"quality {quality}"))
    return found


def signed_bands(path: Path2) -> list[str]:
    """Mean signed difference in each band, dB."""
    frequencies = np.arange(1, len(path.difference) + 1) / path.size
    means = [
        path.difference[(frequencies > low) & (frequencies <= high)].mean() for low, high in BANDS.values()
    ]
    return [number(float(mean), 3) for mean in means]


def band_table(paths: Sequence[Path2]) -> Lines:
    """A line a path: signed difference by band, mean |dB|, the top of its null interval, cloaking score."""
    lines: Lines = []
    for path in paths:
        mean, cloaking = path.report["mean_db"], path.report["cloaking_held_out"]
        tail = [number(v, 3) for v in (mean.value, mean.null_high, mean.p_value, cloaking.value)]
        lines.append([path.size, path.group, path.name, *signed_bands(path), *tail])
    return lines


@styled()
def draw_paths(paths: Sequence[Path2], groups: Sequence[str], title: str) -> Any:
    """Signed difference by frequency: a row a size, a column a group, a curve a path."""
    figure = new_figure(PAGE, 5.0)
    grid = figure.subplots(len(SIZES), len(groups), squeeze=False, sharey=True)
    for row, size in enumerate(SIZES):
        for column, group in enumerate(groups):
            axes = grid[row, column]
            _draw_group(axes, [path for path in paths if path.size == size], group)
            axes.set_title(f"{size} px, {group}")
            mark_replicas(axes, 0.5)
        grid[row, 0].set_ylabel(f"minus {REFERENCE}, uncompressed (dB)")
    for axes in grid[-1]:
        axes.set_xlabel("radial frequency (cycles per pixel)")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle(f"{title}; radial profile, convention ganlab, no window", fontsize=7)
    return figure


def _draw_group(axes: Any, paths: Sequence[Path2], group: str) -> None:
    """The curves of one panel, the null control in grey."""
    null = next(path for path in paths if path.group == "null")
    frequencies = np.arange(1, len(null.difference) + 1) / null.size
    axes.axhline(0, color=BLACK, linewidth=0.8)
    if null.band is not None:
        label = "real vs real, 95 %"
        axes.fill_between(frequencies, *null.band, color=GREY, alpha=0.3, linewidth=0, label=label)
    for place, path in enumerate(path for path in paths if path.group == group):
        style = series_style(place).line(len(frequencies), place)
        axes.plot(frequencies, path.difference, label=path.name, **style)


# Part 3: enlarged images ----------------------------------------------------------------------------------


def enlargers() -> dict[str, Callable[[Tensor], Tensor]]:
    """Ways to double the size of float images, rounded to 8 bits as a file would."""

    def operator(name: str) -> Callable[[Tensor], Tensor]:
        return lambda images: to_float(to_uint8(interpolate2x(images, name)))

    def by_pillow(kernel: str) -> Callable[[Tensor], Tensor]:
        resize = pillow_resize(kernel)

        def enlarge(images: Tensor) -> Tensor:
            side = 2 * images.shape[-1]
            return to_float(np.stack([resize(Image.fromarray(pixels), side) for pixels in to_uint8(images)]))

        return enlarge

    fixed = {name: operator(name) for name in KERNELS if name != "bed_of_nails"}
    return {**fixed, "lanczos (Pillow)": by_pillow("lanczos"), "bicubic (Pillow)": by_pillow("bicubic")}


def enlarged_sets(sets: Sequence[Naturals]) -> dict[str, list[Naturals]]:
    """Source -> its native 64 px set where there is one, then its 32 px images enlarged in every way."""
    native = {"Kodak crops 32": "Kodak crops 64", "ImageWoof 32 val": "ImageWoof 64"}
    found: dict[str, list[Naturals]] = {}
    for one in sets:
        if one.size == 32:
            first = [replace(s, name="native 64") for s in sets if s.name == native.get(one.name)]
            made = [Naturals(name, way(one.images), one.photos) for name, way in enlargers().items()]
            found[one.name] = [*first, *made]
    return found


def dip_lines(source: str, sets: Sequence[Naturals]) -> Lines:
    """Bump at N/4 (dB, nats), the guard's two signs, and whether its warning would be given."""
    lines: Lines = []
    for one in sets:
        bump = bump_lines(one.name, one.profile_set("hann"), one.size)[1]
        signs = enlargement_signs(one.images)
        codes = {
            w.code for w in spectral_deviation(one.images, one.images[:64], metrics=[], resamples=0).warnings
        }
        numbers = [number(v, 3) for v in (signs.dip, signs.high_ratio)]
        lines.append(
            [source, one.name, len(one.images), *bump[4:], *numbers, "yes" if "enlarged" in codes else "no"]
        )
    return lines


@styled()
def draw_enlarged(found: dict[str, list[Naturals]]) -> Any:
    """Horizontal profiles with the Hann window, a panel a source."""
    figure = new_figure(PAGE, 3.3)
    panels = figure.subplots(1, len(found), sharey=True)
    for axes, (source, sets) in zip(panels, found.items(), strict=True):
        place = 0
        for one in sets:
            level = decibels(profile_set(one.images, "hann").means["horizontal"][0, 1:]).numpy()
            native = one.name == "native 64"
            line = {"color": BLACK} if native else series_style(place).line(len(level), place)
            place += not native
            axes.plot(np.arange(1, len(level) + 1) / one.size, level, label=one.name, **line)
        axes.set_title(f"{source}, enlarged to 64 px")
        axes.set_xlabel("horizontal frequency (cycles/pixel)")
        mark_replicas(axes, 0.5)
    panels[0].set_ylabel("power (dB)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle(
        "images enlarged from 32 to 64 px; horizontal profile, luma, Hann window; dip at 1/4", fontsize=7
    )
    return figure


def write_naturals(sets: Sequence[Naturals]) -> None:
    """Files of the first part."""
    head = ["set", "images", "photographs", "side", "enlargement_dip_nats", "high_ratio"]
    counts: Lines = []
    for one in sets:
        signs = enlargement_signs(one.images)
        extent = [len(one.images), int(one.photos.max()) + 1, one.size]
        counts.append([one.name, *extent, number(signs.dip, 3), number(signs.high_ratio, 3)])
    write_csv(HERE / "sets.csv", head, counts)
    lines = convention_lines(sets)
    head = [
        "set",
        "convention",
        "quantity",
        "unit",
        "ring",
        FREQUENCY,
        "mean",
        "std_over_photographs",
        "level",
    ]
    write_csv(HERE / "conventions.csv", head, lines)
    save(draw_conventions(lines), "conventions")
    head = ["set", "window", "from_cycles_per_pixel", "to_cycles_per_pixel", "exponent", "low", "high"]
    write_csv(HERE / "slopes.csv", head, slope_lines(sets))
    write_bumps(sets)
    head = ["set", "plane", *BUMP_VALUES, "lowest_photograph_db", "highest_photograph_db"]
    write_csv(HERE / "corner.csv", head, corner_lines(sets))


BUMP_VALUES = ["bump_db", "db_low", "db_high", "bump_nats", "nats_low", "nats_high"]


def write_bumps(sets: Sequence[Naturals]) -> None:
    """Local bumps with and without window, and the null controls."""
    bumps: Lines = []
    rows = []
    for one in sets:
        for window in (None, "hann"):
            profiles = one.profile_set(window)
            bumps += bump_lines(one.name, profiles, one.size)
            if window is None:
                rows.append(null_control(one.name, profiles))
    write_csv(HERE / "bumps.csv", ["set", "window", "profile", FREQUENCY, *BUMP_VALUES], bumps)
    write_csv(HERE / "null.csv", ["set", "first_half", "second_half", *DEVIATION_HEAD], deviation_table(rows))
    save(draw_null(rows), "null")


def write_paths(photos: Sequence[Image.Image]) -> None:
    """Files of the second part."""
    paths = all_paths(photos)
    head = ["side", "step", "setting", *(f"{band}_signed_db" for band in BANDS)]
    head += ["mean_abs_db", "null_high_db", "p_value", "cloaking_held_out"]
    write_csv(HERE / "paths.csv", head, band_table(paths))
    rows = [([str(path.size), path.group, path.name], path.report) for path in paths]
    write_csv(
        HERE / "paths-deviations.csv", ["side", "step", "setting", *DEVIATION_HEAD], deviation_table(rows)
    )
    curves = [
        [path.size, path.group, path.name, number(ring / path.size), number(float(level), 4)]
        for path in paths
        for ring, level in enumerate(path.difference, 1)
    ]
    write_csv(
        HERE / "paths-profiles.csv", ["side", "step", "setting", FREQUENCY, "minus_reference_db"], curves
    )
    title = f"{len(photos)} photographs, only the resampling kernel differs"
    save(draw_paths(paths, ["resampling"], title), "resampling")
    title = f"{len(photos)} photographs, {REFERENCE}, then saved as JPEG"
    save(draw_paths(paths, [f"JPEG {name}" for name in SUBSAMPLINGS], title), "jpeg")


def write_enlarged(sets: Sequence[Naturals]) -> None:
    """Files of the third part."""
    found = enlarged_sets(sets)
    lines = [line for source, group in found.items() for line in dip_lines(source, group)]
    head = [
        "source",
        "enlarged_by",
        "images",
        *BUMP_VALUES,
        "guard_dip_nats",
        "guard_high_ratio",
        "guard_warns",
    ]
    write_csv(HERE / "enlarged.csv", head, lines)
    save(draw_enlarged(found), "enlarged")


def main() -> None:
    """Everything, in the order of README.md."""
    data = Path(sys.argv[1])
    photos = read_photos(data / "imagewoof_320_jpeg", "*/*.*")
    sets = natural_sets(data, photos)
    write_naturals(sets)
    write_paths(photos)
    write_enlarged(sets)


if __name__ == "__main__":
    main()
