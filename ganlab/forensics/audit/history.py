"""From measurements of single images to findings: JPEG's grid, enlarging, filters, tones, depth, palettes.

What is found is told in the order of certainty, and what explains a later sign silences it: a JPEG past
changes the spectrum too, and must not be called a resampling filter as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import f as f_law

from ganlab.forensics.audit.pixels import BANDS, Signs
from ganlab.forensics.audit.report import ALPHA, Finding, Side, finding, shares
from ganlab.forensics.audit.two_samples import (
    Separation,
    learned_scores,
    named_separation,
    separation,
    share_p,
)

Floats = npt.NDArray[np.float64]

GRID_EXCESS = 0.01
"""Share of zero coefficients on a grid over that in the other set. JPEG of quality 98 gives 0.09, enlarging
0.005."""
GRID_ALONE = 1.6
"""The excess over that at the next best place: 1.9 and more for JPEG of quality 30 to 98, at most 1.2 for
what repeats every 8 pixels otherwise (enlarging by 8/5 or 8)."""
GRID_PRESENT = 0.05
"""Mean share of a set that was JPEG whatever the other set is, and whatever else was done to it."""
FALL_DB = -7.5
"""Of the highest quarter of the frequencies against the other set's: an interpolator leaves it nearly
empty. Filters of a reduction differ by 5 dB at most, enlarging by a quarter gives -8."""
CLIPPED = 0.01
"""Difference in the share of values that are 0 or 255."""
END = 16
"""Levels at either end that are not looked at for combs."""
LOWEST_LINE = 0.08
"""Cycles per pixel: below, what aligned pictures (faces, digits) show is periodic too."""
PROMINENCE = 6.0
"""Power of a line over the median of its neighbours' (2 to 5 bins away); a mere shape has no sharp lines."""
FEW_COLOURS = 256
CHROMA_FALL = 0.7
"""Nats."""
MIXED = "the images of a generator may differ so by its own doing, which only their history can tell"
SPECTRAL = (
    "codec",
    "quality",
    "subsampling",
    "palette",
    "bit_depth",
    "grid",
    "jpeg_history",
    "enlarged",
    "size",
)
"""Kinds that change the spectrum, and with it what is left for `resampling`."""
SIDES: tuple[Side, Side] = ("reals", "fakes")


@dataclass(frozen=True)
class Line:
    """A period in the differences of neighbouring pixels that one set has and the other has not."""

    frequency: float
    axis: str
    p: float
    side: Side
    scores: tuple[Floats, Floats]


def history_findings(
    real: Signs, fake: Signs, headers: frozenset[str], files_jpeg: tuple[bool, bool]
) -> Iterator[Finding]:
    """Everything that the pixels of two sets say of their past.

    Args:
        real: measurements of the reals, without images of one value.
        fake: of the fakes, cut to the same size.
        headers: kinds that the files' headers have told already.
        files_jpeg: whether the files of reals and of fakes are JPEG now.
    """
    known = set(headers)
    for check in (_depth, _palette):
        for one in check(real, fake):
            if one.kind not in known:
                yield one
            known.add(one.kind)
    lines = _lines(real, fake)
    odd = [line for line in lines if not _of_eight(line.frequency, real)]
    fall = fall_db(real, fake)
    least = GRID_PRESENT if odd or abs(fall) >= -FALL_DB else GRID_EXCESS
    for one in _jpeg(real, fake, known, files_jpeg, least):
        yield one
        known.add(one.kind)
    jpeg = bool(known & {"jpeg_history", "grid", "quality"}) or any(files_jpeg)
    enlarged = _enlarged(real, fake, odd if jpeg else lines, fall, 12.0 if jpeg else -FALL_DB)
    if enlarged is not None:
        known.add("enlarged")
        yield enlarged
    if not known & set(SPECTRAL):
        for one in _resampling(real, fake) or _chroma(real, fake):
            yield one
            known.add(one.kind)
    yield from _brightness(
        real, fake, not known & {"palette", "bit_depth"}, not known & {*SPECTRAL, "resampling"}
    )


def _by(side: Side) -> str:
    return f"; {MIXED}" if side == "fakes" else ""


# -------------------------------------------------------------------------------------------- depth, palette


