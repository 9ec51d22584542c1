"""The room's registries: profile conventions, and deviations between two sets of mean profiles."""

from __future__ import annotations

from ganlab.spectra.deviation_metrics import (
    LOW,
    MID,
    DeviationMetric,
    axis_nyquist_excess,
    band_distance,
    bce_excess,
    contrast,
    cosine,
    decay,
    high_excess,
    log_spectral_distance,
    minmax_l1,
    nyquist_distance,
    nyquist_excess,
    peak,
)
from ganlab.spectra.set_metrics import (
    SetMetric,
    cloaking_held_out,
    cloaking_published,
    focal_frequency,
    frechet,
    log_frequency,
    needs_pairs,
    needs_profiles,
)

DEVIATIONS: dict[str, DeviationMetric] = {
    "mean_db": DeviationMetric(
        "mean absolute difference of the radial profiles", "dB", ("radial",), band_distance(0, 0.5)
    ),
    "low_db": DeviationMetric(
        "the same up to 1/8 cycles per pixel", "dB", ("radial",), band_distance(0, LOW)
    ),
    "mid_db": DeviationMetric(
        "the same from 1/8 to 1/4 cycles per pixel", "dB", ("radial",), band_distance(LOW, MID)
    ),
    "high_db": DeviationMetric(
        "the same above 1/4 cycles per pixel", "dB", ("radial",), band_distance(MID, 0.5)
    ),
    "nyquist_db": DeviationMetric(
        "absolute difference of the ring at Nyquist", "dB", ("radial",), nyquist_distance
    ),
    "high_excess_db": DeviationMetric(
        "signed difference above 1/4 cycles per pixel", "dB", ("radial",), high_excess, signed=True
    ),
    "nyquist_excess_db": DeviationMetric(
        "signed difference of the ring at Nyquist", "dB", ("radial",), nyquist_excess, signed=True
    ),
    "axis_nyquist_excess_db": DeviationMetric(
        "signed difference of the Nyquist row and column",
        "dB",
        ("horizontal", "vertical"),
        axis_nyquist_excess,
        signed=True,
    ),
    "log_spectral_distance": DeviationMetric(
        "root mean square difference of the radial profiles", "dB", ("radial",), log_spectral_distance
    ),
    "minmax_l1": DeviationMetric(
        "L1 distance of the mean min-max profiles (Jung 2021)", "1", ("jung2021",), minmax_l1
    ),
    "bce_excess": DeviationMetric(
        "cross-entropy of the min-max profiles above its floor (Durall 2020)",
        "nat",
        ("durall2020",),
        bce_excess,
    ),
    "cosine": DeviationMetric(
        "one minus the cosine of the mean min-max profiles", "1", ("jung2021",), cosine
    ),
    "decay_exponent": contrast(
        "decay exponent of the amplitude near the corner (Dzanic 2020), fake minus real",
        "1",
        "decay",
        decay("exponent"),
    ),
    "decay_first_db": contrast(
        "amplitude at 0.85 of the corner frequency (Dzanic 2020), fake over real",
        "dB",
        "decay",
        decay("first"),
    ),
    "decay_last_db": contrast(
        "amplitude at the corner frequency (Dzanic 2020), fake over real", "dB", "decay", decay("last")
    ),
    "peak_horizontal_2": peak("horizontal", 2),
    "peak_horizontal_4": peak("horizontal", 4),
    "peak_horizontal_8": peak("horizontal", 8),
    "peak_vertical_2": peak("vertical", 2),
    "peak_vertical_4": peak("vertical", 4),
    "peak_vertical_8": peak("vertical", 8),
    "peak_diagonal_2": peak("diagonal", 2),
    "peak_diagonal_4": peak("diagonal", 4),
    "peak_diagonal_8": peak("diagonal", 8),
}

SET_DEVIATIONS: dict[str, SetMetric] = {
    "frechet": SetMetric(
        "Fréchet distance of Gaussian fits of the log radial profiles",
        "nat^2",
        needs_profiles("radial", 2),
        frechet,
    ),
    "cloaking_published": SetMetric(
        "cloaking score on training data (Jung 2021): 1 cannot be told apart, 0 always told apart",
        "1",
        needs_profiles("jung2021", 4),
        cloaking_published,
    ),
    "cloaking_held_out": SetMetric(
        "cloaking score of a converged classifier on held-out images: 1 cannot be told apart",
        "1",
        needs_profiles("jung2021", 10),
        cloaking_held_out,
    ),
    "focal_frequency": SetMetric(
        "focal frequency loss (Jiang 2021), image by image: for reconstructions only",
        "1",
        needs_pairs,
        focal_frequency,
        paired=True,
    ),
    "log_frequency": SetMetric(
        "log frequency distance (Jiang 2021), image by image: for reconstructions only",
        "nat",
        needs_pairs,
        log_frequency,
        paired=True,
    ),
}
