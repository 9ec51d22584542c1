"""Corvi 2023, StyleGAN3, Wang 2020: mean spectra of images and of their residuals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ganlab.data import ImageSet
from ganlab.experiments.claims.drawing import bars, curves, planes
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.seeds import student_mean
from ganlab.experiments.claims.setting import Setting, floats
from ganlab.forensics import Interval
from ganlab.spectra import (
    angular_profile,
    autocorrelation,
    decibels,
    padded_spectrum,
    pixel_moments,
    radial_profile,
    residual_spectrum,
)
from ganlab.spectra.transforms import full_plane

Floats = npt.NDArray[np.float64]
GROUPS = 8
"""Parts of a set: a statistic of a mean spectrum has one value in each, and they give the interval."""
MIDDLE = 0.2
"""Cycles per pixel: from here on the published radial figure is drawn."""
NEAR = 3
"""Lags up to which any image correlates with itself."""
NULL_NAME = "null: halves of the reals"
Statistic = Callable[[Tensor], float]


def middle_share(images: Tensor) -> float:
    """Share of the power beyond `MIDDLE`, dB (convention corvi2023)."""
    profile = radial_profile(images, "corvi2023").double().mean(0).numpy()
    radius = np.arange(len(profile)) / min(images.shape[-2:])
    return float(decibels(np.array(profile[(radius >= MIDDLE) & (radius <= 0.5)].sum())))


def regularity(images: Tensor) -> float:
    """Largest autocorrelation of the median residuals beyond `NEAR` pixels."""
    lags = _lags(images)
    height, width = lags.shape
    y, x = (np.minimum(np.arange(n), n - np.arange(n)) for n in (height, width))
    far = np.maximum(y[:, None], x[None]) > NEAR
    return float(np.abs(lags[far]).max())


def _lags(images: Tensor) -> Floats:
    power = residual_spectrum(images, average="power").square()
    lags: Floats = autocorrelation(power, images.shape[-1]).double().numpy()
    return lags


def lattice_level(images: Tensor) -> float:
    """Of the mean complex residual spectrum: its highest multiple of 1/4 over the median, dB."""
    plane = 2 * decibels(residual_spectrum(images).numpy())
    height, width = plane.shape[0], 2 * (plane.shape[1] - 1)
    rows, columns = np.arange(0, height, height // 4), np.arange(0, width // 2 + 1, width // 4)
    lattice = plane[np.ix_(rows, columns)].copy()
    lattice[0, 0] = -np.inf
    return float(lattice.max() - np.median(plane))


def nyquist_level(images: Tensor, moments: tuple[float, float]) -> float:
    """Power at the end of the horizontal slice of the whitened, windowed, padded mean spectrum, dB."""
    return float(padded_spectrum(images, *moments).slice_0()[1][-1])


def grouped(images: ImageSet, statistic: Statistic) -> Interval:
    """A statistic of a set's parts: their mean with Student's interval."""
    everything = floats(images)
    return student_mean([statistic(everything[start::GROUPS]) for start in range(GROUPS)])


def measured(setting: Setting, key: str, statistic: Statistic) -> dict[str, Interval]:
    """The statistic of every set minus that of the reals; the null: even reals minus odd ones."""

    def compute(images: ImageSet) -> list[float]:
        return grouped(images, statistic).as_list()

    real = setting.real
    halves = [real.subset(np.arange(start, len(real), 2), f"half {start}") for start in (0, 1)]
    found = {
        one.name: Interval(*setting.once(f"{key}-{one.name}", partial(compute, one)))
        for one in (real, *setting.fakes, *halves)
    }
    differences = {fake.name: minus(found[fake.name], found[real.name]) for fake in setting.fakes}
    return {**differences, NULL_NAME: minus(*(found[half.name] for half in halves))}


def minus(one: Interval, other: Interval) -> Interval:
    """Difference of independent means, their margins added in squares."""
    margin = float(np.hypot(one.high - one.value, other.high - other.value))
    value = one.value - other.value
    return Interval(value, value - margin, value + margin)


def outcome(
    named: Mapping[str, tuple[str, Mapping[str, Interval]]], statement: str, parts: Sequence[Part]
) -> Outcome:
    """Which sets differ from the reals in which statistic.

    Args:
        named: title -> unit and differences by set, the null last; of what ends in "more" only more counts.
        statement: what every set's differing would show.
        parts: tables and figures.
    """
    here, seen, count = [], [], 0
    for title, (unit, found) in named.items():
        null = found[NULL_NAME]
        apart = [
            name for name, i in found.items()
            if name != NULL_NAME and not i.contains(0.0) and abs(i.value) > max(abs(null.low), abs(null.high))
            and (i.value > 0 or not title.endswith(", more"))
        ]  # fmt: skip
        seen += apart
        count += len(found) - 1
        listed = ", ".join(f"{name} {shown(i, sign=True)}" for name, i in found.items())
        here.append(f"{title}, fakes minus reals ({unit}): {listed}; beyond the null {len(apart)}.")
    verdict = (
        Verdict.AT_THIS_SCALE if len(seen) == count else Verdict.SHARPENED if seen else Verdict.UNDECIDED
    )
    because = (
        f"{len(seen)} of {count} differences are beyond the null. {statement} One seed of each generator."
    )
    rows = [
        [title, name, shown(i, sign=True), unit]
        for title, (unit, found) in named.items()
        for name, i in found.items()
    ]
    note = f"Fakes minus reals; intervals over {GROUPS} parts of each set."
    table = Table("differences", "Differences", ("statistic", "set", "difference", "unit"), rows, note)
    drawn = [
        bars(
            f"differences-{k}", f"{title}: fakes minus reals.", {n: {title: i} for n, i in found.items()},
            unit, 0.0,
        )
        for k, (title, (unit, found)) in enumerate(named.items())
    ]  # fmt: skip
    first = Part("Differences to the reals", tables=[table], drawings=drawn)
    numbers = {title: found for title, (_, found) in named.items()}
    return Outcome(here, verdict, because, [first, *parts], numbers)


def corvi2023(setting: Setting) -> Outcome:
    """Radial and angular shares of the power, autocorrelation of the residuals."""
    sets = {one.name: floats(one) for one in (setting.real, *setting.fakes)}
    radial = {n: decibels(radial_profile(i, "corvi2023").double().mean(0).numpy()) for n, i in sets.items()}
    angular = {n: 100 * angular_profile(i).double().mean(0).numpy() for n, i in sets.items()}
    bins = len(next(iter(angular.values())))
    lags = [(name, np.fft.fftshift(_without_near(_lags(images)))) for name, images in sets.items()]
    radius = np.arange(len(next(iter(radial.values())))) / min(setting.real.shape[:2])
    shape = Part("Where the power lies, and what repeats", drawings=[
        curves("radial", "Share of the power by radius (images standardised one by one).", radius,
               {"radial": radial}, "frequency (cycles per pixel)", "share (dB)"),
        curves("angular", "Share of the power beyond 0.1 cycle per pixel by direction.",
               np.arange(bins) * 180.0 / bins, {"angular": angular}, "degrees from horizontal", "share (%)"),
        planes("autocorrelation", f"Autocorrelation of 5x5 median residuals; lags up to {NEAR} left out.",
               lags, "autocorrelation", "lag", diverging=True),
    ])  # fmt: skip
    return outcome(
        {
            "power beyond 0.2": ("dB", measured(setting, "middle", middle_share)),
            "largest autocorrelation, more": ("1", measured(setting, "regular", regularity)),
        },
        "A median stands in the place of the published denoising network.", [shape],
    )  # fmt: skip


def _without_near(lags: Floats) -> Floats:
    height, width = lags.shape
    y, x = (np.minimum(np.arange(n), n - np.arange(n)) for n in (height, width))
    kept: Floats = np.where(np.maximum(y[:, None], x[None]) > NEAR, lags, 0.0)
    return kept


def stylegan3(setting: Setting) -> Outcome:
    """Mean spectra on a finer grid, and their slices at 0 and 45 degrees."""
    sets = {one.name: floats(one) for one in (setting.real, *setting.fakes)}
    moments = pixel_moments(sets[setting.real.name])
    spectra = {name: padded_spectrum(images, *moments) for name, images in sets.items()}
    slices = {
        "0 degrees": {name: one.slice_0()[1] for name, one in spectra.items()},
        "45 degrees": {name: one.slice_45()[1] for name, one in spectra.items()},
    }
    count = len(next(iter(slices["0 degrees"].values())))
    maps = [(name, one.heatmap()) for name, one in spectra.items()]
    parts = [Part("Slices and maps", ["Whitened by the reals, Kaiser window, padded four times."], drawings=[
        curves("slices", "Mean power along a slice; its end is Nyquist, of the diagonal the corner.",
               np.linspace(0, 1, count), slices, "share of the slice", "power (dB)"),
        planes("maps", "Mean power over the plane, zero frequency in the middle.", maps, "power (dB)"),
    ])]  # fmt: skip
    found = measured(setting, "nyquist", partial(nyquist_level, moments=moments))
    return outcome(
        {"power at Nyquist, 0 degrees": ("dB", found)}, "Whitening and window are the published ones.", parts
    )


def wang2020(setting: Setting) -> Outcome:
    """Mean complex spectrum of the residuals: what has the same phase in all images."""
    sets = [setting.real, *setting.fakes]
    maps = [
        (one.name, full_plane(2 * decibels(residual_spectrum(floats(one)).numpy()), one.shape[1]))
        for one in sets
    ]
    caption = "Modulus of the mean complex spectrum of 5x5 median residuals, zero frequency in the middle."
    parts = [Part("Residual spectra", drawings=[planes("residuals", caption, maps, "amplitude (dB)")])]
    found = measured(setting, "lattice", lattice_level)
    return outcome(
        {"highest multiple of 1/4 over the median, more": ("dB", found)},
        "The published figure is judged by eye.",
        parts,
    )


_GENERATORS = ("dcgan-transposed", "dcgan-nearest", "dcgan-bilinear", "dcgan-pixel_shuffle")
_NEEDS = "nothing: generators of the zoo (or --real with --fake)"
CORVI2023 = Experiment(
    title="Radial and angular shares of the power, autocorrelation of residuals",
    source="Corvi et al. 2023, arXiv 2304.06408",
    published=(
        Published("Synthetic images have regular patterns in the autocorrelation of residuals", "abstract"),
        Published("Radial and angular power differ at middle to high frequencies", "abstract"),
    ),
    minutes=0.1, needs=_NEEDS, run=corvi2023, generators=_GENERATORS,
)  # fmt: skip
STYLEGAN3 = Experiment(
    title="Mean spectra on a padded grid and their slices at 0 and 45 degrees",
    source="Karras et al. 2021, arXiv 2106.12423",
    published=(Published("Spectra of generators differ from the data's; maps and slices show how", "code"),),
    minutes=0.1, needs=_NEEDS, run=stylegan3, generators=_GENERATORS,
)  # fmt: skip
WANG2020 = Experiment(
    title="Mean complex spectra of median residuals",
    source="Wang et al. 2020, arXiv 1912.11035",
    published=(
        Published("The mean spectrum of the residuals of 2,000 images shows periodic patterns", "issue 21"),
    ),
    minutes=0.1, needs=_NEEDS, run=wang2020, generators=_GENERATORS,
)  # fmt: skip