def _depth(real: Signs, fake: Signs) -> Iterator[Finding]:
    """Values that lie on the levels of fewer than eight bits."""
    tested = named_separation(real.depth.tolist(), fake.depth.tolist())
    if tested.p < ALPHA:
        low = [part.depth[part.depth < 8] for part in (real, fake)]
        side = SIDES[int(len(low[1]) / len(fake) > len(low[0]) / len(real))]
        bits = np.bincount(np.concatenate(low)).argmax()
        evidence = (
            f"all values lie on the levels of {bits} bits or few more in "
            f"{shares(len(real), len(fake), len(low[0]), len(low[1]))}"
        )
        yield finding("bit_depth", evidence, tested, side)


def _palette(real: Signs, fake: Signs) -> Iterator[Finding]:
    """Few different colours, where neither grey nor a low depth explains them."""
    few = [
        (part.colours <= FEW_COLOURS) & (part.depth == 8) & (part.levels[:, 0] != part.levels[:, 1]).any(1)
        for part in (real, fake)
    ]
    tested = named_separation(few[0].tolist(), few[1].tolist())
    if tested.p < ALPHA:
        counts = [int(part.sum()) for part in few]
        side = SIDES[int(few[1].mean() > few[0].mean())]
        evidence = (
            f"no more than {FEW_COLOURS} colours in {shares(len(real), len(fake), counts[0], counts[1])}"
        )
        yield finding("palette", evidence, tested, side)


# ------------------------------------------------------------------------------------------------------ JPEG


def _jpeg(
    real: Signs, fake: Signs, known: set[str], files_jpeg: tuple[bool, bool], least: float
) -> Iterator[Finding]:
    """Grids of zero DCT coefficients that one set has, or has ``least`` more of."""
    grids = _grids(real, fake, least)
    if grids:
        yield from _grid_findings(real, fake, grids, known, files_jpeg)
        return
    # too few images for a place of their common grid, or every image was cut at a place of its own
    best = [part.grid.max((1, 2)) for part in (real, fake)]
    tested = separation(best[0], best[1], looks=2)
    excess = float(best[1].mean() - best[0].mean())
    if tested.p >= ALPHA or abs(excess) < 2 * least:
        return
    number = int(excess > 0)
    side, place = SIDES[number], _common_place((real, fake)[number])
    if place is None:
        return
    where = f"at row {place[0]}, column {place[1]}"
    if place[0] < 0:
        where = "at places that differ from image to image"
    if not files_jpeg[number]:
        text = f"some of the {side} look as if they were JPEG files once: blocks begin {where}"
        yield finding("jpeg_history", text, tested, side)
    if place != (0, 0):
        yield finding("grid", f"JPEG's blocks begin {where} in the {side}", tested, side)


def _common_place(part: Signs) -> tuple[int, int] | None:
    """Where most of the images with the most zeros have their grid; (-1, -1) for no common place.

    None where their zeros do not stand at one place of each image, as JPEG makes them.
    """
    maps = part.grid.reshape(-1, 64)
    top = maps[np.argsort(maps.max(1))[-max(10, len(maps) // 20) :]]
    ordered = np.sort(top, 1)
    if np.median(ordered[:, -1] / np.maximum(ordered[:, -2], 1e-4)) < GRID_ALONE:
        return None
    places = np.bincount(top.argmax(1), minlength=64)
    if places.max() < len(top) / 2:
        return -1, -1
    return int(places.argmax() // 8), int(places.argmax() % 8)


def _grids(real: Signs, fake: Signs, least: float) -> dict[Side, tuple[tuple[int, int], Separation, float]]:
    """Side -> place of its grid, test, excess over the other set; absent without a grid."""
    grids: dict[Side, tuple[tuple[int, int], Separation, float]] = {}
    for side, own, other in ((SIDES[0], real, fake), (SIDES[1], fake, real)):
        mean = own.grid.mean(0)
        ordered = np.sort(mean.ravel())
        y, x = np.unravel_index(int(mean.argmax()), mean.shape)
        excess = float(mean[y, x] - other.grid[:, y, x].mean())
        alone = mean[y, x] >= GRID_ALONE * max(float(ordered[-2]), 1e-4)
        tested = separation(real.grid[:, y, x], fake.grid[:, y, x], looks=128)
        if tested.p < ALPHA and excess >= least and alone:
            grids[side] = (int(y), int(x)), tested, excess
    return grids


def _grid_findings(
    real: Signs, fake: Signs, grids: dict[Side, tuple[tuple[int, int], Separation, float]], known: set[str],
    files_jpeg: tuple[bool, bool],
) -> Iterator[Finding]:  # fmt: skip
    """What grids mean, given what the files are now."""
    both = len({place for place, *_ in grids.values()}) == 2
    for side, (place, tested, _) in grids.items():
        number = SIDES.index(side)
        other = (real, fake)[1 - number].grid[:, place[0], place[1]].mean()
        told_by_file = place == (0, 0) and files_jpeg[number] and (known & {"codec", "quality"})
        if told_by_file or both:
            continue
        if other >= GRID_PRESENT and not any(files_jpeg):
            text = f"both sets look like JPEG files of other qualities, the {side} more strongly compressed"
            yield finding("quality", text, tested, side)
            continue
        again = " before their present compression" if files_jpeg[number] else " once"
        text = (
            f"the {side} look as if they were JPEG files{again}: coefficients of 8 x 8 blocks vanish on "
            f"a grid "
            f"that begins at row {place[0]}, column {place[1]}"
        )
        yield finding("jpeg_history", text, tested, side)
    shifted = {side: grid for side, grid in grids.items() if grid[0] != (0, 0)}
    if shifted or both:
        listed = " and ".join(f"({y}, {x}) in the {side}" for side, ((y, x), *_) in grids.items())
        best = max(grids.values(), key=lambda grid: grid[1].auc)[1]
        only = next(iter(shifted)) if len(grids) == 1 else "both"
        yield finding("grid", f"JPEG's blocks begin at row and column {listed}", best, only)


def jpeg_grid(signs: Signs) -> tuple[int, int] | None:
    """Where the blocks of images begin that were JPEG files, or None; asked of one set alone."""
    mean = signs.grid.mean(0)
    ordered = np.sort(mean.ravel())
    if ordered[-1] < GRID_PRESENT or ordered[-1] < GRID_ALONE * ordered[-2]:
        return None
    return int(mean.argmax() // 8), int(mean.argmax() % 8)


# -------------------------------------------------------------------------------------------------- enlarged


def _of_eight(frequency: float, signs: Signs) -> bool:
    """Whether a frequency is a multiple of 1/8 within the resolution, as lines of JPEG's grid are."""
    resolution = 1.01 / min(signs.rows.shape[2], signs.columns.shape[2])
    return bool(abs(frequency - round(8 * frequency) / 8) <= resolution)


def _lines(real: Signs, fake: Signs) -> list[Line]:
    """Significant periods in the size of pixel differences, strongest first (Hotelling's T^2)."""
    tests: list[Line] = []
    for axis in ("rows", "columns"):
        for order in (0, 1):
            parts = [getattr(part, axis)[:, order] - 1 for part in (real, fake)]
            length = parts[0].shape[1]
            frequencies = np.fft.rfftfreq(length)
            spectra = [np.fft.rfft(part, axis=1) for part in parts]
            power = np.abs(spectra[1].mean(0) - spectra[0].mean(0)) ** 2
            for k in np.flatnonzero(frequencies >= LOWEST_LINE):
                away = np.abs(np.arange(len(power)) - k)
                if power[k] < PROMINENCE * np.median(power[(away >= 2) & (away <= 5)]):
                    continue
                pairs = [np.stack([one[:, k].real, one[:, k].imag], 1) for one in spectra]
                p, scores = _hotelling(pairs[0], pairs[1])
                sizes = [abs(one[:, k].mean()) for one in spectra]
                tests.append(Line(float(frequencies[k]), axis, p, SIDES[int(sizes[1] > sizes[0])], scores))
    limit = ALPHA / 2 / (4 * max(part.rows.shape[2] for part in (real, fake)))
    return sorted((line for line in tests if line.p < limit), key=lambda line: line.p)


def _hotelling(first: Floats, second: Floats) -> tuple[float, tuple[Floats, Floats]]:
    """P-value of equal means ``(N, 2)``, and the images' projections on the difference."""
    difference = second.mean(0) - first.mean(0)
    covariance = np.cov(first.T) / len(first) + np.cov(second.T) / len(second)
    covariance += 1e-12 * np.eye(2) + 1e-9 * np.diag(np.diag(covariance))
    weights = np.linalg.solve(covariance, difference)
    freedom = min(len(first), len(second)) - 1
    statistic = float(difference @ weights) * (freedom - 1) / (2 * freedom)
    return float(f_law.sf(statistic, 2, freedom - 1)), (first @ weights, second @ weights)


def fall_db(real: Signs, fake: Signs) -> float:
    """Level of the highest quarter of the frequencies over the low ones, fakes minus reals, dB."""
    curve = 10 / np.log(10) * (fake.bands[:, :BANDS].mean(0) - real.bands[:, :BANDS].mean(0))
    return float(curve[3 * BANDS // 4 : BANDS].mean() - curve[1:5].mean())


def _enlarged(real: Signs, fake: Signs, lines: list[Line], fall: float, least: float) -> Finding | None:
    """Periods of interpolation, or a spectrum that is nearly empty at its end."""
    empty = abs(fall) >= least
    if not lines and not empty:
        return None
    features = [part.bands for part in (real, fake)]
    if lines:
        features = [
            np.column_stack([part, *(line.scores[k] for line in lines[:4])])
            for k, part in enumerate(features)
        ]
    tested = separation(*learned_scores(features[0], features[1]), looks=4, directed=True)
    if not lines and tested.p >= ALPHA:
        return None
    side = lines[0].side if lines else SIDES[int(fall < 0)]
    said = []
    if lines:
        said.append(
            f"the differences of neighbouring pixels repeat every {1 / lines[0].frequency:.2f} pixels "
            f"along the "
            f"{lines[0].axis}"
        )
    if empty:
        said.append(f"the highest quarter of the frequencies is {abs(fall):.1f} dB below the other set's")
    text = f"the {side} look enlarged{' or blurred' if not lines else ''}: {' and '.join(said)}"
    p = min([tested.p, *(line.p for line in lines)])
    shown = Separation(p, tested.auc, tested.low, tested.high, tested.fakes_higher)
    return finding("enlarged", text + _by(side), shown, side, side == "fakes")


def _resampling(real: Signs, fake: Signs) -> list[Finding]:
    """Spectra that differ beyond what brightness and contrast explain."""
    clipped = [_clipped(part).mean() for part in (real, fake)]
    if abs(clipped[1] - clipped[0]) >= CLIPPED:
        return []  # edges of what is cut off have a spectrum of their own, and brightness is told already
    # what is learned on overlapping halves scatters more than ranks of plain scores do: four looks, not one
    tested = separation(*learned_scores(*_explained(real, fake)), looks=4, directed=True)
    if tested.p >= ALPHA:
        return []
    fall = fall_db(real, fake)
    text = (
        f"the spectra differ as after another resampling filter, blur or sharpening (highest frequencies "
        f"{fall:+.1f} dB in the fakes); {MIXED}"
    )
    return [finding("resampling", text, tested, "both", True)]


def _clipped(part: Signs) -> Floats:
    """Share of every image's values that are 0 or 255."""
    ends: Floats = part.levels[:, :, (0, 255)].sum((1, 2)) / part.levels.sum((1, 2))
    return ends


def _explained(real: Signs, fake: Signs) -> tuple[Floats, Floats]:
    """The bands less what a regression within the sets on contrast and brightness says of them."""
    bands, causes = [], []
    for part in (real, fake):
        mean, white = part.colour.mean(1) / 128, np.sqrt(_clipped(part))
        cause = np.column_stack([np.log(part.spread + 1), mean, mean**2, white])
        bands.append(part.bands)
        causes.append(cause)
    inner = [np.concatenate([part - part.mean(0) for part in parts]) for parts in (causes, bands)]
    # a cause that hardly varies within the sets must not be given a slope to extrapolate with
    squares = inner[0].T @ inner[0] + 1e-3 * len(inner[0]) * np.eye(inner[0].shape[1])
    slopes = np.linalg.solve(squares, inner[0].T @ inner[1])
    rest = [band - cause @ slopes for band, cause in zip(bands, causes, strict=True)]
    return rest[0], rest[1]


def _chroma(real: Signs, fake: Signs) -> list[Finding]:
    """Colour much smoother in one set, where the luma is alike."""
    tested = separation(real.chroma, fake.chroma)
    gap = float(np.median(fake.chroma) - np.median(real.chroma))
    if tested.p < ALPHA and abs(gap) >= CHROMA_FALL:
        side = SIDES[int(gap < 0)]
        text = f"colour is smoother in the {side}, as if it had been sampled more coarsely than the luma"
        return [finding("subsampling", text + _by(side), tested, side, side == "fakes")]
    return []


# ------------------------------------------------------------------------------------------------ brightness


def _brightness(real: Signs, fake: Signs, levels: bool, ends: bool) -> Iterator[Finding]:
    """Means of the colours; levels that one set lacks; combs that a tone curve leaves in the histogram.

    Args:
        real: the reals.
        fake: the fakes.
        levels: compare the histograms (a low depth or a palette explains whatever they show).
        ends: compare the darkest and brightest levels too (a filter reaches fewer of them).
    """
    views = {
        "red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1),
        "red minus green": (1, -1, 0), "blue minus green": (0, -1, 1),
    }  # fmt: skip
    looks = len(views) + 3
    tests: list[tuple[Separation, str, bool]] = []
    for name, view in views.items():
        first, second = real.colour @ view, fake.colour @ view
        tested = separation(first, second, looks=looks)
        text = f"the mean of {name} is {first.mean():.1f} in the reals and {second.mean():.1f} in the fakes"
        tests.append((tested, text, True))
    if levels and ends:
        tests += [(*_end(real, fake, looks, upper), True) for upper in (False, True)]
    if levels:
        tests.append((*_comb(real, fake, looks), False))
    clear = sorted((one for one in tests if one[0].p < ALPHA), key=lambda one: -one[0].auc)
    if clear:
        said = "; ".join(one[1] for one in clear[:2])
        # a network that makes few different images has a rough histogram too
        generator = all(own or "of the fakes is a comb" in text for _, text, own in clear)
        yield finding(
            "brightness", said + (f"; {MIXED}" if generator else ""), clear[0][0], "both", generator
        )


def _end(real: Signs, fake: Signs, looks: int, upper: bool) -> tuple[Separation, str]:
    """Darkest (or brightest) levels that one set has in many images and the other in none."""
    used = [np.any(part.levels > 0, axis=1) for part in (real, fake)]
    if upper:
        used = [part[:, ::-1] for part in used]
    first = [part.any(0).argmax() for part in used]
    side = int(first[1] > first[0])
    beyond = [part[:, : first[side]].any(1) for part in used]
    count = int(beyond[1 - side].sum())
    p = share_p(int(beyond[1].sum()), len(fake), count, len(real) + len(fake)) if count else 1.0
    measured = separation(beyond[0], beyond[1], tails=False)
    level = 255 - first[side] if upper else first[side]
    text = (
        f"no {SIDES[side][:-1]} has a value {'above' if upper else 'below'} {level}, and {count} of the "
        f"{SIDES[1 - side]} have"
    )
    tested = Separation(min(1.0, 2 * p * looks), measured.auc, measured.low, measured.high, True)
    return tested, text


def _comb(real: Signs, fake: Signs, looks: int, seed: int = 0) -> tuple[Separation, str]:
    """Levels that stand out of their neighbours in one set; learned on half the images at a time."""
    source = np.random.default_rng(seed)
    sums = [np.zeros(len(part)) for part in (real, fake)]
    histograms = [part.levels.reshape(len(part), -1).astype(np.float64) for part in (real, fake)]
    histograms = [part / part.sum(1, keepdims=True) for part in histograms]
    for _ in range(2):
        halves = [np.array_split(source.permutation(len(part)), 2) for part in histograms]
        for side in (0, 1):
            combs = [_relief(part[half[side]]) for part, half in zip(histograms, halves, strict=True)]
            weights = combs[1] - combs[0]
            for total, part, half in zip(sums, histograms, halves, strict=True):
                total[half[1 - side]] += part[half[1 - side]] @ weights
    # no tails: pixels that repeat scatter the score more, without any comb
    tested = separation(sums[0], sums[1], looks=looks, tails=False, directed=True)
    reliefs = [float(np.abs(_relief(part)).mean()) for part in histograms]
    combed = SIDES[int(reliefs[1] > reliefs[0])]
    return tested, (
        f"the histogram of the {combed} is a comb, as a gain or a tone curve leaves it after rounding"
    )


def _relief(histograms: Floats) -> Floats:
    """How far every level of the mean histogram stands out of its neighbours, ends left out: ``(768,)``."""
    pooled = np.log(histograms.mean(0).reshape(3, 256) + 2e-5)
    relief = np.zeros_like(pooled)
    # far from 0 and 255, whose piles any filter spreads over the next levels
    inner, last = slice(END, -END), 256 - END
    relief[:, inner] = pooled[:, inner] - (pooled[:, END - 1 : last - 1] + pooled[:, END + 1 : last + 1]) / 2
    flat: Floats = relief.ravel()
    return flat
